//! What the roles of unitd say to each other: the frame header, one enum of messages for each
//! direction between two roles, and the role matrix.
//!
//! A port is one end of a `SOCK_SEQPACKET` socketpair; one packet carries one [`Frame`]. This crate
//! knows how a frame is laid out and what it may mean; it does no I/O and holds no privilege.
//! `port-io` moves the bytes and descriptors, and the roles decide what to do about them.
//!
//! Nothing here trusts a peer: decoding never panics, never guesses, and never allocates more than
//! [`PAYLOAD_LEN_MAX`] or [`BULK_LEN_MAX`] allow. Who sent a frame is known from the port it came in
//! on and from kernel credentials, never from a field of the frame.
#![forbid(unsafe_code)]
#![deny(clippy::wildcard_enum_match_arm)]
#![warn(missing_docs)]

mod controller_router;
mod frame;
mod hello;
mod kind;
mod main_controller;
mod main_discovery;
mod main_prototype;
mod main_router;
mod message;
mod role;
mod router_prototype;
mod shared;
mod upload;

pub use controller_router::*;
pub use frame::*;
pub use hello::*;
pub use kind::*;
pub use main_controller::*;
pub use main_discovery::*;
pub use main_prototype::*;
pub use main_router::*;
pub use message::*;
pub use role::*;
pub use router_prototype::*;
pub use shared::*;
pub use upload::*;
