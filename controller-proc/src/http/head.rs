//! The head of a request: its line, and the few fields that matter here.

use thiserror::Error;

use crate::precondition::{Condition, Preconditions};

/// The most octets of a request line with all its fields.
pub(crate) const HEAD_LEN_MAX: usize = 16 * 1024;

/// The most fields. Together they must stay below [`HEAD_LEN_MAX`] anyway.
const FIELDS_MAX: usize = 128;

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The method.
    pub(crate) method: String,
    /// The target, raw.
    pub(crate) target: Vec<u8>,
    /// How the end of the body is known.
    pub(crate) framing: Framing,
    /// Whether the client waits for a word before it sends the body.
    pub(crate) expects_continue: bool,
    /// In which state of its value it is to be done.
    pub(crate) preconditions: Preconditions,
    /// How many octets the head took.
    pub(crate) len: usize,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// It is not: what came together with the head is the body.
    Unsaid,
    /// The body has this many octets.
    Length(u64),
    /// The body is in chunks.
    Chunked,
}

/// Why octets are not the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum HeadError {
    /// It goes on for too long.
    #[error("too long request headers")]
    TooLong,
    /// The line is not a request line.
    #[error("The request line is malformed.")]
    Line,
    /// The version is not HTTP/1.x.
    #[error("The HTTP version is not supported.")]
    Version,
    /// A field is not one, or there are too many.
    #[error("The header fields are malformed.")]
    Fields,
    /// The length is not a number, or is given twice.
    #[error("Content-Length is invalid")]
    ContentLength,
    /// The transfer coding is not `chunked` alone, or comes with a length.
    #[error("Transfer-Encoding is invalid")]
    TransferEncoding,
    /// A precondition is not a star or a list of entity tags.
    #[error("The If-Match or If-None-Match field is malformed.")]
    Precondition,
}

/// Reads the head at the start of `octets`; nothing if it is not complete yet.
pub(crate) fn parse(octets: &[u8]) -> Result<Option<Head>, HeadError> {
    let blank = octets.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let Some(len) = head_len(&octets[blank..]) else {
        let too_long = octets.len() >= HEAD_LEN_MAX;
        return if too_long { Err(HeadError::TooLong) } else { Ok(None) };
    };
    let len = blank + len;
    if len > HEAD_LEN_MAX {
        return Err(HeadError::TooLong);
    }
    let head = &octets[blank..len];
    let line_len = head.iter().position(|&byte| byte == b'\n').unwrap_or(head.len());
    let (line, fields) = head.split_at(line_len);
    let line = Line::parse(line)?;
    let fields = Fields::parse(fields.strip_prefix(b"\n").unwrap_or(fields))?;
    Ok(Some(Head {
        method: line.method,
        target: line.target,
        framing: fields.framing(line.minor)?,
        expects_continue: fields.expects_continue && line.minor > 0,
        preconditions: fields.preconditions()?,
        len,
    }))
}

/// Octets up to and with the first empty line.
fn head_len(octets: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (at, _) in octets.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let line = &octets[line_start..at];
        if line_start > 0 && (line.is_empty() || line == b"\r") {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

struct Line {
    method: String,
    target: Vec<u8>,
    minor: u8,
}

impl Line {
    fn parse(line: &[u8]) -> Result<Self, HeadError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().any(|byte| matches!(byte, 0 | b'\r')) {
            return Err(HeadError::Line);
        }
        let method_len = line.iter().position(|&byte| byte == b' ').ok_or(HeadError::Line)?;
        let (method, rest) = line.split_at(method_len);
        let is_method = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'_' | b'-');
        if method.is_empty() || !method.iter().all(is_method) {
            return Err(HeadError::Line);
        }
        let method = String::from_utf8(method.to_vec()).map_err(|_| HeadError::Line)?;
        // Blanks may stand inside a target, so the version is found from the end.
        let (rest, version) = rest.split_last_chunk::<8>().ok_or(HeadError::Line)?;
        let minor = match version {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => minor - b'0',
            [b'H', b'T', b'T', b'P', b'/', _, b'.', _] => return Err(HeadError::Version),
            _ => return Err(HeadError::Line),
        };
        let target = rest.strip_suffix(b" ").ok_or(HeadError::Line)?;
        let leading = target.iter().take_while(|&&byte| byte == b' ').count();
        let trailing = target.iter().rev().take_while(|&&byte| byte == b' ').count();
        let target = target.get(leading..target.len() - trailing).ok_or(HeadError::Line)?;
        Ok(Self { method, target: target.to_vec(), minor })
    }
}

#[derive(Default)]
struct Fields {
    content_length: Option<u64>,
    transfer_encoding: Option<Vec<u8>>,
    expects_continue: bool,
    if_match: Option<Vec<u8>>,
    if_none_match: Option<Vec<u8>>,
}

impl Fields {
    fn parse(octets: &[u8]) -> Result<Self, HeadError> {
        let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let parsed = match httparse::parse_headers(octets, &mut room) {
            Ok(httparse::Status::Complete((_, parsed))) => parsed,
            Ok(httparse::Status::Partial) | Err(_) => return Err(HeadError::Fields),
        };
        let mut fields = Self::default();
        for field in parsed {
            let value = field.value;
            if field.name.eq_ignore_ascii_case("content-length") {
                let length = content_length(value).ok_or(HeadError::ContentLength)?;
                if fields.content_length.replace(length).is_some() {
                    return Err(HeadError::ContentLength);
                }
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                if fields.transfer_encoding.replace(value.to_vec()).is_some() {
                    return Err(HeadError::TransferEncoding);
                }
            } else if field.name.eq_ignore_ascii_case("expect") {
                fields.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            } else if field.name.eq_ignore_ascii_case("if-match") {
                join(&mut fields.if_match, value);
            } else if field.name.eq_ignore_ascii_case("if-none-match") {
                join(&mut fields.if_none_match, value);
            }
        }
        Ok(fields)
    }

    fn preconditions(&self) -> Result<Preconditions, HeadError> {
        let condition = |field: &Option<Vec<u8>>| {
            let condition = field.as_ref().map(|field| Condition::parse(field));
            match condition {
                Some(None) => Err(HeadError::Precondition),
                Some(Some(condition)) => Ok(Some(condition)),
                None => Ok(None),
            }
        };
        Ok(Preconditions {
            if_match: condition(&self.if_match)?,
            if_none_match: condition(&self.if_none_match)?,
        })
    }

    fn framing(&self, minor: u8) -> Result<Framing, HeadError> {
        match (&self.transfer_encoding, self.content_length) {
            (None, None) => Ok(Framing::Unsaid),
            (None, Some(length)) => Ok(Framing::Length(length)),
            (Some(coding), None) if minor > 0 && coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(Framing::Chunked)
            }
            (Some(_), _) => Err(HeadError::TransferEncoding),
        }
    }
}

/// Adds one more field line to a list: RFC 9110, 5.3.
fn join(list: &mut Option<Vec<u8>>, value: &[u8]) {
    match list {
        None => *list = Some(value.to_vec()),
        Some(list) => {
            list.push(b',');
            list.extend_from_slice(value);
        }
    }
}

/// Decimal digits and nothing else. What does not fit is as good as the largest number: over any
/// limit.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |length, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        Some(length.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Option<Head>, HeadError> {
        parse(text.as_bytes())
    }

    fn head(method: &str, target: &str, framing: Framing, len: usize) -> Head {
        let (method, target) = (method.to_owned(), target.as_bytes().to_vec());
        let preconditions = Preconditions::default();
        Head { method, target, framing, expects_continue: false, preconditions, len }
    }

    #[test]
    fn request_lines_are_read() {
        for (text, method, target) in [
            ("GET / HTTP/1.1\r\n\r\n", "GET", "/"),
            ("GET / HTTP/1.0\n\n", "GET", "/"),
            ("\r\n\n\r\nGET /config HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/config"),
            ("M-SEARCH_X   /a   HTTP/1.7\r\n\r\n", "M-SEARCH_X", "/a"),
            ("PUT /a b HTTP/1.1\r\n\r\n", "PUT", "/a b"),
            ("GET /a HTTP/1.1 HTTP/1.1\r\n\r\n", "GET", "/a HTTP/1.1"),
            ("GET /\u{fc}\u{1} HTTP/1.1\r\n\r\n", "GET", "/\u{fc}\u{1}"),
            ("OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS", "*"),
        ] {
            let expected = head(method, target, Framing::Unsaid, text.len());
            assert_eq!(parsed(text), Ok(Some(expected)), "{text:?}");
        }
    }

    #[test]
    fn request_lines_that_are_none_are_refused() {
        for (text, error) in [
            ("get / HTTP/1.1\r\n\r\n", HeadError::Line),
            ("G3T / HTTP/1.1\r\n\r\n", HeadError::Line),
            (" GET / HTTP/1.1\r\n\r\n", HeadError::Line),
            ("GET\r\n\r\n", HeadError::Line),
            ("GET /\r\n\r\n", HeadError::Line),
            ("GET /HTTP/1.1\r\n\r\n", HeadError::Line),
            ("GET / HTTP/1.1 \r\n\r\n", HeadError::Line),
            ("GET / HTTP/1.1\r\r\n\r\n", HeadError::Line),
            ("GET /\0 HTTP/1.1\r\n\r\n", HeadError::Line),
            ("GET / HTTP/2.0\r\n\r\n", HeadError::Version),
            ("GET / HTTP/1.x\r\n\r\n", HeadError::Version),
            ("GET / http/1.1\r\n\r\n", HeadError::Line),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", HeadError::Fields),
            ("GET / HTTP/1.1\r\na\0: b\r\n\r\n", HeadError::Fields),
        ] {
            assert_eq!(parsed(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_end_of_the_body_is_never_a_guess() {
        let framing = |fields: &str| {
            parsed(&format!("PUT / HTTP/1.1\r\n{fields}\r\n"))
                .map(|head| head.expect("the head is complete").framing)
        };
        for (fields, expected) in [
            ("", Ok(Framing::Unsaid)),
            ("Content-Length: 7\r\n", Ok(Framing::Length(7))),
            ("content-length:0\r\n", Ok(Framing::Length(0))),
            ("Content-Length: 99999999999999999999\r\n", Ok(Framing::Length(u64::MAX))),
            ("Content-Length: +7\r\n", Err(HeadError::ContentLength)),
            ("Content-Length: -7\r\n", Err(HeadError::ContentLength)),
            ("Content-Length: 0x7\r\n", Err(HeadError::ContentLength)),
            ("Content-Length: 7, 7\r\n", Err(HeadError::ContentLength)),
            ("Content-Length:\r\n", Err(HeadError::ContentLength)),
            ("Content-Length: 7\r\nContent-Length: 7\r\n", Err(HeadError::ContentLength)),
            ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
            ("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(HeadError::TransferEncoding)),
            ("Transfer-Encoding: identity\r\n", Err(HeadError::TransferEncoding)),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(HeadError::TransferEncoding),
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
                Err(HeadError::TransferEncoding),
            ),
        ] {
            assert_eq!(framing(fields), expected, "{fields:?}");
        }
        let old = parsed("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(old, Err(HeadError::TransferEncoding));
    }

    #[test]
    fn preconditions_are_read_from_as_many_fields_as_there_are() {
        let read = |fields: &str| {
            parsed(&format!("PUT / HTTP/1.1\r\n{fields}\r\n"))
                .map(|head| head.expect("the head is complete").preconditions)
        };
        let condition = |text: &str| Condition::parse(text.as_bytes());
        for (fields, if_match, if_none_match) in [
            ("", None, None),
            ("if-match: *\r\n", condition("*"), None),
            ("If-Match: \"a\"\r\nIF-MATCH: \"b\"\r\n", condition("\"a\", \"b\""), None),
            ("If-None-Match: *\r\n", None, condition("*")),
        ] {
            assert_eq!(read(fields), Ok(Preconditions { if_match, if_none_match }), "{fields}");
        }
        for fields in ["If-Match: a\r\n", "If-None-Match:\r\n", "If-Match: *\r\nIf-Match: *\r\n"] {
            assert_eq!(read(fields), Err(HeadError::Precondition), "{fields}");
        }
    }

    #[test]
    fn only_newer_clients_can_wait_for_a_word() {
        for (version, field, expected) in [
            ("1.1", "Expect: 100-continue", true),
            ("1.1", "expect: 100-Continue", true),
            ("1.0", "Expect: 100-continue", false),
            ("1.1", "Expect: more", false),
        ] {
            let head = parsed(&format!("PUT / HTTP/{version}\r\n{field}\r\n\r\n"));
            let head = head.unwrap().unwrap();
            assert_eq!(head.expects_continue, expected, "{version} {field}");
        }
    }

    #[test]
    fn a_head_is_bounded_whether_it_ends_or_not() {
        let padding = "x".repeat(HEAD_LEN_MAX);
        assert_eq!(parsed(&padding[1..]), Ok(None));
        assert_eq!(parsed(&padding), Err(HeadError::TooLong));
        assert_eq!(parsed(&"\n".repeat(HEAD_LEN_MAX)), Err(HeadError::TooLong));
        let ended = format!("GET /{padding} HTTP/1.1\r\n\r\n");
        assert_eq!(parsed(&ended), Err(HeadError::TooLong));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&octets);
        }

        #[test]
        fn splits_do_not_matter(split in 0_usize..60) {
            let text = "PUT /config HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
            let split = split.min(text.len() - 2);
            let whole = parsed(text).unwrap().unwrap();
            prop_assert_eq!(&text[whole.len..], "{}");
            let part = parsed(&text[..split]).unwrap();
            prop_assert_eq!(part.is_some(), split >= whole.len);
        }
    }
}
