//! `unit-router`: inherits the port to main, serves until told to stop.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tokio::task::LocalSet;

fn main() -> ExitCode {
    unit_log::init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            unit_log::alert!("router failed to start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match LocalSet::new().block_on(&runtime, router_proc::control::run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            unit_log::alert!("router failed to start: {error}");
            ExitCode::FAILURE
        }
    }
}
