//! Clocks that cost little, and local time.

use std::mem::MaybeUninit;
use std::sync::Once;

use rustix::time::ClockId;

/// A reading of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockTime {
    /// Whole seconds.
    pub secs: i64,
    /// Nanoseconds of the next one.
    pub nanos: u32,
}

/// The time of day in the zone of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Such as 2026.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 for Sunday to 6.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// Seconds east of UTC.
    pub offset_secs: i32,
}

/// Seconds since 1970, as of the kernel's last tick: a few milliseconds late, and cheap.
#[inline]
#[must_use]
pub fn realtime_coarse() -> ClockTime {
    read(ClockId::RealtimeCoarse)
}

/// Time that never jumps, as of the kernel's last tick.
#[inline]
#[must_use]
pub fn monotonic_coarse() -> ClockTime {
    read(ClockId::MonotonicCoarse)
}

#[inline]
fn read(clock: ClockId) -> ClockTime {
    let time = rustix::time::clock_gettime(clock);
    ClockTime { secs: time.tv_sec, nanos: u32::try_from(time.tv_nsec).unwrap_or(0) }
}

/// Breaks a time down in the zone of this process, which is read once. `localtime_r` takes a lock:
/// callers that need it often keep the result for a second.
#[must_use]
pub fn local_time(unix_secs: i64) -> LocalTime {
    static ZONE: Once = Once::new();
    // SAFETY: tzset reads TZ from the environment, which no code of this process changes after its
    // start (clippy refuses `set_var`), and the `Once` keeps two threads from calling it together.
    ZONE.call_once(|| unsafe { tzset() });
    let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call and not kept. A time whose year does not fit
    // makes it fail and leave the zeroes, which are a valid `tm` as well.
    unsafe { libc::localtime_r(&raw const unix_secs, broken_down.as_mut_ptr()) };
    // SAFETY: zeroes are a valid `tm` (integers, and a pointer that may be null), and so is what
    // localtime_r writes.
    let tm = unsafe { broken_down.assume_init() };
    let small = |value: i32| u8::try_from(value).unwrap_or(0);
    LocalTime {
        year: tm.tm_year.saturating_add(1900),
        month: small(tm.tm_mon).saturating_add(1),
        day: small(tm.tm_mday),
        weekday: small(tm.tm_wday),
        hour: small(tm.tm_hour),
        minute: small(tm.tm_min),
        second: small(tm.tm_sec),
        offset_secs: i32::try_from(tm.tm_gmtoff).unwrap_or(0),
    }
}

unsafe extern "C" {
    // The `libc` crate has it for some targets only.
    fn tzset();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_with_std() {
        let ours = realtime_coarse().secs;
        let theirs = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        assert!(ours.abs_diff(i64::try_from(theirs).expect("fits")) <= 1);
        let first = monotonic_coarse();
        assert!(monotonic_coarse() >= first);
    }

    #[test]
    fn local_time_is_utc_plus_its_offset() {
        let secs = 1_795_236_297; // 2026-11-21 04:44:57 UTC, a Saturday
        let local = local_time(secs);
        let of_day =
            i64::from(local.hour) * 3600 + i64::from(local.minute) * 60 + i64::from(local.second);
        assert_eq!((secs + i64::from(local.offset_secs)).rem_euclid(86_400), of_day);
        if local.offset_secs == 0 {
            assert_eq!((local.year, local.month, local.day, local.weekday), (2026, 11, 21, 6));
        }
    }

    #[test]
    fn times_out_of_range_do_not_panic() {
        let _ = local_time(i64::MAX);
        let _ = local_time(i64::MIN);
    }
}
