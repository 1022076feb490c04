//! Decoding of request and upstream bodies: a known length, or chunks.

use std::ops::Range;

use super::request::RequestBody;

/// The longest run of digits in a chunk size. Leading zeros are allowed, but not for ever.
const CHUNK_SIZE_DIGITS_MAX: u8 = 128;

/// What [`BodyDecoder::decode`] made of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyEvent {
    /// These octets of the input belong to the body; all up to `range.end` is consumed.
    Data(Range<usize>),
    /// All of the input is consumed, and more is needed.
    NeedMore,
    /// The body ends; what follows `consumed` belongs to the next request.
    Done {
        /// How much of the input was still of this body.
        consumed: usize,
    },
    /// The body is refused with 400 or 413; the connection must be closed.
    Error(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many octets of data are left, and then the body ends.
    Length(u64),
    /// In a chunk size; the value so far and its number of digits.
    Size {
        size: u64,
        digits: u8,
    },
    /// Behind the CR of a size line.
    SizeLineFeed {
        size: u64,
    },
    /// Inside a chunk.
    ChunkData(u64),
    /// Behind the data of a chunk.
    ChunkEnd,
    ChunkLineFeed,
    /// Behind the size line of the last chunk.
    LastEnd,
    LastLineFeed,
    Done,
    Failed(u16),
}

/// Splits a body from the octets around it, in whatever pieces they arrive, without copying.
///
/// Chunks follow a strict grammar: `1*HEX CRLF data CRLF`, and `1*"0" CRLF CRLF` at the end. No
/// extensions, no spaces, no bare LF, no trailers: intermediaries disagree about them.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    max_size: u64,
    decoded: u64,
}

impl BodyDecoder {
    /// A decoder for `body`; no more than `max_size` octets of data are let through.
    pub fn new(body: RequestBody, max_size: u64) -> BodyDecoder {
        let state = match body {
            RequestBody::None => State::Length(0),
            RequestBody::Length(length) if length > max_size => State::Failed(413),
            RequestBody::Length(length) => State::Length(length),
            RequestBody::Chunked => State::Size { size: 0, digits: 0 },
        };
        BodyDecoder { state, max_size, decoded: 0 }
    }

    /// Octets of data handed out so far.
    pub fn decoded_len(&self) -> u64 {
        self.decoded
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Length(0))
    }

    /// Data octets that must still come in the current stretch; 0 if that is not known. A reader
    /// may receive that many straight into their destination and report them with
    /// [`BodyDecoder::skip`].
    pub fn remaining(&self) -> u64 {
        match self.state {
            State::Length(left) | State::ChunkData(left) => left,
            State::Size { .. }
            | State::SizeLineFeed { .. }
            | State::ChunkEnd
            | State::ChunkLineFeed
            | State::LastEnd
            | State::LastLineFeed
            | State::Done
            | State::Failed(_) => 0,
        }
    }

    /// Accounts for data that bypassed [`BodyDecoder::decode`]; how much of `len` was data.
    pub fn skip(&mut self, len: u64) -> u64 {
        let taken = len.min(self.remaining());
        self.take(taken);
        taken
    }

    /// The next event in `input`: call again with what it did not consume.
    pub fn decode(&mut self, input: &[u8]) -> BodyEvent {
        let mut at = 0;
        loop {
            let left = match self.state {
                State::Length(0) | State::Done => return BodyEvent::Done { consumed: at },
                State::Failed(status) => return BodyEvent::Error(status),
                State::Length(left) | State::ChunkData(left) => left,
                State::Size { .. }
                | State::SizeLineFeed { .. }
                | State::ChunkEnd
                | State::ChunkLineFeed
                | State::LastEnd
                | State::LastLineFeed => {
                    let Some(&octet) = input.get(at) else { return BodyEvent::NeedMore };
                    at += 1;
                    self.state = self.frame(octet);
                    continue;
                }
            };
            let available = input.len() - at;
            if available == 0 {
                return BodyEvent::NeedMore;
            }
            let len = usize::try_from(left).map_or(available, |left| left.min(available));
            self.take(len as u64);
            return BodyEvent::Data(at..at + len);
        }
    }

    /// Moves `len` octets of data on, no more than are left.
    fn take(&mut self, len: u64) {
        self.decoded += len;
        self.state = match self.state {
            State::Length(left) => State::Length(left - len),
            State::ChunkData(left) if left == len => State::ChunkEnd,
            State::ChunkData(left) => State::ChunkData(left - len),
            other => other,
        };
    }

    /// The state behind one octet of chunk framing.
    fn frame(&self, octet: u8) -> State {
        match (self.state, octet) {
            (State::Size { size, digits }, b'\r') if digits > 0 => State::SizeLineFeed { size },
            (State::Size { size, digits }, _) => {
                let digit = match octet {
                    b'0'..=b'9' => octet - b'0',
                    b'a'..=b'f' => octet - b'a' + 10,
                    b'A'..=b'F' => octet - b'A' + 10,
                    _ => return State::Failed(400),
                };
                match size.checked_mul(16) {
                    Some(size) if digits < CHUNK_SIZE_DIGITS_MAX => {
                        State::Size { size: size + u64::from(digit), digits: digits + 1 }
                    }
                    Some(_) | None => State::Failed(400),
                }
            }
            (State::SizeLineFeed { size: 0 }, b'\n') => State::LastEnd,
            (State::SizeLineFeed { size }, b'\n') if size > self.max_size - self.decoded => {
                State::Failed(413)
            }
            (State::SizeLineFeed { size }, b'\n') => State::ChunkData(size),
            (State::ChunkEnd, b'\r') => State::ChunkLineFeed,
            (State::ChunkLineFeed, b'\n') => State::Size { size: 0, digits: 0 },
            (State::LastEnd, b'\r') => State::LastLineFeed,
            (State::LastLineFeed, b'\n') => State::Done,
            (_, _) => State::Failed(400),
        }
    }
}

#[cfg(test)]
mod tests;
