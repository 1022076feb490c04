//! The frame: a fixed header written out by hand, then the payload.
//!
//! | offset | size | member |
//! |---|---|---|
//! | 0 | 1 | [`PROTOCOL_VERSION`] |
//! | 1 | 1 | [`Kind`] |
//! | 2 | 1 | flags: bit 0 last, bit 1 bulk |
//! | 3 | 1 | number of descriptors, the bulk one not counted |
//! | 4 | 4 | [`StreamId`], little-endian |
//! | 8 | 4 | payload length in bytes, little-endian |

use std::os::fd::OwnedFd;

use bytes::{Buf, BufMut};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Kind;

/// The version of the frame layout and of every message. Both ends are always of one release; the
/// number makes a mixed installation fail at the first frame instead of later.
pub const PROTOCOL_VERSION: u8 = 1;

/// Bytes of a header.
pub const HEADER_LEN: usize = 12;

/// The most payload bytes that travel inside a frame. More goes in a sealed memfd.
pub const PAYLOAD_LEN_MAX: usize = 16 * 1024;

/// The most payload bytes that travel in a sealed memfd.
pub const BULK_LEN_MAX: usize = 256 * 1024 * 1024;

/// The most descriptors of one message.
pub const FDS_MAX: usize = 4;

const FLAG_LAST: u8 = 1;
const FLAG_BULK: u8 = 2;

/// Joins a request with its answers. Zero belongs to messages that want no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId(pub u32);

impl StreamId {
    /// The stream of messages that want no answer.
    pub const NONE: Self = Self(0);
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the payload is.
    pub kind: Kind,
    /// The request this frame is or answers.
    pub stream: StreamId,
    /// Whether this is the last answer on its stream.
    pub last: bool,
    /// Whether the payload is in a sealed memfd that travels before the other descriptors.
    pub bulk: bool,
    /// How many descriptors belong to the message, the bulk one not counted.
    pub fds: u8,
    /// Bytes of payload, inline or in the memfd.
    pub payload_len: u32,
}

/// One packet as it is on the wire, without its descriptors. `payload` is empty for a bulk frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The fixed part.
    pub header: Header,
    /// The inline payload.
    pub payload: Vec<u8>,
}

/// A frame with its whole payload and its descriptors, however they travelled.
#[derive(Debug)]
pub struct Frame {
    /// What the payload is.
    pub kind: Kind,
    /// The request this frame is or answers.
    pub stream: StreamId,
    /// Whether this is the last answer on its stream.
    pub last: bool,
    /// The encoded message.
    pub payload: Vec<u8>,
    /// The descriptors of the message.
    pub fds: Vec<OwnedFd>,
}

/// Why bytes are not a frame, or a frame not a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer bytes than the header says, or than a header has.
    #[error("frame is short: {have} bytes of {need}")]
    Short {
        /// Bytes received.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// More bytes than the header or the message says.
    #[error("frame is long: {extra} bytes too many")]
    Long {
        /// Bytes left over.
        extra: usize,
    },
    /// The payload length is over the limit for its way of travelling.
    #[error("payload of {len} bytes is over the limit of {max}")]
    TooLarge {
        /// Bytes announced.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A header of another protocol version.
    #[error("protocol version {found} instead of {PROTOCOL_VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// A kind with no meaning.
    #[error("unknown message kind {0}")]
    UnknownKind(u8),
    /// Flag bits with no meaning.
    #[error("unknown flags {0:#04x}")]
    UnknownFlags(u8),
    /// A kind that the matrix does not allow from this sender.
    #[error("message kind {0:?} is forbidden here")]
    Forbidden(Kind),
    /// Another number of descriptors than the message has.
    #[error("{found} descriptors instead of {expected}")]
    FdCount {
        /// Descriptors received or announced.
        found: usize,
        /// Descriptors of the message.
        expected: usize,
    },
    /// The payload is not the message.
    #[error("payload of {0:?} is malformed")]
    Payload(Kind),
    /// A request without a stream, or a message with one.
    #[error("stream {1:?} does not fit {0:?}")]
    Stream(Kind, StreamId),
    /// A bulk descriptor that is not a sealed memfd of the announced length.
    #[error("bulk payload is not a sealed memory file of {0} bytes")]
    Bulk(usize),
}

/// Why a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The payload is over [`BULK_LEN_MAX`].
    #[error("message of {0} bytes is over the limit of {BULK_LEN_MAX}")]
    TooLarge(usize),
    /// The payload cannot be serialised.
    #[error("message cannot be serialised")]
    Serialise,
}

impl Header {
    /// Reads a header, checking everything that can be checked without the rest.
    ///
    /// # Errors
    /// [`DecodeError::Short`], `Version`, `UnknownKind`, `UnknownFlags`, `FdCount`, `TooLarge`.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() < HEADER_LEN {
            return Err(DecodeError::Short { have: bytes.len(), need: HEADER_LEN });
        }
        let version = bytes.get_u8();
        if version != PROTOCOL_VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let number = bytes.get_u8();
        let kind = Kind::from_number(number).ok_or(DecodeError::UnknownKind(number))?;
        let flags = bytes.get_u8();
        if flags & !(FLAG_LAST | FLAG_BULK) != 0 {
            return Err(DecodeError::UnknownFlags(flags));
        }
        let fds = bytes.get_u8();
        if usize::from(fds) > FDS_MAX {
            return Err(DecodeError::FdCount { found: usize::from(fds), expected: FDS_MAX });
        }
        let stream = StreamId(bytes.get_u32_le());
        let payload_len = bytes.get_u32_le();
        let bulk = flags & FLAG_BULK != 0;
        let max = if bulk { BULK_LEN_MAX } else { PAYLOAD_LEN_MAX };
        if payload_len as usize > max {
            return Err(DecodeError::TooLarge { len: payload_len as usize, max });
        }
        Ok(Self { kind, stream, last: flags & FLAG_LAST != 0, bulk, fds, payload_len })
    }

    /// Appends the header to `out`.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(PROTOCOL_VERSION);
        out.put_u8(self.kind.number());
        out.put_u8(if self.last { FLAG_LAST } else { 0 } | if self.bulk { FLAG_BULK } else { 0 });
        out.put_u8(self.fds);
        out.put_u32_le(self.stream.0);
        out.put_u32_le(self.payload_len);
    }

    /// Bytes of payload that follow the header in the same packet.
    #[must_use]
    pub fn inline_len(&self) -> usize {
        if self.bulk { 0 } else { self.payload_len as usize }
    }
}

/// Decodes one whole packet as a `SOCK_SEQPACKET` read returns it: neither short nor long.
///
/// # Errors
/// Those of [`Header::decode`], and [`DecodeError::Short`] or [`DecodeError::Long`] for the payload.
pub fn decode_packet(bytes: &[u8]) -> Result<Packet, DecodeError> {
    let header = Header::decode(bytes)?;
    let need = HEADER_LEN + header.inline_len();
    if bytes.len() < need {
        return Err(DecodeError::Short { have: bytes.len(), need });
    }
    if bytes.len() > need {
        return Err(DecodeError::Long { extra: bytes.len() - need });
    }
    Ok(Packet { header, payload: bytes[HEADER_LEN..].to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            kind: Kind::OpenListener,
            stream: StreamId(0x0102_0304),
            last: true,
            bulk: false,
            fds: 1,
            payload_len: 3,
        }
    }

    #[test]
    fn header_bytes_are_pinned() {
        let mut out = Vec::new();
        header().encode(&mut out);
        assert_eq!(out[..], [1, 21, 1, 1, 4, 3, 2, 1, 3, 0, 0, 0]);
    }

    #[test]
    fn rejects_each_fault_by_its_name() {
        let mut good = Vec::new();
        header().encode(&mut good);
        good.extend_from_slice(b"abc");
        assert!(decode_packet(&good).is_ok());
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            decode_packet(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 9), DecodeError::Version { found: 9 });
        assert_eq!(with(1, 0), DecodeError::UnknownKind(0));
        assert_eq!(with(1, 200), DecodeError::UnknownKind(200));
        assert_eq!(with(2, 4), DecodeError::UnknownFlags(4));
        assert_eq!(with(3, 5), DecodeError::FdCount { found: 5, expected: FDS_MAX });
        assert_eq!(with(8, 4), DecodeError::Short { have: 15, need: 16 });
        assert_eq!(with(8, 2), DecodeError::Long { extra: 1 });
        assert_eq!(with(11, 1), DecodeError::TooLarge { len: 0x0100_0003, max: PAYLOAD_LEN_MAX });
        assert_eq!(
            decode_packet(&good[..11]).unwrap_err(),
            DecodeError::Short { have: 11, need: HEADER_LEN }
        );
    }

    #[test]
    fn bulk_frames_have_no_inline_payload_and_their_own_limit() {
        let bulk = Header { bulk: true, payload_len: 1 << 20, ..header() };
        let mut bytes = Vec::new();
        bulk.encode(&mut bytes);
        assert_eq!(decode_packet(&bytes).unwrap().header, bulk);
        bytes.push(0);
        assert_eq!(decode_packet(&bytes).unwrap_err(), DecodeError::Long { extra: 1 });
        let large = Header { payload_len: u32::MAX, ..bulk };
        let mut bytes = Vec::new();
        large.encode(&mut bytes);
        assert!(matches!(decode_packet(&bytes), Err(DecodeError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_packet(&bytes);
        }

        #[test]
        fn packets_are_read_as_they_were_written(payload in proptest::collection::vec(any::<u8>(), 0..300), stream: u32, last: bool) {
            let packet = Packet {
                header: Header {
                    stream: StreamId(stream),
                    last,
                    fds: 0,
                    payload_len: u32::try_from(payload.len()).unwrap(),
                    ..header()
                },
                payload,
            };
            let mut wire = Vec::new();
            packet.header.encode(&mut wire);
            wire.extend_from_slice(&packet.payload);
            prop_assert_eq!(decode_packet(&wire).unwrap(), packet);
        }
    }
}
