//! Files without a name, for what is too large for memory.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::shortage::is_reserved;

/// A file in `dir` that no name leads to, open for reading and writing.
///
/// # Errors
/// When the directory does not take it.
pub(crate) fn create(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        // The last descriptors are not for clients.
        Ok(file) if is_reserved(&file) => Err(rustix::io::Errno::MFILE.into()),
        Ok(file) => Ok(File::from(file)),
        // Not every file system has unnamed files.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => tempfile::tempfile_in(dir)
            .and_then(|file| match is_reserved(&file) {
                true => Err(rustix::io::Errno::MFILE.into()),
                false => Ok(file),
            }),
        Err(error) => Err(error.into()),
    }
}
