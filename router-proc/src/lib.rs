//! The router: listeners, HTTP, routes, static files, and the hand-off to applications.
//!
//! It runs unprivileged and never opens a privileged socket, starts a process or writes the state
//! directory: it asks main for listening sockets and prototypes over its port, and obeys the
//! controller over another. Strangers' bytes reach it first, so it is restarted by main when it
//! ends, its listening sockets stay open meanwhile, and nothing in it is believed by anyone else.
//!
//! Start reading in `control` for configurations and workers, in `connection` for requests.
#![forbid(unsafe_code)]

pub mod access_log;
pub mod app;
pub mod compression;
pub mod connection;
pub mod control;
pub mod event_loop;
pub mod http;
mod nameless;
pub mod routing;
mod shortage;
pub mod snapshot;
pub mod static_files;
