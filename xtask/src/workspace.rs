//! The checkout as cargo sees it: where it is, its packages, and where built files go.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command;

/// The packages that build one executable each, in the order main starts them.
pub(crate) const ROLES: [(&str, &str); 4] = [
    ("main-proc", "unitd"),
    ("discovery-proc", "unit-discovery"),
    ("controller-proc", "unit-controller"),
    ("router-proc", "unit-router"),
];

/// The package of the command-line client, and the executable it makes.
pub(crate) const CLIENT: (&str, &str) = ("unitctl", "unitctl");

/// Which cargo profile files are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Profile {
    pub(crate) fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    /// Adds the option that chooses this profile.
    pub(crate) fn apply(self, command: &mut Command) {
        if self == Self::Release {
            command.arg("--release");
        }
    }
}

/// What `cargo metadata` says, as far as it is used here.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_default_members: Vec<String>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

/// One package, of the workspace or from elsewhere.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) id: String,
    pub(crate) license: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a package's dependency tables.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
}

/// The checkout.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) metadata: Metadata,
}

impl Workspace {
    /// Asks cargo about the workspace alone.
    pub(crate) fn load() -> Result<Self> {
        Self::ask(&["--no-deps"])
    }

    /// Asks cargo about the workspace and every package it depends on, as built for `platform`.
    pub(crate) fn load_with_dependencies(platform: &str) -> Result<Self> {
        Self::ask(&["--filter-platform", platform])
    }

    fn ask(options: &[&str]) -> Result<Self> {
        // The manifest directory of this package is one below the root; the variable is set by
        // `cargo run`, the compiled-in value serves when the program is started by hand.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = manifest.parent().context("xtask lies in no workspace")?;
        let text = command::output(
            command::cargo(root).args(["metadata", "--format-version", "1"]).args(options),
        )?;
        let metadata: Metadata =
            serde_json::from_str(&text).context("cargo metadata printed something unexpected")?;
        Ok(Self {
            root: metadata.workspace_root.clone(),
            target: metadata.target_directory.clone(),
            metadata,
        })
    }

    pub(crate) fn cargo(&self) -> Command {
        command::cargo(&self.root)
    }

    /// Where role executables of this profile are.
    pub(crate) fn bin_dir(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.directory())
    }

    /// Where language runtimes of this profile are collected.
    pub(crate) fn modules_dir(&self, profile: Profile) -> PathBuf {
        self.bin_dir(profile).join("modules")
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        let members = &self.metadata.workspace_members;
        self.metadata.packages.iter().filter(|package| members.contains(&package.id))
    }

    /// The members that are built once for each language version, so by no plain cargo command.
    pub(crate) fn runtimes(&self) -> impl Iterator<Item = &Package> {
        let default = &self.metadata.workspace_default_members;
        self.members().filter(|package| !default.contains(&package.id))
    }

    /// Selects every member that builds with no language installed.
    pub(crate) fn select_languageless(&self, command: &mut Command) {
        command.arg("--workspace");
        for runtime in self.runtimes() {
            command.args(["--exclude", &runtime.name]);
        }
    }
}

impl Package {
    /// The directory its manifest is in.
    pub(crate) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("/"))
    }
}
