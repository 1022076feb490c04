//! The end of a loop that is not needed any more, while the router goes on.
//!
//! A surplus loop takes on nothing more and gives its connections to the others: idle ones at once,
//! the rest after the request they are at. When it holds none, and no worker owes it an answer, it
//! says that it is vacant. Only when the control thread has struck it off - so nothing can be sent to
//! it any more - does it say goodbye to the workers and end.

use std::rc::Rc;

use super::{EventLoop, Notice};

impl EventLoop {
    /// Whether the loop is surplus: its connections are to go elsewhere.
    pub(crate) fn is_retiring(&self) -> bool {
        self.retiring.get().is_some() && !self.is_stopping()
    }

    /// Gives up all connections from now on. `round` tells this retirement from an earlier one.
    pub(super) fn retire(&self, round: u32) {
        self.retiring.set(Some(round));
        self.vacancy_told.set(false);
        self.timers.wake_idle();
        self.look_if_vacant();
    }

    /// Is needed again after all.
    pub(super) fn resume(&self) {
        self.retiring.set(None);
    }

    /// Whether connections are to leave and have not all done so.
    pub(super) fn is_becoming_vacant(&self) -> bool {
        self.retiring.get().is_some() && !self.vacancy_told.get()
    }

    /// Tells the control thread once nothing is left here. A client that left may have left a request
    /// behind that its worker is still at.
    pub(crate) fn look_if_vacant(&self) {
        let Some(round) = self.retiring.get() else { return };
        let is_vacant = self.counters.held.get() == 0
            && self.dispatchers.borrow().values().all(|dispatcher| dispatcher.is_quiet());
        if is_vacant && !self.vacancy_told.replace(true) {
            self.tell_control(Notice::Vacant { index: self.index, round });
        }
    }

    /// Says goodbye to the workers; `false` while one could not be told, as its doorbell is full.
    pub(super) fn part_from_workers(&self) -> bool {
        let dispatchers: Vec<_> = self.dispatchers.borrow().values().map(Rc::clone).collect();
        // All of them are told, also when an early one cannot be.
        dispatchers.iter().filter(|dispatcher| !dispatcher.part_from_workers()).count() == 0
    }
}
