//! The field block of a head, read one field at a time and resumable after any octet.

use super::scan::{NAME_CLASS, NAME_END, NAME_SAFE, find_control};
use super::{FIELD_NAME_LEN_MAX, Span};

/// What [`FieldScanner::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldStep {
    /// The buffer ends inside the block: call again with more octets behind the same ones.
    NeedMore,
    /// One field.
    Field(FieldSpan),
    /// The empty line; the head ends at this offset.
    End(usize),
    /// The block breaks the grammar (400) or a name is too long (431).
    Error(u16),
}

/// Where a field stands in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpan {
    /// The name as received.
    pub name: Span,
    /// The value without surrounding spaces and tabs.
    pub value: Span,
    /// Whether the name consists of letters, digits and `-` only.
    pub is_safe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Name,
    BeforeValue,
    Value,
    ValueLineFeed,
    FinalLineFeed,
}

/// Reads `name ":" OWS value OWS` lines up to the empty line, ended by CRLF or LF.
///
/// Refused with 400: folded lines, a space before the colon, an empty name, a CR that no LF
/// follows, control octets other than TAB in a value. Requests and upstream answers share it.
#[derive(Clone, Debug)]
pub struct FieldScanner {
    state: State,
    /// Start of the current line.
    line: usize,
    /// The next octet to look at.
    at: usize,
    name_end: usize,
    value: Span,
    is_safe: bool,
}

impl FieldScanner {
    /// A scanner for the block that begins at offset `start` of the buffer.
    pub fn new(start: usize) -> FieldScanner {
        FieldScanner {
            state: State::Name,
            line: start,
            at: start,
            name_end: start,
            value: Span::default(),
            is_safe: true,
        }
    }

    /// The first octet not yet consumed: where the token being read begins.
    pub fn token_start(&self) -> usize {
        match self.state {
            State::Name => self.line,
            State::Value => self.value.start(),
            State::BeforeValue | State::ValueLineFeed | State::FinalLineFeed => self.at,
        }
    }

    /// The next field in `buf`, which must begin with the octets of the call before.
    pub fn next(&mut self, buf: &[u8]) -> FieldStep {
        loop {
            let step = match self.state {
                State::Name => self.name(buf),
                State::BeforeValue => self.before_value(buf),
                State::Value => self.value(buf),
                State::ValueLineFeed => match buf.get(self.at) {
                    None => Some(FieldStep::NeedMore),
                    Some(b'\n') => Some(self.emit(buf)),
                    Some(_) => Some(FieldStep::Error(400)),
                },
                State::FinalLineFeed => match buf.get(self.at) {
                    None => Some(FieldStep::NeedMore),
                    Some(b'\n') => Some(FieldStep::End(self.at + 1)),
                    Some(_) => Some(FieldStep::Error(400)),
                },
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn name(&mut self, buf: &[u8]) -> Option<FieldStep> {
        if self.at == self.line {
            match buf.get(self.at) {
                None => return Some(FieldStep::NeedMore),
                Some(b'\r') => {
                    self.at += 1;
                    self.state = State::FinalLineFeed;
                    return None;
                }
                Some(b'\n') => return Some(FieldStep::End(self.at + 1)),
                Some(_) => self.is_safe = true,
            }
        }
        let longest = self.line + FIELD_NAME_LEN_MAX;
        let window = buf.get(..buf.len().min(longest + 1)).unwrap_or(buf);
        let mut classes = 0;
        let mut at = self.at;
        while let Some(&octet) = window.get(at) {
            let class = NAME_CLASS[octet as usize];
            if class == NAME_END {
                if octet != b':' || at == self.line {
                    return Some(FieldStep::Error(400));
                }
                self.is_safe &= classes == NAME_SAFE;
                self.name_end = at;
                self.at = at + 1;
                self.state = State::BeforeValue;
                return None;
            }
            classes |= class;
            at += 1;
        }
        if at > longest {
            return Some(FieldStep::Error(431));
        }
        self.is_safe &= classes == NAME_SAFE;
        self.at = at;
        Some(FieldStep::NeedMore)
    }

    fn before_value(&mut self, buf: &[u8]) -> Option<FieldStep> {
        loop {
            match buf.get(self.at) {
                None => return Some(FieldStep::NeedMore),
                Some(b' ' | b'\t') => self.at += 1,
                Some(_) => {
                    self.value = Span::new(self.at, self.at);
                    self.state = State::Value;
                    return None;
                }
            }
        }
    }

    fn value(&mut self, buf: &[u8]) -> Option<FieldStep> {
        loop {
            let Some(at) = find_control(buf, self.at) else {
                self.at = buf.len();
                return Some(FieldStep::NeedMore);
            };
            self.at = at + 1;
            match buf.get(at) {
                Some(b'\t') => {}
                Some(b'\r') => {
                    self.value = Span::new(self.value.start(), at);
                    self.state = State::ValueLineFeed;
                    return None;
                }
                Some(b'\n') => {
                    self.value = Span::new(self.value.start(), at);
                    self.at = at;
                    return Some(self.emit(buf));
                }
                Some(_) | None => return Some(FieldStep::Error(400)),
            }
        }
    }

    /// The finished field; `self.at` stands on its LF.
    fn emit(&mut self, buf: &[u8]) -> FieldStep {
        let start = self.value.start();
        let mut end = self.value.end();
        while end > start && matches!(buf.get(end - 1), Some(b' ' | b'\t')) {
            end -= 1;
        }
        let field = FieldSpan {
            name: Span::new(self.line, self.name_end),
            value: Span::new(start, end),
            is_safe: self.is_safe,
        };
        self.at += 1;
        self.line = self.at;
        self.state = State::Name;
        FieldStep::Field(field)
    }
}

/// Whether a field may be sent under this name: RFC 9110 `token`.
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&octet| NAME_CLASS[octet as usize] != NAME_END)
}

/// Whether a field may be sent with this value: no control octets but TAB.
pub fn is_field_value(value: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = find_control(value, from) {
        if value.get(at) != Some(&b'\t') {
            return false;
        }
        from = at + 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    type Block = Result<(Vec<(String, Vec<u8>, bool)>, usize), u16>;

    fn scan(block: &[u8]) -> Option<Block> {
        let mut scanner = FieldScanner::new(0);
        let mut fields = Vec::new();
        loop {
            match scanner.next(block) {
                FieldStep::NeedMore => return None,
                FieldStep::Field(field) => fields.push((
                    String::from_utf8(field.name.of(block).to_vec()).unwrap(),
                    field.value.of(block).to_vec(),
                    field.is_safe,
                )),
                FieldStep::End(end) => return Some(Ok((fields, end))),
                FieldStep::Error(status) => return Some(Err(status)),
            }
        }
    }

    fn one(line: &str) -> (String, Vec<u8>, bool) {
        let block = format!("{line}\r\n\r\n");
        let (mut fields, end) = scan(block.as_bytes()).unwrap().unwrap();
        assert_eq!((fields.len(), end), (1, block.len()));
        fields.remove(0)
    }

    #[test]
    fn values_are_trimmed_and_kept_otherwise() {
        for (line, value) in [
            ("a:b", "b"),
            ("a: b", "b"),
            ("a: \t b c \t", "b c"),
            ("a: b\tc", "b\tc"),
            ("a:", ""),
            ("a: \t ", ""),
            ("a::b:", ":b:"),
            ("a: \u{7f}\u{e4}", "\u{7f}\u{e4}"),
        ] {
            assert_eq!(one(line), ("a".into(), value.as_bytes().to_vec(), true), "{line:?}");
        }
    }

    #[test]
    fn lines_end_with_line_feed_alone_too() {
        let block = b"A: 1\nB: 2\r\n\nrest";
        let (fields, end) = scan(block).unwrap().unwrap();
        assert_eq!(end, block.len() - 4);
        assert_eq!(fields[0].1, b"1");
        assert_eq!(fields[1].1, b"2");
        assert_eq!(scan(b"\n"), Some(Ok((vec![], 1))));
        assert_eq!(scan(b"\r\n"), Some(Ok((vec![], 2))));
    }

    #[test]
    fn names_are_safe_unsafe_or_refused() {
        for octet in 0..=255u8 {
            let mut block = b"x?y: v\r\n\r\n".to_vec();
            block[1] = octet;
            let expected = match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => Some(true),
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'.' | b'^' | b'_'
                | b'`' | b'|' | b'~' => Some(false),
                _ => None,
            };
            match scan(&block).unwrap() {
                Ok((fields, _)) if octet == b':' => assert_eq!(fields[0].1, b"y: v"),
                Ok((fields, _)) => assert_eq!(Some(fields[0].2), expected, "{octet:#x}"),
                Err(status) => {
                    assert_eq!((status, expected), (400, None), "{octet:#x}");
                }
            }
        }
    }

    #[test]
    fn values_refuse_control_octets_but_tab() {
        for octet in 0..0x20u8 {
            let mut block = b"x: a?b\r\n\r\n".to_vec();
            block[4] = octet;
            match octet {
                b'\t' => assert!(scan(&block).unwrap().is_ok()),
                // The value ends there, and the line after it is no field.
                b'\n' => assert_eq!(scan(&block), Some(Err(400))),
                _ => assert_eq!(scan(&block), Some(Err(400)), "{octet:#x}"),
            }
        }
    }

    #[test]
    fn refuses_folding_empty_names_and_bare_carriage_returns() {
        for block in [
            "a: b\r\n c\r\n\r\n",
            "a: b\r\n\tc\r\n\r\n",
            " a: b\r\n\r\n",
            ": b\r\n\r\n",
            "a : b\r\n\r\n",
            "a\t: b\r\n\r\n",
            "a\r\n\r\n",
            "a\n\n",
            "a: b\rc\r\n\r\n",
            "a: b\r\r\n\r\n",
            "a: b\r\n\rx",
            "\rx",
        ] {
            assert_eq!(scan(block.as_bytes()), Some(Err(400)), "{block:?}");
        }
    }

    #[test]
    fn names_end_at_255_octets() {
        for len in 250..=260 {
            for tail in [": v\r\n\r\n", ":v\n\n"] {
                let block = format!("{}{tail}", "n".repeat(len));
                let outcome = scan(block.as_bytes()).unwrap();
                match len {
                    ..=255 => assert_eq!(outcome.unwrap().0[0].0.len(), len),
                    _ => assert_eq!(outcome, Err(431), "{len}"),
                }
            }
        }
        assert_eq!(scan("n".repeat(255).as_bytes()), None);
        assert_eq!(scan("n".repeat(256).as_bytes()), Some(Err(431)));
        let bad_late = format!("{} : v\r\n\r\n", "n".repeat(255));
        assert_eq!(scan(bad_late.as_bytes()), Some(Err(400)));
    }

    #[test]
    fn outgoing_names_and_values_are_judged_by_the_same_classes() {
        assert!(is_field_name(b"X_Y.z-1"));
        for bad in ["", "a b", "a:", "a\r", "\u{e4}"] {
            assert!(!is_field_name(bad.as_bytes()), "{bad:?}");
        }
        assert!(is_field_value(b"a\tb \xff"));
        assert!(is_field_value(b""));
        for bad in ["a\rb", "a\n", "\0", "\t\x0b"] {
            assert!(!is_field_value(bad.as_bytes()), "{bad:?}");
        }
    }
}
