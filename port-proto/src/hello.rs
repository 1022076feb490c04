//! The first frame each way: who speaks, who is meant, and of which release both are.

use serde::{Deserialize, Serialize};

use crate::message::{decode_payload, encode_payload};
use crate::{DecodeError, EncodeError, Frame, Kind, Role, StreamId};

/// The release of this build. Both ends of a port must be of the same one.
pub const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A process id as the kernel of the receiver's namespace numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pid(pub i32);

/// Counts the starts of processes: a restarted process is a new peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub u32);

/// Who a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// What it is for.
    pub role: Role,
    /// Its process id.
    pub pid: Pid,
    /// Which start of the role it is.
    pub generation: Generation,
}

/// The first frame each way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`SOFTWARE_VERSION`] of the sender.
    pub software: String,
    /// The sender.
    pub from: Identity,
    /// Whom the sender believes to speak to. Main tells a new process its own identity this way.
    pub to: Identity,
}

impl Hello {
    /// A hello of this build.
    #[must_use]
    pub fn new(from: Identity, to: Identity) -> Self {
        Self { software: SOFTWARE_VERSION.to_owned(), from, to }
    }

    /// The frame that carries it.
    ///
    /// # Errors
    /// [`EncodeError::Serialise`] cannot happen for these types, but is passed on.
    pub fn into_frame(self) -> Result<Frame, EncodeError> {
        Ok(Frame {
            kind: Kind::Hello,
            stream: StreamId::NONE,
            last: true,
            payload: encode_payload(&self)?,
            fds: Vec::new(),
        })
    }

    /// Reads the first frame of a peer.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is not a hello.
    pub fn from_frame(frame: Frame) -> Result<Self, DecodeError> {
        if frame.kind != Kind::Hello {
            return Err(DecodeError::Forbidden(frame.kind));
        }
        if !frame.fds.is_empty() {
            return Err(DecodeError::FdCount { found: frame.fds.len(), expected: 0 });
        }
        decode_payload(frame.kind, &frame.payload)
    }
}
