//! From a freshly executed runtime to an application's prototype, and from its fork to a worker.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use caps::CapSet;
use port_proto::{Credentials, SetUpPrototype};
use sys::errno::Described;
use sys::fd::Standard;
use sys::identity::AssumeError;
use sys::process::{Pid, Title};
use sys::termination::Termination;

use crate::{Application, Facts, Language};

/// Gives up what privilege there is, then starts the language.
///
/// # Errors
/// A sentence that has been logged.
pub(crate) fn set_up<L: Language>(
    language: &mut L,
    facts: &Facts<'_>,
    request: SetUpPrototype,
) -> Result<Application, String> {
    let SetUpPrototype { name, credentials, working_directory, new_privs, application, .. } =
        request;
    let application = facts.read(&name, &application).map_err(alert)?;
    if let Some(credentials) = credentials {
        become_user(credentials)?;
    }
    if !new_privs {
        sys::identity::forbid_new_privileges()
            .map_err(|error| alert(format!("failed to set no_new_privs {}", Described(&error))))?;
    }
    // Workers have the same user: none may reach into the process that stands above it.
    sys::identity::set_inspectable(false)
        .map_err(|error| alert(format!("prctl() failed {}", Described(&error))))?;
    if let Some(directory) = working_directory.filter(|directory| !directory.is_empty()) {
        std::env::set_current_dir(&directory).map_err(|error| {
            let text = format!("chdir({directory}) failed {}", Described(&error));
            unit_log::warn!("{text}");
            text
        })?;
    }
    // Not earlier: the loader and the C library act upon some, and so would a privileged process.
    sys::process::set_variables(
        application.environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())),
    )
    .map_err(|error| alert(format!("setenv() failed {}", Described(&error))))?;
    language.initialise(&application).map_err(|error| alert(error.to_string()))?;
    Ok(application)
}

fn become_user(credentials: Credentials) -> Result<(), String> {
    let Credentials { uid, gid, groups } = credentials;
    let count = groups.len();
    sys::identity::assume(&sys::spawn::Identity { uid, gid, groups }).map_err(|error| {
        alert(match error {
            AssumeError::Group(error) => format!("setgid({gid}) failed {}", Described(&error)),
            AssumeError::Groups(error) => {
                format!("setgroups({count}) failed {}", Described(&error))
            }
            AssumeError::User(error) => format!("setuid({uid}) failed {}", Described(&error)),
        })
    })?;
    if uid == 0 {
        // Whoever lets an application run as root means it.
        return Ok(());
    }
    // From root to somebody else the kernel has dropped nearly all; a daemon with single
    // capabilities, or inheritable ones, has some left. The bounding set stays: it is what set-id
    // programs live on, which the application may be allowed to start.
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set)
            .map_err(|error| alert(format!("failed to drop capabilities: {error}")))?;
    }
    Ok(())
}

fn alert(text: impl Into<String>) -> String {
    let text = text.into();
    unit_log::alert!("{text}");
    text
}

/// What a process does between being forked and being a worker.
#[derive(Debug)]
pub(crate) struct BeforeWork {
    title: Option<Title>,
    prototype: Pid,
    stdout: Option<String>,
    stderr: Option<String>,
}

impl BeforeWork {
    /// Called in the prototype.
    pub(crate) fn new(title: Option<Title>, request: &SetUpPrototype) -> Self {
        Self {
            title,
            prototype: sys::process::id(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
        }
    }

    /// Whether the application has an error stream of its own.
    pub(crate) fn has_stderr(&self) -> bool {
        self.stderr.is_some()
    }

    /// Called in the new process, which holds no descriptor of the prototype any more.
    pub(crate) fn run(mut self, name: impl Display) -> io::Result<Termination> {
        if let Some(title) = &mut self.title {
            title.set(&format!("unit: \"{name}\" application"));
        }
        sys::parent::die_with(self.prototype)?;
        sys::identity::set_inspectable(true)?;
        let termination = Termination::catch()?;
        sys::signal::unblock_all()?;
        redirect(self.stdout.as_deref(), Standard::Output);
        redirect(self.stderr.as_deref(), Standard::Error);
        Ok(termination)
    }
}

/// Sends a standard stream to a file. Not to be able to is no reason not to start.
fn redirect(path: Option<&str>, stream: Standard) {
    let Some(path) = path else { return };
    let open = || -> io::Result<()> {
        let file: File = OpenOptions::new().append(true).create(true).mode(0o666).open(path)?;
        sys::fd::dup_onto(file, stream)
    };
    if let Err(error) = open() {
        unit_log::alert!("open(\"{path}\") failed {}", Described(&error));
    }
}
