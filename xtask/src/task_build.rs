//! `cargo xtask build`: all role executables, the client, and a language runtime for each version found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::command;
use crate::packages::{self, Need};
use crate::pythons::{self, Python};
use crate::workspace::{CLIENT, Profile, ROLES, Workspace};

/// The package of the Python runtime, and of the executable it makes.
const PYTHON_RUNTIME: &str = "python-runtime";

pub(crate) fn main(mut arguments: Arguments) -> Result<()> {
    let release = arguments.take_flag("--release");
    let dev = arguments.take_flag("--dev");
    arguments.finish()?;
    if release && dev {
        bail!("--release and --dev exclude each other");
    }
    let profile = if release { Profile::Release } else { Profile::Dev };
    let workspace = Workspace::load()?;
    let roles = build_roles(&workspace, profile, None)?;
    let pythons = find_or_install(pythons::find_all);
    let runtimes = build_runtimes(&workspace, profile, &pythons)?;
    let client = workspace.bin_dir(profile).join(CLIENT.1);
    for file in roles.iter().chain([&client]).chain(&runtimes) {
        println!("{}", file.display());
    }
    Ok(())
}

/// The Pythons that `find` names; when there are none, their package is installed first.
pub(crate) fn find_or_install(find: fn() -> Vec<Python>) -> Vec<Python> {
    let found = find();
    if !found.is_empty() {
        return found;
    }
    packages::ensure(&[Need::PythonDevelopment]);
    find()
}

/// Builds the role executables and the client; `prefix` becomes the default of every path they know.
pub(crate) fn build_roles(
    workspace: &Workspace,
    profile: Profile,
    prefix: Option<&Path>,
) -> Result<Vec<PathBuf>> {
    let mut cargo = workspace.cargo();
    cargo.arg("build");
    match profile {
        // The same selection as the tests have, so that both share what they build.
        Profile::Dev => workspace.select_languageless(&mut cargo),
        Profile::Release => {
            for (package, _) in ROLES.into_iter().chain([CLIENT]) {
                cargo.args(["--package", package]);
            }
        }
    }
    profile.apply(&mut cargo);
    if let Some(prefix) = prefix {
        cargo.env("UNIT_PREFIX", prefix);
    }
    command::run(&mut cargo)?;
    let files = ROLES.map(|(_, executable)| workspace.bin_dir(profile).join(executable));
    let client = workspace.bin_dir(profile).join(CLIENT.1);
    for file in files.iter().chain([&client]) {
        if !file.is_file() {
            bail!("{} was not built", file.display());
        }
    }
    Ok(files.into())
}

/// Builds a runtime for each Python into the modules directory, and nothing else stays there. A
/// Python that is broken is named and left out.
pub(crate) fn build_runtimes(
    workspace: &Workspace,
    profile: Profile,
    pythons: &[Python],
) -> Result<Vec<PathBuf>> {
    let directory = workspace.modules_dir(profile);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| directory.display().to_string());
        }
        _ => {}
    }
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    if pythons.is_empty() {
        println!("no Python with development files here: going on without that language");
    }
    let mut built = Vec::new();
    for python in pythons {
        match build_runtime(workspace, profile, python, &directory) {
            Ok(file) => built.push(file),
            Err(error) => println!(
                "Python {} at {} is left out: {error:#}",
                python.version(),
                python.executable.display()
            ),
        }
    }
    Ok(built)
}

fn build_runtime(
    workspace: &Workspace,
    profile: Profile,
    python: &Python,
    directory: &Path,
) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", PYTHON_RUNTIME]);
    profile.apply(&mut cargo);
    let target = for_python(&mut cargo, workspace, python);
    command::run(&mut cargo)?;
    let built = target.join(profile.directory()).join(PYTHON_RUNTIME);
    let file = directory.join(format!("python{}.unit", python.version()));
    fs::copy(&built, &file).with_context(|| format!("cannot copy {}", built.display()))?;
    if let Err(error) = command::output(command::program(&file).arg("--describe")) {
        fs::remove_file(&file)?;
        return Err(error.context("it does not start"));
    }
    Ok(file)
}

/// Makes a cargo command build for this Python. A build holds one version of the interpreter's
/// library, so each has a target directory of its own, which is returned.
pub(crate) fn for_python(cargo: &mut Command, workspace: &Workspace, python: &Python) -> PathBuf {
    let target = workspace.target.join(format!("python-{}", python.version()));
    cargo.env("PYO3_PYTHON", &python.executable);
    cargo.env("CARGO_TARGET_DIR", &target);
    target
}
