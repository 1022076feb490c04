//! `cargo xtask tidy`: the rules of this repository that no lint can check.
//!
//! Lengths and shapes are for readers to judge, not for a program.

mod layers;
mod manifests;
mod rust_text;
mod sources;
mod supply;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::workspace::Workspace;
use crate::{command, task_docs};

pub(crate) fn main(arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    run()
}

/// Runs every check and reports all that is wrong, not only the first.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut wrong = Vec::new();
    layers::check(&workspace, &mut wrong)?;
    manifests::check(&workspace, &mut wrong)?;
    sources::check(&workspace, &mut wrong)?;
    supply::check(&workspace, &mut wrong)?;
    task_docs::check(&workspace, &mut wrong)?;
    if wrong.is_empty() {
        println!(
            "tidy: dependency direction, manifests, sources, supply and generated documents are as they \
             should be"
        );
        return Ok(());
    }
    wrong.sort();
    wrong.iter().for_each(|line| println!("{line}"));
    bail!("{} things are not tidy", wrong.len())
}

/// cargo-deny where it is installed; otherwise says what stands in for it and what does not.
pub(crate) fn deny(workspace: &Workspace) -> Result<()> {
    if command::exists("cargo-deny") {
        return command::run(workspace.cargo().args(["deny", "check"]));
    }
    let mut wrong = Vec::new();
    supply::check(workspace, &mut wrong)?;
    println!(
        "cargo-deny is not installed: licences, duplicate versions and sources were held to \
         deny.toml by tidy's own check; ADVISORIES WERE NOT CHECKED (cargo install cargo-deny)"
    );
    wrong.iter().for_each(|line| println!("{line}"));
    if wrong.is_empty() { Ok(()) } else { bail!("deny.toml is not kept") }
}
