//! Discovery, `unit-discovery`: finds out which language runtimes are installed, reports once, and
//! ends when it is told to.
//!
//! It talks to main only. It runs as the unprivileged user of the daemon, without capabilities, and
//! so do the runtimes it asks: each is executed with `--describe`, all at the same time, and has to
//! print one line of JSON before a deadline. Whatever they print is checked before it is believed;
//! a runtime that is broken, hangs or belongs to another release is left out and never keeps the
//! daemon from starting.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod description;
pub mod probe;
pub mod serve;
