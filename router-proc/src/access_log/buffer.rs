//! The entries of one event loop that are not in their files yet.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{AccessLog, LogFile};
use crate::routing::{RequestContext, ResponseFacts};

/// Entries of this many bytes are written without waiting for the loop to pause.
const FLUSH_LEN: usize = 32 * 1024;

/// The most bytes of entries that are kept for a file that takes none.
const KEPT_LEN_MAX: usize = 256 * 1024;

/// The most files for which entries are kept.
const FILES_MAX: usize = 4;

/// How long entries are kept for a file that takes none and that no configuration names any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Collects entries, so that those of one turn of the loop take one system call.
#[derive(Debug, Default)]
pub struct EntryBuffer(RefCell<Room>);

#[derive(Debug, Default)]
struct Room {
    /// Each file that has entries here, the one that has had them for longest first. Mostly it is
    /// one; a request that began before the configuration changed has another.
    waiting: Vec<Waiting>,
    /// Room for the entries of the next file.
    spare: Vec<u8>,
    /// Room to escape a value in.
    scratch: Vec<u8>,
}

/// The entries that are not in their file yet.
#[derive(Debug)]
struct Waiting {
    file: Arc<LogFile>,
    entries: Vec<u8>,
    /// Since when it has taken nothing, if it was tried.
    stuck_since: Option<Instant>,
}

impl EntryBuffer {
    /// Adds the entry of a request, if its log wants it.
    pub(crate) fn add(
        &self,
        log: &AccessLog,
        ctx: &mut RequestContext<'_>,
        facts: &ResponseFacts<'_>,
    ) {
        if !log.wants(ctx, facts) {
            return;
        }
        let room = &mut *self.0.borrow_mut();
        let Room { waiting, spare, scratch } = room;
        let at = match waiting.iter().position(|known| Arc::ptr_eq(&known.file, &log.file)) {
            Some(at) => at,
            None => {
                let entries = std::mem::take(spare);
                let file = Arc::clone(&log.file);
                waiting.push(Waiting { file, entries, stuck_since: None });
                waiting.len() - 1
            }
        };
        let Some(of_file) = waiting.get_mut(at) else { return };
        let start = of_file.entries.len();
        log.format.push_entry(ctx, facts, scratch, &mut of_file.entries);
        let is_much = of_file.entries.len() >= FLUSH_LEN;
        if is_much {
            let entry_len = of_file.entries.len() - start;
            let now = Instant::now();
            of_file.write(now);
            if of_file.entries.len() > KEPT_LEN_MAX {
                // The newest one goes: it is there as a whole, or not at all any more.
                let kept = of_file.entries.len().saturating_sub(entry_len);
                of_file.entries.truncate(kept);
                of_file.file.lose(1, now);
            }
        }
        if waiting.len() > FILES_MAX {
            room.flush(Instant::now());
        } else if is_much {
            room.tidy(Instant::now());
        }
    }

    /// Writes what there is, as far as the files take it.
    pub fn flush(&self) {
        let room = &mut *self.0.borrow_mut();
        if !room.waiting.is_empty() {
            room.flush(Instant::now());
        }
    }

    /// Whether everything is in its file, or lost.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().waiting.is_empty()
    }

    /// Writes as at a later time.
    #[cfg(test)]
    pub(super) fn flush_at(&self, now: Instant) {
        self.0.borrow_mut().flush(now);
    }

    /// Writes what there is for the last time: what the files do not take now is lost.
    pub fn finish(&self) {
        let now = Instant::now();
        for mut of_file in std::mem::take(&mut self.0.borrow_mut().waiting) {
            of_file.write(now);
            of_file.lose(now);
        }
    }
}

impl Room {
    fn flush(&mut self, now: Instant) {
        for of_file in &mut self.waiting {
            of_file.write(now);
        }
        self.tidy(now);
    }

    /// Lets go of files that have everything, which closes those that no configuration names any
    /// more; and of what there is no use in keeping.
    fn tidy(&mut self, now: Instant) {
        self.waiting.retain_mut(|of_file| {
            if of_file.is_hopeless(now) {
                of_file.lose(now);
            }
            let stays = !of_file.entries.is_empty();
            if !stays && of_file.entries.capacity() <= 2 * FLUSH_LEN {
                self.spare = std::mem::take(&mut of_file.entries);
            }
            stays
        });
        while self.waiting.len() > FILES_MAX {
            let left = self.waiting.iter().position(|of_file| !of_file.file.is_in_use());
            self.waiting.remove(left.unwrap_or_default()).lose(now);
        }
    }
}

impl Waiting {
    /// Writes what the file takes.
    fn write(&mut self, now: Instant) {
        let before = self.entries.len();
        self.file.write(&mut self.entries, now);
        if self.entries.len() < before {
            self.stuck_since = None;
        } else {
            self.stuck_since.get_or_insert(now);
        }
    }

    /// Whether nobody is known who would make it take anything.
    fn is_hopeless(&self, now: Instant) -> bool {
        !self.file.is_in_use()
            && self
                .stuck_since
                .is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE)
    }

    /// Gives up what is left.
    fn lose(&mut self, now: Instant) {
        let count = memchr::memchr_iter(b'\n', &self.entries).count();
        self.file.lose(count as u64, now);
        self.entries.clear();
    }
}
