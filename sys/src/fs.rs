//! What std's file functions leave out: opening for execution only, and the file mode mask.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::sys::stat::{Mode, umask};

/// The flags of open(2) for a path that others chose: it neither waits, for the other end of a FIFO
/// for instance, nor makes a terminal the controlling one.
pub const OPEN_WARILY: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// Opens a program so that it can be executed by descriptor later, whatever happens to its name
/// until then.
///
/// # Errors
/// What open(2) says; `EACCES` for anything but a regular file that someone may execute.
pub fn open_executable(path: &Path) -> io::Result<OwnedFd> {
    let file = File::options().read(true).custom_flags(libc::O_PATH).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(file.into())
}

/// Sets the file mode mask of the process and returns the one before.
pub fn set_umask(mask: u32) -> u32 {
    umask(Mode::from_bits_truncate(mask)).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_programs_and_nothing_else() {
        assert!(open_executable(Path::new("/bin/sh")).is_ok());
        for path in ["/etc/passwd", "/tmp", "/dev/null", "/nonexistent"] {
            assert!(open_executable(Path::new(path)).is_err(), "{path}");
        }
    }
}
