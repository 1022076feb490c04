//! The executables of the roles: found and opened once, so that an upgrade of the package cannot
//! mix releases while the daemon runs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use sys::errno::Described;
use thiserror::Error;

/// Where role executables are, seen from the directory of `unitd`.
const BESIDE: [&str; 2] = [".", "../libexec/unit"];

/// The roles that have an executable of their own beside `unitd`.
#[derive(Debug)]
pub struct Executables {
    discovery: OwnedFd,
    controller: OwnedFd,
    router: OwnedFd,
}

/// The roles that are executed from here. Prototypes are language runtimes and live elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreRole {
    /// `unit-discovery`.
    Discovery,
    /// `unit-controller`.
    Controller,
    /// `unit-router`.
    Router,
}

impl CoreRole {
    /// The role as it is known everywhere else.
    #[must_use]
    pub const fn role(self) -> port_proto::Role {
        match self {
            Self::Discovery => port_proto::Role::Discovery,
            Self::Controller => port_proto::Role::Controller,
            Self::Router => port_proto::Role::Router,
        }
    }
}

/// Why an executable cannot be used.
#[derive(Debug, Error)]
pub enum ExecutableError {
    /// It is nowhere.
    #[error("executable \"{name}\" not found in {}", list(places))]
    NotFound {
        /// Its file name.
        name: String,
        /// Where it was looked for.
        places: Vec<PathBuf>,
    },
    /// It is there, but no program.
    #[error("executable \"{}\" cannot be opened {}", path.display(), Described(error))]
    Unusable {
        /// Where it is.
        path: PathBuf,
        /// The error of opening it.
        error: io::Error,
    },
}

fn list(places: &[PathBuf]) -> String {
    let quoted: Vec<String> =
        places.iter().map(|place| format!("\"{}\"", place.display())).collect();
    quoted.join(" or ")
}

impl Executables {
    /// Opens them: in `libexec_dir` when it is given, else beside `unitd`, else in
    /// `../libexec/unit` seen from there.
    ///
    /// # Errors
    /// [`ExecutableError`] for the first that is missing or is no program.
    pub fn find(libexec_dir: Option<&Path>, unitd: &Path) -> Result<Self, ExecutableError> {
        let places: Vec<PathBuf> = match (libexec_dir, unitd.parent()) {
            (Some(directory), _) => vec![directory.to_path_buf()],
            (None, Some(beside)) => BESIDE.iter().map(|place| beside.join(place)).collect(),
            (None, None) => Vec::new(),
        };
        Ok(Self {
            discovery: open(CoreRole::Discovery, &places)?,
            controller: open(CoreRole::Controller, &places)?,
            router: open(CoreRole::Router, &places)?,
        })
    }

    /// The executable of a role.
    #[must_use]
    pub fn of(&self, role: CoreRole) -> BorrowedFd<'_> {
        match role {
            CoreRole::Discovery => self.discovery.as_fd(),
            CoreRole::Controller => self.controller.as_fd(),
            CoreRole::Router => self.router.as_fd(),
        }
    }
}

fn open(role: CoreRole, places: &[PathBuf]) -> Result<OwnedFd, ExecutableError> {
    let name = format!("unit-{}", role.role().name());
    for place in places {
        let path = place.join(&name);
        match sys::fs::open_executable(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.map_err(|error| ExecutableError::Unusable { path, error }),
        }
    }
    Err(ExecutableError::NotFound { name, places: places.to_vec() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn install(directory: &Path, names: &[&str]) {
        fs::create_dir_all(directory).unwrap();
        for name in names {
            fs::copy("/bin/true", directory.join(name)).unwrap();
        }
    }

    const ALL: [&str; 3] = ["unit-discovery", "unit-controller", "unit-router"];

    #[test]
    fn looks_beside_unitd_then_in_libexec() {
        let prefix = tempfile::tempdir().unwrap();
        let unitd = prefix.path().join("sbin/unitd");
        install(&prefix.path().join("sbin"), &["unitd", "unit-router"]);
        install(&prefix.path().join("libexec/unit"), &ALL[..2]);
        Executables::find(None, &unitd).unwrap();
        fs::remove_file(prefix.path().join("sbin/unit-router")).unwrap();
        let error = Executables::find(None, &unitd).unwrap_err().to_string();
        let at = prefix.path().display();
        assert_eq!(
            error,
            format!(
                "executable \"unit-router\" not found in \"{at}/sbin/.\" or \
                 \"{at}/sbin/../libexec/unit\""
            )
        );
    }

    #[test]
    fn a_given_directory_is_the_only_one() {
        let prefix = tempfile::tempdir().unwrap();
        let unitd = prefix.path().join("unitd");
        install(prefix.path(), &ALL);
        let other = prefix.path().join("other");
        assert!(Executables::find(Some(&other), &unitd).is_err());
        install(&other, &ALL);
        Executables::find(Some(&other), &unitd).unwrap();
        fs::remove_file(other.join(ALL[1])).unwrap();
        fs::write(other.join(ALL[1]), b"text").unwrap();
        let error = Executables::find(Some(&other), &unitd).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "executable \"{}\" cannot be opened (13: Permission denied)",
                other.join(ALL[1]).display()
            )
        );
    }
}
