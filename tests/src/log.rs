//! The daemon's log, as a reader of the file sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;

use crate::wait::wait_for;

/// What is never counted as an alert.
const TOLERATED: [&str; 3] = ["read signalfd(4) failed", "sendmsg", "recvmsg"];

/// Marks of a program that broke, whatever the level.
const BROKEN: [&str; 3] = ["Sanitizer", "panicked at", "stack overflow"];

/// A log file.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log at this path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// How long it is at this moment: a mark to look from later.
    #[must_use]
    pub fn len(&self) -> usize {
        fs::metadata(&self.path).map_or(0, |metadata| usize::try_from(metadata.len()).unwrap())
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written since a mark.
    #[must_use]
    pub fn text_after(&self, mark: usize) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(mark..).unwrap_or_default()).into_owned()
    }

    /// How many lines match.
    #[must_use]
    pub fn count(&self, pattern: &str) -> usize {
        let pattern = Regex::new(pattern).unwrap();
        self.text().lines().filter(|line| pattern.is_match(line)).count()
    }

    /// The first capture of every match, in order.
    #[must_use]
    pub fn find_all(&self, pattern: &str) -> Vec<String> {
        captures(&self.text(), pattern)
    }

    /// Waits for a match anywhere; gives its first capture, or all of it.
    ///
    /// # Panics
    /// At the limit.
    #[track_caller]
    pub fn wait(&self, pattern: &str) -> String {
        self.wait_after(0, pattern)
    }

    /// The same in what was written since a mark.
    ///
    /// # Panics
    /// At the limit.
    #[track_caller]
    pub fn wait_after(&self, mark: usize, pattern: &str) -> String {
        let what = format!("{pattern} in {}", self.path.display());
        wait_for(&what, Duration::from_secs(30), || {
            captures(&self.text_after(mark), pattern).into_iter().next()
        })
    }

    /// The lines nobody announced that someone would have to act on.
    #[must_use]
    pub fn unexpected(&self, announced: &[String]) -> Vec<String> {
        let is_bad = |line: &&str| {
            let alert = line.contains("[alert]")
                && !TOLERATED.iter().any(|text| line.contains(text))
                && !announced.iter().any(|text| line.contains(text));
            alert || BROKEN.iter().any(|text| line.contains(text))
        };
        self.text().lines().filter(is_bad).map(str::to_owned).collect()
    }
}

fn captures(text: &str, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(&format!("(?m){pattern}")).unwrap();
    let found = pattern.captures_iter(text);
    found.map(|found| found.get(1).or(found.get(0)).unwrap().as_str().to_owned()).collect()
}
