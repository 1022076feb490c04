//! The JSON printers: pretty for people, compact for everything that is stored or compared.

use crate::value::Value;

/// Renders a value for people: CRLF line ends, tabs, and a blank line after a member whose value
/// ended with a non-empty object or array. Ends with a line end.
pub fn print_pretty(value: &Value) -> Vec<u8> {
    let mut printer = Pretty { out: Vec::new(), level: 0, closed_a_block: false };
    printer.value(value);
    printer.new_line();
    printer.out
}

/// Renders a value without any white space.
pub fn print_compact(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    compact(value, &mut out);
    out
}

fn compact(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(array) => {
            out.push(b'[');
            for (i, element) in array.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                compact(element, out);
            }
            out.push(b']');
        }
        Value::Object(object) => {
            out.push(b'{');
            for (i, (name, member)) in object.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                compact(member, out);
            }
            out.push(b'}');
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => scalar(value, out),
    }
}

struct Pretty {
    out: Vec<u8>,
    level: usize,
    /// Set when a non-empty array or object is closed; the next separator between members turns
    /// it into a blank line, one between elements forgets it.
    closed_a_block: bool,
}

impl Pretty {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(array) if array.is_empty() => self.out.extend_from_slice(b"[]"),
            Value::Object(object) if object.is_empty() => self.out.extend_from_slice(b"{}"),
            Value::Array(array) => {
                self.open(b'[');
                for (i, element) in array.iter().enumerate() {
                    if i > 0 {
                        self.out.push(b',');
                        self.closed_a_block = false;
                    }
                    self.new_line();
                    self.indent();
                    self.value(element);
                }
                self.close(b']');
            }
            Value::Object(object) => {
                self.open(b'{');
                for (i, (name, member)) in object.iter().enumerate() {
                    if i > 0 {
                        self.out.push(b',');
                        if std::mem::take(&mut self.closed_a_block) {
                            self.new_line();
                        }
                    }
                    self.new_line();
                    self.indent();
                    string(name, &mut self.out);
                    self.out.extend_from_slice(b": ");
                    self.value(member);
                }
                self.close(b'}');
            }
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
                scalar(value, &mut self.out);
            }
        }
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.level += 1;
    }

    fn close(&mut self, bracket: u8) {
        self.level -= 1;
        self.new_line();
        self.indent();
        self.out.push(bracket);
        self.closed_a_block = true;
    }

    fn new_line(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n(b'\t', self.level));
    }
}

fn scalar(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.as_str().as_bytes()),
        Value::String(text) => string(text, out),
        Value::Array(_) | Value::Object(_) => compact(value, out),
    }
}

/// Appends a string in quotes, escaping what JSON wants escaped and nothing else.
fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Appends the inside of a JSON string.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn pretty(text: &str) -> String {
        let value = parse(text.as_bytes()).expect("the input is JSON");
        String::from_utf8(print_pretty(&value)).expect("the input is UTF-8")
    }

    #[test]
    fn blank_lines_follow_members_that_end_with_a_block() {
        assert_eq!(
            pretty(r#"{"a":{"b":1},"c":[1],"d":[],"e":2}"#),
            "{\r\n\t\"a\": {\r\n\t\t\"b\": 1\r\n\t},\r\n\r\n\t\"c\": [\r\n\t\t1\r\n\t],\r\n\r\n\
             \t\"d\": [],\r\n\t\"e\": 2\r\n}\r\n"
        );
    }

    #[test]
    fn no_blank_lines_between_elements_or_at_the_end() {
        assert_eq!(
            pretty(r#"[{"a":1},{"b":[{}]}]"#),
            "[\r\n\t{\r\n\t\t\"a\": 1\r\n\t},\r\n\t{\r\n\t\t\"b\": [\r\n\t\t\t{}\r\n\t\t]\r\n\t}\
             \r\n]\r\n"
        );
    }

    #[test]
    fn a_block_inside_the_last_element_still_counts() {
        assert_eq!(
            pretty(r#"{"a":[1,{"b":2}],"c":3}"#),
            "{\r\n\t\"a\": [\r\n\t\t1,\r\n\t\t{\r\n\t\t\t\"b\": 2\r\n\t\t}\r\n\t],\r\n\r\n\
             \t\"c\": 3\r\n}\r\n"
        );
    }

    #[test]
    fn scalars_stand_bare_at_the_top() {
        for text in ["null", "true", "false", "1e4", "\"x\"", "{}", "[]"] {
            assert_eq!(pretty(text), format!("{text}\r\n"));
        }
    }

    #[test]
    fn only_quotes_backslashes_and_controls_are_escaped() {
        let text = r#""\"\\\n\r\t\b\f\u0000\u001f/ü""#;
        let value = parse(text.as_bytes()).expect("the input is JSON");
        assert_eq!(
            String::from_utf8_lossy(&print_compact(&value)),
            "\"\\\"\\\\\\n\\r\\t\\b\\f\\u0000\\u001F/\u{fc}\""
        );
    }
}
