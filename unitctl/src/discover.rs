//! Finds the daemons that run here, by the titles of their main processes.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use crate::address::{Address, AddressError};
use crate::build_defaults;
use crate::exit::Exit;
use crate::title::Title;
use crate::visible::visible;

/// As much of a title as is read; the kernel itself has no limit.
const TITLE_LEN_MAX: u64 = 128 << 10;

/// The options whose defaults are looked for in the list that an executable prints.
const CONTROL_OPTION: &str = "--control ADDRESS";
const LOG_OPTION: &str = "--log FILE";

/// A main process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) pid: u32,
    pub(crate) title: Title,
    /// Its executable, if we may see it.
    pub(crate) executable: Option<PathBuf>,
    /// Its working directory, from which relative paths of its options count.
    directory: Option<PathBuf>,
    /// Its root directory as we see it, when it has another one than we have.
    root: Option<PathBuf>,
    /// Its children, the roles.
    pub(crate) children: Vec<u32>,
}

/// Why it is not known which daemon is meant.
#[derive(Debug, Error)]
pub(crate) enum DiscoverError {
    /// There is none.
    #[error(
        "no running daemon was found, and {default} is not there\n  \
         Start unitd, or name the control socket with -s."
    )]
    None { default: String },
    /// There is more than one.
    #[error("several daemons run; choose one with -s\n{}", list(.0))]
    Several(Vec<(u32, String)>),
    /// Its address cannot be found out.
    #[error("the control socket of process {pid} is not known: {cause}\n  Name it with -s.")]
    Unknown { pid: u32, cause: AddressError },
}

fn list(found: &[(u32, String)]) -> String {
    let lines = found.iter().map(|(pid, address)| format!("  process {pid}: -s {address}"));
    lines.collect::<Vec<_>>().join("\n")
}

impl DiscoverError {
    /// What a script is told.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::None { .. } => Exit::NoInstance,
            Self::Several(_) => Exit::SeveralInstances,
            Self::Unknown { .. } => Exit::NoSocketPath,
        }
    }
}

/// The address of the one daemon that runs here.
pub(crate) fn the_one() -> Result<Address, DiscoverError> {
    let found = instances();
    match found.as_slice() {
        [] => {
            let default = build_defaults::control();
            match Address::parse(&default) {
                Ok(address) if is_there(&address) => Ok(address),
                Ok(_) | Err(_) => Err(DiscoverError::None { default }),
            }
        }
        [one] => one.control().map_err(|cause| DiscoverError::Unknown { pid: one.pid, cause }),
        several => {
            let shown = |instance: &Instance| {
                let address = instance.control().map(|address| address.to_string());
                let address = address.unwrap_or_else(|_| "?".to_owned());
                (instance.pid, visible(&address).into_owned())
            };
            Err(DiscoverError::Several(several.iter().map(shown).collect()))
        }
    }
}

fn is_there(address: &Address) -> bool {
    match address {
        Address::UnixPath(path) => {
            fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
        }
        Address::UnixAbstract(_) | Address::Tcp { .. } => true,
    }
}

/// Every main process there is of root or the user, in the order of their ids.
pub(crate) fn instances() -> Vec<Instance> {
    let mut found = Vec::new();
    let mut parents = Vec::new();
    let own = fs::metadata("/proc/self").ok().map(|process| process.uid());
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let directory = entry.path();
        if let Some(parent) = parent_of(&directory) {
            parents.push((parent, pid));
        }
        let Some(title) = title_of(&directory) else { continue };
        // Anybody can have a process of that title. What it says is sent configurations and keys,
        // so it has to be root's or the user's own; others are named with `-s`.
        let owner = fs::metadata(&directory).ok().map(|process| process.uid());
        if owner != Some(0) && owner != own {
            continue;
        }
        let link = |name: &str| fs::read_link(directory.join(name)).ok();
        let own_mounts = fs::read_link("/proc/self/ns/mnt").ok();
        let is_elsewhere = match (link("ns/mnt"), own_mounts) {
            (Some(theirs), Some(ours)) => theirs != ours,
            (None, _) | (_, None) => false,
        };
        found.push(Instance {
            pid,
            title,
            executable: link("exe"),
            directory: link("cwd"),
            root: is_elsewhere.then(|| directory.join("root")),
            children: Vec::new(),
        });
    }
    // A child that was just forked still has its parent's title.
    let mains: Vec<u32> = found.iter().map(|instance| instance.pid).collect();
    found.retain(|instance| {
        let parent = parents.iter().find(|(_, pid)| *pid == instance.pid).map(|(parent, _)| parent);
        !parent.is_some_and(|parent| mains.contains(parent))
    });
    for instance in &mut found {
        let children = parents.iter().filter(|(parent, _)| *parent == instance.pid);
        instance.children = children.map(|(_, pid)| *pid).collect();
        instance.children.sort_unstable();
    }
    found.sort_by_key(|instance| instance.pid);
    found
}

fn title_of(process: &Path) -> Option<Title> {
    let mut text = Vec::new();
    let file = fs::File::open(process.join("cmdline")).ok()?;
    file.take(TITLE_LEN_MAX).read_to_end(&mut text).ok()?;
    // A title ends at its first null; a command line has one after each word.
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    Title::parse(&String::from_utf8_lossy(&text[..end]))
}

fn parent_of(process: &Path) -> Option<u32> {
    let stat = fs::read(process.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name stands in parentheses and may hold any character.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

impl Instance {
    /// The address of its control socket.
    pub(crate) fn control(&self) -> Result<Address, AddressError> {
        let text = match self.title.option("--control") {
            Some(text) => text.to_owned(),
            None => self.default_of(CONTROL_OPTION).unwrap_or_else(build_defaults::control),
        };
        Ok(match Address::parse(&text)? {
            Address::UnixPath(path) => Address::UnixPath(self.path(&path)),
            other => other,
        })
    }

    /// Its log file.
    pub(crate) fn log(&self) -> PathBuf {
        let text = match self.title.option("--log") {
            Some(text) => text.to_owned(),
            None => self.default_of(LOG_OPTION).unwrap_or_else(build_defaults::log),
        };
        self.path(Path::new(&text))
    }

    /// What its options say to be built with, if it may be asked.
    pub(crate) fn configure_options(&self) -> Option<String> {
        let text = self.ask("--version")?;
        let line = text.lines().find_map(|line| line.strip_prefix("configured as ./configure"))?;
        Some(line.trim().to_owned())
    }

    /// A path of its options as we have to write it.
    fn path(&self, path: &Path) -> PathBuf {
        let absolute = match &self.directory {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        };
        match (&self.root, absolute.strip_prefix("/")) {
            (Some(root), Ok(inside)) => root.join(inside),
            (Some(_), Err(_)) | (None, _) => absolute,
        }
    }

    /// The default of an option, from the list of options that the executable prints.
    fn default_of(&self, option: &str) -> Option<String> {
        default_in_help(&self.ask("--help")?, option)
    }

    /// What the executable prints for an option. Only one that nobody but root and ourselves could
    /// have put there is run: whoever is called `unit: main` is not thereby to be trusted.
    fn ask(&self, option: &str) -> Option<String> {
        let executable = self.executable.as_ref().filter(|_| self.root.is_none())?;
        let own = fs::metadata("/proc/self").ok()?.uid();
        let is_trusted = |path: &Path| {
            fs::metadata(path).is_ok_and(|metadata| {
                let is_sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
                [0, own].contains(&metadata.uid()) && (metadata.mode() & 0o022 == 0 || is_sticky)
            })
        };
        if !executable.ancestors().all(is_trusted) {
            return None;
        }
        let output = Command::new(executable)
            .arg(option)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .ok()?;
        let text = [output.stdout, output.stderr].concat();
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The quoted string on the line after the one of an option.
fn default_in_help(help: &str, option: &str) -> Option<String> {
    let mut lines = help.lines().skip_while(|line| !line.trim_start().starts_with(option));
    lines.next()?;
    let (_, quoted) = lines.next()?.split_once("default: \"")?;
    Some(quoted.strip_suffix('"')?.to_owned())
}

/// The instance whose control socket this is.
pub(crate) fn instance_at(address: &Address) -> Option<Instance> {
    let here = std::env::current_dir().unwrap_or_default();
    let wanted = canonical(&address.clone().relative_to(&here));
    instances()
        .into_iter()
        .find(|instance| instance.control().is_ok_and(|control| canonical(&control) == wanted))
}

/// The same address for the same socket, whatever links lead to it.
fn canonical(address: &Address) -> Address {
    match address {
        Address::UnixPath(path) => {
            Address::UnixPath(fs::canonicalize(path).unwrap_or_else(|_| path.clone()))
        }
        Address::UnixAbstract(_) | Address::Tcp { .. } => address.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_found_in_the_list_of_options() {
        let help = "\nunit options:\n\n  --version  version\n\n  --control ADDRESS    address\n\
                    \x20                      default: \"unix:/run/control.unit.sock\"\n\n  \
                    --control-mode MODE\n                       default: \"0600\"\n\n  --log FILE\n\
                    \x20                      default: \"/var/log/unit.log\"\n";
        let default = |option| default_in_help(help, option);
        assert_eq!(default(CONTROL_OPTION).as_deref(), Some("unix:/run/control.unit.sock"));
        assert_eq!(default(LOG_OPTION).as_deref(), Some("/var/log/unit.log"));
        assert_eq!(default("--version"), None);
        assert_eq!(default("--pid FILE"), None);
    }

    fn instance(title: &str, root: Option<&str>) -> Instance {
        Instance {
            pid: 1,
            title: Title::parse(title).unwrap(),
            executable: None,
            directory: Some("/srv".into()),
            root: root.map(PathBuf::from),
            children: Vec::new(),
        }
    }

    #[test]
    fn relative_paths_are_those_of_the_daemon() {
        let found = instance("unit: main v2 [unitd --control unix:run/c --log l]", None);
        assert_eq!(found.control().unwrap(), Address::UnixPath("/srv/run/c".into()));
        assert_eq!(found.log(), Path::new("/srv/l"));
    }

    #[test]
    fn a_daemon_with_another_root_is_reached_through_it() {
        let found = instance("unit: main v2 [unitd --control unix:/c]", Some("/proc/1/root"));
        assert_eq!(found.control().unwrap(), Address::UnixPath("/proc/1/root/c".into()));
    }

    #[test]
    fn a_process_of_somebody_else_with_that_title_is_not_found() {
        use std::os::unix::process::CommandExt;
        use std::process::Command;
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            println!("skipped: only root can start a process of somebody else");
            return;
        }
        let pretend = |uid: u32| {
            let mut command = Command::new("sleep");
            command.arg0("unit: main v2 [unitd --control unix:/nowhere]").arg("60");
            let mut child = command.uid(uid).spawn().unwrap();
            let is_found = instances().iter().any(|instance| instance.pid == child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            is_found
        };
        assert!(pretend(0));
        assert!(!pretend(65534));
    }

    #[test]
    fn a_process_that_is_no_daemon_is_not_found() {
        let own = std::process::id();
        assert!(instances().iter().all(|instance| instance.pid != own));
        assert!(parent_of(Path::new("/proc/self")).is_some());
    }
}
