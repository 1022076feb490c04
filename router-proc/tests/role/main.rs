//! The router as main, controller, prototypes and clients see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access_log;
mod applications;
mod apply;
mod client;
mod connections;
mod prototype;
mod stage;
mod stop;
