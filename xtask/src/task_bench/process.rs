//! CPU time and memory of a server: the process started and everything below it, from `/proc`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// `/proc` counts CPU time in hundredths of a second, on every architecture Linux has here
/// (`USER_HZ`).
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// One process of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) title: String,
    user_us: u64,
    system_us: u64,
    pss_kib: Option<u64>,
}

/// All processes of a server at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Tree(BTreeMap<u32, Process>);

/// What a process has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Its share of what it has now.
    pub(crate) pss_kib: u64,
    /// The most it ever had resident.
    pub(crate) peak_kib: u64,
}

/// CPU time processes of one title took between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
}

impl Tree {
    /// Reads the process of that pid and all its descendants.
    pub(crate) fn read(root: u32) -> Result<Self> {
        let mut stats = BTreeMap::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
            else {
                continue;
            };
            // A process may end while we read.
            if let Some(stat) = fs::read_to_string(entry.path().join("stat")).ok().as_deref() {
                stats.extend(Stat::parse(stat).map(|stat| (pid, stat)));
            }
        }
        stats.get(&root).context("the server has ended")?;
        let mut tree = BTreeMap::new();
        let mut waiting = vec![root];
        while let Some(pid) = waiting.pop() {
            waiting
                .extend(stats.iter().filter(|(_, stat)| stat.parent == pid).map(|(pid, _)| *pid));
            if let Some(stat) = stats.get(&pid) {
                tree.insert(pid, stat.process(pid));
            }
        }
        Ok(Self(tree))
    }

    /// What was spent since an earlier moment, by title.
    pub(crate) fn spent_since(&self, earlier: &Self) -> BTreeMap<String, Spent> {
        let mut spent: BTreeMap<String, Spent> = BTreeMap::new();
        for (pid, process) in &self.0 {
            let before = earlier.0.get(pid);
            let user_us = before.map_or(0, |before| before.user_us);
            let system_us = before.map_or(0, |before| before.system_us);
            let sum = spent.entry(process.title.clone()).or_default();
            sum.user_us += process.user_us.saturating_sub(user_us);
            sum.system_us += process.system_us.saturating_sub(system_us);
        }
        spent
    }

    /// Proportional memory of all; none when one of them may not be looked at.
    pub(crate) fn pss_kib(&self) -> Option<u64> {
        self.0.values().map(|process| process.pss_kib).sum()
    }

    /// The memory of the one process of a title.
    pub(crate) fn memory_of(&self, title: &str) -> Option<Memory> {
        let (pid, process) = self.0.iter().find(|(_, process)| process.title == title)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Memory { pss_kib: process.pss_kib?, peak_kib: kib(&status, "VmHWM:")? })
    }

    pub(crate) fn pss_by_process(&self) -> Vec<String> {
        let line = |process: &Process| {
            process.pss_kib.map(|pss_kib| format!("{} {pss_kib} KiB", process.title))
        };
        self.0.values().filter_map(line).collect()
    }
}

/// What is used of `/proc/<pid>/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    parent: u32,
    user_ticks: u64,
    system_ticks: u64,
}

impl Stat {
    /// The name stands in parentheses and may hold any of its own; fields are numbered as in
    /// proc(5).
    fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.rsplit_once(')')?;
        let name = before.split_once('(')?.1.to_owned();
        let mut fields = after.split_ascii_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let mut fields = fields.skip(9);
        let user_ticks = fields.next()?.parse().ok()?;
        let system_ticks = fields.next()?.parse().ok()?;
        Some(Self { name, parent, user_ticks, system_ticks })
    }

    fn process(&self, pid: u32) -> Process {
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let first = cmdline.split(|&byte| byte == 0).next().unwrap_or_default();
        let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
        Process {
            title: title(&String::from_utf8_lossy(first), &self.name),
            user_us: self.user_ticks * MICROSECONDS_PER_TICK,
            system_us: self.system_ticks * MICROSECONDS_PER_TICK,
            pss_kib: memory.ok().and_then(|text| pss_kib(&text)),
        }
    }
}

/// Titles of ours say the role; of others the name of the executable is enough.
fn title(first_argument: &str, name: &str) -> String {
    let Some(role) = first_argument.strip_prefix("unit: ") else { return name.to_owned() };
    let role = role.trim_end();
    role.split_once(" v").map_or(role, |(role, _)| role).to_owned()
}

fn pss_kib(smaps_rollup: &str) -> Option<u64> {
    kib(smaps_rollup, "Pss:")
}

/// The number of a line that begins with this name.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Process, Spent, Stat, Tree, pss_kib, title};
    use std::collections::BTreeMap;

    #[test]
    fn reads_a_stat_line_with_parentheses_in_its_name() {
        let text = "42 (a) b) S 7 42 42 0 -1 4194560 100 0 0 0 12 34 5 6 20 0 1 0 999 1 2";
        let stat = Stat::parse(text).unwrap();
        let expected =
            Stat { name: "a) b".to_owned(), parent: 7, user_ticks: 12, system_ticks: 34 };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("42 (a) S"), None);
    }

    #[test]
    fn titles_name_the_role() {
        assert_eq!(title("unit: main v2.0.0 [unitd --x]", "unitd"), "main");
        assert_eq!(title("unit: router", "unit-router"), "router");
        assert_eq!(title("unit: \"hello\" application   ", "x"), "\"hello\" application");
        assert_eq!(title("nginx: worker process", "nginx"), "nginx");
    }

    #[test]
    fn memory_is_the_proportional_share() {
        assert_eq!(pss_kib("Rss:  900 kB\nPss:    345 kB\nPss_Anon: 1 kB\n"), Some(345));
        assert_eq!(pss_kib(""), None);
    }

    fn tree(processes: &[(u32, &str, u64, u64)]) -> Tree {
        let process = |&(pid, title, user_us, system_us): &(u32, &str, u64, u64)| {
            (pid, Process { title: title.to_owned(), user_us, system_us, pss_kib: Some(1) })
        };
        Tree(processes.iter().map(process).collect())
    }

    #[test]
    fn what_was_spent_is_summed_by_title() {
        let before = tree(&[(1, "router", 10, 20), (2, "worker", 5, 5)]);
        let after = tree(&[(1, "router", 15, 40), (2, "worker", 6, 5), (3, "worker", 2, 3)]);
        let expected = BTreeMap::from([
            ("router".to_owned(), Spent { user_us: 5, system_us: 20 }),
            ("worker".to_owned(), Spent { user_us: 3, system_us: 3 }),
        ]);
        assert_eq!(after.spent_since(&before), expected);
        assert_eq!(after.pss_kib(), Some(3));
    }

    #[test]
    fn we_are_in_our_own_tree() {
        let tree = Tree::read(std::process::id()).unwrap();
        assert!(!tree.0.is_empty());
        assert!(Tree::read(u32::MAX).is_err());
    }
}
