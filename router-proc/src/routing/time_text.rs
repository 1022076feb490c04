//! Times as variables show them.

use std::cell::Cell;
use std::io::Write;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

thread_local! {
    /// The last second shown, because breaking down a time takes a lock.
    static LAST: Cell<(i64, LocalText)> = const { Cell::new((i64::MIN, LocalText::EMPTY)) };
}

#[derive(Clone, Copy)]
struct LocalText {
    text: [u8; 40],
    len: usize,
}

impl LocalText {
    const EMPTY: LocalText = LocalText { text: [0; 40], len: 0 };

    fn new(unix_secs: i64) -> LocalText {
        let time = sys::time::local_time(unix_secs);
        let month = MONTHS.get(usize::from(time.month).wrapping_sub(1)).copied().unwrap_or("???");
        let minutes = time.offset_secs / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        let mut local = LocalText::EMPTY;
        let mut room = &mut local.text[..];
        // The longest possible text, with a year of eleven characters, leaves room.
        let _ = write!(
            room,
            "{:02}/{month}/{}:{:02}:{:02}:{:02} {sign}{hours:02}{minutes:02}",
            time.day, time.year, time.hour, time.minute, time.second
        );
        local.len = 40 - room.len();
        local
    }
}

/// Appends such as `31/Dec/1986:19:40:00 +0300`.
pub(super) fn push_local_time(unix_secs: i64, out: &mut Vec<u8>) {
    let (mut secs, mut local) = LAST.get();
    if secs != unix_secs {
        (secs, local) = (unix_secs, LocalText::new(unix_secs));
        LAST.set((secs, local));
    }
    out.extend_from_slice(local.text.get(..local.len).unwrap_or_default());
}

/// Appends seconds with three decimals.
pub(super) fn push_seconds(elapsed_ms: u64, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    let _ = write!(out, "{}.{:03}", elapsed_ms / 1000, elapsed_ms % 1000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_have_the_form_of_access_logs() {
        for secs in [0, 1_795_236_297, 1_795_236_297, 1_795_236_298, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            push_local_time(secs, &mut out);
            let text = String::from_utf8(out).unwrap();
            let shape: String = text
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                .map(|c| if c.is_ascii_alphabetic() { 'a' } else { c })
                .collect();
            if (0..i64::MAX).contains(&secs) {
                assert_eq!(shape.replace('-', "+"), "00/aaa/0000:00:00:00 +0000");
            }
            let time = sys::time::local_time(secs);
            assert!(text.contains(&format!("{:02}:{:02} ", time.minute, time.second)), "{text}");
        }
    }

    #[test]
    fn seconds_have_three_decimals() {
        for (ms, text) in [(0, "0.000"), (7, "0.007"), (1000, "1.000"), (61_234, "61.234")] {
            let mut out = Vec::new();
            push_seconds(ms, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
