//! `cargo xtask test`: every test there is, after setting up what they need.

use std::process::Command;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::command;
use crate::packages::{self, Need};
use crate::pythons::{self, Python};
use crate::task_build;
use crate::workspace::{BLACKBOX, Profile, Workspace};

pub(crate) fn main(arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    let workspace = Workspace::load()?;
    let pythons = set_up();
    run(&workspace, &pythons, Skips::Tell)
}

/// What becomes of a test that lacks something it needs, such as root's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skips {
    /// It says so and passes.
    Tell,
    /// It fails: the build machines have everything.
    Fail,
}

/// Installs what the tests need and returns the Pythons they run with.
pub(crate) fn set_up() -> Vec<Python> {
    packages::ensure(&[Need::PythonDevelopment, Need::Curl, Need::Procps]);
    pythons::find_for_tests()
}

/// Builds everything and runs every suite, the rest too when one has failed; the last line sums
/// them up.
pub(crate) fn run(workspace: &Workspace, pythons: &[Python], skips: Skips) -> Result<()> {
    let profile = Profile::Dev;
    task_build::build_roles(workspace, profile, None)?;
    // The black-box suite starts unitd as root where it can; what `nobody` could not load there
    // is tested by itself only.
    let is_root = nix::unistd::Uid::effective().is_root();
    let (served, private): (Vec<Python>, Vec<Python>) =
        pythons.iter().cloned().partition(|python| !is_root || python.serves_everyone());
    for python in &private {
        println!(
            "Python {} at {} cannot be read by everyone: its runtime is tested by itself only",
            python.version(),
            python.executable.display()
        );
    }
    let runtimes = task_build::build_runtimes(workspace, profile, &served)?;
    if runtimes.len() < served.len() {
        bail!("a language runtime could not be built");
    }

    let mut tally = Tally::default();
    let mut failed = Vec::new();
    let mut suite = |name: String, cargo: &mut Command| {
        println!("\n== {name}");
        if skips == Skips::Fail {
            cargo.env("UNIT_TEST_STRICT", "1");
        }
        if let Err(error) = command::run_seeing(cargo, |line| tally.add(line)) {
            println!("{error:#}");
            failed.push(name);
        }
    };

    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-fail-fast"]);
    workspace.select_languageless(&mut cargo, &[BLACKBOX]);
    suite("every crate by itself".to_owned(), &mut cargo);

    for python in pythons {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--no-fail-fast"]);
        for runtime in workspace.runtimes() {
            cargo.args(["--package", &runtime.name]);
        }
        task_build::for_python(&mut cargo, workspace, python);
        suite(format!("language runtimes with Python {}", python.version()), &mut cargo);
    }

    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-fail-fast", "--package", BLACKBOX]);
    cargo.env("UNIT_BIN_DIR", workspace.bin_dir(profile));
    cargo.env("UNIT_MODULES_DIR", workspace.modules_dir(profile));
    suite("the whole server, from outside".to_owned(), &mut cargo);

    println!("\n{}", tally.line());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join("; "));
    }
    Ok(())
}

/// Runs the tests set aside as known gaps, and fails when one of them passes: then it is a gap no
/// more and its mark has to go.
pub(crate) fn run_known_gaps(workspace: &Workspace) -> Result<()> {
    let mut closed = Vec::new();
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    workspace.select_languageless(&mut cargo, &[]);
    cargo.args(["--", "--ignored"]);
    cargo.env("UNIT_BIN_DIR", workspace.bin_dir(Profile::Dev));
    cargo.env("UNIT_MODULES_DIR", workspace.modules_dir(Profile::Dev));
    let ended = command::run_seeing(&mut cargo, |line| closed.extend(passed(line)));
    if !closed.is_empty() {
        bail!("known gaps that are closed, remove their #[ignore]: {}", closed.join(", "));
    }
    if let Err(error) = ended {
        println!("{error:#}\n(as it should be: these tests are known gaps)");
    }
    Ok(())
}

/// The test a line says has passed.
fn passed(line: &str) -> Option<String> {
    Some(line.strip_prefix("test ")?.strip_suffix(" ... ok")?.to_owned())
}

/// How many tests passed, failed and were set aside, over every suite.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Takes a `test result: …` line into account, and no other.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let Some((_, counts)) = result.split_once(". ") else { return };
        for count in counts.split("; ") {
            let mut words = count.split(' ');
            let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }

    fn line(&self) -> String {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        format!(
            "test result: {verdict}. {} passed; {} failed; {} ignored, in all suites",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Tally, passed};

    #[test]
    fn results_are_summed_over_suites() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        ] {
            tally.add(line);
        }
        assert_eq!(tally, Tally { passed: 4, failed: 2, ignored: 1 });
        assert!(tally.line().starts_with("test result: FAILED. 4 passed; 2 failed"));
    }

    #[test]
    fn a_passed_test_is_told_from_the_rest() {
        assert_eq!(passed("test a::b ... ok").as_deref(), Some("a::b"));
        assert_eq!(passed("test a::b ... FAILED"), None);
        assert_eq!(passed("test result: ok. 3 passed"), None);
    }
}
