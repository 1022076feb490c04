//! How busy a loop is, measured where it parks.

use std::cell::Cell;
use std::time::Instant;

/// Over how many microseconds the share of busy time is averaged.
const WINDOW_US: u64 = 50_000;

/// Measures the share of time a loop does not sleep.
#[derive(Debug)]
pub(super) struct LoadMeter {
    window_start: Cell<Instant>,
    parked_at: Cell<Instant>,
    idle_us: Cell<u64>,
}

impl LoadMeter {
    /// A meter that starts now.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { window_start: Cell::new(now), parked_at: Cell::new(now), idle_us: Cell::new(0) }
    }

    /// The loop goes to sleep.
    pub(super) fn park(&self) {
        self.parked_at.set(Instant::now());
    }

    /// The loop wakes up. Returns the load of the window that ended, in thousandths, if one did.
    pub(super) fn unpark(&self) -> Option<u64> {
        let now = Instant::now();
        let slept = now.duration_since(self.parked_at.get()).as_micros();
        let idle = self.idle_us.get().saturating_add(u64::try_from(slept).unwrap_or(u64::MAX));
        let window = now.duration_since(self.window_start.get()).as_micros();
        let window = u64::try_from(window).unwrap_or(u64::MAX);
        if window < WINDOW_US {
            self.idle_us.set(idle);
            return None;
        }
        self.idle_us.set(0);
        self.window_start.set(now);
        Some(1000 - (idle.min(window) * 1000 / window))
    }
}
