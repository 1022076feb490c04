//! A descriptor whose readiness a tokio runtime watches (the feature `tokio`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// An owned descriptor registered with the runtime it was made in. Tokio's own type cannot be made
/// without unsafe, and would let its owner exchange the descriptor behind the registration.
#[derive(Debug)]
pub struct Watched(AsyncFd<OwnedFd>);

/// Readiness that was reported; it stays so until it is cleared, which the one must do who finds
/// that the call would block.
pub type ReadyGuard<'a> = AsyncFdReadyGuard<'a, OwnedFd>;

impl Watched {
    /// Has the current runtime watch a descriptor, which should not block.
    ///
    /// # Errors
    /// Those of `epoll_ctl`.
    ///
    /// # Panics
    /// When called outside of a runtime with I/O.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` is open and always the same descriptor; nothing here gives out a
        // mutable reference to it, so it stays in place until the registration ends.
        let watched = unsafe { AsyncFd::register(fd) }?;
        Ok(Self(watched))
    }

    /// Waits until it can be read. Several tasks may wait.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn readable(&self) -> io::Result<ReadyGuard<'_>> {
        self.0.readable().await
    }

    /// Waits until it can be written. Several tasks may wait.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn writable(&self) -> io::Result<ReadyGuard<'_>> {
        self.0.writable().await
    }

    /// Whether it can be read; the last task that asked is woken.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_readable(&self, ctx: &mut Context<'_>) -> Poll<io::Result<ReadyGuard<'_>>> {
        self.0.poll_read_ready(ctx)
    }

    /// Whether it can be written; the last task that asked is woken.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_writable(&self, ctx: &mut Context<'_>) -> Poll<io::Result<ReadyGuard<'_>>> {
        self.0.poll_write_ready(ctx)
    }

    /// Ends the watch.
    #[must_use]
    pub fn into_inner(self) -> OwnedFd {
        self.0.into_inner()
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}
