//! The response records: a head with the first body bytes, further body, and the end; and what a
//! worker says of its WebSocket sessions.
//!
//! Each begins with [`RESPONSE_RECORD_LEN`] bytes of little-endian words:
//!
//! | offset | word |
//! |---|---|
//! | 0 | slot |
//! | 4 | generation |
//! | 8 | kind |
//! | 12 | flags: [`RESPONSE_LAST`] |
//! | 16 | length of the payload, without padding to 8 |
//! | 20 | microseconds the worker spent on the request so far; a hint |
//!
//! The payload of a head: status, number of fields, length of their texts, zero (four words), the
//! pairs of field lengths, the texts, and then the first body bytes.

use crate::{Fields, RecordError, RequestId};

/// Bytes before the payload of a record.
pub const RESPONSE_RECORD_LEN: usize = 24;

/// Flag: nothing more comes for this request.
pub const RESPONSE_LAST: u32 = 1;

/// Bytes before the field lengths in the payload of a head.
pub const HEAD_FIXED_LEN: usize = 16;

/// The first bytes of a head's payload, for a writer that puts its parts together itself: then
/// follow the pairs of field lengths (`u32` each), the texts, and the first body bytes.
#[must_use]
pub fn head_fixed(status: u16, fields_count: u32, texts_len: u32) -> [u8; HEAD_FIXED_LEN] {
    let mut fixed = [0; HEAD_FIXED_LEN];
    fixed[0..4].copy_from_slice(&u32::from(status).to_le_bytes());
    fixed[4..8].copy_from_slice(&fields_count.to_le_bytes());
    fixed[8..12].copy_from_slice(&texts_len.to_le_bytes());
    fixed
}

/// What a response record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ResponseKind {
    /// Status, fields, and the first body bytes.
    Head = 1,
    /// Body bytes; none are needed when the record is the last.
    Body = 2,
    /// Offset and length (two `u64`) in the file whose descriptor came over the doorbell.
    File = 3,
    /// The application failed: no further bytes will come, and what came is not whole.
    Failed = 4,
    /// The head, with status 101, that accepts a WebSocket handshake: the request is a session from
    /// here on, and its slot is free.
    Upgrade = 5,
    /// How many octets of the session's client the application has taken so far (`u64`).
    Taken = 6,
}

/// The start of a response record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseRecord {
    /// The request it answers.
    pub id: RequestId,
    /// What it is.
    pub kind: ResponseKind,
    /// Whether it is the last one.
    pub last: bool,
    /// Bytes of payload.
    pub len: usize,
    /// Microseconds the worker spent on the request so far, as the worker says.
    pub service_us: u32,
}

impl ResponseRecord {
    /// The bytes of the start of the record.
    ///
    /// # Errors
    /// [`RecordError`] when the payload is over 4 GiB.
    pub fn encode(&self) -> Result<[u8; RESPONSE_RECORD_LEN], RecordError> {
        let len = u32::try_from(self.len).map_err(|_| RecordError("payload over 4 GiB"))?;
        let words = [
            self.id.slot,
            self.id.generation,
            self.kind as u32,
            if self.last { RESPONSE_LAST } else { 0 },
            len,
            self.service_us,
        ];
        let mut bytes = [0; RESPONSE_RECORD_LEN];
        for (at, word) in words.into_iter().enumerate() {
            bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Reads the start of a record, as hostile as it may be.
    ///
    /// # Errors
    /// [`RecordError`] for an unknown kind or flag.
    pub fn decode(bytes: &[u8; RESPONSE_RECORD_LEN]) -> Result<Self, RecordError> {
        let w = |at: usize| word(bytes, at);
        let kind = match w(8) {
            1 => ResponseKind::Head,
            2 => ResponseKind::Body,
            3 => ResponseKind::File,
            4 => ResponseKind::Failed,
            5 => ResponseKind::Upgrade,
            6 => ResponseKind::Taken,
            _ => return Err(RecordError("unknown kind of response record")),
        };
        let flags = w(12);
        if flags & !RESPONSE_LAST != 0 {
            return Err(RecordError("unknown flags of a response record"));
        }
        Ok(Self {
            id: RequestId { slot: w(0), generation: w(4) },
            kind,
            last: flags & RESPONSE_LAST != 0,
            len: w(16) as usize,
            service_us: w(20),
        })
    }

    /// Bytes the record takes in the ring, with padding.
    #[must_use]
    pub fn ring_len(&self) -> usize {
        RESPONSE_RECORD_LEN + self.len.next_multiple_of(8)
    }
}

/// Status and fields of an answer.
#[derive(Clone, Debug)]
pub struct ResponseHead<'a> {
    /// The status; 0 to 65535, the router decides what is sensible.
    pub status: u16,
    fields: Fields<'a>,
    /// The first body bytes.
    pub body: &'a [u8],
}

impl<'a> ResponseHead<'a> {
    /// Writes the payload of a head record into `out`, replacing what it held.
    ///
    /// # Errors
    /// [`RecordError`] when a length does not fit its word.
    pub fn encode<'f, F>(
        out: &mut Vec<u8>,
        status: u16,
        fields: F,
        body: &[u8],
    ) -> Result<(), RecordError>
    where
        F: Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    {
        let len = |bytes: &[u8]| {
            u32::try_from(bytes.len()).map_err(|_| RecordError("a text is over 4 GiB"))
        };
        out.clear();
        out.resize(HEAD_FIXED_LEN, 0);
        let mut count: u32 = 0;
        for (name, value) in fields.clone() {
            out.extend_from_slice(&len(name)?.to_le_bytes());
            out.extend_from_slice(&len(value)?.to_le_bytes());
            count += 1;
        }
        let texts_at = out.len();
        for (name, value) in fields {
            out.extend_from_slice(name);
            out.extend_from_slice(value);
        }
        let texts_len = u32::try_from(out.len() - texts_at)
            .map_err(|_| RecordError("the fields are over 4 GiB"))?;
        out.extend_from_slice(body);
        out[..HEAD_FIXED_LEN].copy_from_slice(&head_fixed(status, count, texts_len));
        Ok(())
    }

    /// Reads the payload of a head record from the reader's own copy of it.
    ///
    /// # Errors
    /// [`RecordError`] when any length passes the end.
    pub fn decode(payload: &'a [u8]) -> Result<Self, RecordError> {
        let (fixed, rest) = payload
            .split_at_checked(HEAD_FIXED_LEN)
            .ok_or(RecordError("response buffer too small"))?;
        let status = u16::try_from(word(fixed, 0)).map_err(|_| RecordError("status too large"))?;
        let lengths_len = (word(fixed, 4) as usize)
            .checked_mul(8)
            .ok_or(RecordError("response buffer too small for fields count"))?;
        let (lengths, rest) = rest
            .split_at_checked(lengths_len)
            .ok_or(RecordError("response buffer too small for fields count"))?;
        let (texts, body) = rest
            .split_at_checked(word(fixed, 8) as usize)
            .ok_or(RecordError("response buffer too small for fields"))?;
        let mut sum: usize = 0;
        for pair in lengths.chunks_exact(4) {
            sum = sum
                .checked_add(word(pair, 0) as usize)
                .ok_or(RecordError("response fields too long"))?;
        }
        if sum != texts.len() {
            return Err(RecordError("the response fields do not fill their room"));
        }
        Ok(Self { status, fields: Fields { lengths, texts }, body })
    }

    /// The fields in the application's order.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.fields.clone()
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: ResponseRecord = ResponseRecord {
        id: RequestId { slot: 1, generation: 2 },
        kind: ResponseKind::Head,
        last: true,
        len: 5,
        service_us: 9,
    };

    #[test]
    fn record_bytes_are_pinned() {
        let bytes = RECORD.encode().unwrap();
        assert_eq!(bytes, [1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0]);
        assert_eq!(ResponseRecord::decode(&bytes).unwrap(), RECORD);
        assert_eq!(RECORD.ring_len(), 32);
    }

    #[test]
    fn kinds_are_pinned() {
        for (kind, number) in [
            (ResponseKind::Head, 1),
            (ResponseKind::Body, 2),
            (ResponseKind::File, 3),
            (ResponseKind::Failed, 4),
            (ResponseKind::Upgrade, 5),
            (ResponseKind::Taken, 6),
        ] {
            let bytes = ResponseRecord { kind, ..RECORD }.encode().unwrap();
            assert_eq!(bytes[8], number);
            assert_eq!(ResponseRecord::decode(&bytes).unwrap().kind, kind);
        }
        let mut unknown = RECORD.encode().unwrap();
        for number in [0, 7, 255] {
            unknown[8] = number;
            assert!(ResponseRecord::decode(&unknown).is_err());
        }
    }

    #[test]
    fn head_survives() {
        let fields: [(&[u8], &[u8]); 2] = [(b"Content-Type", b"text/plain"), (b"X", b"")];
        let mut payload = Vec::new();
        ResponseHead::encode(&mut payload, 201, fields.into_iter(), b"hi").unwrap();
        let head = ResponseHead::decode(&payload).unwrap();
        assert_eq!(head.status, 201);
        assert_eq!(head.fields().collect::<Vec<_>>(), fields);
        assert_eq!(head.body, b"hi");
    }

    proptest! {
        #[test]
        fn hostile_records_fail_without_panic(bytes: [u8; RESPONSE_RECORD_LEN], payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(record) = ResponseRecord::decode(&bytes) {
                let _ = record.ring_len();
            }
            if let Ok(head) = ResponseHead::decode(&payload) {
                let _ = head.fields().count();
            }
        }
    }
}
