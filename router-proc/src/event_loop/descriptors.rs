//! Accepting at the limit of descriptors: what is closed then, and how long a shortage is one and the
//! same.

use std::cell::Cell;
use std::os::fd::BorrowedFd;

use super::EventLoop;
use crate::shortage;

/// How many idle connections are closed for want of descriptors, each time.
const SHED: usize = 10;

/// A shortage is over when none was met for so many milliseconds.
const OVER_MS: u64 = 5_000;

/// A shortage, while there is one.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    /// When it was last met.
    met_ms: Cell<Option<u64>>,
    /// How often.
    times: Cell<u64>,
}

impl Shortage {
    /// Notes that there was none left; `true` at the beginning of a shortage.
    pub(super) fn meet(&self, now_ms: u64) -> bool {
        self.times.set(self.times.get() + 1);
        self.met_ms.replace(Some(now_ms)).is_none()
    }

    /// How often a shortage was met that has just ended.
    fn end(&self, now_ms: u64) -> Option<u64> {
        let met = self.met_ms.get()?;
        if now_ms.saturating_sub(met) < OVER_MS {
            return None;
        }
        self.met_ms.set(None);
        Some(self.times.replace(0))
    }
}

impl EventLoop {
    /// Closes what nobody misses, to have descriptors again.
    pub(crate) fn shed(&self) -> usize {
        // Files that are kept open cost no client anything. They may be open again soon, so a few of
        // them are not enough.
        let files = self.shed_files();
        files + self.timers.expire_idle(SHED.saturating_sub(files))
    }

    /// Whether a new connection has taken one of the last descriptors, which connections leave alone
    /// where there are many of them.
    pub(super) fn is_last_connection(&self, connection: BorrowedFd<'_>) -> bool {
        if !shortage::is_near_the_end(connection) {
            return false;
        }
        self.note_connections();
        shortage::is_reserved(connection)
    }

    fn note_connections(&self) {
        let held = self.peers.load().iter().map(|peer| peer.counters.held.get()).sum();
        shortage::note_connections(held);
    }

    /// Whether there are descriptors for connections again.
    pub(super) fn has_descriptors(&self) -> bool {
        self.note_connections();
        sys::fd::duplicate(self.page.fd()).is_ok_and(|probe| !shortage::is_reserved(&probe))
    }

    /// Looks after the limit and the end of a shortage, now and then.
    pub(super) fn look_at_descriptors(&self) {
        shortage::read_limit();
        self.note_connections();
        if let Some(times) = self.shortage.end(self.now_ms()) {
            unit_log::notice!("new connections are accepted again, after {times} pauses");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_begins_once_and_ends_once() {
        let shortage = Shortage::default();
        assert!(shortage.meet(1_000));
        assert!(!shortage.meet(1_100));
        assert_eq!(shortage.end(1_200), None);
        // It goes on as long as it is met.
        assert!(!shortage.meet(5_900));
        assert_eq!(shortage.end(6_200), None);
        assert_eq!(shortage.end(10_900), Some(3));
        assert_eq!(shortage.end(20_000), None);
        assert!(shortage.meet(30_000));
    }
}
