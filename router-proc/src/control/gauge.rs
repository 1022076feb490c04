//! What the loops tell of a worker without being asked: how much it has to do.

use std::sync::atomic::{AtomicU64, Ordering};

/// The load of one worker over all loops.
#[derive(Debug, Default)]
pub struct WorkerGauge {
    in_flight: AtomicU64,
    served: AtomicU64,
}

impl WorkerGauge {
    /// A request was handed to the worker.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests were answered, failed, or taken back.
    pub fn end(&self, requests: u64) {
        self.in_flight.fetch_sub(requests, Ordering::Relaxed);
        self.served.fetch_add(requests, Ordering::Relaxed);
    }

    /// Requests that were handed to it and not ended.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests that ended.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}
