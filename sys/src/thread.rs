//! Facts about the calling thread.

/// The kernel's id of the calling thread. Asked anew each time: a copy would be wrong after a fork.
#[must_use]
pub fn id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}
