//! Deadlines of connections: a list that is looked through a few times a second.
//!
//! Timeouts here are whole seconds and mostly never come true. Moving a deadline is one store, and
//! ten thousand of them cost some tens of microseconds a look.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

/// How often deadlines are looked at, in milliseconds: how late one may be noticed.
pub const TICK_MS: u64 = 250;

/// One deadline. Dropping it takes it off the list at the next look.
#[derive(Debug)]
pub struct Timer {
    deadline_ms: Cell<u64>,
    is_idle: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Timer {
    /// Moves the deadline, in the loop's milliseconds.
    pub fn set(&self, deadline_ms: u64) {
        self.deadline_ms.set(deadline_ms);
    }

    /// Never fires.
    pub fn clear(&self) {
        self.deadline_ms.set(u64::MAX);
    }

    /// Says whether the owner could be closed without anybody missing it.
    pub fn set_idle(&self, is_idle: bool) {
        self.is_idle.set(is_idle);
    }

    /// Whether the owner could be closed without anybody missing it.
    pub fn is_idle(&self) -> bool {
        self.is_idle.get()
    }

    /// Whether the deadline has passed.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.deadline_ms.get() <= now_ms
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Has this task woken when the deadline passes.
    pub fn watch(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }
}

/// The deadlines of one event loop.
#[derive(Debug, Default)]
pub struct Timers {
    list: RefCell<Vec<Weak<Timer>>>,
}

impl Timers {
    /// A deadline that never comes until it is set.
    pub fn add(&self) -> Rc<Timer> {
        let timer = Rc::new(Timer {
            deadline_ms: Cell::new(u64::MAX),
            is_idle: Cell::new(false),
            waker: RefCell::new(None),
        });
        self.list.borrow_mut().push(Rc::downgrade(&timer));
        timer
    }

    /// Wakes those whose deadline has passed; forgets those that are gone.
    pub fn tick(&self, now_ms: u64) {
        self.list.borrow_mut().retain(|timer| {
            let Some(timer) = timer.upgrade() else { return false };
            if timer.is_over(now_ms) {
                timer.wake();
            }
            true
        });
    }

    /// Ends the patience with at most `count` idle ones, those that have been idle longest. Returns
    /// how many there were.
    pub fn expire_idle(&self, count: usize) -> usize {
        let mut idle = self.idle();
        if count < idle.len() {
            // They all have the same time from when they fell idle.
            idle.select_nth_unstable_by_key(count, |timer| timer.deadline_ms.get());
            idle.truncate(count);
        }
        for timer in &idle {
            timer.set(0);
            timer.wake();
        }
        idle.len()
    }

    /// Has the owners of all idle ones look around.
    pub fn wake_idle(&self) {
        for timer in self.idle() {
            timer.wake();
        }
    }

    /// Those that wait for nothing in particular and were not told to stop waiting.
    fn idle(&self) -> Vec<Rc<Timer>> {
        let list = self.list.borrow();
        let all = list.iter().filter_map(Weak::upgrade);
        all.filter(|timer| timer.is_idle.get() && !timer.is_over(0)).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_once_after_the_deadline_and_forgets_the_dropped() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let timers = Timers::default();
        let timer = timers.add();
        timer.set(1000);
        timer.watch(&Context::from_waker(&waker));
        timers.tick(999);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timers.tick(1000);
        timers.tick(1001);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        drop(timer);
        timers.tick(2000);
        assert!(timers.is_empty());
    }
}
