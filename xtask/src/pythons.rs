//! The Pythons of this machine that a language runtime can be linked with.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::command;

/// The oldest minor version of Python 3 a runtime is built for.
const OLDEST_MINOR: u16 = 9;

/// Printed by each interpreter about itself; a virtual environment answers for its base.
const PROBE: &str = r#"
import json, os, sys, sysconfig
get = sysconfig.get_config_var
libraries = []
for directory in (get("LIBDIR"), get("LIBPL"), os.path.join(get("LIBDIR") or "", get("MULTIARCH") or "")):
    for name in (get("INSTSONAME"), get("LDLIBRARY"), get("LIBRARY")):
        if directory and name and os.path.isfile(os.path.join(directory, name)):
            libraries.append(os.path.join(directory, name))
print(json.dumps({
    "minor": sys.version_info[1],
    "patch": sys.version_info[2],
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "headers": os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "library": libraries[0] if libraries else None,
}))
"#;

/// One interpreter with everything a runtime is linked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Python {
    pub(crate) minor: u16,
    patch: u16,
    pub(crate) executable: PathBuf,
    library: PathBuf,
}

impl Python {
    /// `3.11`, as it stands in file names.
    pub(crate) fn version(&self) -> String {
        format!("3.{}", self.minor)
    }

    /// False when only its owner reaches its library, so that a process that gave up its
    /// privileges could not load it.
    pub(crate) fn serves_everyone(&self) -> bool {
        is_readable_by_everyone(&self.library)
    }

    fn is_of_the_system(&self) -> bool {
        self.executable.starts_with("/usr/bin")
    }
}

/// True when every user can read the file and walk the directories above it.
pub(crate) fn is_readable_by_everyone(file: &Path) -> bool {
    let Ok(file) = file.canonicalize() else { return false };
    let allows = |path: &Path, bits: u32| {
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & bits == bits)
    };
    let bits = if file.is_dir() { 0o005 } else { 0o004 };
    allows(&file, bits) && file.ancestors().skip(1).all(|directory| allows(directory, 0o001))
}

/// Every Python that a runtime can be built for, one of each minor version, oldest first; limited
/// by `UNIT_PYTHONS` where that is set.
pub(crate) fn find_all() -> Vec<Python> {
    let found = choose(candidates().iter().filter_map(|path| probe(path)));
    match std::env::var("UNIT_PYTHONS") {
        Ok(wanted) => limit(found, &wanted),
        Err(_) => found,
    }
}

/// The system's Python and the newest other one: enough for the tests, and half the time. What
/// `UNIT_PYTHONS` names is taken whole.
pub(crate) fn find_for_tests() -> Vec<Python> {
    let found = find_all();
    if std::env::var_os("UNIT_PYTHONS").is_some() || found.len() <= 2 {
        return found;
    }
    let system = found.iter().find(|python| python.is_of_the_system()).cloned();
    let mut chosen: Vec<Python> = system.into_iter().collect();
    for python in found.into_iter().rev() {
        if chosen.len() < 2 && !chosen.contains(&python) {
            chosen.push(python);
        }
    }
    chosen
}

fn limit(found: Vec<Python>, wanted: &str) -> Vec<Python> {
    let wanted: Vec<&str> = wanted.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    for version in &wanted {
        if !found.iter().any(|python| python.version() == *version) {
            println!("UNIT_PYTHONS names {version}, which is not here with its development files");
        }
    }
    found.into_iter().filter(|python| wanted.contains(&python.version().as_str())).collect()
}

/// Of each minor version the system's interpreter, else the newest patch.
fn choose(found: impl Iterator<Item = Python>) -> Vec<Python> {
    let mut best: BTreeMap<u16, Python> = BTreeMap::new();
    for python in found {
        let rank = |python: &Python| (python.is_of_the_system(), python.patch);
        match best.get(&python.minor) {
            Some(other) if rank(other) >= rank(&python) => {}
            _ => {
                best.insert(python.minor, python);
            }
        }
    }
    best.into_values().collect()
}

fn candidates() -> Vec<PathBuf> {
    let mut directories = command::search_path();
    if let Some(home) = std::env::var_os("HOME") {
        let versions = Path::new(&home).join(".pyenv/versions");
        for entry in fs::read_dir(versions).into_iter().flatten().flatten() {
            directories.push(entry.path().join("bin"));
        }
    }
    let mut files = Vec::new();
    for directory in directories {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let minor = name.to_str().and_then(|name| name.strip_prefix("python3."));
            if minor
                .and_then(|minor| minor.parse().ok())
                .is_some_and(|minor: u16| minor >= OLDEST_MINOR)
            {
                files.push(entry.path());
            }
        }
    }
    // The same file is reached by many names.
    files.sort_by_key(|file| file.canonicalize().ok());
    files.dedup_by_key(|file| file.canonicalize().ok());
    files
}

#[derive(Deserialize)]
struct Probe {
    minor: u16,
    patch: u16,
    executable: PathBuf,
    headers: bool,
    library: Option<PathBuf>,
}

/// Asks an interpreter about itself; one that does not run or lacks its development files is none.
fn probe(executable: &Path) -> Option<Python> {
    // -I keeps the caller's PYTHON* variables out of the answer.
    let printed = command::output(command::program(executable).args(["-I", "-c", PROBE])).ok()?;
    let probe: Probe = serde_json::from_str(&printed).ok()?;
    if probe.minor < OLDEST_MINOR || !probe.headers {
        return None;
    }
    Some(Python {
        minor: probe.minor,
        patch: probe.patch,
        executable: probe.executable,
        library: probe.library?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Python, choose, is_readable_by_everyone, limit};
    use std::path::Path;

    fn python(executable: &str, minor: u16, patch: u16) -> Python {
        Python { minor, patch, executable: executable.into(), library: "/usr/lib/x".into() }
    }

    #[test]
    fn prefers_the_system_then_the_newest_patch() {
        let found = [
            python("/opt/a/bin/python3.12", 12, 1),
            python("/opt/b/bin/python3.12", 12, 9),
            python("/opt/c/bin/python3.11", 11, 9),
            python("/usr/bin/python3.11", 11, 2),
        ];
        let chosen = choose(found.into_iter());
        let names: Vec<_> =
            chosen.iter().map(|python| python.executable.to_str().unwrap()).collect();
        assert_eq!(names, ["/usr/bin/python3.11", "/opt/b/bin/python3.12"]);
    }

    #[test]
    fn a_limit_names_versions() {
        let found = vec![python("/a", 11, 0), python("/b", 12, 0), python("/c", 13, 0)];
        let minors: Vec<_> = limit(found, "3.13, 3.11").iter().map(|found| found.minor).collect();
        assert_eq!(minors, [11, 13]);
    }

    #[test]
    fn a_file_below_a_private_directory_is_not_for_everyone() {
        assert!(is_readable_by_everyone(Path::new("/bin/sh")));
        assert!(!is_readable_by_everyone(Path::new("/no/such/file")));
    }
}
