//! What the black-box suite is written in: a real unitd in a directory of its own, clients that
//! speak exact bytes, and waits that end.
//!
//! [`Unitd`] is started from the executables in `UNIT_BIN_DIR` and `UNIT_MODULES_DIR` (beside the
//! test executable when they are not set), on ports nobody else gets, and is known by its process
//! id only. When it is dropped it is told to stop, and what it leaves behind - a process, a socket,
//! a pid file, an alert nobody announced - fails the test. When the test fails, its log is printed.
//!
//! Nothing here knows how the daemon works inside. What a test lacks (a language, root's rights) it
//! says aloud; `UNIT_TEST_STRICT=1` makes that a failure.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod browser;
mod client;
mod command;
mod control;
mod decode;
mod escapes;
mod load;
mod log;
mod neighbour;
mod place;
mod ports;
mod process;
mod random;
mod requirements;
mod terminal;
mod tracer;
mod unitd;
mod venv;
mod wait;
pub mod websocket;

pub use browser::Browser;
pub use client::{Connection, LIMIT, Response, request};
pub use command::{run, run_with_input, wait_for_end};
pub use control::Answer;
pub use decode::decode;
pub use escapes::{latin_1, unescape};
pub use load::{Load, Tally};
pub use log::Log;
pub use neighbour::{Neighbour, Site, server_program};
pub use place::Place;
pub use process::{Process, everything, process};
pub use random::Random;
pub use requirements::{
    allow_descriptors, amount, is_root, modules_dir, program, pythons, pythons_in, report_skip,
};
pub use terminal::Terminal;
pub use tracer::{Killed, kill_at_call};
pub use unitd::Unitd;
pub use venv::Venv;
pub use wait::{wait_for, wait_until};

/// Leaves a test that cannot be run here, saying so.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::report_skip(&format!($($reason)*));
        return;
    }};
}

/// Leaves the test when there is no Python runtime.
#[macro_export]
macro_rules! need_python {
    () => {
        if $crate::pythons().is_empty() {
            $crate::skip!("no python runtime in the modules directory");
        }
    };
}

/// Leaves the test when it is not run by root.
#[macro_export]
macro_rules! need_root {
    () => {
        if !$crate::is_root() {
            $crate::skip!("needs root");
        }
    };
}
