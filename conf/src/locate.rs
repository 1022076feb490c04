//! Where in a text the value is that an error names by its JSON Pointer.

use crate::read::{Position, Reader, position};

/// The place of the member or element that `pointer` (RFC 6901) names: of its name, or of the value
/// where it has none. A member that is missing is where its nearest existing parent is. Nothing if
/// the text is not JSON as far as it has to be read.
pub fn locate(text: &[u8], pointer: &str) -> Option<Position> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = Reader::new(text);
    reader.skip_blank();
    let mut found = reader.offset();
    // The empty pointer, of the whole, has no segment at all.
    for (depth, segment) in pointer.split('/').skip(1).enumerate() {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let inner = match reader.peek()? {
            b'{' => reader.find_member(&segment, depth)?,
            b'[' => reader.find_element(&segment, depth)?,
            _ => None,
        };
        match inner {
            Some(offset) => found = offset,
            None => break,
        }
    }
    position(text, found)
}

impl Reader<'_> {
    /// Moves from the start of an object to the value of a member. The answer is where its name
    /// is, if there is such a member.
    fn find_member(&mut self, segment: &str, depth: usize) -> Option<Option<usize>> {
        self.advance();
        loop {
            self.skip_blank();
            if self.peek()? != b'"' {
                return (self.peek()? == b'}').then_some(None);
            }
            let start = self.offset();
            let name = self.string().ok()?;
            self.skip_blank();
            if self.peek()? != b':' {
                return None;
            }
            self.advance();
            self.skip_blank();
            // Pointers are text, so that is what names are compared as.
            if String::from_utf8_lossy(&name) == segment {
                return Some(Some(start));
            }
            self.skip_value(depth)?;
        }
    }

    /// Moves from the start of an array to an element. The answer is where that is, if there is
    /// one.
    fn find_element(&mut self, segment: &str, depth: usize) -> Option<Option<usize>> {
        self.advance();
        let index: usize = segment.parse().ok()?;
        for _ in 0..index {
            self.skip_blank();
            if self.peek()? == b']' {
                return Some(None);
            }
            self.skip_value(depth)?;
        }
        self.skip_blank();
        Some((self.peek()? != b']').then(|| self.offset()))
    }

    /// Passes over a value inside of `depth` others, and the comma behind it.
    fn skip_value(&mut self, depth: usize) -> Option<()> {
        // The reader refuses what is nested too deeply, so it does not recurse without bound.
        self.value(depth + 1).ok()?;
        self.skip_blank();
        if self.peek()? == b',' {
            self.advance();
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DEPTH_MAX;

    const TEXT: &[u8] = br#"{
  // What listens where.
  "listeners": {"*:80": {"pass": "routes"}, "a/b~c": {}},
  "routes": [
    {"action": {"return": 200}}, /* { */
    {"action": {"share": "/\"{[", "return": 404}},
  ],
  "\u0061pplications": {}
}
"#;

    fn at(pointer: &str) -> Option<(usize, usize)> {
        locate(TEXT, pointer).map(|Position { line, column }| (line, column))
    }

    #[test]
    fn finds_members_by_their_names_and_elements_by_their_values() {
        for (pointer, place) in [
            ("", (1, 1)),
            ("/listeners", (3, 3)),
            ("/listeners/*:80", (3, 17)),
            ("/listeners/*:80/pass", (3, 26)),
            ("/listeners/a~1b~0c", (3, 45)),
            ("/routes/0", (5, 5)),
            ("/routes/1", (6, 5)),
            ("/routes/1/action/return", (6, 35)),
            ("/applications", (8, 3)),
        ] {
            assert_eq!(at(pointer), Some(place), "{pointer}");
        }
    }

    #[test]
    fn what_is_missing_is_where_its_parent_is() {
        for (pointer, parent) in [
            ("/nothing", ""),
            ("/routes/2", "/routes"),
            ("/routes/0/action/share", "/routes/0/action"),
            ("/routes/0/action/return/x/y", "/routes/0/action/return"),
            ("/listeners/a~1b~0c/pass", "/listeners/a~1b~0c"),
        ] {
            assert_eq!(at(pointer), at(parent), "{pointer}");
        }
    }

    #[test]
    fn counts_characters_behind_a_byte_order_mark() {
        let text = "\u{feff}{\"é\": 1, \"x\": 2}";
        let place = locate(text.as_bytes(), "/x");
        assert_eq!(place, Some(Position { line: 1, column: 10 }));
    }

    #[test]
    fn a_text_that_is_not_json_has_no_places() {
        for text in ["", "{", "{\"a\" 1}", "{\"b\":\"", "[1", "{1:2}"] {
            assert_eq!(locate(text.as_bytes(), "/a"), None, "{text}");
        }
        assert_eq!(locate(b"[1]", "/x"), None);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{{\"a\":{}", "[".repeat(DEPTH_MAX * 100));
        assert_eq!(locate(deep.as_bytes(), "/b"), None);
        let pointer = "/0".repeat(DEPTH_MAX * 100);
        let nested = "[".repeat(DEPTH_MAX * 100);
        assert_eq!(locate(nested.as_bytes(), &pointer), None);
    }
}
