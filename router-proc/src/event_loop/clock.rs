//! The loop's idea of time: read once a wake-up, formatted once a second.

use std::cell::{Cell, RefCell};

use crate::http;

/// Coarse clocks of one event loop. A few milliseconds late is early enough for everything a
/// server tells its clients or measures its patience with.
#[derive(Debug)]
pub struct Clock {
    monotonic_ms: Cell<u64>,
    real_secs: Cell<i64>,
    real_nanos: Cell<u32>,
    date_secs: Cell<i64>,
    date: RefCell<[u8; 29]>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that has just been read.
    pub fn new() -> Self {
        let clock = Self {
            monotonic_ms: Cell::new(0),
            real_secs: Cell::new(0),
            real_nanos: Cell::new(0),
            date_secs: Cell::new(i64::MIN),
            date: RefCell::new([b' '; 29]),
        };
        clock.read();
        clock
    }

    /// Reads the kernel's clocks.
    pub fn read(&self) {
        let monotonic = sys::time::monotonic_coarse();
        let secs = u64::try_from(monotonic.secs).unwrap_or_default();
        self.monotonic_ms.set(secs * 1000 + u64::from(monotonic.nanos / 1_000_000));
        let real = sys::time::realtime_coarse();
        self.real_secs.set(real.secs);
        self.real_nanos.set(real.nanos);
    }

    /// Moves to another moment, for tests of deadlines.
    #[cfg(test)]
    pub(crate) fn set_ms(&self, ms: u64) {
        self.monotonic_ms.set(ms);
    }

    /// Milliseconds since some moment in the past; never runs backwards.
    pub fn now_ms(&self) -> u64 {
        self.monotonic_ms.get()
    }

    /// Seconds since 1970.
    pub fn unix_secs(&self) -> i64 {
        self.real_secs.get()
    }

    /// The `Date` field's value.
    pub fn date(&self) -> [u8; 29] {
        let now = self.real_secs.get();
        if self.date_secs.get() != now {
            self.date_secs.set(now);
            self.date.replace(http::http_date(u64::try_from(now).unwrap_or_default()));
        }
        *self.date.borrow()
    }
}
