//! Checking a configuration file. Main parses no configuration: discovery tells what is installed,
//! and a controller that is asked this one thing tells what it thinks of the text.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use port_io::{ConnectError, RequestError, SendError};
use port_proto::{
    CheckConfig, ConfigFault, ControllerToMain, Direction, DiscoveryToMain, Generation, Identity,
    MainToController, MainToDiscovery, Module, Pid, ProbeModules, Quit, Role, StoredUpload,
};
use sys::errno::Described;
use sys::signal::Signal;
use thiserror::Error;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use crate::environment::Environment;
use crate::executables::{CoreRole, Executables};
use crate::modules::Modules;
use crate::start::{Program, StartError, Starter};
use crate::store::CONF_LEN_MAX;

/// The name of standard input.
const STDIN: &str = "-";

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a process may take to end that was told to.
const END_LIMIT: Duration = Duration::from_secs(2);

/// How long to wait between two looks at a process that is to end.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The system says so.
    #[error("{call}(\"{file}\") failed {}", Described(error))]
    Call {
        /// The failed call.
        call: &'static str,
        /// The file.
        file: String,
        /// The error.
        error: io::Error,
    },
    /// It has more bytes than a configuration can have.
    #[error("\"{0}\" is larger than a configuration can be")]
    TooLarge(String),
}

/// Reads a configuration file, or standard input.
///
/// # Errors
/// [`ReadError`].
pub fn read(file: &str) -> Result<Vec<u8>, ReadError> {
    let failed = |call| move |error| ReadError::Call { call, file: file.to_owned(), error };
    let mut bytes = Vec::new();
    let source: &mut dyn Read = if file == STDIN {
        &mut io::stdin().lock()
    } else {
        &mut File::open(file).map_err(failed("open"))?
    };
    source.take(CONF_LEN_MAX + 1).read_to_end(&mut bytes).map_err(failed("read"))?;
    if bytes.len() as u64 > CONF_LEN_MAX {
        return Err(ReadError::TooLarge(file.to_owned()));
    }
    Ok(bytes)
}

/// Why it is not known whether a configuration is valid.
#[derive(Debug, Error)]
pub enum CheckError {
    /// A process was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A process was started and is of no use.
    #[error("{name} failed to start: {error}")]
    Connect {
        /// The process.
        name: &'static str,
        /// What is wrong with it.
        error: ConnectError,
    },
    /// A process ended before it had answered.
    #[error("{0} ended before it had answered")]
    Ended(&'static str),
    /// A process could not be asked.
    #[error("{name} cannot be asked: {error}")]
    Send {
        /// The process.
        name: &'static str,
        /// Why.
        error: SendError,
    },
    /// It takes too long.
    #[error("the configuration was not checked within {} seconds", LIMIT.as_secs())]
    Timeout,
    /// There is no event loop to wait in.
    #[error("epoll_create() failed {}", Described(.0))]
    EventLoop(io::Error),
}

/// What the file is checked with.
#[derive(Debug)]
pub struct Checker<'a> {
    /// Executes processes.
    pub starter: &'a Starter,
    /// The roles' executables.
    pub executables: &'a Executables,
    /// The environment.
    pub environment: &'a Environment,
    /// Where language runtimes are.
    pub modules_dir: &'a Path,
}

impl Checker<'_> {
    /// Checks a text that may name these uploads. Nothing of it is left: no process, no file.
    ///
    /// # Errors
    /// [`CheckError`] when that was not possible; what is wrong with the text is the outcome.
    pub fn check(
        &self,
        json: Vec<u8>,
        uploads: Option<Vec<StoredUpload>>,
    ) -> Result<Result<(), ConfigFault>, CheckError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(CheckError::EventLoop)?;
        LocalSet::new().block_on(&runtime, async {
            timeout(LIMIT, async {
                let modules = self.discover().await?;
                self.ask(CheckConfig { json, modules, uploads }).await
            })
            .await
            .map_err(|_| CheckError::Timeout)?
        })
    }

    /// The language runtimes there are.
    async fn discover(&self) -> Result<Vec<Module>, CheckError> {
        const NAME: &str = "discovery";
        let (child, port) = self.start(CoreRole::Discovery, NAME)?;
        let (sender, mut receiver) =
            child.connect::<MainToDiscovery, DiscoveryToMain>(port).await?;
        let modules_dir = self.modules_dir.display().to_string();
        let failed = |error| CheckError::Send { name: NAME, error };
        let question = MainToDiscovery::ProbeModules(ProbeModules { modules_dir });
        sender.send(question).map_err(failed)?;
        let Some((_, DiscoveryToMain::Modules(report))) = receiver.recv().await else {
            return Err(CheckError::Ended(NAME));
        };
        // One that is gone needs no word to end.
        let _ = sender.send(MainToDiscovery::Quit(Quit::Fast));
        child.ended().await;
        Ok(Modules::take_report(report.modules, self.modules_dir).table().to_vec())
    }

    /// What a controller says.
    async fn ask(&self, question: CheckConfig) -> Result<Result<(), ConfigFault>, CheckError> {
        const NAME: &str = "controller";
        let (child, port) = self.start(CoreRole::Controller, NAME)?;
        let (sender, mut receiver) =
            child.connect::<MainToController, ControllerToMain>(port).await?;
        // It asks for nothing before it is set up; if it does, or ends, the port is closed.
        spawn_local(async move { receiver.recv().await.map(drop) });
        let answer = sender.request(question).await;
        let outcome = match answer {
            Ok(()) => Ok(()),
            Err(RequestError::Refused(fault)) => Err(fault),
            Err(RequestError::Lost) => return Err(CheckError::Ended(NAME)),
            Err(RequestError::Send(error)) => return Err(CheckError::Send { name: NAME, error }),
        };
        let _ = sender.send(MainToController::Quit(Quit::Fast));
        child.ended().await;
        Ok(outcome)
    }

    fn start(
        &self,
        role: CoreRole,
        name: &'static str,
    ) -> Result<(Child, std::os::fd::OwnedFd), CheckError> {
        let (pid, port) = self.starter.start(Program {
            role: role.role(),
            name: name.to_owned(),
            executable: self.executables.of(role),
            environment: self.environment.variables().to_vec(),
            is_quiet: true,
        })?;
        Ok((Child { role: role.role(), pid, name }, port))
    }
}

/// A process that must not outlive the check.
struct Child {
    role: Role,
    pid: sys::process::Pid,
    name: &'static str,
}

impl Child {
    async fn connect<Tx: Direction, Rx: Direction>(
        &self,
        port: std::os::fd::OwnedFd,
    ) -> Result<(port_io::Sender<Tx, Rx>, port_io::Receiver<Tx, Rx>), CheckError> {
        let identity = |role, pid: sys::process::Pid, generation| Identity {
            role,
            pid: Pid(pid.as_raw()),
            generation: Generation(generation),
        };
        let main = identity(Role::Main, sys::process::id(), 0);
        port_io::connect(port, main, identity(self.role, self.pid, 1))
            .await
            .map_err(|error| CheckError::Connect { name: self.name, error })
    }

    /// Waits until it has ended, which it was told to.
    async fn ended(self) {
        let deadline = Instant::now() + END_LIMIT;
        while self.is_there() && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
    }

    fn is_there(&self) -> bool {
        matches!(sys::signal::try_wait(self.pid), Ok(None))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Until it is waited for nobody else can have its number.
        while self.is_there() {
            let _ = sys::signal::send(self.pid, Signal::SIGKILL);
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// What is said of a file that is not valid: where, what, and what may have been meant.
pub struct Report<'a> {
    /// The file as it was named.
    pub file: &'a str,
    /// What is wrong.
    pub fault: &'a ConfigFault,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigFault { detail, pointer, place, suggestion } = self.fault;
        f.write_str(if self.file == STDIN { "<stdin>" } else { self.file })?;
        if let Some((line, column)) = place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", Printable(detail))?;
        if let Some(pointer) = pointer.as_deref().filter(|pointer| !pointer.is_empty()) {
            write!(f, "\n  at {}", Printable(pointer))?;
        }
        if let Some(suggestion) = suggestion {
            write!(f, "\n  did you mean \"{suggestion}\"?")?;
        }
        Ok(())
    }
}

/// A text from a file, which is not to steer the terminal.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => write!(f, "{c}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_the_place_first() {
        let fault = ConfigFault {
            detail: "Unknown parameter \"listners\".".into(),
            pointer: Some("/listners".into()),
            place: Some((2, 3)),
            suggestion: Some("listeners".into()),
        };
        assert_eq!(
            Report { file: "unit.json", fault: &fault }.to_string(),
            "unit.json:2:3: Unknown parameter \"listners\".\n  at /listners\n  \
             did you mean \"listeners\"?"
        );
        let fault = ConfigFault {
            detail: "The configuration must be an object, but not \u{1b}[2J.".into(),
            pointer: Some(String::new()),
            place: None,
            suggestion: None,
        };
        assert_eq!(
            Report { file: "-", fault: &fault }.to_string(),
            "<stdin>: The configuration must be an object, but not \\u{1b}[2J."
        );
    }

    #[test]
    fn files_are_read_to_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("a"), b"{}").unwrap();
        assert_eq!(read(&path("a")).unwrap(), b"{}");
        File::create(path("b")).unwrap().set_len(CONF_LEN_MAX + 1).unwrap();
        let error = read(&path("b")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("\"{}\" is larger than a configuration can be", path("b"))
        );
        for (name, call, text) in [
            ("none", "open", "(2: No such file or directory)"),
            (".", "read", "(21: Is a directory)"),
        ] {
            let error = read(&path(name)).unwrap_err();
            assert_eq!(error.to_string(), format!("{call}(\"{}\") failed {text}", path(name)));
        }
    }
}
