//! The body of a request: bytes in the record, or a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use thiserror::Error;

/// Bytes read from a file at once when lines are looked for.
const FILE_BUFFER_LEN: usize = 16 * 1024;

/// Why a body cannot be read.
#[derive(Debug, Error)]
pub enum BodyError {
    /// The file that holds it cannot be read.
    #[error("reading the request body failed: {0}")]
    Io(#[from] io::Error),
    /// The file that holds it ends too early.
    #[error("the file of the request body is too short")]
    Short,
}

/// What is left of a request's body.
#[derive(Debug)]
pub struct RequestBody<'w> {
    source: Source<'w>,
    left: u64,
}

#[derive(Debug)]
enum Source<'w> {
    Record(&'w [u8]),
    File { file: File, at: u64, buffer: &'w mut FileBuffer },
}

/// Bytes of a body file that were read ahead. Kept from request to request for its memory.
#[derive(Debug, Default)]
pub(crate) struct FileBuffer {
    bytes: Vec<u8>,
    start: u64,
}

impl<'w> RequestBody<'w> {
    pub(crate) fn of_record(bytes: &'w [u8]) -> Self {
        Self { source: Source::Record(bytes), left: bytes.len() as u64 }
    }

    /// The file's own position is not used: it is shared with whoever sent the descriptor.
    pub(crate) fn of_file(file: File, len: u64, buffer: &'w mut FileBuffer) -> Self {
        buffer.bytes.clear();
        Self { source: Source::File { file, at: 0, buffer }, left: len }
    }

    /// Bytes that were not read yet.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// Fills `out` as far as the body goes, and returns how many bytes were put there.
    ///
    /// # Errors
    /// [`BodyError`]; what was put into `out` before counts as read.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, BodyError> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let out = &mut out[..len];
        match &mut self.source {
            Source::Record(bytes) => {
                let (now, later) = bytes.split_at(len);
                out.copy_from_slice(now);
                *bytes = later;
                self.left -= len as u64;
            }
            Source::File { file, at, buffer } => {
                let mut filled = 0;
                while filled < len {
                    let ahead = buffer.ahead(*at);
                    let got = if ahead.is_empty() {
                        file.read_at(&mut out[filled..], *at)?
                    } else {
                        let got = ahead.len().min(len - filled);
                        out[filled..filled + got].copy_from_slice(&ahead[..got]);
                        got
                    };
                    if got == 0 {
                        return Err(BodyError::Short);
                    }
                    filled += got;
                    *at += got as u64;
                    self.left -= got as u64;
                }
            }
        }
        Ok(len)
    }

    /// How long the next line is, its line feed included, and at most `limit`. Reads nothing.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn line_len(&mut self, limit: u64) -> Result<u64, BodyError> {
        let limit = limit.min(self.left);
        match &mut self.source {
            Source::Record(bytes) => {
                let within = &bytes[..usize::try_from(limit).unwrap_or(bytes.len())];
                Ok(memchr::memchr(b'\n', within).map_or(limit, |at| at as u64 + 1))
            }
            Source::File { file, at, buffer } => {
                let mut seen = 0;
                while seen < limit {
                    let ahead = buffer.fill(file, *at + seen)?;
                    if let Some(found) = memchr::memchr(b'\n', ahead) {
                        return Ok((seen + found as u64 + 1).min(limit));
                    }
                    seen += ahead.len() as u64;
                }
                Ok(limit)
            }
        }
    }
}

impl FileBuffer {
    /// The bytes at hand from a position on.
    fn ahead(&self, at: u64) -> &[u8] {
        at.checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok())
            .and_then(|skip| self.bytes.get(skip..))
            .unwrap_or_default()
    }

    /// As [`Self::ahead`], but never empty.
    fn fill(&mut self, file: &File, at: u64) -> Result<&[u8], BodyError> {
        if self.ahead(at).is_empty() {
            self.bytes.resize(FILE_BUFFER_LEN, 0);
            let got = file.read_at(&mut self.bytes, at);
            self.start = at;
            self.bytes.truncate(*got.as_ref().unwrap_or(&0));
            if got? == 0 {
                return Err(BodyError::Short);
            }
        }
        Ok(self.ahead(at))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn in_file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn lines(body: &mut RequestBody<'_>, limit: u64) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while body.remaining() > 0 {
            let len = body.line_len(limit).unwrap();
            let mut line = vec![0; usize::try_from(len).unwrap()];
            assert_eq!(body.read(&mut line).unwrap() as u64, len);
            lines.push(line);
        }
        lines
    }

    #[test]
    fn lines_are_the_same_from_record_and_file() {
        let long = [vec![b'x'; FILE_BUFFER_LEN * 2 + 3], b"\n\nend".to_vec()].concat();
        for bytes in [&b""[..], b"\n", b"a\nb\nc", b"a\n\n", &long] {
            let expected: Vec<Vec<u8>> =
                bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            assert_eq!(lines(&mut RequestBody::of_record(bytes), u64::MAX), expected);
            let mut buffer = FileBuffer::default();
            let mut body = RequestBody::of_file(in_file(bytes), bytes.len() as u64, &mut buffer);
            assert_eq!(lines(&mut body, u64::MAX), expected);
        }
    }

    #[test]
    fn a_limit_cuts_lines() {
        let expected: Vec<&[u8]> = vec![b"abc", b"d\n", b"ef"];
        assert_eq!(lines(&mut RequestBody::of_record(b"abcd\nef"), 3), expected);
        let mut buffer = FileBuffer::default();
        let mut body = RequestBody::of_file(in_file(b"abcd\nef"), 7, &mut buffer);
        assert_eq!(lines(&mut body, 3), expected);
    }

    #[test]
    fn reading_and_lines_mix() {
        let mut buffer = FileBuffer::default();
        let mut body = RequestBody::of_file(in_file(b"one\ntwo\nthree"), 13, &mut buffer);
        assert_eq!(body.line_len(u64::MAX).unwrap(), 4);
        let mut out = [0; 6];
        assert_eq!(body.read(&mut out).unwrap(), 6);
        assert_eq!(&out, b"one\ntw");
        assert_eq!(body.line_len(u64::MAX).unwrap(), 2);
        let mut rest = [0; 20];
        assert_eq!(body.read(&mut rest).unwrap(), 7);
        assert_eq!(body.remaining(), 0);
        assert_eq!(body.line_len(u64::MAX).unwrap(), 0);
    }

    #[test]
    fn a_file_that_is_too_short_is_an_error() {
        let mut buffer = FileBuffer::default();
        let mut body = RequestBody::of_file(in_file(b"abc"), 5, &mut buffer);
        assert!(matches!(body.line_len(u64::MAX), Err(BodyError::Short)));
        assert!(matches!(body.read(&mut [0; 5]), Err(BodyError::Short)));
    }
}
