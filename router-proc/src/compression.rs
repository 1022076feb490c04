//! Compression of responses: whether a response is encoded, in what, and how.
//!
//! Nothing here is shared between responses but settings, files that were encoded whole, and what
//! all may take together of threads, memory and the file system.

mod body_encoding;
mod budget;
mod encoded_file;
mod encoded_files;
mod encoder;
mod negotiation;
mod pool;

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use conf::{Compressor, ContentEncoding, MatchError, PatternSet};

pub use body_encoding::{BodyEncoding, BodyEncodingError};
pub use encoded_file::{EncodeFileError, EncodedFile, SOURCE_LEN_MAX};
use encoded_files::EncodedFiles;
pub use encoder::{Effort, EncodeError, Encoder, End, Window};
pub use negotiation::{Negotiated, negotiate};
pub use pool::NoThread;

/// The encoded files of the process.
static FILES: LazyLock<EncodedFiles> = LazyLock::new(EncodedFiles::default);

/// `settings.http.compression` in the form responses need it.
#[derive(Debug)]
pub struct Compression {
    types: PatternSet,
    compressors: Vec<Compressor>,
    /// The encodings of the compressors, in their order.
    offered: Vec<ContentEncoding>,
    tmp_dir: PathBuf,
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'c> {
    /// It is sent as it is.
    Identity,
    /// It is encoded.
    Encode {
        /// How.
        compressor: &'c Compressor,
        /// Whether the client also takes it as it is.
        or_identity: bool,
    },
    /// The client takes it neither as it is nor in an encoding on offer: the answer is 406.
    NotAcceptable,
}

/// What a response must tell of itself to be encoded.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// How long it is.
    pub len: u64,
    /// Its MIME type, as its field has it.
    pub content_type: &'a [u8],
}

impl Compression {
    /// Takes over the settings. `None`: they offer nothing. `tmp_dir` is where encoded files go.
    pub fn new(conf: &conf::Compression, tmp_dir: &Path) -> Option<Compression> {
        if conf.compressors.is_empty() {
            return None;
        }
        Some(Compression {
            types: conf.types.clone(),
            compressors: conf.compressors.clone(),
            offered: conf.compressors.iter().map(|compressor| compressor.encoding).collect(),
            tmp_dir: tmp_dir.to_owned(),
        })
    }

    /// As [`Self::choose`]; a response whose type cannot be told in time is sent as it is, and the
    /// log of the connection `conn` says so.
    pub(crate) fn choose_or_identity(
        &self,
        accept_encoding: Option<&[u8]>,
        subject: Subject<'_>,
        conn: u64,
    ) -> Choice<'_> {
        self.choose(accept_encoding, subject).unwrap_or_else(|error| {
            unit_log::error!(conn = conn, "\"types\" of \"compression\": {error}");
            Choice::Identity
        })
    }

    /// A file, encoded. Only those that were changed lately are encoded for each request. For a
    /// client that takes it as it is too, `or_identity`, that is given up where it takes long.
    ///
    /// # Errors
    /// When the file cannot be read, or there is no room for what it becomes, or too much to do.
    pub async fn encoded_file(
        &self,
        source: BorrowedFd<'_>,
        compressor: &Compressor,
        or_identity: bool,
    ) -> Result<Arc<EncodedFile>, Arc<EncodeFileError>> {
        FILES.get(source, compressor, &self.tmp_dir, or_identity).await
    }

    /// What the log is told about levels that the encodings do not have.
    pub fn notices(&self) -> impl Iterator<Item = String> {
        self.compressors.iter().filter_map(Compressor::notice)
    }

    /// Decides about a response by the `Accept-Encoding` of its request.
    ///
    /// # Errors
    /// When a pattern for types takes too long.
    pub fn choose(
        &self,
        accept_encoding: Option<&[u8]>,
        subject: Subject<'_>,
    ) -> Result<Choice<'_>, MatchError> {
        if subject.len == 0 || !self.types.matches(subject.content_type)? {
            return Ok(Choice::Identity);
        }
        let (encoding, or_identity) = match negotiate(accept_encoding, &self.offered) {
            Negotiated::Identity => return Ok(Choice::Identity),
            Negotiated::NotAcceptable => return Ok(Choice::NotAcceptable),
            Negotiated::Encoded { encoding, or_identity } => (encoding, or_identity),
        };
        let mut compressors = self.compressors.iter();
        let compressor = compressors.find(|compressor| compressor.encoding == encoding);
        Ok(match compressor {
            Some(compressor) if compressor.min_length.is_none_or(|min| subject.len >= min) => {
                Choice::Encode { compressor, or_identity }
            }
            Some(_) | None => Choice::Identity,
        })
    }
}

/// Lets go of encoded files that nobody asks for any more. To be called now and then.
pub fn tick(now_ms: u64) {
    FILES.tick(now_ms);
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
