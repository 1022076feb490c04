//! What all responses of the process may take of something together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be taken, of memory or of a file system.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    taken: AtomicUsize,
}

/// Some of them.
#[derive(Debug)]
pub(super) struct Lease {
    budget: &'static Budget,
    len: usize,
}

impl Budget {
    pub(super) const fn new(max: usize) -> Budget {
        Budget { max, taken: AtomicUsize::new(0) }
    }

    /// Takes so many. `None`: there are not so many left.
    pub(super) fn lease(&'static self, len: usize) -> Option<Lease> {
        self.take(len).then(|| Lease { budget: self, len })
    }

    fn take(&self, len: usize) -> bool {
        let add = |taken: usize| taken.checked_add(len).filter(|sum| *sum <= self.max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

impl Lease {
    /// Takes more. `false`: there are not so many left, and nothing was taken.
    pub(super) fn grow(&mut self, more: usize) -> bool {
        let has_grown = self.budget.take(more);
        if has_grown {
            self.len += more;
        }
        has_grown
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_is_given_back() {
        static BUDGET: Budget = Budget::new(100);
        let mut one = BUDGET.lease(60).unwrap();
        assert!(BUDGET.lease(41).is_none());
        let two = BUDGET.lease(30).unwrap();
        assert!(one.grow(10) && !one.grow(1) && !one.grow(usize::MAX));
        drop(two);
        assert!(one.grow(30));
        drop(one);
        assert!(BUDGET.lease(100).is_some());
    }
}
