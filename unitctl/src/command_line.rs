//! The words a user may say, as types.

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::exit::EXIT_STATUSES;

/// Talks to unitd: shows what it does, changes its configuration.
///
/// The control socket of the one daemon that runs here is found by itself; -s names another.
/// Results go to standard output, everything else to standard error. What is read is a table on a
/// terminal and JSON anywhere else, unless --json or -t say so.
#[derive(Debug, Parser)]
#[command(name = "unitctl", version, after_long_help = EXIT_STATUSES, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which daemon, and how long to wait for it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectionArgs {
    /// Control socket: unix:/PATH, a path, unix:@NAME, HOST:PORT or http://HOST[:PORT]; may be given
    /// several times, then the command is carried out on each
    #[arg(short = 's', long, value_name = "ADDRESS", global = true, env = "UNIT_CTRL")]
    #[arg(action = ArgAction::Append, hide_env_values = true)]
    pub(crate) control_socket_address: Vec<String>,
    /// Wait that long for the control socket to appear, in each try
    #[arg(short, long, value_name = "SECONDS", global = true)]
    pub(crate) wait_timeout_seconds: Option<u32>,
    /// How many such tries (before the command; after it, -t is the output format)
    #[arg(short = 't', long, value_name = "TRIES", default_value_t = 3)]
    pub(crate) wait_max_tries: u32,
    /// Wait at most that long for an answer; 0 waits for ever
    #[arg(long, value_name = "SECONDS", default_value_t = 300, global = true)]
    pub(crate) timeout: u32,
    /// Print JSON, also for refusals: the daemon's answer as it is
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON with line breaks
    JsonPretty,
    /// JSON in one line
    Json,
    /// YAML
    Yaml,
    /// For people; a string is printed without quotes
    Text,
}

/// The option for it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArgs {
    /// How to print the result
    #[arg(short = 't', long = "output-format", value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show connections, requests, applications and language modules
    Status(StatusArgs),
    /// Watch applications and requests as they change
    Top(TopArgs),
    /// Show or change the configuration, or a part of it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Replace the whole configuration with a file's, if it differs
    Apply(ApplyArgs),
    /// Show or change certificate bundles
    #[command(subcommand, alias = "certificates")]
    Certs(CertsCommand),
    /// List or restart applications
    #[command(subcommand)]
    Apps(AppsCommand),
    /// List listeners
    Listeners(OutputArgs),
    /// Show the daemon's log
    Logs(LogsArgs),
    /// List the daemons that run on this machine
    Instances(InstancesArgs),
    /// Edit the configuration (the same as config edit)
    Edit(EditArgs),
    /// Send a request as it is
    Execute(ExecuteArgs),
    /// Upload the certificates, scripts and configurations of a directory
    Import(ImportArgs),
    /// Write the configuration and the scripts to a tar archive
    Export(ExportArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write all of them to a directory
    Man {
        /// Where to write the pages of all commands
        #[arg(long, value_name = "DIR")]
        dir: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show it again and again, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = seconds)]
    pub(crate) watch: Option<f64>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Time between two looks
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: f64,
    /// Look that often, print each sample, and end; without a terminal, once
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub(crate) iterations: Option<u32>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.05..=86_400.0).contains(&seconds) => Ok(seconds),
        Ok(_) | Err(_) => Err("a number of seconds from 0.05 to 86400".to_owned()),
    }
}

const PATH_HELP: &str = "Path of the value, such as listeners/*:80/pass; / is all of it";

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a value
    Get {
        #[arg(help = PATH_HELP, default_value = "/")]
        path: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Create or replace a value
    Set(ChangeArgs),
    /// Add an element to the end of an array
    Append(ChangeArgs),
    /// Change a value in your editor
    Edit(EditArgs),
    /// Remove a value
    Delete {
        #[arg(help = PATH_HELP)]
        path: String,
        /// Have it checked, but change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask before everything is removed
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    #[arg(help = PATH_HELP)]
    pub(crate) path: String,
    /// The new value in JSON; - reads it from standard input
    #[arg(allow_negative_numbers = true, required_unless_present = "file")]
    pub(crate) value: Option<String>,
    /// Take the value from a file, JSON or YAML; - is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "value")]
    pub(crate) file: Option<String>,
    /// The value is this text itself, not JSON
    #[arg(long, conflicts_with_all = ["file", "yaml"])]
    pub(crate) string: bool,
    /// The value is YAML, whatever the name of its file says
    #[arg(long)]
    pub(crate) yaml: bool,
    /// Have it checked, but change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    #[arg(help = PATH_HELP, default_value = "/")]
    pub(crate) path: String,
    /// Edit it as YAML
    #[arg(long)]
    pub(crate) yaml: bool,
    /// Have it checked, but change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Send it without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The configuration, JSON or YAML; - is standard input
    pub(crate) file: String,
    /// It is YAML, whatever the name of the file says
    #[arg(long)]
    pub(crate) yaml: bool,
    /// Have it checked and show the difference, but change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask before it is sent
    #[arg(long)]
    pub(crate) ask: bool,
    /// Do not ask (the default)
    #[arg(short, long, conflicts_with = "ask")]
    pub(crate) yes: bool,
    /// Do not show the difference
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// List all bundles
    List(OutputArgs),
    /// Show the certificates of a bundle
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Upload a bundle: a private key and its certificates, PEM
    Upload {
        /// The name to give it
        name: String,
        /// The files, joined in this order; - is standard input
        #[arg(required = true)]
        files: Vec<String>,
        /// Replace a bundle that has this name
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Delete a bundle
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppsCommand {
    /// List applications
    List(OutputArgs),
    /// Replace the processes of an application with new ones
    Restart {
        /// Its name
        name: String,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Go on with what is written to it, also when it is rotated
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Begin with that many of its last lines
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) lines: usize,
    /// Its file, if that is not to be found out
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<String>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct InstancesArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Option<InstancesCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InstancesCommand {
    /// Start a container (left out; use your container tool)
    #[command(hide = true)]
    New {
        /// Whatever was given
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum MethodName {
    Get,
    Put,
    Post,
    Delete,
}

#[derive(Debug, Args)]
pub(crate) struct ExecuteArgs {
    /// The method
    #[arg(short, long, ignore_case = true)]
    pub(crate) method: MethodName,
    /// The path, such as /config/listeners, with a query if there is one
    #[arg(short, long)]
    pub(crate) path: String,
    /// The body; a YAML file is sent as JSON, any other as it is; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The directory
    #[arg(value_name = "DIR")]
    pub(crate) directory: String,
    /// Replace certificate bundles that are there already
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The archive; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(std::iter::once("unitctl").chain(words.split(' ')))
    }

    #[test]
    fn the_definition_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn t_is_the_number_of_tries_before_the_command_and_the_format_after_it() {
        let line = parse("-t 5 -w 1 status -t yaml").unwrap();
        assert_eq!(line.connection.wait_max_tries, 5);
        assert_eq!(line.connection.wait_timeout_seconds, Some(1));
        let Command::Status(status) = line.command else { panic!("not status") };
        assert_eq!(status.output.format, Some(Format::Yaml));
        assert!(parse("-t yaml status").is_err());
        assert_eq!(parse("status").unwrap().connection.wait_max_tries, 3);
    }

    #[test]
    fn lines_of_scripts_for_the_reference_are_understood() {
        for words in [
            "-s unix:/run/c.sock execute -m GET -p /config -t json",
            "-s a -s b listeners --output-format text",
            "execute --method put --path /config --file -",
            "execute -m POST -p /config/routes -f route.yaml",
            "-w 3 --wait-max-tries 7 import ./conf",
            "export -f -",
            "edit -t json",
            "apps list -t yaml",
            "apps restart shop -t json",
            "instances -t json-pretty",
            "instances new /run/c.sock /srv/app unit:1.35.0-minimal -r",
        ] {
            assert!(parse(words).is_ok(), "{words}");
        }
    }

    #[test]
    fn options_of_the_connection_may_follow_the_command() {
        let line = parse("config get /x --json -s 127.0.0.1:80").unwrap();
        assert!(line.connection.json);
        assert_eq!(line.connection.control_socket_address, ["127.0.0.1:80"]);
    }

    #[test]
    fn a_value_may_look_like_an_option() {
        let line = parse("config set /x -5").unwrap();
        let Command::Config(ConfigCommand::Set(change)) = line.command else { panic!("not set") };
        assert_eq!(change.value.as_deref(), Some("-5"));
        assert!(parse("config set /x").is_err());
        assert!(parse("config set /x 1 -f f").is_err());
    }

    #[test]
    fn an_interval_is_a_sensible_number() {
        for words in ["top -i 0", "top -i nan", "top -i -1", "top -i inf", "status --watch x"] {
            assert!(parse(words).is_err(), "{words}");
        }
        let Command::Status(status) = parse("status --watch").unwrap().command else { panic!() };
        assert_eq!(status.watch, Some(2.0));
    }
}
