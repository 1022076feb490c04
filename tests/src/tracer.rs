//! Killing a process at one of its system calls.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How long to rest between two looks at the process.
const STEP: Duration = Duration::from_micros(20);

/// Whether the process came as far as it was to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// It was killed as it was about to do that call.
    AtCall,
    /// All was over before, and it was killed then.
    Afterwards,
}

/// Lets a child of this process begin `calls` system calls, counted from the moment when `begin`
/// returns, and kills it at the next one, or when `is_over`. Nobody may wait for it meanwhile. The
/// process has one thread.
///
/// # Errors
/// When it may not be traced.
///
/// # Panics
/// When it ends by itself.
pub fn kill_at_call(
    pid: i32,
    calls: usize,
    begin: impl FnOnce(),
    is_over: impl Fn() -> bool,
) -> nix::Result<Killed> {
    let pid = Pid::from_raw(pid);
    ptrace::attach(pid)?;
    assert_eq!(waitpid(pid, None)?, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    ptrace::setoptions(pid, Options::PTRACE_O_TRACESYSGOOD)?;
    begin();
    let (mut begun, mut is_entry) = (0, true);
    let mut signal = None;
    let killed = 'steps: loop {
        ptrace::syscall(pid, signal.take())?;
        let status = loop {
            match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) if is_over() => break 'steps Killed::Afterwards,
                Ok(WaitStatus::StillAlive) => std::thread::sleep(STEP),
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        match status {
            WaitStatus::PtraceSyscall(_) => {
                if is_entry && begun == calls {
                    break Killed::AtCall;
                }
                begun += usize::from(is_entry);
                is_entry = !is_entry;
            }
            WaitStatus::Stopped(_, other) => signal = Some(other),
            other => panic!("{other:?}"),
        }
    };
    kill(pid, Signal::SIGKILL)?;
    Ok(killed)
}
