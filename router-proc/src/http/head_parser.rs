//! The request head: request line, field block and the size limits over both.

use super::field::{FieldScanner, FieldStep};
use super::request::RequestHead;
use super::request_line::{RequestLineScanner, RequestLineStep};
use super::{FIRST_HEADER_BUFFER_SIZE, Limits};

/// The longest head whatever the limits say, so that offsets fit [`super::Span`].
const HEAD_LEN_MAX: usize = 1 << 30;

/// What has become of a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseStatus {
    /// The head is not all there; feed the same octets again with more behind them.
    Incomplete,
    /// The head is filled in; the body begins at `consumed`.
    Complete {
        /// Length of the head, its blank lines and its empty line.
        consumed: usize,
    },
    /// The request is refused: answer with the error page of `status` and close.
    Error {
        /// 400, 413, 431 or 505.
        status: u16,
        /// What was wrong.
        phase: Phase,
    },
}

/// The part of the head that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The request line; nothing but (some of) the method is known, with 505 the line.
    RequestLine,
    /// The field block; target and the fields before the fault are known.
    Fields,
    /// An interpreted field in a head that is whole; everything is known.
    Interpretation,
}

#[derive(Clone, Debug)]
enum Stage {
    RequestLine(RequestLineScanner),
    Fields(FieldScanner),
}

enum Progress {
    NeedMore,
    Refused(u16),
    /// The head is whole and ends at this offset.
    End(usize),
}

/// Reads one request head after another, each fed in whatever pieces it arrives in.
///
/// Every octet is looked at once: state is kept between calls. The size limits reproduce those
/// of a server that reads into one buffer of [`FIRST_HEADER_BUFFER_SIZE`] octets and then, each
/// time it fills up, moves the token being read to the front of a new large buffer.
#[derive(Clone, Debug)]
pub struct HeadParser {
    stage: Stage,
    /// Where the current buffer is full.
    buffer_end: usize,
    large_buffers_used: usize,
}

impl Default for HeadParser {
    fn default() -> HeadParser {
        HeadParser::new()
    }
}

impl HeadParser {
    /// A parser that has seen nothing.
    pub const fn new() -> HeadParser {
        HeadParser {
            stage: Stage::RequestLine(RequestLineScanner::new()),
            buffer_end: FIRST_HEADER_BUFFER_SIZE,
            large_buffers_used: 0,
        }
    }

    /// Whether no octet of the next request has been seen yet.
    pub fn is_fresh(&self) -> bool {
        matches!(&self.stage, Stage::RequestLine(line) if line.is_fresh())
    }

    /// How many octets of this request are worth reading before [`HeadParser::parse`] is asked again:
    /// a head that is not complete by then is refused or moves the mark. Having read more does no
    /// harm.
    pub fn buffer_end(&self) -> usize {
        self.buffer_end
    }

    /// Parses `buf`, which must hold the request from its first octet on: when the call before
    /// answered [`ParseStatus::Incomplete`], the same octets and more.
    ///
    /// After any other answer `head` is filled in and the parser is ready for the next request.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits, head: &mut RequestHead) -> ParseStatus {
        if self.is_fresh() {
            head.clear();
        }
        loop {
            let window = buf.get(..self.buffer_end).unwrap_or(buf);
            let status = match self.advance(window, limits, head) {
                Progress::NeedMore if buf.len() < self.buffer_end => {
                    return ParseStatus::Incomplete;
                }
                Progress::NeedMore => match self.next_buffer(limits) {
                    Ok(()) => continue,
                    Err(status) => self.refuse(status, window, head),
                },
                Progress::Refused(status) => self.refuse(status, window, head),
                Progress::End(consumed) => {
                    head.seal(window.get(..consumed).unwrap_or(window));
                    match head.refusal() {
                        None => ParseStatus::Complete { consumed },
                        Some(status) => ParseStatus::Error { status, phase: Phase::Interpretation },
                    }
                }
            };
            *self = HeadParser::new();
            return status;
        }
    }

    /// Fills `head` with what is known of a head that will never be completed (the client left, or
    /// the time ran out), for the log. `buf` as in the last call of [`HeadParser::parse`].
    pub fn abandon(&mut self, buf: &[u8], head: &mut RequestHead) {
        if let Stage::RequestLine(scanner) = &self.stage {
            head.set_partial_method(buf, scanner.method(), scanner.has_whole_method());
        }
        head.keep_partial(buf);
        *self = HeadParser::new();
    }

    fn refuse(&mut self, status: u16, buf: &[u8], head: &mut RequestHead) -> ParseStatus {
        let phase = match self.stage {
            Stage::RequestLine(_) => Phase::RequestLine,
            Stage::Fields(_) => Phase::Fields,
        };
        self.abandon(buf, head);
        ParseStatus::Error { status, phase }
    }

    fn advance(&mut self, buf: &[u8], limits: &Limits, head: &mut RequestHead) -> Progress {
        if let Stage::RequestLine(scanner) = &mut self.stage {
            match scanner.next(buf) {
                RequestLineStep::NeedMore => return Progress::NeedMore,
                RequestLineStep::Error(status, line) => {
                    if let Some(line) = line {
                        head.set_version(&line);
                    }
                    return Progress::Refused(status);
                }
                RequestLineStep::Line { line, end } => {
                    if head.set_request_line(buf, &line).is_err() {
                        return Progress::Refused(400);
                    }
                    self.stage = Stage::Fields(FieldScanner::new(end));
                }
            }
        }
        let Stage::Fields(scanner) = &mut self.stage else { return Progress::NeedMore };
        loop {
            match scanner.next(buf) {
                FieldStep::NeedMore => return Progress::NeedMore,
                FieldStep::Field(field) => {
                    if field.is_safe || !limits.discard_unsafe_fields {
                        head.add_field(buf, field, limits);
                    }
                }
                FieldStep::End(consumed) => return Progress::End(consumed),
                FieldStep::Error(status) => return Progress::Refused(status),
            }
        }
    }

    /// The current buffer is full: draws on the next large one, or refuses.
    fn next_buffer(&mut self, limits: &Limits) -> Result<(), u16> {
        let token = match &self.stage {
            Stage::RequestLine(scanner) => scanner.token_start(),
            Stage::Fields(scanner) => scanner.token_start(),
        };
        let tail = self.buffer_end - token;
        if tail >= limits.large_header_buffer_size
            || self.large_buffers_used >= limits.large_header_buffers
        {
            return Err(431);
        }
        let end = token.saturating_add(limits.large_header_buffer_size);
        if end > HEAD_LEN_MAX {
            return Err(431);
        }
        self.large_buffers_used += 1;
        self.buffer_end = end;
        Ok(())
    }
}

/// Parses a head that is all in `buf`; for tests and fuzzing. Connections keep a [`HeadParser`].
pub fn parse_head(buf: &[u8], limits: &Limits, head: &mut RequestHead) -> ParseStatus {
    HeadParser::new().parse(buf, limits, head)
}

#[cfg(test)]
mod tests;
