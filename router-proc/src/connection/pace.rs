//! Clients that send or take so little at a time that no pause is ever too long, and the whole takes
//! for ever.
//!
//! Only the time counts in which the client is what is waited for: an application that thinks, or
//! streams slowly on purpose, is no fault of its client.

use std::time::Duration;

/// How far a client may be behind the least rate: this many of the timeouts that bound each pause.
const SLACK: u32 = 2;

/// How often a client is looked at within the pause it is allowed, so that one that takes a little
/// now and then is told from one that takes nothing.
const LOOKS: u64 = 4;

/// After how many bytes it is looked whether the client's window is tiny.
const MEASURED_LEN: usize = 64 * 1024;

/// Less than this of them sent, and it is: any honest system has room for some segments.
const TINY_LEN: u64 = 4096;

/// Whether a client keeps up with the least rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Bytes per second; 0 is any.
    rate: u64,
    /// Milliseconds it may be behind.
    slack_ms: u64,
    /// How many of them are left.
    left_ms: u64,
}

impl Pace {
    /// The pace of a client that is not behind. Without a timeout nothing is asked of it.
    pub(super) fn new(rate: u64, timeout: Option<Duration>) -> Self {
        let Some(timeout) = timeout else { return Self::any() };
        let slack_ms = millis(timeout.saturating_mul(SLACK));
        Self { rate, slack_ms, left_ms: slack_ms }
    }

    /// No pace at all.
    pub(super) const fn any() -> Self {
        Self { rate: 0, slack_ms: 0, left_ms: 0 }
    }

    /// It was waited for.
    pub(super) fn wait(&mut self, ms: u64) {
        self.left_ms = self.left_ms.saturating_sub(ms);
    }

    /// So many bytes came or were taken. It cannot get ahead: a fast beginning buys no slow end.
    pub(super) fn pass(&mut self, bytes: u64) {
        if let Some(ms) = bytes.saturating_mul(1000).checked_div(self.rate) {
            self.left_ms = self.left_ms.saturating_add(ms).min(self.slack_ms);
        }
    }

    /// Whether it is behind by more than it may be.
    pub(super) fn is_too_slow(&self) -> bool {
        self.rate > 0 && self.left_ms == 0
    }

    /// How long it may be waited for, when `timeout` bounds the single pause.
    pub(super) fn patience(&self, timeout: Option<Duration>) -> Option<Duration> {
        match timeout {
            Some(timeout) if self.rate > 0 => {
                Some(timeout.min(Duration::from_millis(self.left_ms)))
            }
            timeout => timeout,
        }
    }
}

/// How a client takes what it is sent. What was written is not yet taken: the kernel holds up to some
/// megabytes for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taking {
    pace: Pace,
    /// Bytes written, ever.
    written: u64,
    /// Bytes that had been taken when that was last looked at.
    taken: u64,
    /// Since when the client is waited for, and not counted yet.
    since_ms: Option<u64>,
    /// When it last showed any life.
    moved_ms: u64,
    /// Whether it was found out if its window is tiny.
    is_measured: bool,
}

/// Whether a client that is waited for is to be waited for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again at this moment.
    Until(u64),
    /// It has taken nothing for too long, or too little.
    TooSlow,
}

impl Taking {
    /// Of a connection over which nothing was sent.
    pub(super) fn new() -> Self {
        Self {
            pace: Pace::any(),
            written: 0,
            taken: 0,
            since_ms: None,
            moved_ms: 0,
            is_measured: false,
        }
    }

    /// Another response begins.
    pub(super) fn begin(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The kernel has taken bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.wrapping_add(bytes as u64);
    }

    /// The most to write at once: little, before anything is known of the client.
    pub(super) fn piece_max(&self, usual: usize) -> usize {
        if self.is_measured { usual } else { usual.min(MEASURED_LEN) }
    }

    /// Whether the window of the client is tiny: of the first pieces next to nothing could be sent.
    /// That is found out once; `not_sent` tells how many bytes wait in the kernel.
    pub(super) fn has_tiny_window(&mut self, not_sent: impl FnOnce() -> Option<u64>) -> bool {
        if self.is_measured || self.written < MEASURED_LEN as u64 {
            return false;
        }
        self.is_measured = true;
        not_sent().is_some_and(|waiting| self.written.saturating_sub(waiting) < TINY_LEN)
    }

    /// Whether it is being waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.since_ms.is_some()
    }

    /// There is no room for more: the client is waited for from now on.
    pub(super) fn wait(&mut self, now_ms: u64, timeout: Option<Duration>) -> Verdict {
        self.since_ms = Some(now_ms);
        self.moved_ms = now_ms;
        self.next_look(now_ms, timeout)
    }

    /// There is room again. `unsent` tells how many of the bytes written were not taken yet; it is
    /// asked only where the answer matters.
    pub(super) fn go_on(&mut self, now_ms: u64, unsent: impl FnOnce() -> Option<u64>) -> bool {
        self.count_wait(now_ms);
        self.since_ms = None;
        if !self.pace.is_too_slow() {
            return true;
        }
        self.look(unsent());
        !self.pace.is_too_slow()
    }

    /// There is no room yet, and it is time to look.
    pub(super) fn judge(
        &mut self,
        now_ms: u64,
        timeout: Option<Duration>,
        unsent: Option<u64>,
    ) -> Verdict {
        self.count_wait(now_ms);
        self.since_ms = Some(now_ms);
        if self.look(unsent) {
            self.moved_ms = now_ms;
        }
        let limit_ms = timeout.map_or(u64::MAX, millis);
        if self.pace.is_too_slow() || now_ms.saturating_sub(self.moved_ms) >= limit_ms {
            return Verdict::TooSlow;
        }
        self.next_look(now_ms, timeout)
    }

    fn count_wait(&mut self, now_ms: u64) {
        if let Some(since) = self.since_ms {
            self.pace.wait(now_ms.saturating_sub(since));
        }
    }

    /// Whether bytes were taken since the last look.
    fn look(&mut self, unsent: Option<u64>) -> bool {
        let Some(unsent) = unsent else { return false };
        let taken = self.written.wrapping_sub(unsent);
        let more = taken.wrapping_sub(self.taken);
        self.taken = taken;
        self.pace.pass(more);
        more > 0
    }

    fn next_look(&self, now_ms: u64, timeout: Option<Duration>) -> Verdict {
        let Some(timeout) = timeout else { return Verdict::Until(u64::MAX) };
        let limit = self.moved_ms.saturating_add(millis(timeout));
        let look = now_ms.saturating_add(millis(timeout) / LOOKS);
        let pace = self.pace.patience(Some(timeout)).map_or(u64::MAX, millis);
        Verdict::Until(limit.min(look).min(now_ms.saturating_add(pace)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(30));

    /// When a client that sends `bytes` every `pause_ms` is cut off, within an hour.
    fn body_ends_at(rate: u64, bytes: u64, pause_ms: u64) -> Option<u64> {
        let mut pace = Pace::new(rate, TIMEOUT);
        let mut now = 0;
        while now < 3_600_000 {
            let patience = millis(pace.patience(TIMEOUT).unwrap());
            if patience < pause_ms {
                return Some(now + patience);
            }
            now += pause_ms;
            pace.wait(pause_ms);
            pace.pass(bytes);
        }
        None
    }

    #[test]
    fn n20_a_byte_for_each_timeout_holds_no_connection() {
        assert_eq!(body_ends_at(240, 1, 29_000), Some(60_008));
        let end = body_ends_at(240, 100, 1_000);
        assert!(end.is_some_and(|at| (90_000..120_000).contains(&at)), "{end:?}");
        assert_eq!(body_ends_at(0, 1, 29_000), None, "unless nobody minds");
        assert_eq!(body_ends_at(0, 1, 31_000), Some(30_000));
    }

    #[test]
    fn slow_and_halting_clients_are_served() {
        // A modem; and a mobile client that comes out of a tunnel twice a minute.
        assert_eq!(body_ends_at(240, 240, 1_000), None);
        assert_eq!(body_ends_at(240, 8_000, 28_000), None);
    }

    #[test]
    fn a_fast_beginning_buys_no_slow_end() {
        let mut pace = Pace::new(240, TIMEOUT);
        pace.pass(u64::MAX / 2);
        pace.wait(60_000);
        assert!(pace.is_too_slow());
    }

    /// When a client is cut off that takes `bytes` every second from a buffer that never has room.
    fn response_ends_at(rate: u64, bytes: u64) -> Option<u64> {
        let mut taking = Taking::new();
        taking.begin(Pace::new(rate, TIMEOUT));
        taking.wrote(4_000_000);
        let mut verdict = taking.wait(0, TIMEOUT);
        while let Verdict::Until(now) = verdict {
            if now > 600_000 {
                return None;
            }
            let unsent = 4_000_000 - bytes * (now / 1000);
            verdict = taking.judge(now, TIMEOUT, Some(unsent));
            if verdict == Verdict::TooSlow {
                return Some(now);
            }
        }
        None
    }

    #[test]
    fn n20_what_the_kernel_holds_is_not_taken() {
        assert_eq!(response_ends_at(240, 0), Some(30_000));
        assert!(response_ends_at(240, 1).is_some_and(|at| (60_000..70_000).contains(&at)));
        assert_eq!(response_ends_at(240, 300), None, "it takes, though there is no room");
        assert_eq!(response_ends_at(0, 1), None, "nobody minds");
        assert_eq!(response_ends_at(0, 0), Some(30_000));
    }

    #[test]
    fn a_fast_client_is_hardly_looked_at() {
        let mut taking = Taking::new();
        taking.begin(Pace::new(240, TIMEOUT));
        let mut looks = 0;
        for round in 0..100_000_u64 {
            taking.wrote(100_000);
            assert!(matches!(taking.wait(round * 10, TIMEOUT), Verdict::Until(_)));
            let unsent = || {
                looks += 1;
                Some(50_000)
            };
            assert!(taking.go_on(round * 10 + 9, unsent));
        }
        // Once for each minute of waiting.
        assert!(looks <= 15, "{looks}");
    }

    #[test]
    fn a_tiny_window_is_found_out_once_and_early() {
        for (waiting, is_tiny) in [(64_500, true), (50_000, false), (0, false)] {
            let mut taking = Taking::new();
            assert_eq!(taking.piece_max(2_000_000), MEASURED_LEN);
            taking.wrote(300);
            assert!(!taking.has_tiny_window(|| unreachable!("too early")));
            taking.wrote(MEASURED_LEN);
            assert_eq!(taking.has_tiny_window(|| Some(waiting)), is_tiny, "{waiting}");
            assert_eq!(taking.piece_max(2_000_000), 2_000_000);
            assert!(!taking.has_tiny_window(|| unreachable!("once")));
        }
        let mut taking = Taking::new();
        taking.wrote(MEASURED_LEN);
        assert!(!taking.has_tiny_window(|| None), "no TCP");
    }

    #[test]
    fn without_a_timeout_nothing_is_asked() {
        let mut taking = Taking::new();
        taking.begin(Pace::new(240, None));
        assert_eq!(taking.wait(0, None), Verdict::Until(u64::MAX));
        assert_eq!(taking.judge(1 << 40, None, Some(0)), Verdict::Until(u64::MAX));
        assert!(taking.go_on(1 << 41, || None));
    }
}
