//! The body of a request: where it ends, and no more of it than allowed.

use bytes::{Buf, BytesMut};
use thiserror::Error;

use crate::http::head::Framing;

/// The most octets of a line that announces a chunk, and of all trailer fields together.
const LINE_LEN_MAX: usize = 4096;

/// Why octets are not a body that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum BodyError {
    /// It is longer than allowed.
    #[error("Content-Length is too big")]
    TooLarge,
    /// A chunk is not one.
    #[error("The chunked body is malformed.")]
    Chunk,
}

/// Takes a body out of octets as they arrive.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Vec<u8>,
    limit: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What is there now is all.
    Whatever,
    /// This much more is to come.
    Plain(usize),
    /// A line with the size of a chunk.
    ChunkSize,
    /// The rest of a chunk.
    Chunk(usize),
    /// The line end after a chunk.
    ChunkEnd,
    /// Trailer fields, of which this many octets were dropped, up to an empty line.
    Trailers(usize),
    Done,
}

impl BodyReader {
    /// A reader for a body of at most `limit` octets.
    pub(crate) fn new(framing: Framing, limit: usize) -> Result<Self, BodyError> {
        let stage = match framing {
            Framing::Unsaid => Stage::Whatever,
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= limit => Stage::Plain(length),
                Ok(_) | Err(_) => return Err(BodyError::TooLarge),
            },
            Framing::Chunked => Stage::ChunkSize,
        };
        Ok(Self { body: Vec::new(), limit, stage })
    }

    /// Takes what it can from the front of `octets` and reports whether the body is complete.
    pub(crate) fn take(&mut self, octets: &mut BytesMut) -> Result<bool, BodyError> {
        loop {
            self.stage = match self.stage {
                Stage::Whatever => {
                    let len = octets.len();
                    self.move_from(octets, len)?;
                    Stage::Done
                }
                Stage::Plain(missing) => match self.move_from(octets, missing)? {
                    0 => Stage::Done,
                    missing => return Ok(self.wait(Stage::Plain(missing))),
                },
                Stage::ChunkSize => match chunk_size(octets, self.limit)? {
                    Some(0) => Stage::Trailers(0),
                    Some(size) => Stage::Chunk(size),
                    None => return Ok(false),
                },
                Stage::Chunk(missing) => match self.move_from(octets, missing)? {
                    0 => Stage::ChunkEnd,
                    missing => return Ok(self.wait(Stage::Chunk(missing))),
                },
                Stage::ChunkEnd => match octets.get(..2) {
                    Some(b"\r\n") => {
                        octets.advance(2);
                        Stage::ChunkSize
                    }
                    Some(_) => return Err(BodyError::Chunk),
                    None => return Ok(false),
                },
                Stage::Trailers(dropped) => match line(octets, LINE_LEN_MAX - dropped)? {
                    Some(0) => Stage::Done,
                    Some(len) => Stage::Trailers((dropped + len).min(LINE_LEN_MAX)),
                    None => return Ok(false),
                },
                Stage::Done => return Ok(true),
            };
        }
    }

    /// How much of the body is there.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// The body.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.body
    }

    fn wait(&mut self, stage: Stage) -> bool {
        self.stage = stage;
        false
    }

    /// Moves up to `wanted` octets into the body; how many are still wanted.
    fn move_from(&mut self, octets: &mut BytesMut, wanted: usize) -> Result<usize, BodyError> {
        let len = wanted.min(octets.len());
        if len > self.limit - self.body.len() {
            return Err(BodyError::TooLarge);
        }
        self.body.extend_from_slice(&octets.split_to(len));
        Ok(wanted - len)
    }
}

/// Reads and drops the line that announces a chunk.
fn chunk_size(octets: &mut BytesMut, limit: usize) -> Result<Option<usize>, BodyError> {
    match octets.first() {
        None => return Ok(None),
        // The parser would take an empty line for a size of zero.
        Some(first) if !first.is_ascii_hexdigit() => return Err(BodyError::Chunk),
        Some(_) => {}
    }
    match httparse::parse_chunk_size(octets) {
        Ok(httparse::Status::Complete((len, _))) if len > LINE_LEN_MAX => Err(BodyError::Chunk),
        Ok(httparse::Status::Complete((len, size))) => {
            octets.advance(len);
            match usize::try_from(size) {
                Ok(size) if size <= limit => Ok(Some(size)),
                Ok(_) | Err(_) => Err(BodyError::TooLarge),
            }
        }
        Ok(httparse::Status::Partial) if octets.len() < LINE_LEN_MAX => Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => Err(BodyError::Chunk),
    }
}

/// Drops a line; its length without its end.
fn line(octets: &mut BytesMut, max: usize) -> Result<Option<usize>, BodyError> {
    match octets.iter().position(|&byte| byte == b'\n') {
        Some(end) if end <= max => {
            let line = octets.split_to(end + 1);
            let line = line.strip_suffix(b"\r\n").ok_or(BodyError::Chunk)?;
            Ok(Some(line.len()))
        }
        None if octets.len() <= max => Ok(None),
        Some(_) | None => Err(BodyError::Chunk),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 100;

    /// A body and what came after it.
    type Whole = (Vec<u8>, Vec<u8>);

    /// Reads a body that arrives in pieces of `step` octets.
    fn read(framing: Framing, text: &[u8], step: usize) -> Result<Option<Whole>, BodyError> {
        let mut reader = BodyReader::new(framing, LIMIT)?;
        let mut octets = BytesMut::new();
        let mut pieces = text.chunks(step);
        loop {
            if reader.take(&mut octets)? {
                octets.extend(pieces.flatten());
                return Ok(Some((reader.finish(), octets.to_vec())));
            }
            match pieces.next() {
                Some(piece) => octets.extend_from_slice(piece),
                None => return Ok(None),
            }
        }
    }

    #[test]
    fn lengths_are_kept_to() {
        for step in 1..10 {
            let done = read(Framing::Length(3), b"abcdef", step);
            assert_eq!(done, Ok(Some((b"abc".to_vec(), b"def".to_vec()))));
            assert_eq!(read(Framing::Length(7), b"abcdef", step), Ok(None));
            assert_eq!(read(Framing::Length(0), b"", step), Ok(Some(Default::default())));
        }
        assert_eq!(read(Framing::Length(101), b"", 1), Err(BodyError::TooLarge));
        assert_eq!(read(Framing::Length(u64::MAX), b"", 1), Err(BodyError::TooLarge));
    }

    #[test]
    fn without_a_word_what_is_there_is_the_body() {
        let mut reader = BodyReader::new(Framing::Unsaid, LIMIT).unwrap();
        assert_eq!(reader.take(&mut BytesMut::from("{}")), Ok(true));
        assert_eq!(reader.finish(), b"{}");
        let mut reader = BodyReader::new(Framing::Unsaid, LIMIT).unwrap();
        assert_eq!(
            reader.take(&mut BytesMut::from(&[b' '; LIMIT + 1][..])),
            Err(BodyError::TooLarge)
        );
    }

    #[test]
    fn chunks_are_joined_wherever_they_are_split() {
        let text = b"3\r\nabc\r\n0A ; x=y\r\n0123456789\r\n0\r\nSome: trailer\r\n\r\nrest";
        for step in 1..text.len() {
            let done = read(Framing::Chunked, text, step);
            assert_eq!(done, Ok(Some((b"abc0123456789".to_vec(), b"rest".to_vec()))), "{step}");
        }
        for cut in 0..text.len() - 4 {
            assert_eq!(read(Framing::Chunked, &text[..cut], 5), Ok(None), "{cut}");
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        let long_extension = [b"1;".as_slice(), &[b'x'; LINE_LEN_MAX]].concat();
        let long_trailer = [b"0\r\n".as_slice(), &[b'x'; LINE_LEN_MAX + 1]].concat();
        for text in [
            b"\r\n".as_slice(),
            b"-1\r\n",
            b"+1\r\n",
            b" 1\r\n",
            b"x\r\n",
            b"3\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n\n",
            b"0\r\n\n",
            b"fffffffffffffffff\r\n",
            &long_extension,
            &long_trailer,
        ] {
            assert_eq!(read(Framing::Chunked, text, 7), Err(BodyError::Chunk), "{text:?}");
        }
    }

    #[test]
    fn a_line_is_too_long_however_it_arrives() {
        let text = [b"1;".as_slice(), &[b'x'; LINE_LEN_MAX], b"\r\na\r\n0\r\n\r\n"].concat();
        for step in [1, 100, LINE_LEN_MAX - 1, text.len()] {
            assert_eq!(read(Framing::Chunked, &text, step), Err(BodyError::Chunk), "{step}");
        }
    }

    #[test]
    fn chunks_together_stay_below_the_limit() {
        let text = b"32\r\n".iter().chain(&[b'x'; 50]).chain(b"\r\n").copied().collect::<Vec<_>>();
        let twice = [text.clone(), text.clone(), b"0\r\n\r\n".to_vec()].concat();
        let thrice = [text.clone(), text.clone(), text, b"0\r\n\r\n".to_vec()].concat();
        assert!(
            matches!(read(Framing::Chunked, &twice, 9), Ok(Some((body, _))) if body.len() == 100)
        );
        assert_eq!(read(Framing::Chunked, &thrice, 9), Err(BodyError::TooLarge));
        assert_eq!(read(Framing::Chunked, b"65\r\n", 9), Err(BodyError::TooLarge));
        assert_eq!(read(Framing::Chunked, b"ffffffffffffffff\r\n", 9), Err(BodyError::TooLarge));
    }

    #[test]
    fn endless_trailers_are_refused() {
        let mut text = b"0\r\n".to_vec();
        for _ in 0..LINE_LEN_MAX {
            text.extend_from_slice(b"a: b\r\n");
        }
        assert_eq!(read(Framing::Chunked, &text, 64), Err(BodyError::Chunk));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(
            octets in proptest::collection::vec(any::<u8>(), 0..200),
            step in 1_usize..50,
        ) {
            for framing in [Framing::Chunked, Framing::Length(50), Framing::Unsaid] {
                if let Ok(Some((body, _))) = read(framing, &octets, step) {
                    prop_assert!(body.len() <= LIMIT);
                }
            }
        }
    }
}
