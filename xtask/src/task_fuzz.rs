//! `cargo xtask fuzz`: runs a target of the workspace in `fuzz/`, or lists them.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::command;
use crate::workspace::Workspace;

const DEFAULT_SECONDS: u32 = 60;

pub(crate) fn main(arguments: Arguments) -> Result<()> {
    let words = arguments.into_words()?;
    let workspace = Workspace::load()?;
    let targets = targets(&workspace)?;
    let (target, seconds) = match words.as_slice() {
        [] => {
            println!("targets: {}", targets.join(" "));
            return Ok(());
        }
        [target] => (target, DEFAULT_SECONDS),
        [target, seconds] => (target, seconds.parse().context("SECONDS is not a number")?),
        [_, _, extra, ..] => bail!("unexpected argument {extra:?}"),
    };
    if !targets.contains(target) {
        bail!("no fuzz target {target:?}; there are: {}", targets.join(" "));
    }
    if !command::exists("cargo-fuzz") {
        bail!(
            "cargo-fuzz is not installed; it is set up by\n\n    \
             rustup toolchain install nightly\n    cargo install cargo-fuzz"
        );
    }
    // Sanitizers need the nightly compiler; the variables name the pinned one.
    let mut rustup = command::program("rustup");
    rustup.args(["run", "nightly", "cargo", "fuzz", "run", target]);
    // What is found goes to the first directory; the others are only read.
    let seeds = workspace.root.join("fuzz/seeds").join(target);
    if seeds.is_dir() {
        let corpus = workspace.root.join("fuzz/corpus").join(target);
        fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        rustup.args([corpus, seeds]);
    }
    rustup.arg("--");
    rustup.arg(format!("-max_total_time={seconds}"));
    rustup.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").current_dir(&workspace.root);
    command::run(&mut rustup)
}

/// The names of the targets, from the files that hold them.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let directory = workspace.root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&directory)
        .with_context(|| format!("no fuzz targets in {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "rs") {
            names.extend(file.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
