//! Encoders: one for each response, made for it and gone with it.
//!
//! What an encoder remembers is what it has read. It belongs to the response, never to a thread or
//! a configuration, so that nothing of one answer can come out in another.
//!
//! # Memory
//!
//! The window is no larger than the body and the [`Window`] chosen; all else follows from it and
//! from the level. The most that an encoder holds, in MiB, behind a long body:
//!
//! | encoding | level | stream | file |
//! |---|---|---|---|
//! | `gzip`, `deflate` | any | 0.4 | 0.4 |
//! | `zstd` | up to 4 | 2 | 3 |
//! | `zstd` | 5 to 9 | 4 | 12 |
//! | `zstd` | 10 to 22 | 6 | 19 |
//! | `br` | 0 to 3 | 1.5 | 3 |
//! | `br` | 4, 5, 6 | 3 to 4 | 16 |
//! | `br` | 7, 8, 9 | 10, 18, 35 | 23, 31, 46 |
//! | `br` | 10, 11 | 8 | 21 |

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use conf::{Compressor, ContentEncoding};
use flate2::{Compress, FlushCompress, Status};
use thiserror::Error;
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

/// How much room encoded octets are given at a time.
const OUT_STEP: usize = 16 * 1024;

/// zlib never looks back over all of its window.
const ZLIB_WINDOW_REST: u64 = 262;

/// What a brotli window cannot reach back over either.
const BROTLI_WINDOW_REST: u64 = 16;

/// Brotli's way of searching at levels 5 to 8 takes far more memory with smaller windows.
const BROTLI_SEARCH_WINDOW_MIN: u32 = 17;

/// Brotli takes larger tables for bodies beyond this.
const BROTLI_SIZE_HINT_MAX: u64 = (1 << 20) - 1;

/// The logarithm of what brotli encodes at once, which is the least: much of its memory goes by it,
/// and what larger blocks save is not worth a hundredth.
const BROTLI_BLOCK: u32 = 16;

/// What the window is measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// A response that takes as long as its client and its application like: many are under way at
    /// once.
    Stream,
    /// A file that is encoded as fast as may be, few at a time.
    File,
}

impl Window {
    /// The binary logarithm of its size. Browsers must take a `zstd` window of 2^23 (RFC 9659) and
    /// a `br` window of 2^24; what is gained beyond these is little.
    fn log_max(self) -> u32 {
        match self {
            Window::Stream => 18,
            Window::File => 20,
        }
    }
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More comes at once.
    More,
    /// All that was put in is to come out, though more will come.
    Flush,
    /// This was all.
    Finish,
}

/// The encoder failed: for want of memory, or because the body is not as long as was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// zlib.
    #[error("zlib: invalid state")]
    Zlib,
    /// Zstandard, with what it says.
    #[error("zstd: {0}")]
    Zstd(&'static str),
    /// Brotli.
    #[error("brotli: invalid state")]
    Brotli,
}

impl EncodeError {
    fn zstd(code: zstd_safe::ErrorCode) -> EncodeError {
        EncodeError::Zstd(zstd_safe::get_error_name(code))
    }
}

/// The encoding of one response.
pub struct Encoder {
    state: State,
}

enum State {
    Identity,
    Zlib(Compress),
    Zstd(CCtx<'static>),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder for a body of `len` octets.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(compressor: &Compressor, len: u64, window: Window) -> Result<Encoder, EncodeError> {
        let level = compressor.level;
        let log_max = window.log_max();
        let state = match compressor.encoding {
            ContentEncoding::Identity => State::Identity,
            ContentEncoding::Deflate => {
                State::Zlib(Compress::new_with_window_bits(zlib_level(level), true, zlib_bits(len)))
            }
            ContentEncoding::Gzip => {
                State::Zlib(Compress::new_gzip(zlib_level(level), zlib_bits(len)))
            }
            ContentEncoding::Zstd => State::Zstd(zstd(level, len, log_max)?),
            ContentEncoding::Brotli => State::Brotli(Box::new(brotli(level, len, window))),
        };
        Ok(Encoder { state })
    }

    /// Encodes `input` and appends what comes out.
    ///
    /// # Errors
    /// When the body is not as long as was said, or the library fails.
    pub fn encode(&mut self, input: &[u8], end: End, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match &mut self.state {
            State::Identity => {
                out.extend_from_slice(input);
                Ok(())
            }
            State::Zlib(state) => encode_zlib(state, input, end, out),
            State::Zstd(state) => encode_zstd(state, input, end, out),
            State::Brotli(state) => encode_brotli(state, input, end, out),
        }
    }
}

/// What encoding takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Octets that take about a millisecond, on text and on a machine of no great speed: so many may
    /// be encoded where others wait. None if it is the setting up that takes long.
    pub len_per_ms: usize,
    /// Bytes of memory for however short a body.
    memory: usize,
    /// Bytes of memory for each octet of the window.
    memory_per_octet: usize,
}

impl Effort {
    /// What a compressor takes.
    pub fn of(compressor: &Compressor) -> Effort {
        const KB: usize = 1024;
        const MB: usize = 1024 * KB;
        let (len_per_ms, memory, memory_per_octet) = match (compressor.encoding, compressor.level) {
            (ContentEncoding::Identity, _) => (MB, 0, 0),
            (ContentEncoding::Deflate | ContentEncoding::Gzip, 0..=3) => (64 * KB, 400 * KB, 0),
            (ContentEncoding::Deflate | ContentEncoding::Gzip, _) => (24 * KB, 400 * KB, 0),
            (ContentEncoding::Zstd, ..=4) => (128 * KB, 256 * KB, 8),
            (ContentEncoding::Zstd, 5..=9) => (24 * KB, 256 * KB, 16),
            (ContentEncoding::Zstd, 10..=14) => (8 * KB, 512 * KB, 24),
            (ContentEncoding::Zstd, _) => (KB, 512 * KB, 24),
            (ContentEncoding::Brotli, ..=1) => (64 * KB, MB, 0),
            (ContentEncoding::Brotli, 2..=3) => (48 * KB, 512 * KB, 4),
            (ContentEncoding::Brotli, 4) => (24 * KB, MB, 8),
            (ContentEncoding::Brotli, 5) => (8 * KB, MB, 8),
            (ContentEncoding::Brotli, 6) => (8 * KB, 2 * MB, 8),
            (ContentEncoding::Brotli, 7) => (0, 8 * MB, 8),
            (ContentEncoding::Brotli, 8) => (0, 16 * MB, 8),
            (ContentEncoding::Brotli, 9) => (0, 33 * MB, 8),
            (ContentEncoding::Brotli, _) => (KB, MB, 28),
        };
        Effort { len_per_ms, memory, memory_per_octet }
    }

    /// How much memory the encoding of a body of `len` octets takes at most as a stream, in bytes.
    pub fn stream_memory(&self, len: u64) -> usize {
        let window = len.min(1 << Window::Stream.log_max());
        self.memory + self.memory_per_octet * usize::try_from(window).unwrap_or(0)
    }
}

/// The smallest logarithm of a window that `len` octets fit in.
fn log_of(len: u64) -> u32 {
    len.checked_next_power_of_two().map_or(u64::BITS, u64::trailing_zeros)
}

fn zlib_level(level: i32) -> flate2::Compression {
    u32::try_from(level).map_or_else(|_| flate2::Compression::default(), flate2::Compression::new)
}

fn zlib_bits(len: u64) -> u8 {
    let bits = log_of(len.saturating_add(ZLIB_WINDOW_REST)).clamp(9, 15);
    u8::try_from(bits).unwrap_or(15)
}

fn zstd(level: i32, len: u64, log_max: u32) -> Result<CCtx<'static>, EncodeError> {
    let mut state = CCtx::try_create().ok_or(EncodeError::Zstd("out of memory"))?;
    let set = |state: &mut CCtx<'static>, parameter| {
        state.set_parameter(parameter).map(drop).map_err(EncodeError::zstd)
    };
    set(&mut state, CParameter::CompressionLevel(level))?;
    // The library makes its tables to measure for the window, and the window for the length.
    set(&mut state, CParameter::WindowLog(log_of(len).clamp(10, log_max)))?;
    state.set_pledged_src_size(Some(len)).map_err(EncodeError::zstd)?;
    Ok(state)
}

fn brotli(level: i32, len: u64, window: Window) -> BrotliEncoderStateStruct<StandardAlloc> {
    let log_min = if (5..=8).contains(&level) { BROTLI_SEARCH_WINDOW_MIN } else { 10 };
    let log = log_of(len.saturating_add(BROTLI_WINDOW_REST)).clamp(log_min, window.log_max());
    let hint = u32::try_from(len.min(BROTLI_SIZE_HINT_MAX)).unwrap_or(0);
    let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
    state.set_parameter(
        BrotliEncoderParameter::BROTLI_PARAM_QUALITY,
        u32::try_from(level).unwrap_or(0),
    );
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, log);
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint);
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGBLOCK, BROTLI_BLOCK);
    state
}

fn encode_zlib(
    state: &mut Compress,
    mut input: &[u8],
    end: End,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let flush = match end {
        End::More => FlushCompress::None,
        End::Flush => FlushCompress::Sync,
        End::Finish => FlushCompress::Finish,
    };
    loop {
        out.reserve(OUT_STEP);
        let before = state.total_in();
        let status = state.compress_vec(input, out, flush).map_err(|_| EncodeError::Zlib)?;
        let taken = usize::try_from(state.total_in() - before).unwrap_or(input.len());
        input = input.get(taken..).unwrap_or_default();
        match status {
            Status::StreamEnd => return Ok(()),
            // Room that is left means that there was nothing more to come.
            Status::Ok | Status::BufError
                if end != End::Finish && input.is_empty() && out.len() < out.capacity() =>
            {
                return Ok(());
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

fn encode_zstd(
    state: &mut CCtx<'static>,
    input: &[u8],
    end: End,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let directive = match end {
        End::More => ZSTD_EndDirective::ZSTD_e_continue,
        End::Flush => ZSTD_EndDirective::ZSTD_e_flush,
        End::Finish => ZSTD_EndDirective::ZSTD_e_end,
    };
    let mut input = InBuffer::around(input);
    loop {
        out.reserve(OUT_STEP);
        let start = out.len();
        let left = state
            .compress_stream2(&mut OutBuffer::around_pos(out, start), &mut input, directive)
            .map_err(EncodeError::zstd)?;
        let is_taken = input.pos() == input.src.len();
        if is_taken && (end == End::More || left == 0) {
            return Ok(());
        }
    }
}

fn encode_brotli(
    state: &mut BrotliEncoderStateStruct<StandardAlloc>,
    input: &[u8],
    end: End,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let operation = || match end {
        End::More => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        End::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
        End::Finish => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
    };
    let mut left = input.len();
    let mut offset = 0;
    loop {
        let start = out.len();
        out.resize(start + OUT_STEP, 0);
        let mut room = OUT_STEP;
        let mut written = 0;
        let is_ok = state.compress_stream(
            operation(),
            &mut left,
            input,
            &mut offset,
            &mut room,
            out.get_mut(start..).unwrap_or_default(),
            &mut written,
            &mut None,
            &mut |_, _, _, _| (),
        );
        out.truncate(start + written);
        if !is_ok {
            return Err(EncodeError::Brotli);
        }
        let is_done = match end {
            End::More | End::Flush => left == 0 && !state.has_more_output(),
            End::Finish => state.is_finished(),
        };
        if is_done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
