//! Rotating the log: what can fail happens before anything is moved.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use port_proto::Identity;
use sys::errno::Described;
use thiserror::Error;

use crate::log_file;
use crate::peer::Peer;

/// Why the log stays where it is.
#[derive(Debug, Error)]
pub enum RotationError {
    /// The new file cannot be opened.
    #[error("open(\"{path}\") failed {}", Described(error))]
    Open {
        /// The file.
        path: String,
        /// The error.
        error: io::Error,
    },
    /// There is no descriptor left for somebody.
    #[error("dup() failed {}, the log is not reopened", Described(.0))]
    Duplicate(io::Error),
}

/// A rotation that has all it needs.
#[derive(Debug)]
pub struct Rotation {
    log: File,
    copies: Vec<(Identity, OwnedFd)>,
}

impl Rotation {
    /// Opens the new file, and has a descriptor of it for everybody.
    ///
    /// # Errors
    /// [`RotationError`]; nothing has been moved then.
    pub fn prepare(
        path: &str,
        everybody: impl Iterator<Item = Identity>,
    ) -> Result<Self, RotationError> {
        let log = log_file::open(path)
            .map_err(|error| RotationError::Open { path: path.to_owned(), error })?;
        let copies = everybody
            .map(|identity| Ok((identity, sys::fd::duplicate(&log)?)))
            .collect::<io::Result<_>>()
            .map_err(RotationError::Duplicate)?;
        Ok(Self { log, copies })
    }

    /// Moves our own log, then gives everybody their descriptor.
    ///
    /// # Errors
    /// [`RotationError`]; nothing has been moved then.
    pub fn perform<'a>(
        self,
        peer: impl Fn(&Identity) -> Option<&'a Peer>,
    ) -> Result<(), RotationError> {
        unit_log::redirect(&self.log).map_err(RotationError::Duplicate)?;
        for (identity, copy) in self.copies {
            if let Some(peer) = peer(&identity) {
                peer.reopen_log(copy);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use port_proto::{Generation, Pid, Role};

    use super::*;

    #[test]
    fn everybody_has_a_descriptor_before_anything_moves() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("unit.log");
        let identity =
            |pid| Identity { role: Role::Router, pid: Pid(pid), generation: Generation(1) };
        let path = path.to_str().unwrap();
        let rotation = Rotation::prepare(path, [1, 2].into_iter().map(identity)).unwrap();
        assert_eq!(rotation.copies.len(), 2);
        let nowhere = format!("{path}/nowhere");
        assert_eq!(
            Rotation::prepare(&nowhere, std::iter::empty()).unwrap_err().to_string(),
            format!("open(\"{nowhere}\") failed (20: Not a directory)")
        );
    }
}
