//! What `/status` counts, per event loop: written by the loop alone, read by everyone.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread changes and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Only the owning thread may.
    pub fn increment(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Takes one away. Only the owning thread may.
    pub fn decrement(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Release);
    }

    /// The number, perhaps of a moment ago. Who sees a change sees also what was counted before it.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Sets the number. Only the owning thread may.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The counters of one event loop.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections taken on.
    pub accepted: Counter,
    /// Connections without a request in progress.
    pub idle: Counter,
    /// Connections closed.
    pub closed: Counter,
    /// Requests begun.
    pub requests: Counter,
    /// Connections held now.
    pub held: Counter,
    /// Thousandths of the recent time that the loop was busy.
    pub load: Counter,
}
