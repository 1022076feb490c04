//! `cargo xtask ci`: exactly what the build machines run, in the order of what fails soonest.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::pythons::Python;
use crate::task_test::Rigour;
use crate::workspace::Workspace;
use crate::{command, task_build, task_test, task_tidy};

/// One check: its name, and what does it.
type Check = (&'static str, fn(&Workspace, &[Python]) -> Result<()>);

const CHECKS: [Check; 6] = [
    ("fmt", check_format),
    ("tidy", |_, _| task_tidy::run()),
    ("deny", |workspace, _| task_tidy::deny(workspace)),
    ("clippy", check_clippy),
    ("test", |workspace, pythons| task_test::run(workspace, pythons, Rigour::BuildMachine)),
    ("doc", check_doc),
];

/// Runs every check, the later ones too when one fails, so that one run tells everything.
pub(crate) fn main(arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    let workspace = Workspace::load()?;
    let pythons = task_test::set_up();
    if pythons.is_empty() {
        bail!("no Python with development files: the checks would leave its runtime out");
    }
    let mut failed = Vec::new();
    let mut times = Vec::new();
    for (name, check) in CHECKS {
        println!("\n==== {name}");
        let start = Instant::now();
        let verdict = match check(&workspace, &pythons) {
            Ok(()) => "ok",
            Err(error) => {
                println!("{name}: {error:#}");
                failed.push(name);
                "FAILED"
            }
        };
        times.push(format!("{name:<12}{verdict:<8}{:>5} s", start.elapsed().as_secs()));
    }
    println!("\n{}", times.join("\n"));
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

fn check_format(workspace: &Workspace, _: &[Python]) -> Result<()> {
    command::run(workspace.cargo().args(["fmt", "--all", "--check"]))
}

fn check_clippy(workspace: &Workspace, pythons: &[Python]) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.arg("clippy");
    workspace.select_languageless(&mut cargo);
    cargo.args(["--all-targets", "--", "--deny", "warnings"]);
    command::run(&mut cargo)?;
    // The first is the system's, where there is one.
    for python in pythons.iter().take(1) {
        let mut cargo = workspace.cargo();
        cargo.arg("clippy");
        select_runtimes(&mut cargo, workspace);
        cargo.args(["--all-targets", "--", "--deny", "warnings"]);
        task_build::for_python(&mut cargo, workspace, python);
        command::run(&mut cargo)?;
    }
    Ok(())
}

fn check_doc(workspace: &Workspace, pythons: &[Python]) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings");
    workspace.select_languageless(&mut cargo);
    command::run(&mut cargo)?;
    for python in pythons.iter().take(1) {
        let mut cargo = workspace.cargo();
        cargo.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings");
        select_runtimes(&mut cargo, workspace);
        task_build::for_python(&mut cargo, workspace, python);
        command::run(&mut cargo)?;
    }
    Ok(())
}

fn select_runtimes(cargo: &mut std::process::Command, workspace: &Workspace) {
    for runtime in workspace.runtimes() {
        cargo.args(["--package", &runtime.name]);
    }
}
