//! The session records: what the router tells a worker about the WebSocket sessions it has accepted.
//! They have a ring of their own, so that frames wait behind no request and hold up none.
//!
//! Each begins with [`SESSION_RECORD_LEN`] bytes of little-endian words:
//!
//! | offset | word |
//! |---|---|
//! | 0 | slot |
//! | 4 | generation |
//! | 8 | kind |
//! | 12 | length of the payload, without padding to 8 |

use crate::{RecordError, RequestId};

/// Bytes before the payload of a record.
pub const SESSION_RECORD_LEN: usize = 16;

/// What a session record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SessionKind {
    /// Octets of the client: frames one after another as they came, in pieces of any size.
    Data = 1,
    /// How many octets of the application were passed on to the client so far (`u64`).
    PassedOn = 2,
    /// Nothing more comes from the client, and what is written to it from now on is thrown away.
    End = 3,
}

/// The start of a session record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The handshake that became the session.
    pub id: RequestId,
    /// What it is.
    pub kind: SessionKind,
    /// Bytes of payload.
    pub len: usize,
}

impl SessionRecord {
    /// The bytes of the start of the record.
    ///
    /// # Errors
    /// [`RecordError`] when the payload is over 4 GiB.
    pub fn encode(&self) -> Result<[u8; SESSION_RECORD_LEN], RecordError> {
        let len = u32::try_from(self.len).map_err(|_| RecordError("payload over 4 GiB"))?;
        let words = [self.id.slot, self.id.generation, self.kind as u32, len];
        let mut bytes = [0; SESSION_RECORD_LEN];
        for (at, word) in words.into_iter().enumerate() {
            bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Reads the start of a record.
    ///
    /// # Errors
    /// [`RecordError`] for an unknown kind.
    pub fn decode(bytes: &[u8; SESSION_RECORD_LEN]) -> Result<Self, RecordError> {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let kind = match word(8) {
            1 => SessionKind::Data,
            2 => SessionKind::PassedOn,
            3 => SessionKind::End,
            _ => return Err(RecordError("unknown kind of session record")),
        };
        let id = RequestId { slot: word(0), generation: word(4) };
        Ok(Self { id, kind, len: word(12) as usize })
    }

    /// Bytes the record takes in the ring, with padding.
    #[must_use]
    pub fn ring_len(&self) -> usize {
        SESSION_RECORD_LEN + self.len.next_multiple_of(8)
    }
}

/// The running total in the payload of a record that tells one.
///
/// # Errors
/// [`RecordError`] when the payload is something else.
pub fn decode_total(payload: &[u8]) -> Result<u64, RecordError> {
    payload
        .try_into()
        .map(u64::from_le_bytes)
        .map_err(|_| RecordError("a total of the wrong length"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn record_bytes_are_pinned() {
        let id = RequestId { slot: 1, generation: 2 };
        for (kind, number) in
            [(SessionKind::Data, 1), (SessionKind::PassedOn, 2), (SessionKind::End, 3)]
        {
            let record = SessionRecord { id, kind, len: 5 };
            let bytes = record.encode().unwrap();
            assert_eq!(bytes, [1, 0, 0, 0, 2, 0, 0, 0, number, 0, 0, 0, 5, 0, 0, 0]);
            assert_eq!(SessionRecord::decode(&bytes).unwrap(), record);
            assert_eq!(record.ring_len(), 24);
        }
        assert_eq!(decode_total(&[1, 2, 0, 0, 0, 0, 0, 0]), Ok(513));
        assert!(decode_total(&[1, 2, 3]).is_err());
    }

    proptest! {
        #[test]
        fn hostile_records_fail_without_panic(bytes: [u8; SESSION_RECORD_LEN]) {
            if let Ok(record) = SessionRecord::decode(&bytes) {
                prop_assert_eq!(record.encode().unwrap(), bytes);
                prop_assert!(record.ring_len().is_multiple_of(8));
            }
        }
    }
}
