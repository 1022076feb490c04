//! `unit-controller`: started by unitd with a port to it at descriptor 3 and the log at 2. Serves
//! the control API until main says to stop or is gone. Holds no privilege.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

fn main() -> ExitCode {
    unit_log::init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            unit_log::alert!("controller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build().context("event loop")?;
    LocalSet::new().block_on(&runtime, controller_proc::run())?;
    Ok(())
}
