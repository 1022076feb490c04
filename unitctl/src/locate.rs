//! Finds the place of a value in the text of a JSON document that has been read without mistake.

/// The offset of what a JSON Pointer (RFC 6901) names: of the name of a member, of the value of an
/// element. Where the pointer leads further than the text, the last step that is there.
pub(crate) fn offset_of(text: &[u8], pointer: &str) -> Option<usize> {
    let mut scanner = Scanner { text, at: 0 };
    if text.starts_with(b"\xef\xbb\xbf") {
        scanner.at = 3;
    }
    scanner.blank();
    let mut place = scanner.at;
    let pointer = pointer.strip_prefix('/').map(|rest| rest.split('/'));
    for step in pointer.into_iter().flatten() {
        let name = step.replace("~1", "/").replace("~0", "~");
        match scanner.enter(&name) {
            Some(found) => place = found,
            None => break,
        }
    }
    (place < text.len()).then_some(place)
}

/// Line and column of an offset, both from 1, the column in characters.
pub(crate) fn line_and_column(text: &[u8], offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |lf| lf + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}

/// Walks a text that is known to be JSON. On any other it stops somewhere, and nothing is found.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips white space and comments.
    fn blank(&mut self) {
        while let Some(byte) = self.peek() {
            let rest = &self.text[self.at..];
            let skipped = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => 1,
                b'/' if rest.starts_with(b"//") => length_to(rest, b"\n"),
                b'/' if rest.starts_with(b"/*") => 2 + length_to(&rest[2..], b"*/"),
                _ => return,
            };
            self.at += skipped;
        }
    }

    /// Goes to the member or element of this name of the value that begins here, and returns its
    /// place.
    fn enter(&mut self, name: &str) -> Option<usize> {
        let kind = self.peek()?;
        if kind != b'{' && kind != b'[' {
            return None;
        }
        self.at += 1;
        let mut index = 0_usize;
        loop {
            self.blank();
            let place = self.at;
            let is_wanted = match self.peek()? {
                b'}' | b']' => return None,
                b',' => {
                    self.at += 1;
                    continue;
                }
                b'"' if kind == b'{' => {
                    self.string();
                    let written = &self.text[place..self.at];
                    let decoded = conf::parse(written).ok();
                    let text = decoded.as_ref().and_then(conf::Value::as_text);
                    let is_wanted = text.is_some_and(|text| text.as_bytes() == name.as_bytes());
                    self.blank();
                    if self.peek()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    self.blank();
                    is_wanted
                }
                _ if kind == b'[' => name == index.to_string(),
                _ => return None,
            };
            if is_wanted {
                return Some(place);
            }
            index += 1;
            let start = self.at;
            self.value();
            if self.at == start {
                return None;
            }
        }
    }

    /// Skips a value, whatever is in it.
    fn value(&mut self) {
        let mut depth = 0_usize;
        loop {
            self.blank();
            match self.peek() {
                None => return,
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b'"') => self.string(),
                Some(b',' | b':') if depth > 0 => self.at += 1,
                Some(b'}' | b']' | b',' | b':') => return,
                Some(_) => self.word(),
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at = self.text.len().min(self.at + 1),
                b'"' => return,
                _ => {}
            }
        }
    }

    /// A number or a literal. At least one byte, so that every loop gets on.
    fn word(&mut self) {
        self.at += 1;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        {
            self.at += 1;
        }
    }
}

fn length_to(text: &[u8], end: &[u8]) -> usize {
    let found = text.windows(end.len()).position(|window| window == end);
    found.map_or(text.len(), |at| at + end.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"// A site, with "a": 1 in a comment.
{
    "listeners": { "*:80": { "pass": "x\"}" /* } */ } },
    "a\u002fb": [ 1, {"c": -1.5e3}, [], "s", ],
}
"#;

    fn found(pointer: &str) -> &str {
        let offset = offset_of(TEXT.as_bytes(), pointer).unwrap();
        let rest = &TEXT[offset..];
        &rest[..rest.len().min(8)]
    }

    #[test]
    fn finds_members_and_elements() {
        assert_eq!(found(""), "{\n    \"l");
        assert_eq!(found("/listeners"), "\"listene");
        assert_eq!(found("/listeners/*:80/pass"), "\"pass\": ");
        assert_eq!(found("/a~1b"), "\"a\\u002f");
        assert_eq!(found("/a~1b/0"), "1, {\"c\":");
        assert_eq!(found("/a~1b/1/c"), "\"c\": -1.");
        assert_eq!(found("/a~1b/3"), "\"s\", ],\n");
    }

    #[test]
    fn stops_where_the_text_does() {
        assert_eq!(found("/listeners/*:81/pass"), "\"listene");
        assert_eq!(found("/a~1b/4"), "\"a\\u002f");
        assert_eq!(found("/a~1b/0/x"), "1, {\"c\":");
        assert_eq!(offset_of(b"", "/a"), None);
        assert_eq!(line_and_column("é\n\u{e9}é x".as_bytes(), 8), (2, 4));
    }

    #[test]
    fn what_is_no_json_leads_nowhere() {
        for text in ["{\"\\", "[:", "{\"a\"::", "[}", "/*"] {
            let _ = offset_of(text.as_bytes(), "/a/1");
        }
    }

    proptest! {
        #[test]
        fn no_text_stops_it(text in "[ {}\\[\\],:\"\\\\a1/*\n]{0,60}", pointer in "(/[a01]{0,2}){0,4}") {
            let _ = offset_of(text.as_bytes(), &pointer);
        }
    }
}
