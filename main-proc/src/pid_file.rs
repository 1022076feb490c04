//! The pid file: decimal pid and a newline, there before the control socket is.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sys::errno::Described;
use sys::process::Pid;

/// A pid file that is in place.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes it, in place of a stale one; parent directories are made.
    ///
    /// # Errors
    /// What the failed call says.
    pub fn write(path: &str, pid: Pid) -> io::Result<Self> {
        let path = Path::new(path);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        }
        // A name of its own first: nobody ever reads half a number.
        let mut temporary = path.to_path_buf().into_os_string();
        temporary.push(".tmp");
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
        file.write_all(format!("{pid}\n").as_bytes())
            .and_then(|()| file.set_permissions(Permissions::from_mode(0o644)))
            .and_then(|()| fs::rename(&temporary, path))
            .inspect_err(|_| {
                // The error to report is the first one.
                let _ = fs::remove_file(&temporary);
            })?;
        Ok(Self { path: path.into() })
    }

    /// Removes it.
    pub fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            unit_log::alert!("unlink(\"{}\") failed {}", self.path.display(), Described(&error));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn holds_the_pid_and_replaces_a_stale_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/unit/unit.pid");
        let text = path.to_str().unwrap();
        PidFile::write(text, Pid::from_raw(99_999)).unwrap();
        let file = PidFile::write(text, Pid::from_raw(7)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"7\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
        file.remove();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn says_when_it_cannot_be_written() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), b"").unwrap();
        let path = directory.path().join("file/unit.pid");
        assert!(PidFile::write(path.to_str().unwrap(), Pid::from_raw(7)).is_err());
    }
}
