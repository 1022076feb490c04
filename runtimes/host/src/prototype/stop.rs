//! How a prototype stops: its workers are asked, then terminated, then killed. Pure; takes `now`.

use std::time::{Duration, Instant};

use port_proto::Quit;

/// How long workers have to end after SIGTERM.
const TERMINATED_GRACE: Duration = Duration::from_secs(5);
/// How long workers have to finish what they accepted. The router has asked them.
const GRACEFUL_GRACE: Duration = Duration::from_secs(25);

/// What is to be done to all workers now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    Terminate,
    Kill,
}

/// Where a prototype stands between running and gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    #[default]
    No,
    /// Workers end by themselves until then.
    Graceful(Instant),
    /// Workers are terminated next.
    Fast,
    /// Workers have until then.
    Terminated(Instant),
    Killed,
}

impl Stop {
    pub(crate) fn is_requested(self) -> bool {
        self != Self::No
    }

    /// Whether nobody's word can change anything any more.
    pub(crate) fn is_fast(self) -> bool {
        match self {
            Self::No | Self::Graceful(_) => false,
            Self::Fast | Self::Terminated(_) | Self::Killed => true,
        }
    }

    /// Takes a request to stop. A later one can only make it faster.
    pub(crate) fn request(&mut self, quit: Quit, now: Instant) {
        match (*self, quit) {
            (Self::No, Quit::Graceful) => *self = Self::Graceful(now + GRACEFUL_GRACE),
            (Self::No | Self::Graceful(_), Quit::Fast) => *self = Self::Fast,
            (Self::Graceful(_), Quit::Graceful)
            | (Self::Fast | Self::Terminated(_) | Self::Killed, _) => {}
        }
    }

    /// What is to be done by now.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Strike> {
        match *self {
            Self::Graceful(deadline) if deadline <= now => {
                *self = Self::Terminated(now + TERMINATED_GRACE);
                Some(Strike::Terminate)
            }
            Self::Fast => {
                *self = Self::Terminated(now + TERMINATED_GRACE);
                Some(Strike::Terminate)
            }
            Self::Terminated(deadline) if deadline <= now => {
                *self = Self::Killed;
                Some(Strike::Kill)
            }
            Self::No | Self::Graceful(_) | Self::Terminated(_) | Self::Killed => None,
        }
    }

    /// How long there is nothing to do by itself.
    pub(crate) fn wait(self, now: Instant) -> Option<Duration> {
        match self {
            Self::No | Self::Killed => None,
            Self::Fast => Some(Duration::ZERO),
            Self::Graceful(deadline) | Self::Terminated(deadline) => {
                Some(deadline.saturating_duration_since(now))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_terminates_then_kills() {
        let now = Instant::now();
        let mut stop = Stop::default();
        assert_eq!((stop.due(now), stop.wait(now)), (None, None));
        stop.request(Quit::Fast, now);
        assert_eq!(stop.wait(now), Some(Duration::ZERO));
        assert_eq!(stop.due(now), Some(Strike::Terminate));
        assert_eq!((stop.due(now), stop.wait(now)), (None, Some(TERMINATED_GRACE)));
        let later = now + TERMINATED_GRACE;
        assert_eq!(stop.due(later), Some(Strike::Kill));
        assert_eq!((stop.due(later), stop.wait(later)), (None, None));
        stop.request(Quit::Graceful, later);
        assert_eq!(stop, Stop::Killed);
    }

    #[test]
    fn graceful_waits_and_can_be_hurried() {
        let now = Instant::now();
        let mut stop = Stop::default();
        stop.request(Quit::Graceful, now);
        assert!(stop.is_requested() && !stop.is_fast());
        assert_eq!(stop.due(now), None);
        let mut patient = stop;
        assert_eq!(patient.due(now + GRACEFUL_GRACE), Some(Strike::Terminate));
        stop.request(Quit::Fast, now);
        assert_eq!(stop.due(now), Some(Strike::Terminate));
    }
}
