//! Every system call that std does not wrap, behind safe functions over owned descriptors.
//!
//! One module per subject. There is no policy here, no logging and no message: a function does one
//! thing, checks what it needs to be sound, and returns the error of the call that failed.
//!
//! Unsafe code of the workspace lives here and in the `ffi.rs` of the language runtimes. Where
//! `rustix` has a safe wrapper it is used; each remaining block holds one unsafe operation and says
//! why its conditions are met.
#![allow(unsafe_code, reason = "the crate exists to hold it, see above")]
#![warn(missing_docs)]

pub mod creds;
pub mod errno;
pub mod fd;
pub mod fs;
pub mod identity;
pub mod memfd;
pub mod memory;
pub mod parent;
pub mod poll;
pub mod process;
pub mod shm;
pub mod signal;
pub mod signal_fd;
pub mod socket;
pub mod spawn;
pub mod termination;
pub mod thread;
pub mod time;
#[cfg(feature = "tokio")]
pub mod watched;
