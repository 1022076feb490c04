//! The page in which a router loop shows its workers whether it sleeps.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering, fence};

use app_proto::{LOOP_PAGE_LEN, LOOP_SLEEP};
use sys::shm::SharedMemory;

use crate::ChannelError;

/// The loop's end: the only one that can write to the page.
#[derive(Debug)]
pub struct LoopPage {
    memory: SharedMemory,
    fd: OwnedFd,
}

impl LoopPage {
    /// Makes a page whose sleep counter says "awake". Later mappings of its descriptor are
    /// read-only: a worker cannot tell another one's loop to be awake.
    ///
    /// # Errors
    /// The system call that failed.
    pub fn new() -> Result<Self, ChannelError> {
        let (memory, fd) = SharedMemory::create_published("unit-loop", LOOP_PAGE_LEN)?;
        Ok(Self { memory, fd })
    }

    /// The descriptor to pass to workers.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn counter(&self) -> &AtomicU32 {
        self.memory.atomic_u32(LOOP_SLEEP).expect("the page is as long as LOOP_PAGE_LEN")
    }

    /// Announces sleep. The caller must look at its rings once more afterwards: what was pushed
    /// before the announcement was seen rings no bell.
    pub fn fall_asleep(&self) {
        let value = self.counter().load(Ordering::Relaxed);
        if value.is_multiple_of(2) {
            self.counter().store(value.wrapping_add(1), Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
    }

    /// Takes the announcement back.
    pub fn wake_up(&self) {
        let value = self.counter().load(Ordering::Relaxed);
        if !value.is_multiple_of(2) {
            self.counter().store(value.wrapping_add(1), Ordering::Release);
        }
    }
}
