//! Packets of the doorbell: a `SOCK_SEQPACKET` pair beside each channel. It wakes a sleeper,
//! carries descriptors, and reports the peer's death by its hang-up.

use crate::RequestId;

/// Bytes of every doorbell packet.
pub const DOORBELL_LEN: usize = 16;

/// What the router sends to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// Look at the rings and slots.
    Wake,
    /// One descriptor: the body of this request, to be read from its start.
    Body(RequestId),
    /// One descriptor: the whole record of this request, which was too large for the ring.
    Record(RequestId),
    /// One descriptor: the reopened log, to become standard error.
    Log,
    /// Stop, after finishing what was accepted if `graceful`.
    Quit {
        /// Whether requests that were offered are still to be run.
        graceful: bool,
    },
    /// Three descriptors: memory, doorbell and loop page of a further channel.
    Attach,
    /// This channel ends and the router goes on: the last packet on its doorbell. It is sent only when
    /// no request is in the channel.
    Detach,
}

/// What a worker sends to the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToRouter {
    /// Look at the rings.
    Wake,
    /// The application is loaded; requests may come.
    Ready,
    /// One descriptor: the file that the file record of this request speaks of.
    File(RequestId),
}

impl ToWorker {
    /// How many descriptors travel with it.
    #[must_use]
    pub const fn fds(self) -> usize {
        match self {
            Self::Wake | Self::Quit { .. } | Self::Detach => 0,
            Self::Body(_) | Self::Record(_) | Self::Log => 1,
            Self::Attach => 3,
        }
    }

    /// The packet.
    #[must_use]
    pub fn encode(self) -> [u8; DOORBELL_LEN] {
        match self {
            Self::Wake => packet(1, 0, None),
            Self::Body(id) => packet(2, 0, Some(id)),
            Self::Record(id) => packet(3, 0, Some(id)),
            Self::Log => packet(4, 0, None),
            Self::Quit { graceful } => packet(5, u8::from(graceful), None),
            Self::Attach => packet(6, 0, None),
            Self::Detach => packet(7, 0, None),
        }
    }

    /// Reads a packet; `None` when it is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, flag, id) = unpack(bytes)?;
        match (kind, flag) {
            (1, 0) => Some(Self::Wake),
            (2, 0) => Some(Self::Body(id)),
            (3, 0) => Some(Self::Record(id)),
            (4, 0) => Some(Self::Log),
            (5, 0 | 1) => Some(Self::Quit { graceful: flag == 1 }),
            (6, 0) => Some(Self::Attach),
            (7, 0) => Some(Self::Detach),
            _ => None,
        }
    }
}

impl ToRouter {
    /// How many descriptors travel with it.
    #[must_use]
    pub const fn fds(self) -> usize {
        match self {
            Self::Wake | Self::Ready => 0,
            Self::File(_) => 1,
        }
    }

    /// The packet.
    #[must_use]
    pub fn encode(self) -> [u8; DOORBELL_LEN] {
        match self {
            Self::Wake => packet(1, 0, None),
            Self::Ready => packet(16, 0, None),
            Self::File(id) => packet(17, 0, Some(id)),
        }
    }

    /// Reads a packet; `None` when it is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, flag, id) = unpack(bytes)?;
        match (kind, flag) {
            (1, 0) => Some(Self::Wake),
            (16, 0) => Some(Self::Ready),
            (17, 0) => Some(Self::File(id)),
            _ => None,
        }
    }
}

fn packet(kind: u8, flag: u8, id: Option<RequestId>) -> [u8; DOORBELL_LEN] {
    let mut bytes = [0; DOORBELL_LEN];
    bytes[0] = kind;
    bytes[1] = flag;
    if let Some(id) = id {
        bytes[4..8].copy_from_slice(&id.slot.to_le_bytes());
        bytes[8..12].copy_from_slice(&id.generation.to_le_bytes());
    }
    bytes
}

fn unpack(bytes: &[u8]) -> Option<(u8, u8, RequestId)> {
    let bytes: &[u8; DOORBELL_LEN] = bytes.try_into().ok()?;
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Some((bytes[0], bytes[1], RequestId { slot: word(4), generation: word(8) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RequestId = RequestId { slot: 5, generation: 0x0102_0304 };

    #[test]
    fn packets_are_pinned_and_read_back() {
        for (message, first, second) in [
            (ToWorker::Wake, 1, 0),
            (ToWorker::Body(ID), 2, 0),
            (ToWorker::Record(ID), 3, 0),
            (ToWorker::Log, 4, 0),
            (ToWorker::Quit { graceful: false }, 5, 0),
            (ToWorker::Quit { graceful: true }, 5, 1),
            (ToWorker::Attach, 6, 0),
            (ToWorker::Detach, 7, 0),
        ] {
            let bytes = message.encode();
            assert_eq!((bytes[0], bytes[1]), (first, second));
            assert_eq!(ToWorker::decode(&bytes), Some(message));
        }
        for (message, first) in
            [(ToRouter::Wake, 1), (ToRouter::Ready, 16), (ToRouter::File(ID), 17)]
        {
            assert_eq!(message.encode()[0], first);
            assert_eq!(ToRouter::decode(&message.encode()), Some(message));
        }
        assert_eq!(ToWorker::Body(ID).encode(), [2, 0, 0, 0, 5, 0, 0, 0, 4, 3, 2, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(ToWorker::decode(b""), None);
        assert_eq!(ToWorker::decode(&[1; 15]), None);
        assert_eq!(ToWorker::decode(&[1; 17]), None);
        for kind in 0..=u8::MAX {
            let mut bytes = [0; DOORBELL_LEN];
            bytes[0] = kind;
            assert_eq!(ToWorker::decode(&bytes).is_some(), (1..=7).contains(&kind));
            assert_eq!(ToRouter::decode(&bytes).is_some(), [1, 16, 17].contains(&kind));
        }
    }
}
