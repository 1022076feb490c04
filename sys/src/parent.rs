//! A process that must not outlive the one that forked it.

use std::io;

use nix::unistd::{Pid, getppid};

use crate::signal::Signal;

/// Has the kernel kill this process when the thread that forked it ends. To be called after the
/// last change of ids, which clears it.
///
/// # Errors
/// What prctl(2) says; `ESRCH` when the parent is gone already.
pub fn die_with(parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended before it could be asked for. In a pid namespace of its own the parent is
    // what it always was; a parent outside would read as 0.
    if getppid() != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}
