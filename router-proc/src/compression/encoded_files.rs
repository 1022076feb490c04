//! Files that were encoded lately, so that the next requests for them need not wait.
//!
//! Whoever asks first has a file encoded; the others wait for that. What is kept is told apart by
//! what tells one version of a file from another: device, inode, times and length. Of the times
//! `ctime` alone cannot be set by whoever may write to the file.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use conf::{Compressor, ContentEncoding};
use rustix::fs::{Stat, fstat};
use tokio::sync::OnceCell;

use super::encoded_file::{EncodeFileError, EncodedFile, encode_file};

/// How many are kept: each is a descriptor.
const KEPT_MAX: usize = 64;

/// What they may take of the file system, in bytes, together and each.
const KEPT_LEN_MAX: u64 = 64 * 1024 * 1024;
const KEPT_LEN_EACH_MAX: u64 = 16 * 1024 * 1024;

/// A file younger than this may change once more without its time showing it: clocks of file
/// systems are coarse. In seconds.
const SETTLED_AFTER: i64 = 2;

/// The encoded files of one configuration.
#[derive(Debug, Default)]
pub(super) struct EncodedFiles {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    slots: HashMap<Version, Slot>,
    /// Counts the uses.
    uses: u64,
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
}

type Cell = Arc<OnceCell<Arc<EncodedFile>>>;

#[derive(Debug)]
struct Slot {
    cell: Cell,
    last_use: u64,
}

impl EncodedFiles {
    /// The file, encoded: by an earlier request, or now.
    pub(super) async fn get(
        &self,
        source: BorrowedFd<'_>,
        compressor: &Compressor,
        dir: &Path,
    ) -> Result<Arc<EncodedFile>, EncodeFileError> {
        let stat = fstat(source).map_err(|error| EncodeFileError::Read(error.into()))?;
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        let encode = || async { encode_file(source, len, compressor, dir).await.map(Arc::new) };
        if !is_settled(&stat) {
            return encode().await;
        }
        let version = Version::of(&stat, len, compressor.encoding);
        let cell = self.kept().cell(version);
        let result = cell.get_or_try_init(encode).await.cloned();
        self.kept().tidy(version);
        result
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Version {
    fn of(stat: &Stat, len: u64, encoding: ContentEncoding) -> Version {
        Version {
            device: stat.st_dev,
            inode: stat.st_ino,
            mtime: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            ctime: (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
            len,
            encoding: encoding.name(),
        }
    }
}

impl Kept {
    /// The place of a version, made if there is none.
    fn cell(&mut self, version: Version) -> Cell {
        self.uses += 1;
        let slot = self
            .slots
            .entry(version)
            .or_insert_with(|| Slot { cell: Cell::default(), last_use: 0 });
        slot.last_use = self.uses;
        Arc::clone(&slot.cell)
    }

    /// Lets go of what is too much, of `version` too if nothing came of it. Who is sending one of
    /// them holds it himself.
    fn tidy(&mut self, version: Version) {
        let has_failed = |slot: &Slot| slot.cell.get().is_none();
        let is_long = |slot: &Slot| slot.len() > KEPT_LEN_EACH_MAX;
        if self.slots.get(&version).is_some_and(|slot| has_failed(slot) || is_long(slot)) {
            self.slots.remove(&version);
        }
        loop {
            let done = || self.slots.iter().filter(|(_, slot)| slot.cell.get().is_some());
            let len: u64 = done().map(|(_, slot)| slot.len()).sum();
            // What is under way cannot go, so it is nothing to make room for.
            if done().count() <= KEPT_MAX && len <= KEPT_LEN_MAX {
                return;
            }
            let Some((&oldest, _)) = done().min_by_key(|(_, slot)| slot.last_use) else { return };
            self.slots.remove(&oldest);
        }
    }
}

impl Slot {
    fn len(&self) -> u64 {
        self.cell.get().map_or(0, |file| file.encoded_len())
    }
}

fn is_settled(stat: &Stat) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    // Every change shows in it; `mtime` may be set to anything, the future as well.
    now.saturating_sub(stat.st_ctime) >= SETTLED_AFTER
}

#[cfg(test)]
mod tests;
