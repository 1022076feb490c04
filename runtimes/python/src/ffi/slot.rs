//! Lending something short-lived to native functions that Python calls without arguments of ours.

use std::cell::Cell;
use std::ptr::NonNull;
use std::time::Duration;

use crate::ffi::interpreter;

/// A kind of thing to lend, by its lifetime.
pub(crate) trait Lent {
    /// The thing.
    type Of<'a>;
}

/// A place where a thing is while it is lent. Used under the interpreter's lock only.
#[derive(Debug)]
pub(crate) struct Slot<L: Lent> {
    lent: Cell<Option<NonNull<L::Of<'static>>>>,
    in_use: Cell<bool>,
}

impl<L: Lent> Slot<L> {
    pub(crate) const fn new() -> Self {
        Self { lent: Cell::new(None), in_use: Cell::new(false) }
    }

    /// Lends `value` while `during` runs.
    pub(crate) fn lend<R>(&self, value: &mut L::Of<'_>, during: impl FnOnce() -> R) -> R {
        struct TakeBack<'s, L: Lent> {
            slot: &'s Slot<L>,
            before: Option<NonNull<L::Of<'static>>>,
        }
        impl<L: Lent> Drop for TakeBack<'_, L> {
            fn drop(&mut self) {
                // A thread of the application may be in `with`, sleeping for the client with the
                // lock given up. What it uses must stay until it is done.
                while self.slot.in_use.get() {
                    interpreter::pause(&mut || std::thread::sleep(Duration::from_millis(1)));
                }
                self.slot.lent.set(self.before);
            }
        }
        let before = self.lent.replace(Some(NonNull::from(value).cast()));
        let _take_back = TakeBack { slot: self, before };
        during()
    }

    /// Uses what is lent, if there is something and nobody else is using it.
    pub(crate) fn with<R>(&self, user: impl for<'a> FnOnce(&mut L::Of<'a>) -> R) -> Option<R> {
        struct PutBack<'s>(&'s Cell<bool>);
        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        if self.in_use.get() {
            return None;
        }
        let mut lent = self.lent.get()?.cast::<L::Of<'_>>();
        self.in_use.set(true);
        let _put_back = PutBack(&self.in_use);
        // SAFETY: the pointer was made from a mutable reference that `lend` keeps borrowed until it
        // takes it back, for which it waits until `in_use` is cleared; `in_use` keeps a second user
        // out. The lock makes both cells belong to one thread at a time. `user` works for every
        // lifetime, so it can neither keep a part of the value nor put in something short-lived.
        Some(user(unsafe { lent.as_mut() }))
    }
}

// SAFETY: every use is under the interpreter's lock, which one thread has at a time (see `ffi`);
// what is lent is used by that thread through `with` only.
unsafe impl<L: Lent> Sync for Slot<L> {}
