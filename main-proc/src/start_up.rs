//! From the command line to the running daemon, in the order that others rely on.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use port_proto::{ConfigFault, ListenAddress};
use sys::errno::Described;
use sys::signal::BlockAll;
use tokio::task::LocalSet;

use crate::background::{Detached, Readiness, detach};
use crate::check::{self, CheckError, Checker, Report};
use crate::command_line::{Command, Options, Parsed, parse};
use crate::control_socket::{Access, ControlSocket};
use crate::daemon::{Arrivals, Daemon, End, Parts};
use crate::defaults::Defaults;
use crate::environment::Environment;
use crate::executables::Executables;
use crate::listeners::Listeners;
use crate::pid_file::PidFile;
use crate::privilege::{DaemonUser, Privileges};
use crate::start::{Starter, TITLE_LEN_MAX};
use crate::store::Store;
use crate::{address, inherited, log_file};

/// The exit status of a daemon that stopped because it was told to.
const STATUS_DONE: u8 = 0;
/// The exit status of a daemon that did not start.
const STATUS_FAILED: u8 = 1;

/// The most descriptors a role has room for; the usual limit, 1024, is that of old programs.
const DESCRIPTORS_MAX: u64 = 65_536;

/// What main is started with.
#[derive(Debug)]
pub struct Invocation {
    /// The command line, the program's name first.
    pub words: Vec<String>,
    /// The environment.
    pub environment: Environment,
    /// The path of the executable.
    pub executable: PathBuf,
}

/// The failure was logged; what is left is to exit with status 1.
#[derive(Debug)]
struct Failed;

/// Logs why the daemon does not start.
fn fail(error: impl Display) -> Failed {
    unit_log::alert!("{error}");
    Failed
}

/// Runs `unitd`. The answer is its exit status.
#[must_use]
pub fn run(invocation: Invocation) -> u8 {
    unit_log::init();
    let Parsed { remarks, command } = parse(&invocation.words, &Defaults::of_this_build());
    let mut stderr = io::stderr();
    for remark in remarks {
        // Nobody is left to tell when standard error is closed; the same below.
        let _ = writeln!(stderr, "{remark}");
    }
    match command {
        Ok(Command::Run(options)) => start(*options, invocation).unwrap_or(STATUS_FAILED),
        Ok(Command::Check(options, file)) => check(&options, &file, invocation),
        Ok(Command::Version(text)) => {
            let _ = stderr.write_all(text.as_bytes());
            STATUS_DONE
        }
        Ok(Command::Help(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            STATUS_DONE
        }
        Err(error) => {
            let _ = writeln!(stderr, "{error}");
            STATUS_FAILED
        }
    }
}

/// What was prepared before the daemon has its log and its pid.
struct Prepared {
    options: Options,
    starter: Starter,
    executables: Executables,
    environment: Environment,
    store: Store,
    control: ControlSocket,
    listeners: Listeners,
    daemonise: bool,
    /// A line for the log, once it is open.
    remark: Option<String>,
}

fn start(options: Options, invocation: Invocation) -> Result<u8, Failed> {
    let title = title(&invocation.words);
    let prepared = prepare(options, invocation)?;
    let control = &prepared.control;
    // From here on there are files to be removed again: a signal waits until the daemon hears it.
    let blocked = BlockAll::new().map_err(fail)?;
    let outcome = open_log(&prepared.options.log)
        .and_then(|()| if prepared.daemonise { detach_now() } else { Ok(None) });
    match outcome {
        Err(Failed) => {
            control.remove();
            Err(Failed)
        }
        // The daemon owns the files now.
        Ok(Some(Detached::Starter(starter))) => {
            drop(blocked);
            if starter.wait() { Ok(STATUS_DONE) } else { Err(Failed) }
        }
        Ok(Some(Detached::Daemon(readiness))) => run_daemon(prepared, readiness, blocked, &title),
        Ok(None) => run_daemon(prepared, Readiness::unasked(), blocked, &title),
    }
}

/// The steps whose failures show in the foreground.
fn prepare(options: Options, invocation: Invocation) -> Result<Prepared, Failed> {
    let Invocation { environment, executable, .. } = invocation;
    sys::signal::unblock_all().map_err(fail)?;
    let inherited = inherited::take(|name| std::env::var(name).ok(), sys::process::id().as_raw())
        .map_err(fail)?;
    sys::process::close_on_exec_from(3).map_err(fail)?;
    let privileges = privileges()?;
    if !privileges.set_ids {
        unit_log::warn!(
            "Unit is running unprivileged, then it cannot use arbitrary user and group."
        );
    }
    let (starter, executables) = roles(&options, privileges, &executable)?;
    let initial = options.config.as_deref().map(check::read).transpose().map_err(fail)?;
    let mut store = Store::new(&options.state_dir);
    store.create_directories();
    let daemonise = options.daemonise && inherited.is_empty();
    if inherited.is_empty() {
        ControlSocket::check(&options.control).map_err(fail)?;
    }
    // Before the control socket: of two that start at once, the one that goes on binds it.
    store.lock().map_err(fail)?;
    let mut remark = None;
    if let (Some(json), Some(file)) = (initial, &options.config) {
        if store.has_config() {
            remark = Some(format!("\"{file}\" is not used: a configuration is stored already"));
        } else {
            let checker = Checker {
                starter: &starter,
                executables: &executables,
                environment: &environment,
                modules_dir: options.modules_dir.as_ref(),
            };
            refuse_invalid(file, checker.check(json.clone(), Some(store.load_uploads())))?;
            store.begin_with(json);
        }
    }
    let (control, listeners) = sockets(&options, inherited)?;
    unit_log::info!("unit {} started", env!("CARGO_PKG_VERSION"));
    Ok(Prepared {
        starter,
        options,
        executables,
        environment,
        store,
        control,
        listeners,
        daemonise,
        remark,
    })
}

fn privileges() -> Result<Privileges, Failed> {
    Privileges::of_this_process()
        .map_err(|error| fail(format!("failed to get process capabilities: {error}")))
}

/// What the other roles are executed by and from.
fn roles(
    options: &Options,
    privileges: Privileges,
    executable: &Path,
) -> Result<(Starter, Executables), Failed> {
    let daemon_user =
        DaemonUser::find(privileges, &options.user, options.group.as_deref()).map_err(fail)?;
    let libexec_dir = options.libexec_dir.as_deref().map(Path::new);
    let executables = Executables::find(libexec_dir, executable).map_err(fail)?;
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| fail(format!("open(\"/dev/null\") failed {}", Described(&error))))?;
    // Main and router hold sockets of every listener and application.
    let descriptor_limit = sys::process::raise_descriptor_limit(DESCRIPTORS_MAX).map_err(fail)?;
    Ok((Starter::new(null, daemon_user, descriptor_limit), executables))
}

/// Says what is wrong with a configuration file, on standard error and without a log prefix.
fn refuse_invalid(
    file: &str,
    outcome: Result<Result<(), ConfigFault>, CheckError>,
) -> Result<(), Failed> {
    outcome.map_err(fail)?.map_err(|fault| {
        let _ = writeln!(io::stderr(), "{}", Report { file, fault: &fault });
        Failed
    })
}

/// Checks a configuration file and touches nothing: another daemon may run in the same place.
fn check(options: &Options, file: &str, invocation: Invocation) -> u8 {
    let outcome = check::read(file).map_err(fail).and_then(|json| {
        sys::process::close_on_exec_from(3).map_err(fail)?;
        let (starter, executables) = roles(options, privileges()?, &invocation.executable)?;
        let checker = Checker {
            starter: &starter,
            executables: &executables,
            environment: &invocation.environment,
            modules_dir: options.modules_dir.as_ref(),
        };
        let store = Store::new(&options.state_dir);
        let uploads = store.may_read_uploads().then(|| store.load_uploads());
        refuse_invalid(file, checker.check(json, uploads))
    });
    match outcome {
        Ok(()) => {
            let _ = writeln!(io::stdout(), "configuration is valid");
            STATUS_DONE
        }
        Err(Failed) => STATUS_FAILED,
    }
}

/// The control socket and the listening sockets the daemon was started with.
fn sockets(
    options: &Options,
    inherited: Vec<(ListenAddress, OwnedFd)>,
) -> Result<(ControlSocket, Listeners), Failed> {
    let control_address = address::parse(&options.control).map_err(fail)?;
    let mut control = None;
    let mut listeners = Listeners::default();
    for (address, socket) in inherited {
        if address == control_address {
            control = Some(ControlSocket::inherit(socket));
        } else {
            listeners.inherit(address, socket);
        }
    }
    let control = match control {
        Some(control) => control,
        None => ControlSocket::bind(&options.control, access(options)?).map_err(fail)?,
    };
    Ok((control, listeners))
}

fn access(options: &Options) -> Result<Access, Failed> {
    let uid = match options.control_user.as_deref() {
        None => None,
        Some(name) => {
            let user = sys::creds::user(name).map_err(fail)?;
            let unknown =
                || fail(format!("getpwnam(\"{name}\") failed, user \"{name}\" not found"));
            Some(user.ok_or_else(unknown)?.uid)
        }
    };
    let gid = match options.control_group.as_deref() {
        None => None,
        Some(name) => {
            let group = sys::creds::group(name).map_err(fail)?;
            let unknown =
                || fail(format!("getgrnam(\"{name}\") failed, group \"{name}\" not found"));
            Some(group.ok_or_else(unknown)?)
        }
    };
    Ok(Access { mode: options.control_mode, uid, gid })
}

/// Moves standard error onto the log file.
fn open_log(path: &str) -> Result<(), Failed> {
    log_file::open(path)
        .and_then(unit_log::redirect)
        .map_err(|error| fail(format!("open(\"{path}\") failed {}", Described(&error))))
}

fn detach_now() -> Result<Option<Detached>, Failed> {
    let null = File::options().read(true).write(true).open("/dev/null");
    null.and_then(|null| detach(&null))
        .map(Some)
        .map_err(|error| fail(format!("fork() failed {}", Described(&error))))
}

/// The title of main: the words of the command line, so that tools find the options.
fn title(words: &[String]) -> String {
    let mut title = format!("unit: main v{} [{}", env!("CARGO_PKG_VERSION"), words.join(" "));
    // Tools look for the bracket at the end of a long one too.
    title.truncate(title.floor_char_boundary(TITLE_LEN_MAX - 1));
    title.push(']');
    title
}

/// The steps of the process that stays.
fn run_daemon(
    prepared: Prepared,
    readiness: Readiness,
    blocked: BlockAll,
    title: &str,
) -> Result<u8, Failed> {
    let Prepared { options, control, .. } = &prepared;
    let pid_file = match PidFile::write(&options.pid, sys::process::id()) {
        Ok(pid_file) => pid_file,
        Err(error) => {
            let failed = fail(format!("open(\"{}\") failed {}", options.pid, Described(&error)));
            control.remove();
            return Err(failed);
        }
    };
    if let Some(remark) = &prepared.remark {
        unit_log::notice!("{remark}");
    }
    match sys::process::Title::claim() {
        Ok(mut area) => area.set(title),
        Err(error) => unit_log::warn!("process title cannot be set {}", Described(&error)),
    }
    let status = serve(prepared, readiness, blocked);
    pid_file.remove();
    status
}

fn serve(prepared: Prepared, readiness: Readiness, blocked: BlockAll) -> Result<u8, Failed> {
    let Prepared { options, mut control, daemonise, .. } = prepared;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            control.remove();
            return Err(fail(format!("epoll_create() failed {}", Described(&error))));
        }
    };
    LocalSet::new().block_on(&runtime, async {
        let arrivals = Arrivals::listen().map_err(fail);
        let published = control.publish().map_err(fail);
        let (Ok(arrivals), Ok(())) = (arrivals, published) else {
            control.remove();
            return Err(Failed);
        };
        drop(blocked);
        readiness.tell();
        let parts = Parts {
            starter: prepared.starter,
            executables: prepared.executables,
            environment: prepared.environment,
            control,
            listeners: prepared.listeners,
            store: prepared.store,
            modules_dir: options.modules_dir.into(),
            tmp_dir: options.tmp_dir,
            log: options.log,
            in_background: daemonise,
        };
        match Daemon::new(parts, arrivals).run().await {
            End::Stopped => Ok(STATUS_DONE),
            End::Failed => Err(Failed),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_holds_the_command_line() {
        let words = ["unitd", "--control", "unix:/c", "--no-daemon"].map(str::to_owned);
        assert_eq!(title(&words), "unit: main v2.0.0 [unitd --control unix:/c --no-daemon]");
        let long = title(&["é".repeat(2000)]);
        assert!((TITLE_LEN_MAX - 1..=TITLE_LEN_MAX).contains(&long.len()) && long.ends_with(']'));
    }
}
