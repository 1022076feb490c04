//! Times in configurations: whole seconds.

use std::time::Duration;

/// The longest time that is kept as it is, some thirty years: added to any clock it stays in range.
const SECONDS_MAX: u64 = 1_000_000_000;

/// A limit in seconds; nothing if it is switched off, which zero does and, since negative values
/// have always been taken, they too.
pub(crate) fn limit(seconds: i64) -> Option<Duration> {
    let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0)?;
    Some(Duration::from_secs(seconds.min(SECONDS_MAX)))
}

/// A time in seconds, which may be none at all.
pub(crate) fn time(seconds: i64) -> Duration {
    limit(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_off_below_one_and_bounded_above() {
        assert_eq!(limit(30), Some(Duration::from_secs(30)));
        assert_eq!(limit(0), None);
        assert_eq!(limit(-5), None);
        assert_eq!(limit(i64::MAX), Some(Duration::from_secs(SECONDS_MAX)));
        assert_eq!(time(0), Duration::ZERO);
    }
}
