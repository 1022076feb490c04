//! `cargo xtask install`: a release build, laid out as packages and people expect it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::workspace::{CLIENT, Profile, ROLES, Workspace};
use crate::{command, pythons, task_build};

const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"];

/// Shells, and where below the prefix each looks for completions of this program.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/unitctl"),
    ("zsh", "share/zsh/site-functions/_unitctl"),
    ("fish", "share/fish/vendor_completions.d/unitctl.fish"),
];

pub(crate) fn main(mut arguments: Arguments) -> Result<()> {
    let prefix = arguments.take_value("--prefix")?.context("install wants --prefix DIR")?;
    let staging = arguments.take_value("--destdir")?;
    arguments.finish()?;
    let prefix = PathBuf::from(prefix);
    if !prefix.is_absolute() {
        bail!("--prefix {} is not absolute", prefix.display());
    }
    let workspace = Workspace::load()?;
    let pythons = task_build::find_or_install(pythons::find_all);
    task_build::build_roles(&workspace, Profile::Release, Some(&prefix))?;
    let runtimes = task_build::build_runtimes(&workspace, Profile::Release, &pythons)?;

    // A package is put together elsewhere than where it will be.
    let root = match &staging {
        Some(staging) => {
            Path::new(staging).join(prefix.strip_prefix("/").unwrap_or(prefix.as_path()))
        }
        None => prefix,
    };
    for (_, executable) in ROLES {
        let directory = if executable == "unitd" { "sbin" } else { "libexec/unit" };
        let built = workspace.bin_dir(Profile::Release).join(executable);
        place(&built, &root.join(directory).join(executable), 0o755)?;
    }
    place_client(&workspace.bin_dir(Profile::Release).join(CLIENT.1), &root)?;
    for built in &runtimes {
        let name = built.file_name().context("a runtime has no file name")?;
        place(built, &root.join("lib/unit/modules").join(name), 0o755)?;
    }
    for name in DOCUMENTS {
        place(&workspace.root.join(name), &root.join("share/doc/unit").join(name), 0o644)?;
    }
    for entry in fs::read_dir(workspace.root.join("docs"))? {
        let file = entry?.path();
        if let (true, Some(name)) = (file.is_file(), file.file_name()) {
            place(&file, &root.join("share/doc/unit").join(name), 0o644)?;
        }
    }
    Ok(())
}

/// The client, and what shells and `man` know of it, which it says itself.
fn place_client(built: &Path, root: &Path) -> Result<()> {
    place(built, &root.join("bin").join(CLIENT.1), 0o755)?;
    let staging = built.with_file_name("unitctl-share");
    fs::create_dir_all(&staging).with_context(|| staging.display().to_string())?;
    for (shell, path) in COMPLETIONS {
        let script = command::output(command::program(built).args(["completions", shell]))?;
        let file = staging.join(shell);
        fs::write(&file, script).with_context(|| file.display().to_string())?;
        place(&file, &root.join(path), 0o644)?;
    }
    let pages = staging.join("man");
    command::output(command::program(built).arg("man").arg("--dir").arg(&pages))?;
    for entry in fs::read_dir(&pages).with_context(|| pages.display().to_string())? {
        let page = entry?.path();
        if let Some(name) = page.file_name() {
            place(&page, &root.join("share/man/man1").join(name), 0o644)?;
        }
    }
    fs::remove_dir_all(&staging).with_context(|| staging.display().to_string())
}

/// Copies a file beside its destination and renames it into place, as the executable there may be
/// running at this moment.
fn place(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let context = || format!("cannot install {}", to.display());
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).with_context(context)?;
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".new");
    fs::copy(from, &partial).with_context(context)?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(mode)).with_context(context)?;
    fs::rename(&partial, to).with_context(context)?;
    println!("{}", to.display());
    Ok(())
}
