//! SIGTERM as a request: a flag to look at, and a descriptor to poll for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};

use crate::signal::Signal;

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// The process the handler was installed in, and the descriptor it writes to.
static OWNER: AtomicI32 = AtomicI32::new(0);
static PIPE_WRITE: AtomicI32 = AtomicI32::new(-1);

/// The process's readiness to end when it is asked to.
#[derive(Debug)]
pub struct Termination {
    read: OwnedFd,
    // The handler may run at any time, so the descriptor it writes to is never closed.
    _write: &'static OwnedFd,
}

impl Termination {
    /// Catches SIGTERM. A process that is forked from this one afterwards, and does not call this
    /// itself, ends at the signal as if nothing had been installed.
    ///
    /// # Errors
    /// What pipe(2) and sigaction(2) say; [`io::ErrorKind::AlreadyExists`] on a second call.
    pub fn catch() -> io::Result<Self> {
        static WRITE: OnceLock<OwnedFd> = OnceLock::new();
        let flags = nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK;
        let (read, write) = nix::unistd::pipe2(flags)?;
        let mut fresh = false;
        let write = WRITE.get_or_init(|| {
            fresh = true;
            write
        });
        if !fresh {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        PIPE_WRITE.store(write.as_raw_fd(), Ordering::SeqCst);
        OWNER.store(nix::unistd::getpid().as_raw(), Ordering::SeqCst);
        let action = SigAction::new(
            SigHandler::Handler(on_termination),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        // SAFETY: the handler only stores to an atomic and makes async-signal-safe calls. A
        // signalfd would do without a handler, but needs the signal blocked, and programs started
        // by an application would inherit that.
        unsafe { sigaction(Signal::SIGTERM, &action) }?;
        Ok(Self { read, _write: write })
    }

    /// Whether the signal came.
    #[inline]
    #[must_use]
    pub fn is_requested(&self) -> bool {
        REQUESTED.load(Ordering::Relaxed)
    }
}

impl AsFd for Termination {
    /// Readable from the first signal on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// Async-signal-safe.
extern "C" fn on_termination(signal: libc::c_int) {
    // SAFETY: takes nothing; async-signal-safe.
    let me = unsafe { libc::getpid() };
    if me != OWNER.load(Ordering::SeqCst) {
        // A child that an application forked: it has the handler by inheritance only.
        // SAFETY: the default disposition is valid for the signal; async-signal-safe.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // The signal is blocked while its handler runs, and strikes when it returns.
        // SAFETY: takes integers only; async-signal-safe.
        unsafe { libc::kill(me, signal) };
        return;
    }
    REQUESTED.store(true, Ordering::Relaxed);
    // SAFETY: the C library's place for the calling thread's errno, valid for the whole thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; the interrupted code may be about to look at it, so it is kept.
    let before = unsafe { *errno };
    let byte = 1_u8;
    // SAFETY: the descriptor is never closed, the pointer is to a live byte; async-signal-safe.
    // A full pipe is readable already.
    unsafe { libc::write(PIPE_WRITE.load(Ordering::SeqCst), (&raw const byte).cast(), 1) };
    // SAFETY: as for reading it.
    unsafe { *errno = before };
}
