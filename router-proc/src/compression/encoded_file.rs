//! A whole file, encoded into another that has no name.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use conf::Compressor;
use sys::errno::Described;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::budget::{Budget, Lease};
use super::encoder::{Effort, EncodeError, Encoder, End, Window};
use super::pool::{NoThread, submit};
use crate::nameless;
use crate::shortage::is_shortage;

/// The longest file that is encoded: a longer one would keep a thread for too long.
pub const SOURCE_LEN_MAX: u64 = 32 * 1024 * 1024;

/// Files up to this length are not kept waiting by longer ones.
const SHORT_LEN_MAX: u64 = 1024 * 1024;

/// How many short files are encoded at once, and how many long ones: what they take of memory is
/// bounded by that.
static SHORT: Semaphore = Semaphore::const_new(8);
static LONG: Semaphore = Semaphore::const_new(2);

/// How long a file waits for its turn. Whoever would wait for longer has it sooner as it is.
const TURN_WAIT: Duration = Duration::from_millis(50);

/// What all encoded files may take of the file system, in bytes: those that are kept, those that are
/// being made, and those that are being sent, however slowly.
static ROOM: Budget = Budget::new(256 * 1024 * 1024);

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
    /// What it takes of [`ROOM`].
    _room: Lease,
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
        static NOTHING: Budget = Budget::new(0);
        EncodedFile { file: file.into(), len, _room: NOTHING.lease(0).unwrap() }
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
    /// All encoded files together take as much of the file system as they may.
    #[error("compressed files take all the room that they may have")]
    NoRoom,
    /// It was not its turn in time, or it was not finished in time.
    #[error("too many files are being compressed")]
    Busy,
}

impl EncodeFileError {
    /// Whether it comes of too few descriptors or too little memory.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Read(error) | Self::Create(_, error) | Self::Write(_, error) => {
                is_shortage(error)
            }
            Self::Shrank | Self::Encoder(_) | Self::NoThread(_) | Self::NoRoom | Self::Busy => {
                false
            }
        }
    }

    /// Whether the file can be had later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::NoRoom | Self::Busy) || self.is_shortage()
    }

    /// Whether it took time to find out, and would take as long again.
    pub(super) fn was_costly(&self) -> bool {
        match self {
            Self::Read(_) | Self::Write(..) => !self.is_shortage(),
            Self::Shrank | Self::Encoder(_) | Self::NoRoom => true,
            Self::Create(..) | Self::NoThread(_) | Self::Busy => false,
        }
    }
}

/// What became of a file.
pub(super) type Outcome = Result<Arc<EncodedFile>, Arc<EncodeFileError>>;

/// What became of it, and when.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) at: Instant,
}

/// A file that is being encoded, or was, as those see it who wait for it. The work is given up once
/// all of these are gone.
#[derive(Clone, Debug)]
pub(super) struct Encoding(watch::Receiver<Option<Ended>>);

impl Encoding {
    /// One that nobody has begun with yet.
    pub(super) fn new() -> (Promise, Encoding) {
        let (promise, encoding) = watch::channel(None);
        (Promise(promise), Encoding(encoding))
    }

    /// What became of it; nothing while it goes on.
    pub(super) fn ended(&self) -> Option<Ended> {
        // Asked first: it may end in between.
        let is_lost = self.0.has_changed().is_err();
        let ended = self.0.borrow().clone();
        let lost = || Ended { outcome: Err(Arc::new(NoThread.into())), at: Instant::now() };
        ended.or_else(|| is_lost.then(lost))
    }

    /// Waits for it, and no longer than `patience`.
    pub(super) async fn outcome(mut self, patience: Option<Duration>) -> Outcome {
        let is_over = async {
            let ended = self.0.wait_for(Option::is_some).await;
            ended.ok().and_then(|ended| ended.clone())
        };
        let ended = match patience {
            None => is_over.await,
            Some(patience) => match tokio::time::timeout(patience, is_over).await {
                Ok(ended) => ended,
                Err(_) => return Err(Arc::new(EncodeFileError::Busy)),
            },
        };
        ended.map_or_else(|| Err(Arc::new(NoThread.into())), |ended| ended.outcome)
    }
}

/// The other side of an [`Encoding`]. Without a thread it is lost, which those who wait see.
#[derive(Debug)]
pub(super) struct Promise(watch::Sender<Option<Ended>>);

impl Promise {
    pub(super) fn keep(self, outcome: Result<EncodedFile, EncodeFileError>) {
        let outcome = outcome.map(Arc::new).map_err(Arc::new);
        self.0.send_replace(Some(Ended { outcome, at: Instant::now() }));
    }
}

/// The right to encode a file.
#[derive(Debug)]
pub(super) enum Turn {
    /// On the spot, as it takes next to no time.
    Prompt,
    /// In pieces on the threads of [`super::pool`].
    InPieces(SemaphorePermit<'static>),
}

impl Turn {
    /// Waits for the right to encode a file of that length, but not for long. `None`: others take
    /// longer.
    pub(super) async fn take(len: u64, compressor: &Compressor) -> Option<Turn> {
        let prompt_len = Effort::of(compressor).len_per_ms;
        if usize::try_from(len).is_ok_and(|len| len <= prompt_len) {
            return Some(Turn::Prompt);
        }
        Turn::of(if len <= SHORT_LEN_MAX { &SHORT } else { &LONG }).await
    }

    async fn of(turns: &'static Semaphore) -> Option<Turn> {
        if let Ok(permit) = turns.try_acquire() {
            return Some(Turn::InPieces(permit));
        }
        let permit = tokio::time::timeout(TURN_WAIT, turns.acquire()).await;
        // It is never closed.
        permit.ok()?.ok().map(Turn::InPieces)
    }
}

/// Encodes the first `len` octets of a file into one in `dir`.
pub(super) fn encode_file(
    source: BorrowedFd<'_>,
    len: u64,
    compressor: &Compressor,
    dir: &Path,
    turn: Turn,
    promise: Promise,
) {
    let mut job = match Job::new(source, len, compressor, dir) {
        Ok(job) => job,
        Err(error) => return promise.keep(Err(error)),
    };
    match turn {
        Turn::Prompt => loop {
            match job.step() {
                Ok(false) => {}
                Ok(true) => return promise.keep(Ok(job.finish())),
                Err(error) => return promise.keep(Err(error)),
            }
        },
        Turn::InPieces(permit) => InPieces { job, promise, _permit: permit }.leave(),
    }
}

/// A file that is encoded on the threads.
#[derive(Debug)]
struct InPieces {
    job: Job,
    promise: Promise,
    _permit: SemaphorePermit<'static>,
}

impl InPieces {
    /// Leaves the next piece behind all that waits for a thread.
    fn leave(self) {
        // Without a thread the promise is lost, which those who wait see.
        let _ = submit(move || self.go_on());
    }

    fn go_on(mut self) {
        // Nobody waits for it, nor would it be kept.
        if self.promise.0.is_closed() {
            return;
        }
        match self.job.step() {
            Ok(false) => self.leave(),
            Ok(true) => self.promise.keep(Ok(self.job.finish())),
            Err(error) => self.promise.keep(Err(error)),
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
    room: Lease,
    dir: PathBuf,
}

impl Job {
    fn new(
        source: BorrowedFd<'_>,
        len: u64,
        compressor: &Compressor,
        dir: &Path,
    ) -> Result<Job, EncodeFileError> {
        let room = ROOM.lease(0).ok_or(EncodeFileError::NoRoom)?;
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
            room,
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
        if !self.room.grow(self.encoded.len()) {
            return Err(EncodeFileError::NoRoom);
        }
        self.target
            .write_all(&self.encoded)
            .map_err(|error| EncodeFileError::Write(self.dir.clone(), error))?;
        self.written += self.encoded.len() as u64;
        Ok(is_last)
    }

    fn finish(self) -> EncodedFile {
        EncodedFile { file: self.target.into(), len: self.written, _room: self.room }
    }
}

#[cfg(test)]
mod tests;
