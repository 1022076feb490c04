//! `unitctl`, the command-line client of unitd: it talks to the control API over its socket, finds
//! that socket by itself, and shows what it is told to people and to scripts.
//!
//! It is a user's program. It holds no privilege beyond that of who runs it, starts no process but
//! the user's editor and the daemon's own executable (to ask it for its defaults, and only when
//! nobody else could have put another program there), and links none of the daemon's crates but
//! `conf`, whose reader of JSON knows where a mistake is.
//!
//! | module | what it is for |
//! |---|---|
//! | `command_line` | the words a user may say, as types |
//! | `exit`, `failure` | statuses for scripts; everything that can end a command early |
//! | `address`, `discover`, `title`, `build_defaults` | which daemon is meant, where its socket is |
//! | `client`, `target`, `refusal` | one request, one answer; paths; refusals for people |
//! | `document`, `yaml`, `diff` | JSON and YAML, places in them, what changed |
//! | `console`, `visible`, `table`, `editor` | the terminal: output, questions, the user's editor |
//! | `status_report`, `validity` | what `/status` and `/certificates` say, as numbers and dates |
//! | `log_file` | the end of a log and what comes after, through rotations |
//! | `session` | what every command has at hand |
//! | `command` | one file for each command |
//!
//! A command takes a `Session` (options of the connection, the console), asks, prints, and returns
//! nothing or the `Failure` that decides the status to exit with. Standard output carries results and nothing else; all
//! talk goes to standard error. What comes from the daemon or a file is shown only through
//! `visible`, as it may hold sequences that terminals obey.

#![forbid(unsafe_code)]

mod address;
mod build_defaults;
mod client;
mod command;
mod command_line;
mod console;
mod diff;
mod discover;
mod document;
mod editor;
mod exit;
mod failure;
mod log_file;
mod refusal;
mod session;
mod status_report;
mod table;
mod target;
mod title;
mod validity;
mod visible;
mod yaml;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use command_line::CommandLine;
use exit::Exit;
use session::Session;

/// Does what a command line says, the program's name first, and returns the status to exit with.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(words) {
        Ok(line) => line,
        Err(answer) => {
            // Help and version come this way too. If nobody reads them there is nobody to tell.
            let _ = answer.print();
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
        }
    };
    let session = Session::new(line.connection);
    match command::run(&session, line.command) {
        Ok(()) => Exit::Success.into(),
        Err(failure) => {
            session.report(&failure);
            failure.exit().into()
        }
    }
}
