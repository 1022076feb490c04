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
            for character in text.chars() {
                if self.full {
                    break;
                }
                self.put_char(character);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let head =
            Head { stamp: "2026/11/21 04:44:57", level: Level::Alert, pid: 28205, thread: 28206 };
        Line::new(head)
    }

    fn text(bytes: &[u8]) -> &str {
        str::from_utf8(bytes).expect("lines are UTF-8")
    }

    fn message(text_in: &str) -> String {
        let mut line = line();
        line.write_str(text_in).expect("never fails");
        let finished = text(line.finish()).to_owned();
        let rest = finished.strip_prefix("2026/11/21 04:44:57 [alert] 28205#28206 ");
        rest.and_then(|rest| rest.strip_suffix('\n')).expect("has its head and end").to_owned()
    }

    #[test]
    fn the_form_is_pinned() {
        let mut connection = line();
        connection.mark_connection(43);
        connection.write_str("no key found").expect("never fails");
        assert_eq!(
            text(connection.finish()),
            "2026/11/21 04:44:57 [alert] 28205#28206 *43 no key found\n"
        );
        let mut unit = line();
        unit.mark_unit(Some(7));
        unit.write_str("Error in application.").expect("never fails");
        assert_eq!(
            text(unit.finish_marked()),
            "2026/11/21 04:44:57 [alert] 28205#28206 [unit] #7: Error in application.\n"
        );
        let mut unit = line();
        unit.mark_unit(None);
        assert_eq!(text(unit.finish_marked()), "2026/11/21 04:44:57 [alert] 28205#28206 [unit] \n");
    }

    #[test]
    fn n16_nobody_starts_a_line_of_his_own() {
        assert_eq!(
            message("GET /\n2026/11/21 04:44:58 [alert] 1#1 forged"),
            "GET /\\n2026/11/21 04:44:58 [alert] 1#1 forged"
        );
        assert_eq!(message("a\r\n\tb"), "a\\r\\n\\tb");
        assert_eq!(message("\0\x1b[2J\x7f"), "\\x00\\x1b[2J\\x7f");
        assert_eq!(message("\u{85}\u{9b}"), "\\x85\\x9b");
    }

    #[test]
    fn n16_every_control_character_is_escaped() {
        for code in 0..0x200 {
            let character = char::from_u32(code).expect("is one");
            let written = message(&character.to_string());
            assert!(!written.chars().any(char::is_control), "{code:#x}");
            assert_eq!(written == character.to_string(), !character.is_control(), "{code:#x}");
        }
    }

    #[test]
    fn backslashes_and_other_scripts_are_left_alone() {
        let said = r#"bind(\"127.0.0.1:80\") failed (98: Address already in use) ä€𝄞"#;
        assert_eq!(message(said), said);
    }

    #[test]
    fn lines_are_cut_at_their_limit_on_a_character() {
        for start in 1990..=2010 {
            for piece in ["a", "ä", "€", "𝄞", "\n", "\x01"] {
                let mut line = line();
                line.write_str(&"x".repeat(start)).expect("never fails");
                line.write_str(&piece.repeat(40)).expect("never fails");
                line.write_str("a later piece does not slip in behind the cut").expect("ditto");
                let bytes = line.finish();
                assert!(bytes.len() <= LINE_LEN_MAX && bytes.len() > LINE_LEN_MAX - 4);
                assert!(!text(bytes).contains("later"));
                assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            }
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole() {
        let head = line().finish().len();
        let fits = "x".repeat(LINE_LEN_MAX - head);
        assert_eq!(message(&fits), fits);
        assert_eq!(message(&format!("{fits}y")), fits);
    }

    #[test]
    fn a_cut_line_of_the_application_side_says_so() {
        for piece in ["a", "ä", "€", "𝄞", "\n"] {
            let mut line = line();
            line.mark_unit(Some(u32::MAX));
            line.write_str(&piece.repeat(3000)).expect("never fails");
            let bytes = line.finish_marked();
            assert!(bytes.len() <= LINE_LEN_MAX && bytes.len() > LINE_LEN_MAX - 8);
            assert!(text(bytes).ends_with("[...]\n"));
        }
    }
}
