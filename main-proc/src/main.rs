//! `unitd`: takes its arguments and environment, runs the main process, exits with its status.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use main_proc::environment::Environment;
use main_proc::start_up::{Invocation, run};

fn main() -> ExitCode {
    let words: Result<Vec<String>, OsString> =
        std::env::args_os().map(OsString::into_string).collect();
    let words = match words {
        Ok(words) => words,
        Err(word) => {
            eprintln!("argument \"{}\" is not valid UTF-8", word.display());
            return ExitCode::FAILURE;
        }
    };
    let environment = Environment::of(std::env::vars_os());
    let executable = std::env::current_exe().unwrap_or_else(|_| PathBuf::from(&words[0]));
    ExitCode::from(run(Invocation { words, environment, executable }))
}
