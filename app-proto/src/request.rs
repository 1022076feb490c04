//! The request record: a fixed part, the lengths of the fields, the texts one after another, and
//! the body if it is small.
//!
//! The fixed part is [`REQUEST_RECORD_LEN`] bytes of little-endian words:
//!
//! | offset | word |
//! |---|---|
//! | 0 | length of the whole record, multiple of 8 |
//! | 4 | slot |
//! | 8 | generation |
//! | 12 | flags: [`REQUEST_TLS`] and its like |
//! | 16 | target index of the application |
//! | 20 | minor HTTP version |
//! | 24 | length of the method |
//! | 28 | length of the request target as received |
//! | 32 | length of the path, decoded and perhaps rewritten |
//! | 36 | length of the query; all ones when there is none |
//! | 40 | length of the client's address |
//! | 44 | length of the local address |
//! | 48 | length of the local port, as text |
//! | 52 | length of the server name |
//! | 56 | number of fields |
//! | 60 | length of the body bytes in this record |
//! | 64 | length of the whole body (8 bytes) |
//! | 72 | length of all texts |
//! | 76 | zero |

use thiserror::Error;

use crate::RequestId;

/// Bytes of the fixed part.
pub const REQUEST_RECORD_LEN: usize = 80;

/// Flag: the scheme is https.
pub const REQUEST_TLS: u32 = 1;
/// Flag: a WebSocket handshake, which may be answered with [`crate::ResponseKind::Upgrade`].
pub const REQUEST_WEBSOCKET: u32 = 2;
/// Flag: the body is in a file whose descriptor comes over the doorbell.
pub const REQUEST_BODY_FILE: u32 = 4;
/// Flag: this record holds only its fixed part; the whole is in a memory file whose descriptor
/// comes over the doorbell.
pub const REQUEST_RECORD_FILE: u32 = 8;

const FLAGS: u32 = REQUEST_TLS | REQUEST_WEBSOCKET | REQUEST_BODY_FILE | REQUEST_RECORD_FILE;
const ABSENT: u32 = u32::MAX;

/// What a request record says, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The request, for the answer.
    pub id: RequestId,
    /// [`REQUEST_TLS`] and its like.
    pub flags: u32,
    /// Which of the application's targets is meant.
    pub target_index: u32,
    /// 0 or 1: the request came as HTTP/1.0 or 1.1.
    pub minor_version: u32,
    /// The method as received.
    pub method: &'a [u8],
    /// The request target as received.
    pub target: &'a [u8],
    /// The path: decoded, normalised, perhaps rewritten.
    pub path: &'a [u8],
    /// What follows the question mark, if there is one.
    pub query: Option<&'a [u8]>,
    /// The client's address, without port.
    pub remote: &'a [u8],
    /// The address the connection was accepted on.
    pub local_addr: &'a [u8],
    /// The port the connection was accepted on; empty for Unix sockets.
    pub local_port: &'a [u8],
    /// The host asked for, or `localhost`.
    pub server_name: &'a [u8],
    /// How many fields there are.
    pub fields_count: u32,
    /// Lengths, then texts, of the fields.
    lengths: &'a [u8],
    texts: &'a [u8],
    /// The body bytes in the record.
    pub body: &'a [u8],
    /// Bytes of the whole body, wherever they are.
    pub body_len: u64,
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed record: {0}")]
pub struct RecordError(pub &'static str);

/// The parts of a request to encode.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// [`REQUEST_TLS`] and its like.
    pub flags: u32,
    /// Which of the application's targets is meant.
    pub target_index: u32,
    /// 0 or 1.
    pub minor_version: u32,
    /// See [`Request`].
    pub method: &'a [u8],
    /// See [`Request`].
    pub target: &'a [u8],
    /// See [`Request`].
    pub path: &'a [u8],
    /// See [`Request`].
    pub query: Option<&'a [u8]>,
    /// See [`Request`].
    pub remote: &'a [u8],
    /// See [`Request`].
    pub local_addr: &'a [u8],
    /// See [`Request`].
    pub local_port: &'a [u8],
    /// See [`Request`].
    pub server_name: &'a [u8],
    /// The body bytes that go in the record.
    pub body: &'a [u8],
    /// Bytes of the whole body.
    pub body_len: u64,
}

/// Writes a request record into `out`, replacing what it held. The id is filled in later, by
/// [`set_request_id`]: a request that was taken back is offered again under another.
///
/// # Errors
/// [`RecordError`] when a length does not fit its word.
pub fn encode_request<'a, F>(
    out: &mut Vec<u8>,
    parts: &RequestParts<'_>,
    fields: F,
) -> Result<(), RecordError>
where
    F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
{
    let len =
        |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| RecordError("a text is over 4 GiB"));
    out.clear();
    out.resize(REQUEST_RECORD_LEN, 0);
    let mut count: u32 = 0;
    for (name, value) in fields.clone() {
        out.extend_from_slice(&len(name)?.to_le_bytes());
        out.extend_from_slice(&len(value)?.to_le_bytes());
        count += 1;
    }
    let texts_at = out.len();
    for text in [
        parts.method,
        parts.target,
        parts.path,
        parts.query.unwrap_or_default(),
        parts.remote,
        parts.local_addr,
        parts.local_port,
        parts.server_name,
    ] {
        out.extend_from_slice(text);
    }
    for (name, value) in fields {
        out.extend_from_slice(name);
        out.extend_from_slice(value);
    }
    let texts_len = out.len() - texts_at;
    out.extend_from_slice(parts.body);
    let padded = out.len().next_multiple_of(8);
    out.resize(padded, 0);
    let total = u32::try_from(padded).map_err(|_| RecordError("a record is over 4 GiB"))?;
    let texts_len = u32::try_from(texts_len).map_err(|_| RecordError("a record is over 4 GiB"))?;
    let words = [
        total,
        0,
        0,
        parts.flags,
        parts.target_index,
        parts.minor_version,
        len(parts.method)?,
        len(parts.target)?,
        len(parts.path)?,
        parts.query.map_or(Ok(ABSENT), len)?,
        len(parts.remote)?,
        len(parts.local_addr)?,
        len(parts.local_port)?,
        len(parts.server_name)?,
        count,
        len(parts.body)?,
    ];
    for (at, word) in words.into_iter().enumerate() {
        out[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
    out[64..72].copy_from_slice(&parts.body_len.to_le_bytes());
    out[72..76].copy_from_slice(&texts_len.to_le_bytes());
    Ok(())
}

/// Gives an encoded record the id under which it is offered.
pub fn set_request_id(record: &mut [u8], id: RequestId) {
    if let Some(place) = record.get_mut(4..12) {
        place[..4].copy_from_slice(&id.slot.to_le_bytes());
        place[4..].copy_from_slice(&id.generation.to_le_bytes());
    }
}

/// The fixed part of a record that says the rest is in a memory file.
#[must_use]
pub fn record_file_stub(record: &[u8]) -> [u8; REQUEST_RECORD_LEN] {
    let mut stub = [0; REQUEST_RECORD_LEN];
    let len = record.len().min(REQUEST_RECORD_LEN);
    stub[..len].copy_from_slice(&record[..len]);
    let total = u32::try_from(REQUEST_RECORD_LEN).expect("a small constant");
    stub[0..4].copy_from_slice(&total.to_le_bytes());
    let flags = word(&stub, 12) | REQUEST_RECORD_FILE;
    stub[12..16].copy_from_slice(&flags.to_le_bytes());
    // Every length is zero: only id and flags mean anything.
    stub[24..].fill(0);
    stub
}

/// The length, id and flags at the start of a record: what a reader of the ring needs first.
#[must_use]
pub fn peek_request(fixed: &[u8; REQUEST_RECORD_LEN]) -> (u32, RequestId, u32) {
    (
        word(fixed, 0),
        RequestId { slot: word(fixed, 4), generation: word(fixed, 8) },
        word(fixed, 12),
    )
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Cuts `len` bytes off the front of `rest`.
fn cut<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], RecordError> {
    let (text, after) =
        rest.split_at_checked(len).ok_or(RecordError("a text passes the end of the record"))?;
    *rest = after;
    Ok(text)
}

impl<'a> Request<'a> {
    /// Whether it is a WebSocket handshake.
    #[must_use]
    pub fn is_websocket_handshake(&self) -> bool {
        self.flags & REQUEST_WEBSOCKET != 0
    }

    /// Reads a whole record.
    ///
    /// # Errors
    /// [`RecordError`] when any length passes the end, or a flag is unknown.
    pub fn decode(record: &'a [u8]) -> Result<Self, RecordError> {
        if record.len() < REQUEST_RECORD_LEN {
            return Err(RecordError("shorter than its fixed part"));
        }
        let (fixed, mut rest) = record.split_at(REQUEST_RECORD_LEN);
        let w = |at: usize| word(fixed, at);
        if w(0) as usize != record.len() {
            return Err(RecordError("not as long as it says"));
        }
        let flags = w(12);
        if flags & !FLAGS != 0 {
            return Err(RecordError("unknown flags"));
        }
        let fields_count = w(56);
        let lengths_len =
            (fields_count as usize).checked_mul(8).ok_or(RecordError("too many fields"))?;
        let lengths = cut(&mut rest, lengths_len)?;
        let mut texts = cut(&mut rest, w(72) as usize)?;
        let method = cut(&mut texts, w(24) as usize)?;
        let target = cut(&mut texts, w(28) as usize)?;
        let path = cut(&mut texts, w(32) as usize)?;
        let query = match w(36) {
            ABSENT => None,
            len => Some(cut(&mut texts, len as usize)?),
        };
        let remote = cut(&mut texts, w(40) as usize)?;
        let local_addr = cut(&mut texts, w(44) as usize)?;
        let local_port = cut(&mut texts, w(48) as usize)?;
        let server_name = cut(&mut texts, w(52) as usize)?;
        let mut fields_len: usize = 0;
        for pair in lengths.chunks_exact(4) {
            fields_len = fields_len
                .checked_add(word(pair, 0) as usize)
                .ok_or(RecordError("fields too long"))?;
        }
        if fields_len != texts.len() {
            return Err(RecordError("the fields do not fill their room"));
        }
        let body = cut(&mut rest, w(60) as usize)?;
        if rest.len() >= 8 {
            return Err(RecordError("bytes left over"));
        }
        let mut body_len = [0; 8];
        body_len.copy_from_slice(&fixed[64..72]);
        Ok(Self {
            id: RequestId { slot: w(4), generation: w(8) },
            flags,
            target_index: w(16),
            minor_version: w(20),
            method,
            target,
            path,
            query,
            remote,
            local_addr,
            local_port,
            server_name,
            fields_count,
            lengths,
            texts,
            body,
            body_len: u64::from_le_bytes(body_len),
        })
    }

    /// The fields, in the order of arrival, names as received.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields { lengths: self.lengths, texts: self.texts }
    }
}

/// Name and value pairs. Also used for the fields of a response.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    pub(crate) lengths: &'a [u8],
    pub(crate) texts: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (pair, rest) = self.lengths.split_at_checked(8)?;
        self.lengths = rest;
        let name = cut(&mut self.texts, word(pair, 0) as usize).ok()?;
        let value = cut(&mut self.texts, word(pair, 4) as usize).ok()?;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts<'a>(body: &'a [u8], query: Option<&'a [u8]>) -> RequestParts<'a> {
        RequestParts {
            flags: REQUEST_TLS,
            target_index: 2,
            minor_version: 1,
            method: b"POST",
            target: b"/a%20b?x=1",
            path: b"/a b",
            query,
            remote: b"192.0.2.1",
            local_addr: b"127.0.0.1",
            local_port: b"8080",
            server_name: b"example.org",
            body,
            body_len: body.len() as u64,
        }
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let fields: [(&[u8], &[u8]); 2] = [(b"Host", b"example.org"), (b"X-Empty", b"")];
        let mut record = Vec::new();
        encode_request(&mut record, &parts(b"body", Some(b"x=1")), fields.into_iter()).unwrap();
        let id = RequestId { slot: 9, generation: 77 };
        set_request_id(&mut record, id);
        let request = Request::decode(&record).unwrap();
        assert_eq!(request.id, id);
        assert_eq!(request.method, b"POST");
        assert_eq!(request.target, b"/a%20b?x=1");
        assert_eq!(request.path, b"/a b");
        assert_eq!(request.query, Some(&b"x=1"[..]));
        assert_eq!(request.remote, b"192.0.2.1");
        assert_eq!(request.local_port, b"8080");
        assert_eq!(request.server_name, b"example.org");
        assert_eq!(request.body, b"body");
        assert_eq!(request.fields().collect::<Vec<_>>(), fields);
        assert_eq!(record.len() % 8, 0);
    }

    #[test]
    fn absent_and_empty_query_differ() {
        let mut record = Vec::new();
        encode_request(&mut record, &parts(b"", None), std::iter::empty()).unwrap();
        assert_eq!(Request::decode(&record).unwrap().query, None);
        encode_request(&mut record, &parts(b"", Some(b"")), std::iter::empty()).unwrap();
        assert_eq!(Request::decode(&record).unwrap().query, Some(&b""[..]));
    }

    #[test]
    fn a_stub_keeps_id_and_flags_only() {
        let mut record = Vec::new();
        encode_request(&mut record, &parts(b"body", None), std::iter::empty()).unwrap();
        set_request_id(&mut record, RequestId { slot: 1, generation: 2 });
        let stub = record_file_stub(&record);
        let (len, id, flags) = peek_request(&stub);
        assert_eq!(len as usize, REQUEST_RECORD_LEN);
        assert_eq!(id, RequestId { slot: 1, generation: 2 });
        assert_eq!(flags, REQUEST_TLS | REQUEST_RECORD_FILE);
    }

    #[test]
    fn lengths_at_the_old_limits_survive() {
        for len in [250usize, 255, 256, 260, 65_530, 65_535, 65_536, 65_540] {
            let text = vec![b'a'; len];
            let fields = [(&text[..], &text[..])];
            let mut record = Vec::new();
            let mut parts = parts(b"", None);
            parts.method = &text;
            encode_request(&mut record, &parts, fields.into_iter()).unwrap();
            let request = Request::decode(&record).unwrap();
            assert_eq!(request.method.len(), len);
            assert_eq!(request.fields().next(), Some((&text[..], &text[..])));
        }
    }

    proptest! {
        #[test]
        fn spoiled_records_fail_without_panic(at in 0usize..200, byte: u8) {
            let fields: [(&[u8], &[u8]); 2] = [(b"Host", b"example.org"), (b"X-Empty", b"")];
            let mut record = Vec::new();
            encode_request(&mut record, &parts(b"body", Some(b"x")), fields.into_iter()).unwrap();
            let at = at % record.len();
            record[at] = byte;
            if let Ok(request) = Request::decode(&record) {
                let _ = request.fields().count();
            }
        }
    }
}
