//! The main process, `unitd`: starts, supervises and restarts the other roles, and does for them
//! what needs a privilege.
//!
//! It talks to discovery, the controller, the router and the prototypes, to each over a port of its
//! own, and holds the only lasting privilege: listening sockets, log files, the state directory and
//! the right to become other users are its. It executes the other roles; it never merely forks
//! itself, except once to go into the background.
//!
//! It has one thread and never gets another. It reads no HTTP and parses no configuration: what it
//! needs arrives as typed messages, and what it is asked for is checked against who asks. What it
//! decides is in [`supervisor`], which does no I/O; what it does is in [`daemon`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod address;
pub mod background;
pub mod check;
pub mod command_line;
pub mod control_socket;
pub mod daemon;
pub mod defaults;
pub mod environment;
pub mod executables;
pub mod inherited;
pub mod listeners;
pub mod log_file;
pub mod modules;
pub mod peer;
pub mod permits;
pub mod pid_file;
pub mod privilege;
pub mod prototype;
pub mod rotation;
pub mod start;
pub mod start_up;
pub mod store;
pub mod supervisor;
