//! What can go wrong on a port, from the side of its user.

use std::io;

use port_proto::{DecodeError, EncodeError, Identity, Kind, Role, StreamId};
use thiserror::Error;

/// Why a port could not be opened.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// There is no port at the descriptor where one is inherited.
    #[error(
        "descriptor {number} is not a port to the main process ({error}): \
         this program is started by unitd, not by hand"
    )]
    NotInherited {
        /// The descriptor.
        number: i32,
        /// What is wrong with it.
        error: io::Error,
    },
    /// A system call failed.
    #[error("port: {0}")]
    Io(#[from] io::Error),
    /// The peer did not introduce itself in time.
    #[error("no hello from the other end of the port in time")]
    Timeout,
    /// The peer hung up instead.
    #[error("the other end of the port was closed before it said hello")]
    HungUp,
    /// The first frame is not a hello; a [`DecodeError::Version`] comes from another release.
    #[error("no hello but something else: {0}")]
    Frame(#[from] DecodeError),
    /// The hello is cut off, or comes with descriptors that could not be received.
    #[error("truncated hello")]
    Truncated,
    /// The peer is of another release.
    #[error("{role} is of version {theirs}, but this is version {ours}", role = role.name())]
    Software {
        /// The peer's role.
        role: Role,
        /// Our version.
        ours: String,
        /// Its version.
        theirs: String,
    },
    /// The hello comes from another process than it should.
    #[error("hello from process {found} instead of {expected}")]
    Credentials {
        /// The process recorded.
        expected: i32,
        /// The process the kernel names; 0 when it names none.
        found: i32,
    },
    /// The hello names another sender or receiver than it should.
    #[error("hello names {found:?} instead of {expected:?}")]
    Identity {
        /// Who it should be.
        expected: Identity,
        /// Who is named.
        found: Identity,
    },
    /// Main takes this executable for another role.
    #[error("started as {found}, but this is {expected}", found = found.name(), expected = expected.name())]
    Role {
        /// What this executable is.
        expected: Role,
        /// What main says.
        found: Role,
    },
}

/// Why a message was not sent.
#[derive(Debug, Error)]
pub enum SendError {
    /// The port is closed.
    #[error("port is closed")]
    Closed,
    /// The peer does not read, and too much waits for it already.
    #[error("port is full")]
    Full,
    /// The message cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The message wants an answer; it is sent with `request`.
    #[error("{0:?} wants an answer")]
    WantsAnswer(Kind),
    /// A system call failed.
    #[error("port: {0}")]
    Io(#[from] io::Error),
}

/// Why a request has no reply. `F` is the type of its refusal.
#[derive(Debug, Error)]
pub enum RequestError<F> {
    /// The peer refused.
    #[error("refused: {0:?}")]
    Refused(F),
    /// The port was closed before the answer came, or this process had no room for the descriptors
    /// that came with it.
    #[error("the answer was lost")]
    Lost,
    /// The request was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why nothing more can be received on a port.
#[derive(Debug, Error)]
pub enum PortError {
    /// A system call failed.
    #[error("port: {0}")]
    Io(#[from] io::Error),
    /// The peer hung up.
    #[error("port was closed by the other end")]
    HungUp,
    /// The peer sent something that is not a message.
    #[error("{0}")]
    Frame(#[from] DecodeError),
    /// The descriptors of a packet were cut off: more than a message may have, or this process can
    /// have no more.
    #[error("descriptors of {kind:?} cut off: too many sent, or no number left for them")]
    Truncated {
        /// What the packet says it is.
        kind: Kind,
        /// The stream it says it belongs to.
        stream: StreamId,
    },
    /// The first frame of the peer does not introduce it properly.
    #[error(transparent)]
    Hello(Box<ConnectError>),
}

impl From<PortError> for ConnectError {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Io(error) => Self::Io(error),
            PortError::HungUp => Self::HungUp,
            PortError::Frame(error) => Self::Frame(error),
            PortError::Truncated { .. } => Self::Truncated,
            PortError::Hello(error) => *error,
        }
    }
}

impl From<SendError> for ConnectError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::HungUp,
            SendError::Full => Self::Timeout,
            SendError::Io(error) => Self::Io(error),
            // A hello is small, serialises, and wants no answer; kept as what it would be.
            error @ (SendError::Encode(_) | SendError::WantsAnswer(_)) => {
                Self::Io(io::Error::new(io::ErrorKind::InvalidInput, error))
            }
        }
    }
}
