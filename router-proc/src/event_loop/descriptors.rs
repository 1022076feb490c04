//! Accepting at the limit of descriptors: what is closed then, and how long a shortage is one and the
//! same.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

use super::EventLoop;
use crate::shortage;

/// How many idle connections are closed for want of descriptors, each time.
const SHED: usize = 10;

/// A shortage is over when none was met for so many milliseconds.
const OVER_MS: u64 = 5_000;

/// A shortage, while there is one.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    /// When it was last met.
    met_ms: Cell<Option<u64>>,
    /// How often.
    times: Cell<u64>,
}

impl Shortage {
    /// Notes that there was none left; `true` at the beginning of a shortage.
    pub(super) fn meet(&self, now_ms: u64) -> bool {
        self.times.set(self.times.get() + 1);
        self.met_ms.replace(Some(now_ms)).is_none()
    }

    /// How often a shortage was met that has just ended.
    fn end(&self, now_ms: u64) -> Option<u64> {
        let met = self.met_ms.get()?;
        if now_ms.saturating_sub(met) < OVER_MS {
            return None;
        }
        self.met_ms.set(None);
        Some(self.times.replace(0))
    }
}

/// The pause of all listeners of a loop, while one of them waits for descriptors.
#[derive(Debug, Default)]
pub(super) struct Pause {
    is_on: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Pause {
    /// Pauses until what is returned is dropped.
    pub(super) fn begin(&self) -> Pausing<'_> {
        self.is_on.set(true);
        Pausing(self)
    }

    /// Waits for the end of a pause, if there is one.
    pub(super) fn poll_over(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_on.get() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A pause that lasts. It ends with the listener too that it began with.
#[derive(Debug)]
pub(super) struct Pausing<'p>(&'p Pause);

impl Drop for Pausing<'_> {
    fn drop(&mut self) {
        self.0.is_on.set(false);
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }
}

impl EventLoop {
    /// Closes what nobody misses, to have descriptors again.
    pub(crate) fn shed(&self) -> usize {
        // Files that are kept open cost no client anything. They may be open again soon, so a few of
        // them are not enough.
        let files = self.shed_files();
        files + self.timers.expire_idle(SHED.saturating_sub(files))
    }

    /// Whether there are descriptors for connections again.
    pub(super) fn has_descriptors(&self) -> bool {
        sys::fd::duplicate(self.page.fd()).is_ok_and(|probe| !shortage::is_reserved(&probe))
    }

    /// Looks after the limit and the end of a shortage, now and then.
    pub(super) fn look_at_descriptors(&self) {
        shortage::read_limit();
        if let Some(times) = self.shortage.end(self.now_ms()) {
            unit_log::notice!("new connections are accepted again, after {times} pauses");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_pause_holds_everybody_up_until_it_ends() {
        let pause = Pause::default();
        let waker = Waker::from(Arc::new(Nobody));
        let cx = Context::from_waker(&waker);
        assert!(pause.poll_over(&cx).is_ready());
        let pausing = pause.begin();
        assert!(pause.poll_over(&cx).is_pending() && pause.poll_over(&cx).is_pending());
        assert_eq!(pause.waiting.borrow().len(), 1);
        drop(pausing);
        assert!(pause.poll_over(&cx).is_ready());
        assert!(pause.waiting.borrow().is_empty());
    }

    #[test]
    fn a_shortage_begins_once_and_ends_once() {
        let shortage = Shortage::default();
        assert!(shortage.meet(1_000));
        assert!(!shortage.meet(1_100));
        assert_eq!(shortage.end(1_200), None);
        // It goes on as long as it is met.
        assert!(!shortage.meet(5_900));
        assert_eq!(shortage.end(6_200), None);
        assert_eq!(shortage.end(10_900), Some(3));
        assert_eq!(shortage.end(20_000), None);
        assert!(shortage.meet(30_000));
    }
}
