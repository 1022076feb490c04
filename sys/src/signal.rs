//! Signals: sending, blocking around a fork, and reaping with the status read properly.

use std::io;

pub use nix::sys::signal::Signal;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, wait, waitpid};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The number; real-time signals have no name.
        number: i32,
        /// Whether it left a core file.
        core_dumped: bool,
    },
}

/// Takes one ended child, if there is one. Every child of the process is meant: only the process
/// that spawned them all may ask.
///
/// # Errors
/// What waitpid(2) says; to have no children is not an error.
pub fn reap() -> io::Result<Option<(Pid, Ending)>> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(None) | Err(Errno::CHILD) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(Some((pid, status))) => {
                if let Some(ending) = ending(status) {
                    return Ok(Some((Pid::from_raw(pid.as_raw_pid()), ending)));
                }
            }
        }
    }
}

/// Takes one particular child if it has ended.
///
/// # Errors
/// What waitpid(2) says; `ECHILD` for a process that is no child.
pub fn try_wait(child: Pid) -> io::Result<Option<Ending>> {
    let child = rustix::process::Pid::from_raw(child.as_raw()).ok_or(Errno::CHILD)?;
    loop {
        match waitpid(Some(child), WaitOptions::NOHANG) {
            Ok(found) => return Ok(found.and_then(|(_, status)| ending(status))),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Stopped and continued children are not asked for, so every status is an ending.
fn ending(status: WaitStatus) -> Option<Ending> {
    let code = status.exit_status().map(Ending::Code);
    code.or_else(|| {
        let number = status.terminating_signal()?;
        Some(Ending::Signal { number, core_dumped: libc::WCOREDUMP(status.as_raw()) })
    })
}

/// Sends a signal to a process. To the caller's own children this is free of races until they are
/// reaped.
///
/// # Errors
/// What kill(2) says.
pub fn send(pid: Pid, signal: Signal) -> io::Result<()> {
    // Zero and negative numbers would mean groups.
    if pid.as_raw() <= 0 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(nix::sys::signal::kill(pid, signal)?)
}

/// Blocks every signal for the calling thread until it is dropped.
#[derive(Debug)]
pub struct BlockAll {
    before: SigSet,
}

impl BlockAll {
    /// Blocks them.
    ///
    /// # Errors
    /// What sigprocmask(2) says.
    pub fn new() -> io::Result<Self> {
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
        Ok(Self { before })
    }
}

impl Drop for BlockAll {
    fn drop(&mut self) {
        // Setting a mask that was read from the kernel cannot fail.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Unblocks every signal for the calling thread: the mask a program inherits may be anything.
///
/// # Errors
/// What sigprocmask(2) says.
pub fn unblock_all() -> io::Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_to_signal_groups() {
        for pid in [0, -1, -7] {
            assert!(send(Pid::from_raw(pid), Signal::SIGCONT).is_err(), "{pid}");
        }
        send(nix::unistd::getpid(), Signal::SIGCONT).unwrap();
    }

    #[test]
    fn blocks_and_restores_the_mask() {
        let before = SigSet::thread_get_mask().unwrap();
        let blocked = BlockAll::new().unwrap();
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM));
        drop(blocked);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
