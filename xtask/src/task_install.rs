//! `cargo xtask install`: a release build, laid out as packages and people expect it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::workspace::{Profile, ROLES, Workspace};
use crate::{pythons, task_build};

const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"];

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
