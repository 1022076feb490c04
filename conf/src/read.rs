//! The JSON reader: comments and trailing commas are allowed, errors say where they are.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::text::Text;
use crate::value::{DEPTH_MAX, Number, Object, Value};

/// The longest text of a number.
const NUMBER_LEN_MAX: usize = 14;
/// The longest string that is shared with others that are the same.
const SHARED_LEN_MAX: usize = 64;
/// The longest string, decoded or not.
const STRING_LEN_MAX: usize = 0x7fff_ffff;
/// The largest magnitude of a number: 2 to the 63rd, which is what the limit
/// 9223372036854775807 amounts to as a double.
const NUMBER_MAX: f64 = 9_223_372_036_854_775_808.0;

/// Why a text is not JSON that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ParseError {
    /// A sentence for the user.
    pub detail: &'static str,
    /// Where it is, in bytes from the start of the text (after a byte order mark).
    pub offset: usize,
    /// Where it is for a reader, unless the line up to there is not UTF-8.
    pub position: Option<Position>,
}

/// A place in a text. Both numbers start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counts line feeds.
    pub line: usize,
    /// Counts characters from the start of the line.
    pub column: usize,
}

/// Reads a JSON text.
pub fn parse(text: &[u8]) -> Result<Value, ParseError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    Reader::new(text).document().map_err(|Fault { detail, offset }| ParseError {
        detail,
        offset,
        position: position(text, offset),
    })
}

pub(crate) fn position(text: &[u8], offset: usize) -> Option<Position> {
    let before = &text[..offset];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |lf| lf + 1);
    let line = std::str::from_utf8(&before[line_start..]).ok()?;
    Some(Position {
        line: memchr::memchr_iter(b'\n', before).count() + 1,
        column: line.chars().count() + 1,
    })
}

/// An error that does not know its line yet.
pub(crate) struct Fault {
    detail: &'static str,
    offset: usize,
}

pub(crate) type Read<T> = Result<T, Fault>;

fn fault<T>(detail: &'static str, offset: usize) -> Read<T> {
    Err(Fault { detail, offset })
}

/// A text, and how far it is read.
pub(crate) struct Reader<'a> {
    text: &'a [u8],
    pos: usize,
    /// Strings read so far, to be shared.
    shared: HashSet<Text>,
    /// Where the members and elements of what is open are collected, and strings are decoded, so
    /// that what stays is allocated once and in its final size: room that was reserved and given
    /// back would be holes between values that stay.
    members: Vec<(Text, Value)>,
    elements: Vec<Value>,
    decoded: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            pos: 0,
            shared: HashSet::new(),
            members: Vec::new(),
            elements: Vec::new(),
            decoded: Vec::new(),
        }
    }

    /// How far the text is read.
    pub(crate) fn offset(&self) -> usize {
        self.pos
    }

    /// Passes over the byte that [`Self::peek`] shows.
    pub(crate) fn advance(&mut self) {
        self.pos += 1;
    }

    fn document(&mut self) -> Read<Value> {
        self.skip_blank();
        if self.peek().is_none() {
            return fault(EMPTY, 0);
        }
        let value = self.value(0)?;
        self.skip_blank();
        match self.peek() {
            None => Ok(value),
            Some(_) => fault(TRAILING, self.pos),
        }
    }

    /// The next byte.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    /// Skips white space and comments. A slash that starts no complete comment stays: it is wrong
    /// wherever it stands, and the caller knows what should stand there.
    pub(crate) fn skip_blank(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.pos += 1,
                b'/' => match self.comment_len() {
                    Some(len) => self.pos += len,
                    None => return,
                },
                _ => return,
            }
        }
    }

    fn comment_len(&self) -> Option<usize> {
        let rest = &self.text[self.pos..];
        match rest.get(1)? {
            b'/' => memchr::memchr(b'\n', rest).map(|lf| lf + 1),
            b'*' => memchr::memmem::find(&rest[2..], b"*/").map(|end| end + 4),
            _ => None,
        }
    }

    /// Reads the value that starts here; there is at least one byte.
    pub(crate) fn value(&mut self, depth: usize) -> Read<Value> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.shared_string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(_) | None => {
                for (literal, value) in [
                    (&b"null"[..], Value::Null),
                    (b"true", Value::Boolean(true)),
                    (b"false", Value::Boolean(false)),
                ] {
                    if self.text[self.pos..].starts_with(literal) {
                        self.pos += literal.len();
                        return Ok(value);
                    }
                }
                fault(VALUE, self.pos)
            }
        }
    }

    fn open(&mut self, depth: usize) -> Read<usize> {
        if depth == DEPTH_MAX {
            return fault(TOO_DEEP, self.pos);
        }
        self.pos += 1;
        Ok(depth + 1)
    }

    fn object(&mut self, depth: usize) -> Read<Value> {
        let depth = self.open(depth)?;
        let first = self.members.len();
        let mut names = Names::default();
        loop {
            self.skip_blank();
            match self.peek() {
                None => return fault(OBJECT_END, self.pos),
                Some(b'}') => break,
                Some(b'"') => (),
                Some(_) => return fault(NAME, self.pos),
            }
            let start = self.pos;
            let name = self.shared_string()?;
            if !names.add(&name, &self.members[first..]) {
                return fault(DUPLICATE, start);
            }
            self.skip_blank();
            match self.peek() {
                None => return fault(MEMBER_END, self.pos),
                Some(b':') => self.pos += 1,
                Some(_) => return fault(COLON, self.pos),
            }
            self.skip_blank();
            if self.peek().is_none() {
                return fault(MEMBER_END, self.pos);
            }
            let value = self.value(depth)?;
            self.members.push((name, value));
            self.skip_blank();
            match self.peek() {
                None => return fault(OBJECT_END, self.pos),
                Some(b',') => self.pos += 1,
                Some(b'}') => break,
                Some(_) => return fault(OBJECT_COMMA, self.pos),
            }
        }
        self.pos += 1;
        let members = self.members.drain(first..).collect();
        Ok(Value::Object(Arc::new(Object::from_unique(members))))
    }

    fn array(&mut self, depth: usize) -> Read<Value> {
        let depth = self.open(depth)?;
        let first = self.elements.len();
        loop {
            self.skip_blank();
            match self.peek() {
                None => return fault(ARRAY_END, self.pos),
                Some(b']') => break,
                Some(_) => (),
            }
            let value = self.value(depth)?;
            self.elements.push(value);
            self.skip_blank();
            match self.peek() {
                None => return fault(ARRAY_END, self.pos),
                Some(b',') => self.pos += 1,
                Some(b']') => break,
                Some(_) => return fault(ARRAY_COMMA, self.pos),
            }
        }
        self.pos += 1;
        let elements: Vec<Value> = self.elements.drain(first..).collect();
        Ok(Value::from(elements))
    }

    /// Reads a string, or takes another that is the same: names and many values recur, and one
    /// copy of each is a fraction of what all of them take.
    fn shared_string(&mut self) -> Read<Text> {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        self.decode_string(&mut decoded)?;
        let text = match self.shared.get(&decoded[..]) {
            Some(text) => text.clone(),
            None => {
                let text = Text::from(&decoded[..]);
                if text.len() <= SHARED_LEN_MAX {
                    self.shared.insert(text.clone());
                }
                text
            }
        };
        self.decoded = decoded;
        Ok(text)
    }

    /// Reads the string whose opening quote is here.
    pub(crate) fn string(&mut self) -> Read<Vec<u8>> {
        let mut decoded = Vec::new();
        self.decode_string(&mut decoded)?;
        Ok(decoded)
    }

    fn decode_string(&mut self, decoded: &mut Vec<u8>) -> Read<()> {
        self.pos += 1;
        loop {
            let rest = &self.text[self.pos..];
            let plain = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            let Some(plain) = plain else {
                return fault(STRING_END, self.text.len());
            };
            decoded.extend_from_slice(&rest[..plain]);
            self.pos += plain;
            match rest[plain] {
                b'"' => break,
                b'\\' => self.escape(decoded)?,
                _ => return fault(CONTROL, self.pos),
            }
        }
        self.pos += 1;
        if decoded.len() > STRING_LEN_MAX {
            return fault(STRING_LONG, self.pos);
        }
        Ok(())
    }

    /// Reads the escape sequence whose backslash is here.
    fn escape(&mut self, decoded: &mut Vec<u8>) -> Read<()> {
        let backslash = self.pos;
        let Some(&selector) = self.text.get(backslash + 1) else {
            return fault(STRING_END, self.text.len());
        };
        self.pos += 2;
        let byte = match selector {
            b'"' | b'\\' | b'/' => selector,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'u' => {
                let c = self.code_point(backslash)?;
                decoded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return fault(BACKSLASH, backslash),
        };
        decoded.push(byte);
        Ok(())
    }

    /// Reads what follows `\u`: four digits, and the other half if they are half of a pair.
    fn code_point(&mut self, backslash: usize) -> Read<char> {
        let first = self.hex_digits()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        if !(0xd800..0xdc00).contains(&first) || !self.text[self.pos..].starts_with(b"\\u") {
            return fault(SURROGATE, backslash);
        }
        self.pos += 2;
        let second = self.hex_digits()?;
        if !(0xdc00..0xe000).contains(&second) {
            return fault(PAIR, backslash);
        }
        let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        match char::from_u32(joined) {
            Some(c) => Ok(c),
            None => fault(PAIR, backslash),
        }
    }

    fn hex_digits(&mut self) -> Read<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek() else {
                return fault(STRING_END, self.text.len());
            };
            let Some(digit) = char::from(byte).to_digit(16) else {
                return fault(ESCAPE, self.pos);
            };
            code = code << 4 | digit;
            self.pos += 1;
        }
        Ok(code)
    }

    fn skip_digits(&mut self) -> usize {
        let digits = self.text[self.pos..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.pos += digits;
        digits
    }

    /// Reads the number that starts here, with a digit or a minus sign.
    fn number(&mut self) -> Read<Number> {
        let start = self.pos;
        let is_negative = self.peek() == Some(b'-');
        if is_negative {
            self.pos += 1;
        }
        let first_digit = self.pos;
        match self.skip_digits() {
            0 => return fault(VALUE, start),
            1 => (),
            // A zero too many after a minus sign has always been taken; such states are stored.
            _ if self.text[first_digit] == b'0' && !is_negative => {
                return fault(LEADING_ZERO, first_digit);
            }
            _ => (),
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            if self.skip_digits() == 0 {
                return fault(FRACTION, first_digit);
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            if self.skip_digits() == 0 {
                return fault(EXPONENT, start);
            }
        }
        if self.peek().is_some_and(|byte| !ends_number(byte)) {
            return fault(VALUE, start);
        }
        let bytes = &self.text[start..self.pos];
        if bytes.len() > NUMBER_LEN_MAX {
            return fault(NUMBER_LONG, start);
        }
        let text = std::str::from_utf8(bytes).expect("digits, signs, a point and an e are ASCII");
        let Some(number) = Number::from_text(text) else {
            return fault(NUMBER_LONG, start);
        };
        match text.parse::<f64>() {
            Ok(value) if value.abs() <= NUMBER_MAX => Ok(number),
            Ok(_) | Err(_) => fault(NUMBER_RANGE, start),
        }
    }
}

fn ends_number(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\r' | b'\n' | b',' | b'}' | b']' | b'/' | b':' | b'{' | b'[' | b'"'
    )
}

/// The names an object has had so far, once they are more than a few.
#[derive(Default)]
struct Names(BTreeSet<Text>);

impl Names {
    /// With as many members, all are looked at; the others are in the set.
    const FEW: usize = 8;

    /// Whether the name is new; `members` has the others.
    fn add(&mut self, name: &Text, members: &[(Text, Value)]) -> bool {
        let few = members.get(..Self::FEW).unwrap_or(members);
        if few.iter().any(|(other, _)| other == name) {
            return false;
        }
        members.len() < Self::FEW || self.0.insert(name.clone())
    }
}

macro_rules! value_expected {
    ($start:literal) => {
        concat!(
            $start,
            "  It must be either a literal (null, true, or false), a number, a string (in double ",
            "quotes \"\"), an array (with brackets []), or an object (with braces {})."
        )
    };
}

const EMPTY: &str = value_expected!("An empty JSON payload isn't allowed.");
const VALUE: &str = value_expected!("A valid JSON value is expected here.");
const TRAILING: &str = "Unexpected character after the end of a valid JSON value.";
const TOO_DEEP: &str = "The JSON value is nested too deeply.  Such a deep nesting of arrays and objects is not \
     supported.";
const OBJECT_END: &str =
    "Unexpected end of JSON payload.  There's an object without a closing brace (}).";
const MEMBER_END: &str =
    "Unexpected end of JSON payload.  There's an object member without a value.";
const NAME: &str = "A double quote (\") is expected here.  There must be a valid JSON object member starts with \
     a name, which is a string enclosed in double quotes.";
const COLON: &str =
    "A colon (:) is expected here.  There must be a colon after a JSON member name.";
const OBJECT_COMMA: &str = "Either a closing brace (}) or a comma (,) is expected here.  Each JSON object must be \
     enclosed in braces and its members must be separated by commas.";
const DUPLICATE: &str = "Duplicate object member.  All JSON object members must have unique names.";
const ARRAY_END: &str =
    "Unexpected end of JSON payload.  There's an array without a closing bracket (]).";
const ARRAY_COMMA: &str = "Either a closing bracket (]) or a comma (,) is expected here.  Each array must be enclosed \
     in brackets and its members must be separated by commas.";
const STRING_END: &str =
    "Unexpected end of JSON payload.  There's a string without a final double quote (\").";
const CONTROL: &str =
    "Unexpected character.  All control characters in a JSON string must be escaped.";
const BACKSLASH: &str = "Unexpected backslash.  A literal backslash in a JSON string must be escaped with a second \
     backslash (\\\\).";
const ESCAPE: &str = "Invalid escape sequence.  An escape sequence in a JSON string must start with a backslash, \
     followed by the lowercase letter u, followed by four hexadecimal digits (\\uXXXX).";
const SURROGATE: &str = "Invalid JSON encoding sequence.  This 6-byte sequence does not represent a valid UTF \
     character.";
const PAIR: &str = "Invalid JSON encoding sequence.  This 12-byte sequence composes an illegal UTF-16 surrogate \
     pair.";
const STRING_LONG: &str =
    "The string is too long.  Such a long JSON string value is not supported.";
const FRACTION: &str =
    "The number is invalid.  A fraction part in JSON numbers must contain at least one digit.";
const LEADING_ZERO: &str = "The number is invalid.  Leading zeros are not allowed in JSON numbers.";
const EXPONENT: &str =
    "The number is invalid.  An exponent part in JSON numbers must contain at least one digit.";
const NUMBER_LONG: &str =
    "The number is too long.  Such a long JSON number value is not supported.";
const NUMBER_RANGE: &str =
    "The number is out of representable range.  Such JSON number value is not supported.";

#[cfg(test)]
mod tests;
