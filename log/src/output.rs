//! Writing lines to descriptor 2, and what stands in front of them.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, Ordering};

use sys::fd::Standard;

use crate::line::Head;
use crate::{Level, Line};

/// The pid to print instead of our own, or zero.
static OUTER_PID: AtomicI32 = AtomicI32::new(0);

/// Makes lines show this pid: a process in a pid namespace of its own is known to everyone else by
/// the outer one. A forked child sets it again.
pub fn set_outer_pid(pid: i32) {
    OUTER_PID.store(pid, Ordering::Relaxed);
}

/// Moves the log, with everything else that goes to standard error, to a file that was reopened.
///
/// # Errors
/// Those of `dup2`.
pub fn redirect(file: impl AsFd) -> io::Result<()> {
    sys::fd::dup_onto(file, Standard::Error)
}

/// Writes a line of the application side: `[unit] `, and `#N: ` when it is about a request. Text
/// that is too long ends in `[...]`.
pub fn write_unit(level: Level, stream: Option<u32>, text: &str) {
    if level > Level::THRESHOLD {
        return;
    }
    let mut line = start(level);
    line.mark_unit(stream);
    // A line cuts what does not fit and never fails.
    let _ = line.write_str(text);
    write(line.finish_marked());
}

/// A line with its head, as of now.
pub(crate) fn start(level: Level) -> Line {
    let (pid, thread) = ids();
    let stamp = stamp(sys::time::realtime_coarse().secs);
    let stamp = str::from_utf8(&stamp).unwrap_or_default();
    Line::new(Head { stamp, level, pid, thread })
}

/// Writes a line with one system call. There is nowhere to report a failure to, and no way to go
/// on with the rest of a line that was written in part without tearing other lines.
pub(crate) fn write(line: &[u8]) {
    let _ = sys::fd::write_once(Standard::Error, line);
}

/// The ids to print. They are asked for anew each time: copies would be wrong after a fork.
fn ids() -> (i32, i32) {
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    let thread = sys::thread::id();
    match OUTER_PID.load(Ordering::Relaxed) {
        0 => (pid, thread),
        outer if thread == pid => (outer, outer),
        outer => (outer, thread),
    }
}

const STAMP_LEN: usize = "YYYY/MM/DD HH:MM:SS".len();

/// The time stamp of a second; the last one of the thread is kept, since breaking time down takes
/// a lock and some microseconds.
fn stamp(secs: i64) -> [u8; STAMP_LEN] {
    thread_local! {
        static LAST: Cell<(i64, [u8; STAMP_LEN])> = const { Cell::new((i64::MIN, [0; STAMP_LEN])) };
    }
    // A thread that is ending has no cache any more.
    match LAST.try_with(Cell::get) {
        Ok((last, stamp)) if last == secs => return stamp,
        Ok(_) | Err(_) => {}
    }
    let stamp = format_stamp(&sys::time::local_time(secs));
    let _ = LAST.try_with(|last| last.set((secs, stamp)));
    stamp
}

fn format_stamp(time: &sys::time::LocalTime) -> [u8; STAMP_LEN] {
    let digit = |value: i32, power: i32| b'0' + u8::try_from(value / power % 10).unwrap_or(0);
    let pair = |value: u8| [digit(i32::from(value), 10), digit(i32::from(value), 1)];
    let year = time.year.clamp(0, 9999);
    let mut stamp = *b"0000/00/00 00:00:00";
    for (at, power) in [(0, 1000), (1, 100), (2, 10), (3, 1)] {
        stamp[at] = digit(year, power);
    }
    let parts =
        [(5, time.month), (8, time.day), (11, time.hour), (14, time.minute), (17, time.second)];
    for (at, value) in parts {
        stamp[at..at + 2].copy_from_slice(&pair(value));
    }
    stamp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_have_the_form_of_the_log() {
        let time = sys::time::LocalTime {
            year: 2026,
            month: 1,
            day: 2,
            weekday: 5,
            hour: 3,
            minute: 4,
            second: 59,
            offset_secs: 0,
        };
        assert_eq!(format_stamp(&time), *b"2026/01/02 03:04:59");
        let far = sys::time::LocalTime { year: 10_000, ..time };
        assert_eq!(format_stamp(&far), *b"9999/01/02 03:04:59");
    }

    #[test]
    fn a_kept_stamp_is_that_of_its_second() {
        for secs in [0, 1, 1, 0, 1_795_236_297, 0] {
            assert_eq!(stamp(secs), format_stamp(&sys::time::local_time(secs)));
        }
    }
}
