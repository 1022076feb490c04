//! Files that are kept open for the next request, with what responses say about them.
//!
//! A look at the path tells whether it still leads to the same file in the same state; only then is
//! the open one taken. Two system calls become none: `open` and `close`; `fstat` becomes `stat`.
//! Where more is asked of a path than what it leads to (that no symbolic link is on it, say), it
//! must be opened each time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use conf::Text;
use rustix::fs::{Stat, stat};
use rustix::process::{Resource, getrlimit};

use super::OpenedFile;

/// The most files that one event loop keeps open.
const FILES_MAX: usize = 1024;

/// Of the descriptors that the process may have, one in so many may be a file kept open.
const DESCRIPTORS_PER_FILE: u64 = 8;

/// How often unused files are looked for, in milliseconds. One is closed at the second look after
/// its last use: the disk has the room of a deleted file back soon.
const SWEEP_MS: u64 = 3000;

/// How many looks a file outlasts that is in use all the time. Some file systems, those of other
/// machines above all, tell of a change only when a file is opened.
const SWEEPS_MAX: u8 = 5;

/// How long ago, in seconds, a file must have been changed last. One that changes again within what
/// the clock of its file system can tell apart would look as it did before.
const SETTLED_SECS: i64 = 2;

/// The open files of one event loop.
#[derive(Debug, Default)]
pub struct FileCache {
    files: RefCell<Files>,
}

#[derive(Debug, Default)]
struct Files {
    entries: Vec<Entry>,
    /// Where the entry of a path is.
    places: HashMap<Rc<[u8]>, usize>,
    capacity: usize,
    /// The entry that is asked next whether it was used, when room is needed.
    hand: usize,
    next_sweep_ms: u64,
}

#[derive(Debug)]
struct Entry {
    path: Rc<[u8]>,
    /// The file when it was opened.
    state: Stat,
    file: Rc<OpenedFile>,
    /// Whether it was used since somebody last asked.
    is_used: bool,
    /// How many looks it outlasts even so.
    sweeps_left: u8,
}

impl FileCache {
    /// A cache that keeps at most so many files open.
    pub fn new(capacity: usize) -> FileCache {
        let cache = FileCache::default();
        cache.set_capacity(capacity);
        cache
    }

    /// How many files each of `loops` event loops may keep open, by the limit of the process.
    pub fn capacity_for(loops: usize) -> usize {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let share = usize::try_from(limit / DESCRIPTORS_PER_FILE).unwrap_or(usize::MAX);
        (share / loops.max(1)).min(FILES_MAX)
    }

    /// Keeps at most so many files open from now on. Closes all.
    pub fn set_capacity(&self, capacity: usize) {
        self.clear();
        self.files.borrow_mut().capacity = capacity;
    }

    /// The file that a path leads to, if it is open and as it was.
    pub(super) fn get(&self, path: &[u8], content_type: Option<&Text>) -> Option<Rc<OpenedFile>> {
        let mut files = self.files.borrow_mut();
        let at = *files.places.get(path)?;
        let entry = files.entries.get_mut(at)?;
        let is_current = stat(path).is_ok_and(|now| is_same(&now, &entry.state))
            && entry.file.content_type.as_ref() == content_type;
        if !is_current {
            files.remove(at);
            return None;
        }
        entry.is_used = true;
        Some(Rc::clone(&entry.file))
    }

    /// Keeps a file open that was just opened at a path, and was in that state then, `unix_secs`
    /// after 1970.
    pub(super) fn insert(&self, path: &[u8], state: &Stat, file: &Rc<OpenedFile>, unix_secs: i64) {
        let mut files = self.files.borrow_mut();
        if let Some(&at) = files.places.get(path) {
            files.remove(at);
        }
        let is_settled = state.st_ctime < unix_secs.saturating_sub(SETTLED_SECS);
        if files.capacity == 0 || !is_settled {
            return;
        }
        while files.entries.len() >= files.capacity {
            files.make_room();
        }
        let path: Rc<[u8]> = path.into();
        let at = files.entries.len();
        files.places.insert(Rc::clone(&path), at);
        let file = Rc::clone(file);
        let entry = Entry { path, state: *state, file, is_used: true, sweeps_left: SWEEPS_MAX };
        files.entries.push(entry);
    }

    /// Closes the files that are not used any more, or have been open for long. To be called now and
    /// then.
    pub fn tick(&self, now_ms: u64) {
        let mut files = self.files.borrow_mut();
        if now_ms < files.next_sweep_ms {
            return;
        }
        files.next_sweep_ms = now_ms.saturating_add(SWEEP_MS);
        let mut at = 0;
        while let Some(entry) = files.entries.get_mut(at) {
            match (std::mem::take(&mut entry.is_used), entry.sweeps_left.checked_sub(1)) {
                (true, Some(left)) => {
                    entry.sweeps_left = left;
                    at += 1;
                }
                (true | false, _) => files.remove(at),
            }
        }
    }

    /// Closes all files but those that are being sent, and says how many.
    pub fn clear(&self) -> usize {
        let mut files = self.files.borrow_mut();
        let count = files.entries.len();
        files.entries.clear();
        files.places.clear();
        files.hand = 0;
        count
    }

    /// How many files are kept open.
    pub fn len(&self) -> usize {
        self.files.borrow().entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Files {
    /// Removes one entry: the next that was not used since the hand was there last.
    fn make_room(&mut self) {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let Some(entry) = self.entries.get_mut(self.hand) else { return };
            if !std::mem::take(&mut entry.is_used) {
                self.remove(self.hand);
                return;
            }
            self.hand += 1;
        }
    }

    fn remove(&mut self, at: usize) {
        let removed = self.entries.swap_remove(at);
        self.places.remove(&removed.path);
        if let Some(moved) = self.entries.get(at) {
            self.places.insert(Rc::clone(&moved.path), at);
        }
    }
}

/// Whether these are one file in one state. A change of its rights or its links shows in `ctime`.
fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino, one.st_size) == (other.st_dev, other.st_ino, other.st_size)
        && (one.st_mtime, one.st_mtime_nsec) == (other.st_mtime, other.st_mtime_nsec)
        && (one.st_ctime, one.st_ctime_nsec) == (other.st_ctime, other.st_ctime_nsec)
}

#[cfg(test)]
mod tests;
