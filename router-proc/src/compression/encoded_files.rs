//! Files that were encoded lately, so that the next requests for them need not wait.
//!
//! Whoever asks first has a file encoded; the others wait for that, and whether it goes on does not
//! depend on any of them. What is kept is told apart by what tells one version of a file from
//! another: device, inode, times and length. Of the times `ctime` alone cannot be set by whoever may
//! write to the file.
//!
//! The process has one such table: a configuration that an old request still holds on to keeps
//! nothing of the room to itself.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use conf::Compressor;
use rustix::fs::{Stat, fstat};
use rustix::process::{Resource, getrlimit};

use super::encoded_file::{EncodeFileError, EncodedFile, Encoding, Outcome, Turn, encode_file};

/// How many are kept: each is a descriptor. No more than one in so many that the process may have.
const KEPT_MAX: usize = 512;
const DESCRIPTORS_PER_FILE: u64 = 16;

/// What they may take of the file system together, in bytes. One of the longest files has room.
const KEPT_LEN_MAX: u64 = 128 * 1024 * 1024;

/// How long one is kept that nobody asks for.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// How long a file is not tried again that could not be encoded.
const FAILED_FOR: Duration = Duration::from_secs(5);

/// How long a client waits that takes the file as it is too. The work goes on for the next ones.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often is looked for what nobody asks for any more, in milliseconds.
const SWEEP_MS: u64 = 10_000;

/// A file younger than this may change once more without its time showing it: clocks of file
/// systems are coarse. In seconds.
const SETTLED_AFTER: i64 = 2;

/// Encoded files.
#[derive(Debug, Default)]
pub(super) struct EncodedFiles {
    kept: Mutex<Kept>,
    next_sweep_ms: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    slots: HashMap<Version, Slot>,
    slots_max: usize,
}

/// One version of a file in one encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Version {
    device: u64,
    inode: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
    len: u64,
    encoding: &'static str,
    level: i32,
}

#[derive(Debug)]
struct Slot {
    encoding: Encoding,
    last_use: Instant,
}

impl EncodedFiles {
    /// The file, encoded: by an earlier request, or now. Who takes it as it is too, `or_identity`,
    /// is not kept waiting for long.
    pub(super) async fn get(
        &self,
        source: BorrowedFd<'_>,
        compressor: &Compressor,
        dir: &Path,
        or_identity: bool,
    ) -> Outcome {
        let stat = fstat(source).map_err(|error| Arc::new(EncodeFileError::Read(error.into())))?;
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        let patience = or_identity.then_some(PATIENCE);
        let busy = || Arc::new(EncodeFileError::Busy);
        if !is_settled(&stat) {
            let turn = Turn::take(len, compressor).await.ok_or_else(busy)?;
            let (promise, encoding) = Encoding::new();
            encode_file(source, len, compressor, dir, turn, promise);
            return encoding.outcome(patience).await;
        }
        let version = Version::of(&stat, len, compressor);
        let known = self.kept().find(version);
        let encoding = match known {
            Some(encoding) => encoding,
            None => {
                let turn = Turn::take(len, compressor).await;
                let (promise, encoding) = Encoding::new();
                let mut kept = self.kept();
                // Somebody else may have begun meanwhile.
                match kept.find(version) {
                    Some(encoding) => encoding,
                    None => {
                        let turn = turn.ok_or_else(busy)?;
                        kept.insert(version, encoding.clone());
                        drop(kept);
                        encode_file(source, len, compressor, dir, turn, promise);
                        encoding
                    }
                }
            }
        };
        if let Some(ended) = encoding.ended() {
            return ended.outcome;
        }
        let outcome = encoding.outcome(patience).await;
        self.kept().tidy(Instant::now());
        outcome
    }

    /// Lets go of what nobody asks for any more. To be called now and then.
    pub(super) fn tick(&self, now_ms: u64) {
        let due = self.next_sweep_ms.load(Ordering::Relaxed);
        let next = now_ms.saturating_add(SWEEP_MS);
        let order = Ordering::Relaxed;
        // One of several loops does it.
        if now_ms >= due && self.next_sweep_ms.compare_exchange(due, next, order, order).is_ok() {
            self.kept().tidy(Instant::now());
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Version {
    fn of(stat: &Stat, len: u64, compressor: &Compressor) -> Version {
        Version {
            device: stat.st_dev,
            inode: stat.st_ino,
            mtime: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            ctime: (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
            len,
            encoding: compressor.encoding.name(),
            level: compressor.level,
        }
    }
}

impl Default for Kept {
    fn default() -> Kept {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let share = usize::try_from(limit / DESCRIPTORS_PER_FILE).unwrap_or(usize::MAX);
        Kept { slots: HashMap::new(), slots_max: share.clamp(1, KEPT_MAX) }
    }
}

impl Kept {
    /// What was made of a version, or is being made.
    fn find(&mut self, version: Version) -> Option<Encoding> {
        let now = Instant::now();
        let slot = self.slots.get_mut(&version)?;
        if !slot.is_worth_keeping(now) {
            self.slots.remove(&version);
            return None;
        }
        slot.last_use = now;
        Some(slot.encoding.clone())
    }

    /// Keeps what is being made of a version.
    fn insert(&mut self, version: Version, encoding: Encoding) {
        let now = Instant::now();
        self.tidy(now);
        self.slots.insert(version, Slot { encoding, last_use: now });
    }

    /// Lets go of what is too old or too much. Who is sending one of them holds it himself.
    fn tidy(&mut self, now: Instant) {
        self.slots.retain(|_, slot| slot.is_worth_keeping(now));
        let done = self.slots.iter().filter_map(|(version, slot)| {
            // What is under way cannot go, so it is nothing to make room for.
            slot.encoding.ended().map(|ended| (slot.last_use, *version, len_of(&ended.outcome)))
        });
        let mut done: Vec<_> = done.collect();
        let mut len: u64 = done.iter().map(|(_, _, len)| len).sum();
        let mut count = done.len();
        done.sort_by_key(|&(last_use, _, _)| last_use);
        for (_, oldest, oldest_len) in done {
            if count <= self.slots_max && len <= KEPT_LEN_MAX {
                return;
            }
            self.slots.remove(&oldest);
            count -= 1;
            len -= oldest_len;
        }
    }
}

impl Slot {
    fn is_worth_keeping(&self, now: Instant) -> bool {
        let is_wanted = now.saturating_duration_since(self.last_use) < KEPT_FOR;
        match self.encoding.ended() {
            None => true,
            Some(ended) => match &ended.outcome {
                Ok(_) => is_wanted,
                Err(error) => {
                    error.was_costly() && now.saturating_duration_since(ended.at) < FAILED_FOR
                }
            },
        }
    }
}

fn len_of(outcome: &Outcome) -> u64 {
    outcome.as_deref().map_or(0, EncodedFile::encoded_len)
}

fn is_settled(stat: &Stat) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    // Every change shows in it; `mtime` may be set to anything, the future as well.
    now.saturating_sub(stat.st_ctime) >= SETTLED_AFTER
}

#[cfg(test)]
mod tests;
