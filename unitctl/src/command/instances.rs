//! `unitctl instances`: the daemons that run on this machine.

use conf::Value;

use crate::command_line::{Format, OutputArgs};
use crate::discover::{self, Instance};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::visible::visible;

pub(super) fn run(session: &Session, output: OutputArgs) -> Result<(), Failure> {
    let found = discover::instances();
    match session.format(output) {
        Format::Text if found.is_empty() => {
            let what = "no running daemon was found".to_owned();
            Err(Failure::Reported { what, exit: Exit::NoInstance })
        }
        Format::Text => {
            let texts: Vec<String> = found.iter().map(render).collect();
            Ok(session.console.print(texts.join("\n"))?)
        }
        format => {
            let list: Vec<Value> = found.iter().map(describe).collect();
            Ok(session.console.print_value(&list.into(), format)?)
        }
    }
}

/// What is not known is null in JSON.
fn describe(instance: &Instance) -> Value {
    let text = |text: Option<String>| text.map_or(Value::Null, Value::from);
    let children: Vec<Value> =
        instance.children.iter().map(|&pid| Value::from(u64::from(pid))).collect();
    Value::from_iter([
        ("pid", Value::from(u64::from(instance.pid))),
        ("version", Value::from(instance.title.version.as_str())),
        ("executable", text(executable(instance))),
        ("control_socket", text(control(instance))),
        ("log", Value::from(instance.log().display().to_string())),
        ("child_pids", Value::from(children)),
        ("flags", Value::from(instance.title.flags())),
        ("configure_options", text(instance.configure_options())),
    ])
}

fn executable(instance: &Instance) -> Option<String> {
    instance.executable.as_ref().map(|executable| executable.display().to_string())
}

fn control(instance: &Instance) -> Option<String> {
    instance.control().ok().map(|address| address.to_string())
}

fn render(instance: &Instance) -> String {
    let children: Vec<String> = instance.children.iter().map(u32::to_string).collect();
    let unknown = || "not known".to_owned();
    let mut text = format!(
        "unitd instance [pid: {}, version: {}]:\n",
        instance.pid,
        visible(&instance.title.version)
    );
    for (name, value) in [
        ("Executable", executable(instance).unwrap_or_else(unknown)),
        ("API control socket", control(instance).unwrap_or_else(unknown)),
        ("Log", instance.log().display().to_string()),
        ("Child processes ids", children.join(", ")),
        ("Runtime flags", instance.title.flags().to_owned()),
        ("Configure options", instance.configure_options().unwrap_or_else(unknown)),
    ] {
        text.push_str(&format!("  {name}: {}\n", visible(&value)));
    }
    text
}
