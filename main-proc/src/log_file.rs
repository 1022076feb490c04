//! Log files: the daemon's own and the access logs, all for the owner only and only appended to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a log for appending, making it with mode 0600 if there is none.
///
/// # Errors
/// What open(2) says.
pub fn open(path: &str) -> io::Result<File> {
    open_with(path, true)
}

/// Opens a log as [`open`] does if there is one. If not, and one could be made, this makes none but
/// opens a file without a name.
///
/// # Errors
/// What open(2) says.
pub fn try_out(path: &str) -> io::Result<File> {
    match open_with(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = match Path::new(path).parent() {
                Some(directory) if !directory.as_os_str().is_empty() => directory,
                _ => Path::new("."),
            };
            sys::fs::try_making_files(directory)
        }
        opened => opened,
    }
}

fn open_with(path: &str, create: bool) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(create)
        .mode(0o600)
        .custom_flags(sys::fs::OPEN_WARILY)
        .open(Path::new(path))?;
    // Writers wait for a slow reader of a pipe rather than lose lines.
    sys::fd::set_nonblocking(&file, false)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_pipe_without_a_reader_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let status = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(status.success());
        let error = open(path.to_str().unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(6));
    }

    #[test]
    fn what_is_tried_out_leaves_nothing_and_fails_like_the_real_thing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        try_out(&path("new")).unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::write(path("there"), "one\n").unwrap();
        try_out(&path("there")).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(fs::read(path("there")).unwrap(), b"one\ntwo\n");
        for name in ["nowhere/log", "there/log", "", "/dev/null/log", "x\0"] {
            let path = path(name);
            let [tried, real] = [try_out(&path), open(&path)].map(|result| result.unwrap_err());
            assert_eq!(tried.to_string(), real.to_string(), "{path}");
        }
    }

    #[test]
    fn appends_to_a_private_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("unit.log");
        for line in ["one\n", "two\n"] {
            open(path.to_str().unwrap()).unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }
}
