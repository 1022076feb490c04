//! The two ends of a channel between a router loop and a worker: `app-proto` put over real shared
//! memory and a real doorbell socket.
//!
//! [`RouterChannel`] belongs to one event loop, [`WorkerChannel`] to one worker context. Both only
//! move requests, answers and descriptors, and never block; what is worth waiting for and for how
//! long is decided above, by the router's dispatcher and by the runtimes' host.
//!
//! The router's end believes nothing the worker wrote: its own ring positions and slot uses are
//! private, positions and records of the worker are checked on copies, and a worker that breaks the
//! rules costs itself its channel and nobody else anything.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod loop_page;
mod ring;
mod router;
mod worker;

#[cfg(test)]
mod tests;

pub use error::*;
pub use loop_page::*;
pub use router::*;
pub use worker::*;
