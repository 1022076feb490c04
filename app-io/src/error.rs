//! What can go wrong between the ends of a channel.

use app_proto::RecordError;
use thiserror::Error;

/// Why a channel is no longer usable.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The other side wrote positions that cannot be, or a record that passes the end.
    #[error("ring positions are impossible: {0}")]
    Ring(&'static str),
    /// The other side wrote a malformed record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The doorbell carried something that is not a doorbell packet.
    #[error("malformed doorbell packet")]
    Doorbell,
    /// The other side hung up.
    #[error("the peer is gone")]
    HungUp,
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The memory is not as large as a channel.
    #[error(transparent)]
    Memory(#[from] sys::shm::OutOfBounds),
}

/// Why a request was not handed out. Nothing was changed.
#[derive(Debug, Error)]
pub enum OfferError {
    /// Ring, slots or doorbell are full at the moment.
    #[error("the channel is full")]
    Full,
    /// The channel is no longer usable.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

impl From<sys::shm::OutOfBounds> for OfferError {
    fn from(error: sys::shm::OutOfBounds) -> Self {
        Self::Channel(error.into())
    }
}

impl From<std::io::Error> for OfferError {
    fn from(error: std::io::Error) -> Self {
        Self::Channel(error.into())
    }
}
