//! Request bodies that are too large for memory: a file that has no name.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::nameless;
use crate::shortage::{Told, is_shortage};

/// A request body, in memory or in a file.
#[derive(Debug, Default)]
pub struct Body {
    /// The whole body, unless it is in the file.
    pub memory: Vec<u8>,
    /// The file, positioned anywhere.
    pub file: Option<File>,
    /// Bytes of the body.
    pub len: u64,
}

impl Body {
    /// Forgets the body, keeps the memory.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.file = None;
        self.len = 0;
    }

    /// Appends a piece. What does not fit in `memory_max` bytes goes to a file in `dir`.
    ///
    /// # Errors
    /// When the file cannot be made or written; the text is for the log.
    pub fn push(&mut self, data: &[u8], memory_max: usize, dir: &Path) -> Result<(), SpoolError> {
        self.len += data.len() as u64;
        if self.file.is_none() {
            if self.memory.len() + data.len() <= memory_max {
                self.memory.extend_from_slice(data);
                return Ok(());
            }
            let mut file =
                nameless::create(dir).map_err(|error| SpoolError::new("mkstemp", dir, &error))?;
            file.write_all(&self.memory).map_err(|error| SpoolError::new("write", dir, &error))?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(data).map_err(|error| SpoolError::new("write", dir, &error))
    }

    /// Gives up the file for its reader.
    pub fn take_file(&mut self) -> Option<OwnedFd> {
        self.file.take().map(OwnedFd::from)
    }
}

/// That there were no descriptors for a body.
static SHORTAGE_TOLD: Told = Told::never();

/// Why a body could not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SpoolError {
    text: String,
    is_shortage: bool,
}

impl SpoolError {
    fn new(call: &str, dir: &Path, error: &io::Error) -> Self {
        let text = crate::event_loop::describe(error);
        Self {
            text: format!("{call}({}/req-XXXXXXXX) failed ({text})", dir.display()),
            is_shortage: is_shortage(error),
        }
    }

    /// Logs it, and gives the status to answer with. A shortage passes, and meets many at once.
    pub(super) fn report(&self) -> u16 {
        if !self.is_shortage || SHORTAGE_TOLD.tell() {
            unit_log::alert!("{self}");
        }
        if self.is_shortage { 503 } else { 500 }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn small_bodies_stay_in_memory_and_large_ones_leave_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut body = Body::default();
        body.push(b"0123", 8, dir.path()).unwrap();
        body.push(b"4567", 8, dir.path()).unwrap();
        assert!(body.file.is_none());
        assert_eq!(body.memory, b"01234567");
        body.push(b"8", 8, dir.path()).unwrap();
        assert!(body.memory.is_empty());
        assert_eq!(body.len, 9);
        let mut text = String::new();
        let file = body.file.as_mut().unwrap();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "012345678");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Body::default().push(b"x", 0, Path::new("/nonexistent")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "mkstemp(/nonexistent/req-XXXXXXXX) failed (2: No such file or directory)"
        );
    }
}
