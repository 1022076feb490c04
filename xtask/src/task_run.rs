//! `cargo xtask run`: builds, starts unitd with the demo application, says what to try next.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use serde_json::Value;

use crate::arguments::Arguments;
use crate::pythons::{self, Python};
use crate::server::{Place, Unitd};
use crate::task_build;
use crate::workspace::{CLIENT, Profile, Workspace};

/// The ports tried, in this order, before any free one is taken.
const TCP_PORTS: std::ops::Range<u16> = 8080..8100;

pub(crate) fn main(mut arguments: Arguments) -> Result<()> {
    let profile = if arguments.take_flag("--release") { Profile::Release } else { Profile::Dev };
    arguments.finish()?;
    let workspace = Workspace::load()?;
    let pythons = task_build::find_or_install(usable_pythons);
    task_build::build_roles(&workspace, profile, None)?;
    let runtimes = task_build::build_runtimes(&workspace, profile, &pythons)?;

    let demo = workspace.root.join("demo");
    let directory = workspace.root.join(".unit");
    let tcp_port = choose_tcp_port()?;
    let template = demo.join("config.json");
    let template = fs::read_to_string(&template)
        .with_context(|| format!("cannot read {}", template.display()))?;
    let config = fill_in(&template, &demo, tcp_port, !runtimes.is_empty())?;

    // Blocked before the child is started, so that a signal in between is waited for as well. The
    // child starts with a clear mask.
    let signals = block_signals()?;
    let modules_dir = workspace.modules_dir(profile);
    let mut unitd = Unitd::start(&Place {
        bin_dir: &workspace.bin_dir(profile),
        modules_dir: &modules_dir,
        directory: &directory,
        reads: &[&modules_dir, &demo.join("www"), &demo.join("app")],
    })?;
    unitd.configure(&config)?;
    let client = workspace.bin_dir(profile).join(CLIENT.1);
    print!("{}", guide(&unitd, (&workspace.root, &client), tcp_port, !runtimes.is_empty()));

    match wait(&mut unitd, &signals)? {
        Some(status) => bail!("unitd ended by itself, {status}\n{}", unitd.log_tail()),
        None => {
            println!("\nstopping");
            let status = unitd.stop()?;
            if !status.success() {
                bail!("unitd ended with {status}");
            }
            Ok(())
        }
    }
}

/// One Python is enough to try it out, and one is built sooner than five: the newest that a
/// process without privileges can load.
fn usable_pythons() -> Vec<Python> {
    let mut found = pythons::find_all();
    if nix::unistd::Uid::effective().is_root() {
        found.retain(Python::serves_everyone);
    }
    match std::env::var_os("UNIT_PYTHONS") {
        Some(_) => found,
        None => found.pop().into_iter().collect(),
    }
}

fn choose_tcp_port() -> Result<u16> {
    let free = TCP_PORTS.into_iter().find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    match free {
        Some(port) => {
            if port != TCP_PORTS.start {
                println!("port {} is in use, taking {port}", TCP_PORTS.start);
            }
            Ok(port)
        }
        None => crate::server::free_tcp_port(),
    }
}

/// The demo configuration with its place and port; without a Python the application is left out.
fn fill_in(template: &str, demo: &Path, tcp_port: u16, has_python: bool) -> Result<String> {
    let demo = demo.to_str().context("the checkout's path is not UTF-8")?;
    let mut config: Value =
        serde_json::from_str(template).context("demo/config.json is not JSON")?;
    if !has_python && let Some(members) = config.as_object_mut() {
        members.remove("applications");
        if let Some(steps) = members.get_mut("routes").and_then(Value::as_array_mut) {
            steps.retain(|step| {
                let pass = step.pointer("/action/pass").and_then(Value::as_str);
                !pass.is_some_and(|pass| pass.starts_with("applications/"))
            });
        }
    }
    substitute(&mut config, &[("@demo@", demo), ("@port@", &tcp_port.to_string())]);
    Ok(config.to_string())
}

/// Replaces place holders in every string and every member name.
fn substitute(value: &mut Value, replacements: &[(&str, &str)]) {
    let replace = |text: &str| {
        replacements.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    match value {
        Value::String(text) => *text = replace(text),
        Value::Array(items) => items.iter_mut().for_each(|item| substitute(item, replacements)),
        Value::Object(members) => {
            for (name, mut member) in std::mem::take(members) {
                substitute(&mut member, replacements);
                members.insert(replace(&name), member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn guide(unitd: &Unitd, (root, client): (&Path, &Path), tcp_port: u16, has_python: bool) -> String {
    let short = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let control = short(&unitd.control);
    let log = short(&unitd.log);
    let client = short(client);
    let application = if has_python {
        format!("    http://127.0.0.1:{tcp_port}/app/      a WSGI application, demo/app/wsgi.py\n")
    } else {
        "    (no Python with development files was found: the application is left out)\n".to_owned()
    };
    format!(
        "
unitd is running, process {pid}. Look at

    http://127.0.0.1:{tcp_port}/          a page and its files, demo/www
{application}
Its log is {log}. Talk to its control API from another terminal, in this directory:

    curl --unix-socket {control} http://localhost/config
    curl --unix-socket {control} http://localhost/status

Change it while it runs; every answer from then on follows the new configuration:

    curl --unix-socket {control} -X PUT -d '{{\"return\": 418}}' \\
         http://localhost/config/routes/0/action
    curl -i http://127.0.0.1:{tcp_port}/teapot

Edit demo/app/wsgi.py, then have its processes started anew:

    curl --unix-socket {control} http://localhost/control/applications/demo/restart

Or let the client do it, which shows and asks more (unitctl --help):

    {client} -s {control} status
    {client} -s {control} edit
    {client} -s {control} top

Ctrl-C stops it.
",
        pid = unitd.pid(),
    )
}

fn block_signals() -> Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD] {
        signals.add(signal);
    }
    signals.thread_block()?;
    Ok(signals)
}

/// Waits for a request to stop (none) or for the end of unitd (its status).
fn wait(unitd: &mut Unitd, signals: &SigSet) -> Result<Option<ExitStatus>> {
    loop {
        if signals.wait()? != Signal::SIGCHLD {
            return Ok(None);
        }
        if let Some(status) = unitd.ended()? {
            return Ok(Some(status));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fill_in;
    use serde_json::Value;
    use std::path::Path;

    const TEMPLATE: &str = include_str!("../../demo/config.json");

    #[test]
    fn the_demo_configuration_is_filled_in() {
        let config = fill_in(TEMPLATE, Path::new("/srv/demo"), 8081, true).unwrap();
        assert!(!config.contains('@'), "{config}");
        let config: Value = serde_json::from_str(&config).unwrap();
        assert!(config.pointer("/listeners/127.0.0.1:8081").is_some());
        assert!(config.pointer("/applications/demo").is_some());
    }

    #[test]
    fn without_python_nothing_names_the_application() {
        let config = fill_in(TEMPLATE, Path::new("/srv/demo"), 8080, false).unwrap();
        assert!(!config.contains("applications"), "{config}");
    }
}
