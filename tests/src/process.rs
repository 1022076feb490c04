//! Processes as the kernel shows them.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// One process at the moment it was looked at. Its start time tells it from a later one with the
/// same id.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Its state letter; `Z` for one that ended and was not waited for.
    pub state: char,
    /// Its command line, or what it wrote over it.
    pub title: String,
    /// Its user.
    pub uid: u32,
}

impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

impl Eq for Process {}

impl Process {
    /// Whether this very process still exists, as a zombie too.
    #[must_use]
    pub fn exists(&self) -> bool {
        process(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// How many descriptors it has open.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }

    /// What its descriptors are, for messages.
    #[must_use]
    pub fn descriptor_names(&self) -> Vec<String> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                let target = fs::read_link(entry.path()).ok()?;
                Some(format!("{}={}", entry.file_name().display(), target.display()))
            })
            .collect();
        names.sort();
        names
    }

    /// Its resident memory in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    /// Its resident memory in KiB that is its own, which neither files nor channels are.
    #[must_use]
    pub fn private_kib(&self) -> u64 {
        self.status("RssAnon:")
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    /// How many threads it has.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.status("Threads:").and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// How many of its threads have a name that begins so.
    #[must_use]
    pub fn threads_named(&self, beginning: &str) -> usize {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten();
        let names = threads.flatten().filter_map(|thread| {
            // It may have ended by now.
            fs::read_to_string(thread.path().join("comm")).ok()
        });
        names.filter(|name| name.starts_with(beginning)).count()
    }

    /// How much processor time it has used, in clock ticks: hundredths of a second.
    #[must_use]
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0);
        ticks(11) + ticks(12)
    }

    /// A line of its status file.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    }

    /// Sends it a signal; one that is gone is none's concern.
    pub fn signal(&self, signal: Signal) {
        if self.exists() {
            let _ = nix::sys::signal::kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Whether its environment says so.
    pub(crate) fn has_environment(&self, variable: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    }
}

/// The process with this id, when there is one.
#[must_use]
pub fn process(pid: i32) -> Option<Process> {
    let directory = format!("/proc/{pid}");
    let uid = fs::metadata(&directory).ok()?.uid();
    let stat = fs::read_to_string(format!("{directory}/stat")).ok()?;
    // The name stands in parentheses and may hold any character.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let arguments = fs::read(format!("{directory}/cmdline")).unwrap_or_default();
    let title = String::from_utf8_lossy(&arguments).replace('\0', " ").trim().to_owned();
    Some(Process {
        pid,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        title,
        uid,
    })
}

/// Every process there is.
#[must_use]
pub fn everything() -> Vec<Process> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// The children of a process, their children and so on.
pub(crate) fn descendants(ancestor: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in everything() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            found.push(child);
        }
    }
    found
}
