//! Waiting for several descriptors.

use std::io;
use std::time::Duration;

use rustix::event::Timespec;
pub use rustix::event::{PollFd, PollFlags};

/// Waits until one of the descriptors is ready, and returns how many are; zero means that the
/// time is over. No timeout means for ever.
///
/// # Errors
/// Those of `poll`; [`io::ErrorKind::Interrupted`] when a signal handler ran.
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    });
    Ok(rustix::event::poll(fds, timeout.as_ref())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_ready_and_when_nothing_is() {
        let (ours, theirs) = crate::socket::seqpacket_pair().expect("makes");
        let mut fds = [PollFd::new(&ours, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(Duration::ZERO)).expect("polls"), 0);
        drop(theirs);
        assert_eq!(poll(&mut fds, None).expect("polls"), 1);
        assert!(fds[0].revents().contains(PollFlags::HUP));
    }
}
