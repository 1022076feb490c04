//! Signals as something to poll for, in a process that never lets them interrupt it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::signal::Signal;

/// A descriptor that is readable when one of its signals came. They are blocked for the thread,
/// and stay so when it is dropped: see [`crate::signal::unblock_all`].
#[derive(Debug)]
pub struct SignalQueue(SignalFd);

impl SignalQueue {
    /// Blocks `signals` and makes them readable. The process must have no other thread, or they
    /// would be delivered there.
    ///
    /// # Errors
    /// What sigprocmask(2) and signalfd(2) say.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// Takes one signal, if one came. Several of a kind may have become one.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn take(&self) -> io::Result<Option<Signal>> {
        loop {
            match self.0.read_signal() {
                Ok(None) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(Some(info)) => {
                    let number = i32::try_from(info.ssi_signo).unwrap_or(0);
                    if let Ok(signal) = Signal::try_from(number) {
                        return Ok(Some(signal));
                    }
                }
            }
        }
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_and_does_not_strike() {
        // The mask and the signal are those of this thread alone.
        let queue = SignalQueue::new(&[Signal::SIGUSR2]).unwrap();
        assert_eq!(queue.take().unwrap(), None);
        nix::sys::signal::raise(Signal::SIGUSR2).unwrap();
        assert_eq!(queue.take().unwrap(), Some(Signal::SIGUSR2));
        assert_eq!(queue.take().unwrap(), None);
    }
}
