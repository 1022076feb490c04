//! The entries of one event loop that are not in the file yet.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use super::{AccessLog, LogFile};
use crate::routing::{RequestContext, ResponseFacts};

/// Entries of this many bytes are written without waiting for the loop to pause.
const FLUSH_LEN: usize = 32 * 1024;

/// The most bytes of entries that are kept for a file that takes none.
const KEPT_LEN_MAX: usize = 256 * 1024;

/// Collects entries, so that those of one turn of the loop take one system call.
#[derive(Debug, Default)]
pub struct EntryBuffer(RefCell<Room>);

#[derive(Debug, Default)]
struct Room {
    /// Where the entries go; nowhere when there are none.
    file: Option<Arc<LogFile>>,
    entries: Vec<u8>,
    /// Room to escape a value in.
    scratch: Vec<u8>,
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
        if !room.file.as_ref().is_some_and(|file| Arc::ptr_eq(file, &log.file)) {
            // A request that began before the configuration changed.
            room.let_go();
            room.file = Some(Arc::clone(&log.file));
        }
        let start = room.entries.len();
        log.format.push_entry(ctx, facts, &mut room.scratch, &mut room.entries);
        if room.entries.len() < FLUSH_LEN {
            return;
        }
        let entry_len = room.entries.len() - start;
        room.flush();
        if room.entries.len() > KEPT_LEN_MAX {
            // The newest one goes: it is there as a whole, or not at all any more.
            room.entries.truncate(room.entries.len().saturating_sub(entry_len));
            if let Some(file) = &room.file {
                file.lose(1, Instant::now());
            }
        }
    }

    /// Writes what there is, as far as the file takes it.
    pub fn flush(&self) {
        self.0.borrow_mut().flush();
    }

    /// Whether everything is in the file, or lost.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().entries.is_empty()
    }

    /// Writes what there is for the last time: what the file does not take now is lost.
    pub fn finish(&self) {
        self.0.borrow_mut().let_go();
    }
}

impl Room {
    fn flush(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        if let Some(file) = &self.file {
            file.write(&mut self.entries, Instant::now());
        }
        if self.entries.is_empty() {
            // A file that no configuration names any more is closed.
            self.file = None;
            if self.entries.capacity() > 2 * FLUSH_LEN {
                self.entries = Vec::new();
            }
        }
    }

    fn let_go(&mut self) {
        self.flush();
        if let Some(file) = self.file.take() {
            let lost = memchr::memchr_iter(b'\n', &self.entries).count();
            file.lose(lost as u64, Instant::now());
            self.entries.clear();
        }
    }
}
