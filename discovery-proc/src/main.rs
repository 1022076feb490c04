//! `unit-discovery`: takes the port to main it was started with, and serves main through it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use discovery_proc::serve::serve;
use port_io::bootstrap::inherited_blocking;
use port_proto::Role;

fn main() -> ExitCode {
    unit_log::init();
    // The name is for people; without it everything works.
    let _ = sys::process::set_comm("unit-discovery");
    let served = match inherited_blocking(Role::Discovery) {
        Ok((_, _, port)) => serve(port),
        Err(error) => {
            unit_log::alert!("discovery failed to start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            unit_log::alert!("discovery failed: {error}");
            ExitCode::FAILURE
        }
    }
}
