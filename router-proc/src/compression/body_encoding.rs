//! A body that is encoded as an application produces it.

use conf::Compressor;
use thiserror::Error;

use super::budget::{Budget, Lease};
use super::encoder::{Effort, EncodeError, Encoder, End, Window};
use super::pool::{NoThread, on_pool};

/// What the encoders of all streams may hold together. A slow client keeps its encoder for as long
/// as it likes, and there are many clients.
static MEMORY: Budget = Budget::new(512 * 1024 * 1024);

/// The encoding of one body.
#[derive(Debug)]
pub struct BodyEncoding {
    name: &'static str,
    /// None once the body is over, or its encoder was lost.
    encoder: Option<Encoder>,
    /// How much is encoded on the spot.
    prompt_len: usize,
    /// Octets of the body to come.
    left: u64,
    /// What the encoder may hold, for as long as there is one.
    lease: Option<Lease>,
}

/// Why there is no more of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BodyEncodingError {
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] EncodeError),
    /// There was nobody to do it.
    #[error(transparent)]
    NoThread(#[from] NoThread),
}

impl BodyEncoding {
    /// Begins to encode a body of `len` octets, more than none. `None`: too many are under way.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn begin(compressor: &Compressor, len: u64) -> Result<Option<BodyEncoding>, EncodeError> {
        let effort = Effort::of(compressor);
        let lease = MEMORY.lease(effort.stream_memory(len));
        if lease.is_none() {
            return Ok(None);
        }
        Ok(Some(BodyEncoding {
            name: compressor.encoding.name(),
            encoder: Some(Encoder::new(compressor, len, Window::Stream)?),
            prompt_len: effort.len_per_ms,
            left: len,
            lease,
        }))
    }

    /// What the encoding is called.
    pub fn name(&self) -> &'static [u8] {
        self.name.as_bytes()
    }

    /// Whether the body has come to its end, and its encoding too.
    pub fn is_whole(&self) -> bool {
        self.left == 0
    }

    /// Encodes the next piece of the body, without what is beyond its length, and appends to `out`
    /// all that there is to send for it; what ends the encoding too if this was the last.
    ///
    /// # Errors
    /// When the encoding cannot go on: the body must be cut off.
    pub async fn push(
        &mut self,
        piece: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), BodyEncodingError> {
        piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        if piece.is_empty() {
            return Ok(());
        }
        let Some(mut encoder) = self.encoder.take() else { return Ok(()) };
        self.left -= piece.len() as u64;
        let end = if self.left == 0 { End::Finish } else { End::Flush };
        if piece.len() <= self.prompt_len {
            encoder.encode(piece, end, out)?;
        } else {
            let (input, mut encoded) = (std::mem::take(piece), std::mem::take(out));
            let result;
            (encoder, *piece, *out, result) = on_pool(move || {
                let result = encoder.encode(&input, end, &mut encoded);
                (encoder, input, encoded, result)
            })
            .await?;
            result?;
        }
        match end {
            End::Finish => self.lease = None,
            End::More | End::Flush => self.encoder = Some(encoder),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
