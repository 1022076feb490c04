//! Bodies that more than one direction carries.

use serde::{Deserialize, Serialize};

use crate::Identity;

/// Stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quit {
    /// At once, but answering what can be answered.
    Fast,
    /// After finishing everything that was accepted.
    Graceful,
}

/// A process the receiver may talk to from now on; its port travels with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPeer {
    /// Who the peer is.
    pub peer: Identity,
}

/// A process the receiver knew is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLost {
    /// Who the peer was.
    pub peer: Identity,
}

/// The daemon log was reopened; its descriptor travels with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReopenLog;

/// A language runtime found on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// The language as the configuration names it, such as `python`.
    pub language: String,
    /// The version, such as `3.11.2`.
    pub version: String,
    /// The path of the executable.
    pub file: String,
    /// What must be visible inside a changed root for the language to work.
    pub mounts: Vec<String>,
}

/// A refusal that is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What went wrong, naming the object and the failed call.
    pub text: String,
}

impl Refusal {
    /// A refusal with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}
