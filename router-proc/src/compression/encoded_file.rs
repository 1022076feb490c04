//! A whole file, encoded into another that has no name.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use conf::Compressor;
use sys::errno::Described;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::encoder::{Effort, EncodeError, Encoder, End, Window};
use super::pool::{NoThread, on_pool};
use crate::nameless;

/// Files up to this length are not kept waiting by longer ones.
const SHORT_LEN_MAX: u64 = 1024 * 1024;

/// How many short files are encoded at once, and how many long ones: what they take of memory is
/// bounded by that.
static SHORT: Semaphore = Semaphore::const_new(8);
static LONG: Semaphore = Semaphore::const_new(2);

/// How many milliseconds a piece should take that is encoded beside the loops: others have their
/// turn then.
const PIECE_MS: usize = 10;

/// What is read of a file at once.
const PIECE_LEN_MIN: usize = 16 * 1024;
const PIECE_LEN_MAX: usize = 512 * 1024;

/// A file, encoded.
#[derive(Debug)]
pub struct EncodedFile {
    file: OwnedFd,
    len: u64,
}

impl EncodedFile {
    /// The encoded octets.
    pub fn octets(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// How many there are.
    pub fn encoded_len(&self) -> u64 {
        self.len
    }

    /// A file that says that it is so long.
    #[cfg(test)]
    pub(super) fn pretend(file: File, len: u64) -> EncodedFile {
        EncodedFile { file: file.into(), len }
    }
}

/// Why a file was not encoded.
#[derive(Debug, Error)]
pub enum EncodeFileError {
    /// It could not be read.
    #[error("read() failed {}", Described(.0))]
    Read(io::Error),
    /// It ended too early.
    #[error("the file shrank while it was read")]
    Shrank,
    /// There is no file to encode into.
    #[error("mkstemp({}/unit-compr-XXXXXX) failed {}", .0.display(), Described(.1))]
    Create(PathBuf, io::Error),
    /// What was encoded could not be written.
    #[error("write({}/unit-compr-XXXXXX) failed {}", .0.display(), Described(.1))]
    Write(PathBuf, io::Error),
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] EncodeError),
    /// There was nobody to do it.
    #[error(transparent)]
    NoThread(#[from] NoThread),
}

/// Encodes the first `len` octets of a file into one in `dir`.
///
/// Long ones are encoded in pieces on the threads of [`super::pool`], so that the loop goes on.
///
/// # Errors
/// When the file cannot be read to that length, or there is no room.
pub(super) async fn encode_file(
    source: BorrowedFd<'_>,
    len: u64,
    compressor: &Compressor,
    dir: &Path,
) -> Result<EncodedFile, EncodeFileError> {
    let prompt_len = Effort::of(compressor).len_per_ms;
    if usize::try_from(len).is_ok_and(|len| len <= prompt_len) {
        let mut job = Job::new(source, len, compressor, dir)?;
        while !job.step()? {}
        return Ok(job.finish());
    }
    let turns = if len <= SHORT_LEN_MAX { &SHORT } else { &LONG };
    // It is never closed.
    let _turn = turns.acquire().await;
    let mut job = Job::new(source, len, compressor, dir)?;
    loop {
        let (back, result) = on_pool(move || {
            let result = job.step();
            (job, result)
        })
        .await?;
        job = back;
        if result? {
            return Ok(job.finish());
        }
    }
}

/// A file that is being encoded.
#[derive(Debug)]
struct Job {
    source: OwnedFd,
    offset: u64,
    len: u64,
    encoder: Encoder,
    piece: Vec<u8>,
    encoded: Vec<u8>,
    target: File,
    written: u64,
    dir: PathBuf,
}

impl Job {
    fn new(
        source: BorrowedFd<'_>,
        len: u64,
        compressor: &Compressor,
        dir: &Path,
    ) -> Result<Job, EncodeFileError> {
        let source = source.try_clone_to_owned().map_err(EncodeFileError::Read)?;
        let target = nameless::create(dir)
            .map_err(|error| EncodeFileError::Create(dir.to_owned(), error))?;
        let encoder = Encoder::new(compressor, len, Window::File)?;
        let piece_len =
            (Effort::of(compressor).len_per_ms * PIECE_MS).clamp(PIECE_LEN_MIN, PIECE_LEN_MAX);
        let piece_len = usize::try_from(len).map_or(piece_len, |len| len.min(piece_len));
        Ok(Job {
            source,
            offset: 0,
            len,
            encoder,
            piece: vec![0; piece_len],
            encoded: Vec::new(),
            target,
            written: 0,
            dir: dir.to_owned(),
        })
    }

    /// Encodes a piece. `true`: it was the last.
    fn step(&mut self) -> Result<bool, EncodeFileError> {
        let left = usize::try_from(self.len - self.offset).unwrap_or(usize::MAX);
        let wanted = self.piece.len().min(left);
        let room = self.piece.get_mut(..wanted).unwrap_or_default();
        let read = match rustix::io::pread(&self.source, &mut *room, self.offset) {
            Ok(0) if wanted > 0 => return Err(EncodeFileError::Shrank),
            Ok(read) => read,
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(EncodeFileError::Read(error.into())),
        };
        self.offset += read as u64;
        let is_last = self.offset == self.len;
        let end = if is_last { End::Finish } else { End::More };
        self.encoded.clear();
        let piece = self.piece.get(..read).unwrap_or_default();
        self.encoder.encode(piece, end, &mut self.encoded)?;
        self.target
            .write_all(&self.encoded)
            .map_err(|error| EncodeFileError::Write(self.dir.clone(), error))?;
        self.written += self.encoded.len() as u64;
        Ok(is_last)
    }

    fn finish(self) -> EncodedFile {
        EncodedFile { file: self.target.into(), len: self.written }
    }
}

#[cfg(test)]
mod tests;
