//! Executing a process: what it gets, whom it becomes, and how it is called.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use port_proto::Role;
use sys::errno::Described;
use sys::process::Pid;
use sys::spawn::{SpawnPlan, spawn};
use thiserror::Error;

use crate::privilege::{DaemonUser, confine};

/// The longest title; longer ones are cut. The kernel takes no argument over 128 KiB.
pub const TITLE_LEN_MAX: usize = 2047;

/// How much longer a worker's title is than its prototype's, which has to leave room for it.
const TITLE_ROOM: usize = "application".len() - "prototype".len();

/// Why a process was not started.
#[derive(Debug, Error)]
#[error("{call} failed for {name} {}", Described(error))]
pub struct StartError {
    /// The failed call.
    pub call: &'static str,
    /// The process, as its title calls it.
    pub name: String,
    /// The error.
    pub error: io::Error,
}

/// What is to be executed.
#[derive(Debug)]
pub struct Program<'a> {
    /// Its role.
    pub role: Role,
    /// Its name: the title without `unit: `.
    pub name: String,
    /// The executable.
    pub executable: BorrowedFd<'a>,
    /// The whole environment.
    pub environment: Vec<CString>,
    /// Whether nobody is to see what it logs.
    pub is_quiet: bool,
}

/// What every process is started with.
#[derive(Debug)]
pub struct Starter {
    /// `/dev/null`, the standard input of all.
    null: File,
    daemon_user: DaemonUser,
    /// How many descriptors an application may have: as many as the daemon was started with.
    descriptor_limit: Option<u64>,
}

impl Starter {
    /// A starter of processes.
    #[must_use]
    pub fn new(null: File, daemon_user: DaemonUser, descriptor_limit: Option<u64>) -> Self {
        Self { null, daemon_user, descriptor_limit }
    }

    /// The user of the unprivileged roles.
    #[must_use]
    pub fn daemon_user(&self) -> &DaemonUser {
        &self.daemon_user
    }

    /// Executes a program. The answer is its process and main's end of the port to it.
    ///
    /// # Errors
    /// [`StartError`] naming the failed call.
    pub fn start(&self, program: Program<'_>) -> Result<(Pid, OwnedFd), StartError> {
        let Program { role, name, executable, environment, is_quiet } = program;
        let failed = |call| {
            let name = name.clone();
            move |error| StartError { call, name, error }
        };
        let (ours, theirs) = port_io::bootstrap::pair().map_err(failed("socketpair()"))?;
        let title = title(role, &name).map_err(failed("execveat()"))?;
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let stderr = if is_quiet { self.null.as_fd() } else { stderr.as_fd() };
        let mut plan = SpawnPlan::new(executable, vec![title]);
        plan.environment = environment;
        // The order is a contract: port_io looks for the port behind the standard streams.
        plan.descriptors = vec![self.null.as_fd(), stdout.as_fd(), stderr, theirs.as_fd()];
        if role == Role::Prototype {
            plan.descriptor_limit = self.descriptor_limit;
        }
        confine(role, &self.daemon_user, &mut plan);
        let pid = spawn(&plan).map_err(|error| failed(error.step.call())(error.error))?;
        Ok((pid, ours))
    }
}

/// The zeroth argument, which `ps` shows.
fn title(role: Role, name: &str) -> io::Result<CString> {
    let room = match role {
        Role::Prototype => TITLE_ROOM,
        Role::Main | Role::Discovery | Role::Controller | Role::Router => 0,
    };
    let mut title = format!("unit: {name}");
    title.truncate(title.floor_char_boundary(TITLE_LEN_MAX - room));
    title.extend(std::iter::repeat_n(' ', room));
    Ok(CString::new(title)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_those_of_the_process_list() {
        assert_eq!(title(Role::Router, "router").unwrap(), c"unit: router".to_owned());
        let prototype = title(Role::Prototype, "\"app\" prototype").unwrap();
        assert_eq!(prototype, c"unit: \"app\" prototype  ".to_owned());
        assert_eq!(prototype.as_bytes().len(), "unit: \"app\" application".len());
        assert!(title(Role::Prototype, "\"a\0b\" prototype").is_err());
        let long = title(Role::Prototype, &"é".repeat(1 << 20)).unwrap();
        assert!(long.as_bytes().len() <= TITLE_LEN_MAX && long.into_string().is_ok());
    }
}
