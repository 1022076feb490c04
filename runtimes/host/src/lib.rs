//! What every language runtime has in common: the prototype that main executes for an application,
//! and the workers it forks.
//!
//! A runtime executable calls [`run`] with a [`Language`] and does nothing else. Asked to describe
//! itself it prints one line. Otherwise it is a prototype: it talks to main over the port it was
//! started with, becomes the application's user, starts the language, and then forks and reaps
//! workers as the router asks. A worker talks to the router alone, over its channels.
//!
//! One thread, plain poll loops, no tokio: everything here runs before a fork. Nothing of the
//! language or of the application runs before privilege is given up.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod body;
mod describe;
mod language;
mod prototype;
mod response;
mod session;
mod worker;

use std::process::ExitCode;

pub use app_proto::{
    OPCODE_BINARY, OPCODE_CLOSE, OPCODE_CONTINUATION, OPCODE_PING, OPCODE_PONG, OPCODE_TEXT,
    Request,
};
pub use conf::Application;

pub use body::{BodyError, RequestBody};
pub use describe::Facts;
pub use language::{Language, LoadFailed, Next, StartError};
pub use response::{AcceptError, FieldError, Response, WriteError};
pub use session::{Frame, SessionError, SessionId, SessionNews, Sessions};

/// The whole program of a language runtime.
#[must_use]
pub fn run<L: Language>(facts: &Facts<'_>, language: L) -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "--describe") {
        return facts.print();
    }
    unit_log::init();
    prototype::run(language, facts)
}
