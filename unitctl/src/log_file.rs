//! Reads a log from near its end and follows it, also when it is rotated.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The part of a file that is looked at for its last lines.
const BLOCK_LEN: u64 = 64 << 10;

/// The most that is read of a file at once while it is followed.
const READ_LEN_MAX: u64 = 1 << 20;

/// Why a log cannot be shown.
#[derive(Debug, Error)]
pub(crate) enum LogError {
    /// It cannot be opened or read.
    #[error("cannot read the log {}: {cause}{}", .file.display(), hint(.cause))]
    Read { file: PathBuf, cause: io::Error },
    /// It is a terminal, a pipe or the like.
    #[error(
        "the log {} is no file but what the daemon was started with; \
         look where its standard error goes (docker logs, journalctl)",
        .0.display()
    )]
    NoFile(PathBuf),
    /// Nobody knows where it is.
    #[error("no running daemon belongs to {0}, so its log is not known; name it with --file")]
    Unknown(String),
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            "\n  Logs are readable for their owner alone, most often root: try sudo."
        }
        _ => "",
    }
}

/// A log that is open at the place up to which it was shown.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
    position: u64,
}

impl LogFile {
    /// Opens a log before its last lines.
    pub(crate) fn open(path: &Path, last_lines: usize) -> Result<Self, LogError> {
        let failed = |cause| LogError::Read { file: path.to_owned(), cause };
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        // Opening a pipe would wait for its other end.
        if !metadata.is_file() {
            return Err(LogError::NoFile(path.to_owned()));
        }
        let mut log = Self::at_start(path).map_err(failed)?;
        log.position = log.start_of_last(last_lines).map_err(failed)?;
        Ok(log)
    }

    fn at_start(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), file, identity, position: 0 })
    }

    /// Where the last lines begin, found from the end as logs may be very long.
    fn start_of_last(&mut self, lines: usize) -> io::Result<u64> {
        let end = self.file.metadata()?.len();
        if lines == 0 {
            return Ok(end);
        }
        let mut start = end;
        // Places after which a line begins, the last of them first.
        let mut found: VecDeque<u64> = VecDeque::new();
        while start > 0 && found.len() <= lines {
            let block = start.min(BLOCK_LEN);
            start -= block;
            let mut bytes = Vec::new();
            self.file.seek(SeekFrom::Start(start))?;
            (&self.file).take(block).read_to_end(&mut bytes)?;
            let ends = (start..).zip(&bytes).filter(|(at, byte)| **byte == b'\n' && at + 1 < end);
            let ends: Vec<u64> = ends.map(|(at, _)| at + 1).collect();
            found.extend(ends.into_iter().rev());
        }
        Ok(found.get(lines - 1).copied().unwrap_or(0))
    }

    /// What came since the last time; empty when there was nothing. A file that was renamed is read
    /// to its end before the one that has its name now.
    pub(crate) fn read_more(&mut self) -> Result<Vec<u8>, LogError> {
        self.try_read_more().map_err(|cause| LogError::Read { file: self.path.clone(), cause })
    }

    fn try_read_more(&mut self) -> io::Result<Vec<u8>> {
        if self.file.metadata()?.len() < self.position {
            // It was emptied in place.
            self.position = 0;
        }
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut more = Vec::new();
        let read = (&self.file).take(READ_LEN_MAX).read_to_end(&mut more)?;
        self.position += u64::try_from(read).unwrap_or(u64::MAX);
        if read > 0 {
            return Ok(more);
        }
        // Between the renaming and the new file there is none; it will come.
        if let Ok(metadata) = fs::metadata(&self.path)
            && (metadata.dev(), metadata.ino()) != self.identity
            && metadata.is_file()
        {
            // The last lines may have been written between the look above and the renaming.
            let rest = (&self.file).take(READ_LEN_MAX).read_to_end(&mut more)?;
            self.position += u64::try_from(rest).unwrap_or(u64::MAX);
            if rest == 0 {
                *self = Self::at_start(&self.path)?;
            }
        }
        Ok(more)
    }
}

/// The lines of a log, for those who want each as a value.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    BufReader::new(text).split(b'\n').map_while(Result::ok)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rest(log: &mut LogFile) -> String {
        let mut all = Vec::new();
        loop {
            let more = log.read_more().unwrap();
            if more.is_empty() {
                return String::from_utf8(all).unwrap();
            }
            all.extend(more);
        }
    }

    #[test]
    fn begins_with_the_last_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        append(&path, "1\n2\n3\n4");
        for (lines, shown) in [(0, ""), (1, "4"), (2, "3\n4"), (4, "1\n2\n3\n4"), (9, "1\n2\n3\n4")]
        {
            assert_eq!(rest(&mut LogFile::open(&path, lines).unwrap()), shown, "{lines}");
        }
        append(&path, "\n");
        assert_eq!(rest(&mut LogFile::open(&path, 2).unwrap()), "3\n4\n");
    }

    #[test]
    fn last_lines_are_found_across_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let line = format!("{}\n", "x".repeat(50_000));
        append(&path, &line.repeat(5));
        assert_eq!(rest(&mut LogFile::open(&path, 3).unwrap()), line.repeat(3));
    }

    #[test]
    fn follows_a_rotation_without_losing_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        append(&path, "old\n");
        let mut log = LogFile::open(&path, 10).unwrap();
        assert_eq!(rest(&mut log), "old\n");
        let old = directory.path().join("log.1");
        fs::rename(&path, &old).unwrap();
        append(&old, "late\n");
        assert_eq!(rest(&mut log), "late\n");
        append(&path, "new\n");
        append(&old, "later\n");
        assert_eq!(rest(&mut log), "later\n");
        // What is read of the new file comes with the next look.
        assert_eq!(rest(&mut log), "new\n");
    }

    #[test]
    fn begins_anew_when_the_file_was_emptied() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        append(&path, "a long line\n");
        let mut log = LogFile::open(&path, 10).unwrap();
        assert_eq!(rest(&mut log), "a long line\n");
        fs::write(&path, "b\n").unwrap();
        assert_eq!(rest(&mut log), "b\n");
    }

    #[test]
    fn a_device_is_no_log() {
        assert!(matches!(LogFile::open(Path::new("/dev/null"), 1), Err(LogError::NoFile(_))));
        assert!(matches!(LogFile::open(Path::new("/"), 1), Err(LogError::Read { .. })));
    }
}
