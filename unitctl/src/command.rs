//! The commands, one file for each.

mod apply;
mod apps;
mod certs;
mod change;
mod edit;
mod execute;
mod export;
mod generate;
mod import;
mod instances;
mod listeners;
mod logs;
mod status;
mod top;

use crate::command_line::{
    AppsCommand, CertsCommand, Command, ConfigCommand, InstancesArgs, InstancesCommand,
};
use crate::failure::Failure;
use crate::session::Session;

/// Does what was asked for.
pub(crate) fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Status(arguments) => status::run(session, &arguments),
        Command::Top(arguments) => top::run(session, &arguments),
        Command::Config(ConfigCommand::Get { path, output }) => change::get(session, &path, output),
        Command::Config(ConfigCommand::Set(arguments)) => change::set(session, &arguments),
        Command::Config(ConfigCommand::Append(arguments)) => change::append(session, &arguments),
        Command::Config(ConfigCommand::Delete { path, dry_run, yes, output }) => {
            change::delete(session, &path, change::Manner { dry_run, yes }, output)
        }
        Command::Config(ConfigCommand::Edit(arguments)) | Command::Edit(arguments) => {
            edit::run(session, &arguments)
        }
        Command::Apply(arguments) => apply::run(session, &arguments),
        Command::Certs(CertsCommand::List(output)) => certs::list(session, output),
        Command::Certs(CertsCommand::Show { name, output }) => certs::show(session, &name, output),
        Command::Certs(CertsCommand::Upload { name, files, replace, output }) => {
            let upload = certs::Upload { name: &name, files: &files, replace };
            certs::upload(session, &upload, output)
        }
        Command::Certs(CertsCommand::Delete { name, output }) => {
            certs::delete(session, &name, output)
        }
        Command::Apps(AppsCommand::List(output)) => apps::list(session, output),
        Command::Apps(AppsCommand::Restart { name, output }) => {
            apps::restart(session, &name, output)
        }
        Command::Listeners(output) => listeners::run(session, output),
        Command::Logs(arguments) => logs::run(session, &arguments),
        Command::Instances(InstancesArgs { command: None, output }) => {
            instances::run(session, output)
        }
        Command::Instances(InstancesArgs {
            command: Some(InstancesCommand::New { .. }), ..
        }) => Err(Failure::LeftOut(
            "instances new is left out: this program starts no containers. Start one with your \
             container tool, mount the directory of its control socket, and name that with -s.",
        )),
        Command::Execute(arguments) => execute::run(session, &arguments),
        Command::Import(arguments) => import::run(session, &arguments),
        Command::Export(arguments) => export::run(session, &arguments),
        Command::Completions { shell } => generate::completions(session, shell),
        Command::Man { dir } => generate::manual(session, dir.as_deref()),
    }
}
