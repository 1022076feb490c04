//! What the loops tell of a worker without being asked: how much it has to do.

use std::sync::atomic::{AtomicU64, Ordering};

/// The load of one worker over all loops.
#[derive(Debug, Default)]
pub struct WorkerGauge {
    in_flight: AtomicU64,
    sessions: AtomicU64,
    served: AtomicU64,
}

impl WorkerGauge {
    /// A request was handed to the worker.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered, or failed.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was taken back before the worker began it.
    pub fn take_back(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that were handed to it and not ended.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A request became a WebSocket session of the worker.
    pub fn begin_session(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// A session ended.
    pub fn end_session(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it has neither a request nor a session.
    pub fn is_idle(&self) -> bool {
        self.in_flight() == 0 && self.sessions.load(Ordering::Relaxed) == 0
    }

    /// Requests that ended.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}
