//! The form of a line:
//!
//! ```text
//! 2026/11/21 04:44:57 [alert] 28205#28205 *43 no key found
//! 2026/11/21 04:47:35 [error] 123#123 [unit] #7: Error in application.
//! ```
//!
//! Control characters of a message are written as escapes, so that nothing a client or application
//! says can start a line of its own. The backslash itself is left alone: messages contain literal
//! ones that scrapers look for.

use std::fmt::{self, Write};

use crate::Level;

/// The most bytes of a line, its line feed included.
pub const LINE_LEN_MAX: usize = 2048;

/// What an over-long line of the application side ends in.
const CUT: &str = "[...]";

/// What stands before the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    /// `YYYY/MM/DD HH:MM:SS`.
    pub(crate) stamp: &'a str,
    pub(crate) level: Level,
    pub(crate) pid: i32,
    pub(crate) thread: i32,
}

/// A line in the making, cut when it is full.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; LINE_LEN_MAX],
    len: usize,
    full: bool,
}

impl Line {
    /// A line that starts with `head`.
    pub(crate) fn new(head: Head<'_>) -> Self {
        let mut line = Self { bytes: [0; LINE_LEN_MAX], len: 0, full: false };
        let Head { stamp, level, pid, thread } = head;
        // Writing to a line does not fail, here and below: what does not fit is cut.
        let _ = write!(line, "{stamp} [{}] {pid}#{thread} ", level.name());
        line
    }

    /// Marks the line as one of the application side, about a request if there is a stream.
    pub(crate) fn mark_unit(&mut self, stream: Option<u32>) {
        let _ = self.write_str("[unit] ");
        if let Some(stream) = stream {
            let _ = write!(self, "#{stream}: ");
        }
    }

    /// Names the connection the line is about.
    pub(crate) fn mark_connection(&mut self, connection: u64) {
        let _ = write!(self, "*{connection} ");
    }

    /// The finished line.
    pub(crate) fn finish(&mut self) -> &[u8] {
        self.bytes[self.len] = b'\n';
        &self.bytes[..=self.len]
    }

    /// The finished line, with a mark where it was cut.
    pub(crate) fn finish_marked(&mut self) -> &[u8] {
        if self.full {
            let mut at = self.len.min(LINE_LEN_MAX - 1 - CUT.len());
            while self.bytes[at] & 0xC0 == 0x80 {
                at -= 1; // the middle of a character
            }
            self.bytes[at..at + CUT.len()].copy_from_slice(CUT.as_bytes());
            self.len = at + CUT.len();
        }
        self.finish()
    }

    /// Adds a piece that must not be cut in its middle.
    fn put(&mut self, piece: &[u8]) {
        // One byte is kept for the line feed.
        if self.full || self.len + piece.len() > LINE_LEN_MAX - 1 {
            self.full = true;
            return;
        }
        self.bytes[self.len..self.len + piece.len()].copy_from_slice(piece);
        self.len += piece.len();
    }

    fn put_char(&mut self, character: char) {
        if character.is_control() {
            self.put(Escape::of(character).as_bytes());
        } else {
            self.put(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !self.full
            && self.len + text.len() < LINE_LEN_MAX
            && text.bytes().all(|byte| (0x20..0x7F).contains(&byte))
        {
            self.put(text.as_bytes());
        } else {
            text.chars().for_each(|character| self.put_char(character));
        }
        Ok(())
    }
}

/// A control character as it is written.
struct Escape {
    bytes: [u8; 4],
    len: usize,
}

impl Escape {
    fn of(control: char) -> Self {
        const HEX: [u8; 16] = *b"0123456789abcdef";
        let short = |letter| Self { bytes: [b'\\', letter, 0, 0], len: 2 };
        match control {
            '\n' => short(b'n'),
            '\r' => short(b'r'),
            '\t' => short(b't'),
            // Control characters end at U+009F, so two digits are enough.
            other => {
                let code = usize::try_from(u32::from(other)).unwrap_or(0);
                let digits = (HEX[(code >> 4) & 15], HEX[code & 15]);
                Self { bytes: [b'\\', b'x', digits.0, digits.1], len: 4 }
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
