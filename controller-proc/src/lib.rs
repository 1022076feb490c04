//! The controller role: the control API over the control socket.
//!
//! It reads HTTP requests from administrators, edits and validates the configuration, has the
//! router prepare and commit it and main store it. It talks to main over the inherited port and to
//! the router over a port that main introduces; nobody else talks to it but HTTP clients.
//!
//! It runs without privilege and opens no file: the listening control socket and the stored
//! configuration come from main, which also does the storing. Nothing that a client sends may end
//! the process, and an update is visible only after it is on the disk.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod certificate;
mod check_config;
mod controller;
mod endpoint;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod link;
mod listener;
mod openapi;
mod permissions;
mod precondition;
mod response;
mod restore;
mod session;
mod signals;
mod status;
mod target;
mod validation;

pub use controller::{FromMain, ServeError, ToMain, run, serve};
pub use http::Limits;
pub use openapi::description;
