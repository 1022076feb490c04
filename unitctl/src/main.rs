//! `unitctl`: takes its arguments, does what they ask, exits with a status for scripts.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    unitctl::run(std::env::args_os())
}
