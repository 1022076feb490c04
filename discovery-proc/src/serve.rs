//! The conversation with main: one question, one report, then the end.

use std::io;
use std::os::fd::AsFd;

use port_io::blocking::Port;
use port_io::{PortError, SendError};
use port_proto::{DiscoveryToMain, MainToDiscovery, Modules};
use sys::errno::Described;
use sys::poll::{PollFd, PollFlags, poll};
use thiserror::Error;

use crate::probe::probe_directory;

/// Why the conversation broke off.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Main cannot be heard any more.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Main cannot be told anything any more.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Waiting failed.
    #[error("poll() failed {}", Described(.0))]
    Poll(io::Error),
}

/// Serves main until it says that discovery may end.
///
/// # Errors
/// [`ServeError`] when main is gone, or breaks the rules.
pub fn serve(mut port: Port<DiscoveryToMain, MainToDiscovery>) -> Result<(), ServeError> {
    unit_log::info!("discovery started");
    loop {
        match port.recv()? {
            Some((_, MainToDiscovery::ProbeModules(request))) => {
                let modules = probe_directory(&request.modules_dir);
                port.send(DiscoveryToMain::Modules(Modules { modules }))?;
            }
            Some((_, MainToDiscovery::Quit(_))) => return Ok(()),
            None => wait(&port)?,
        }
    }
}

fn wait(port: &impl AsFd) -> Result<(), ServeError> {
    match poll(&mut [PollFd::new(port, PollFlags::IN)], None) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(ServeError::Poll(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}
