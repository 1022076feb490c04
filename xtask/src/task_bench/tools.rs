//! What the benchmark needs from elsewhere: a load generator, and the servers beside ours.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::packages::{self, Need};
use crate::pythons::Python;

/// The load generator, installed where it is missing and can be.
pub(crate) fn wrk() -> Result<PathBuf> {
    packages::ensure(&[Need::Wrk]);
    command::find("wrk").context("wrk is not installed")
}

/// nginx: the installed one, else the Debian package unpacked below `directory`. Unpacked rather
/// than installed, as installing it would start a service on port 80.
pub(crate) fn nginx(directory: &Path) -> Result<PathBuf> {
    if let Some(installed) = command::find("nginx") {
        return Ok(installed);
    }
    let unpacked = directory.join("root");
    let nginx = unpacked.join("usr/sbin/nginx");
    if nginx.is_file() {
        return Ok(nginx);
    }
    if !command::exists("apt-get") {
        bail!("nginx is not installed");
    }
    fs::create_dir_all(directory)?;
    let download = || {
        command::run(
            command::program("apt-get").args(["-qq", "download", "nginx"]).current_dir(directory),
        )
    };
    if download().is_err() {
        command::run(command::program("apt-get").args(["-qq", "update"]))?;
        download()?;
    }
    let package = fs::read_dir(directory)?
        .flatten()
        .map(|entry| entry.path())
        .find(|file| file.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded no package")?;
    command::run(command::program("dpkg-deb").arg("--extract").arg(package).arg(&unpacked))?;
    Ok(nginx)
}

/// A virtual environment of this Python with the servers from PyPI in it.
pub(crate) fn venv(directory: &Path, python: &Python) -> Result<PathBuf> {
    let bin = directory.join("bin");
    if bin.join("granian").is_file() && bin.join("gunicorn").is_file() {
        return Ok(bin);
    }
    if python.executable.starts_with("/usr/bin") {
        packages::ensure(&[Need::PythonVenv]);
    }
    command::run(
        command::program(&python.executable).args(["-m", "venv", "--clear"]).arg(directory),
    )?;
    command::run(command::program(bin.join("python")).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "granian",
        "gunicorn",
    ]))?;
    Ok(bin)
}
