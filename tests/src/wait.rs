//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long to rest between two looks at a condition.
const STEP: Duration = Duration::from_millis(5);

/// Looks until there is something, and panics with `what` when the limit is over.
///
/// # Panics
/// At the limit.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", limit.as_secs_f32());
        std::thread::sleep(STEP);
    }
}

/// Looks until the condition holds.
///
/// # Panics
/// At the limit.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    wait_for(what, limit, || holds().then_some(()));
}
