//! Typed port ends: messages of `port-proto` over packet sockets of `sys`.
//!
//! A port knows both identities. What it hands out came from the recorded process (by kernel
//! credentials), is a kind the role matrix allows, and decoded as a whole; anything else ends here.
//! Two flavours share the framing: the asynchronous one for roles that run tokio (the feature
//! `async`, on by default), and [`blocking`] for prototypes and workers, which must not.
//!
//! What is done about a bad frame: from another process, or of a kind the sender may not send: the
//! frame is dropped and logged, the port goes on. Malformed, truncated, or with other descriptors
//! than announced: the peer is broken or hostile, the port is closed.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "async")]
mod asynchronous;
pub mod blocking;
pub mod bootstrap;
mod error;
mod gate;
mod wire;

#[cfg(feature = "async")]
pub use asynchronous::{QUEUE_FDS_MAX, QUEUE_LEN_MAX, Receiver, Sender, connect};
pub use error::{ConnectError, PortError, RequestError, SendError};

/// How long a peer has to introduce itself. One that was just executed may have to wait for a busy
/// disk, and a daemon that does not start for that is of no use to anybody.
pub const HELLO_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
