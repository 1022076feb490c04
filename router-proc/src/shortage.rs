//! Running out of descriptors or memory: what a shortage is, which descriptors are left alone until
//! then, and how to speak of it without a line for each request that met it.
//!
//! The last descriptors are kept for the control thread, so that a router at its limit can still be
//! given another configuration. Where loops, channels and listeners leave so few that connections
//! have to use that reserve, the very last ones are kept nevertheless. The kernel gives out the lowest
//! free number: one in the reserve means that all below are in use.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// How long after a line about a shortage the next one may be written, in seconds.
const SILENCE_SECS: u64 = 10;

/// The share of the descriptors that connections and files must leave, and its bounds.
const RESERVE_DIVISOR: u64 = 8;
const RESERVE_MIN: u64 = 16;
const RESERVE_MAX: u64 = 256;

/// How many are left alone in any case.
pub(crate) const LAST: u64 = 8;

/// The reserve of this process.
static RESERVE: Reserve = Reserve::none();

/// The last descriptors, and for whom they are kept.
#[derive(Debug)]
struct Reserve {
    /// The first number of it.
    first: AtomicU64,
    /// How many there are.
    len: AtomicU64,
    /// The first number that is never for connections.
    last: AtomicU64,
    /// How many connections there are. When they are fewer than the reserve is long, it is not they
    /// who use the descriptors up, and something has to be served with what is left.
    connections: AtomicU64,
}

impl Reserve {
    const fn none() -> Self {
        Self {
            first: AtomicU64::new(u64::MAX),
            len: AtomicU64::new(0),
            last: AtomicU64::new(u64::MAX),
            connections: AtomicU64::new(0),
        }
    }

    /// Sets it up for a process that may have `limit` descriptors.
    fn fit(&self, limit: u64) {
        let len = reserve_of(limit);
        self.len.store(len, Ordering::Relaxed);
        self.first.store(limit.saturating_sub(len), Ordering::Relaxed);
        self.last.store(limit.saturating_sub(LAST), Ordering::Relaxed);
    }

    fn keeps(&self, number: u64) -> bool {
        let has_many =
            || self.connections.load(Ordering::Relaxed) >= self.len.load(Ordering::Relaxed);
        number >= self.first.load(Ordering::Relaxed)
            && (number >= self.last.load(Ordering::Relaxed) || has_many())
    }
}

/// Reads how many descriptors there may be. That can be changed from outside at any time.
pub(crate) fn read_limit() {
    RESERVE.fit(sys::process::descriptor_limit().unwrap_or(u64::MAX));
}

/// How many descriptors of `limit` are the reserve.
pub(crate) fn reserve_of(limit: u64) -> u64 {
    (limit / RESERVE_DIVISOR).clamp(RESERVE_MIN, RESERVE_MAX)
}

/// One of the connections that are open, on whatever loop.
#[derive(Debug)]
pub struct Counted(());

impl Counted {
    /// Counts one more until it is dropped.
    pub(crate) fn new() -> Self {
        RESERVE.connections.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        RESERVE.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether this descriptor is one of the last, which connections and files leave to the control
/// thread.
pub(crate) fn is_reserved(fd: impl AsFd) -> bool {
    RESERVE.keeps(number(fd))
}

fn number(fd: impl AsFd) -> u64 {
    u64::try_from(fd.as_fd().as_raw_fd()).unwrap_or(u64::MAX)
}

/// Whether closing something would help, and trying again at once would not.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    const SHORTAGES: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| SHORTAGES.contains(&errno))
}

/// When one kind of shortage was last told, over all loops.
#[derive(Debug)]
pub(crate) struct Told(AtomicU64);

impl Told {
    /// Not told yet.
    pub(crate) const fn never() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether to tell it now. What is true of one request is true of the thousand after it.
    pub(crate) fn tell(&self) -> bool {
        let now = u64::try_from(sys::time::monotonic_coarse().secs).unwrap_or_default();
        self.tell_at(now)
    }

    fn tell_at(&self, now: u64) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        let is_due = last == 0 || now.saturating_sub(last) >= SILENCE_SECS;
        // One of several threads tells it.
        is_due
            && self
                .0
                .compare_exchange(last, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_descriptors_is_reserved_within_bounds() {
        let reserve = Reserve::none();
        assert!(!reserve.keeps(1 << 40));
        for (limit, first) in
            [(8, 0), (64, 48), (256, 224), (1024, 896), (1 << 20, (1 << 20) - 256)]
        {
            reserve.fit(limit);
            reserve.connections.store(1 << 30, Ordering::Relaxed);
            assert!(reserve.keeps(first), "of {limit}");
            assert!(first == 0 || !reserve.keeps(first - 1), "of {limit}");
        }
        reserve.fit(u64::MAX);
        assert!(!reserve.keeps(1 << 40));
    }

    /// Channels of workers alone may take more than is left besides the reserve.
    #[test]
    fn the_reserve_is_open_to_the_first_connections_but_for_the_very_last() {
        let reserve = Reserve::none();
        reserve.fit(1024);
        reserve.connections.store(127, Ordering::Relaxed);
        assert!(!reserve.keeps(900) && !reserve.keeps(1015));
        assert!(reserve.keeps(1016));
        reserve.connections.store(128, Ordering::Relaxed);
        assert!(reserve.keeps(900) && !reserve.keeps(895));
    }

    #[test]
    fn a_shortage_is_told_once_in_a_while() {
        let told = Told::never();
        assert!(told.tell_at(100));
        assert!(!told.tell_at(100) && !told.tell_at(109));
        assert!(told.tell_at(110));
        assert!(!told.tell_at(111));
    }

    #[test]
    fn only_what_closing_something_mends_is_a_shortage() {
        for (errno, expected) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOBUFS, true),
            (Errno::NOMEM, true),
            (Errno::CONNABORTED, false),
            (Errno::NOENT, false),
        ] {
            assert_eq!(is_shortage(&errno.into()), expected, "{errno}");
        }
        assert!(!is_shortage(&io::ErrorKind::UnexpectedEof.into()));
    }
}
