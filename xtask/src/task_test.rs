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
    run(&workspace, &pythons, Rigour::Developer)
}

/// How much is asked of the machine and of the tests that were set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rigour {
    /// A test that lacks something it needs, such as root's rights, says so and passes.
    Developer,
    /// It fails; and a test that was set aside as a known gap fails when it passes.
    BuildMachine,
}

/// Installs what the tests need and returns the Pythons they run with.
pub(crate) fn set_up() -> Vec<Python> {
    packages::ensure(&[Need::PythonDevelopment, Need::Curl, Need::Procps]);
    pythons::find_for_tests()
}

/// Builds everything and runs every suite, the rest too when one has failed; the last line sums
/// them up.
pub(crate) fn run(workspace: &Workspace, pythons: &[Python], rigour: Rigour) -> Result<()> {
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
        if rigour == Rigour::BuildMachine {
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

    if rigour == Rigour::BuildMachine
        && let Err(error) = run_known_gaps(workspace, &tally.ignored)
    {
        println!("{error:#}");
        failed.push("known gaps".to_owned());
    }

    println!("\n{}", tally.line());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join("; "));
    }
    Ok(())
}

/// Runs the tests set aside as known gaps, and fails when one of them passes: then it is a gap no
/// more and its mark has to go.
fn run_known_gaps(workspace: &Workspace, gaps: &[String]) -> Result<()> {
    if gaps.is_empty() {
        return Ok(());
    }
    println!("\n== known gaps, which are to fail");
    let mut closed = Vec::new();
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    workspace.select_languageless(&mut cargo, &[]);
    cargo.args(["--", "--ignored"]);
    cargo.env("UNIT_BIN_DIR", workspace.bin_dir(Profile::Dev));
    cargo.env("UNIT_MODULES_DIR", workspace.modules_dir(Profile::Dev));
    // Tests with a harness of their own run whole here, so only names set aside count.
    let ended = command::run_seeing(&mut cargo, |line| match outcome(line) {
        Some((name, Outcome::Passed)) if gaps.iter().any(|gap| gap == name) => {
            closed.push(name.to_owned());
        }
        _ => {}
    });
    if !closed.is_empty() {
        bail!("known gaps that are closed, remove their #[ignore]: {}", closed.join(", "));
    }
    if let Err(error) = ended {
        println!("{error:#}\n(as it should be: these tests are known gaps)");
    }
    Ok(())
}

/// What a line says of one test, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Ignored,
}

/// Reads `test NAME ... ok` and `test NAME ... ignored, REASON`. Examples in documentation have a
/// name of several words and are left out.
fn outcome(line: &str) -> Option<(&str, Outcome)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    if name.contains(' ') {
        return None;
    }
    match rest.split(',').next() {
        Some("ok") => Some((name, Outcome::Passed)),
        Some("ignored") => Some((name, Outcome::Ignored)),
        _ => None,
    }
}

/// How many tests passed and failed and which were set aside, over every suite.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: Vec<String>,
}

impl Tally {
    /// Takes a `test result: …` line into account, and the names of tests that were set aside.
    fn add(&mut self, line: &str) {
        if let Some((name, Outcome::Ignored)) = outcome(line) {
            self.ignored.push(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let Some((_, counts)) = result.split_once(". ") else { return };
        for count in counts.split("; ") {
            let mut words = count.split(' ');
            let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                _ => {}
            }
        }
    }

    fn line(&self) -> String {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        format!(
            "test result: {verdict}. {} passed; {} failed; {} ignored, in all suites",
            self.passed,
            self.failed,
            self.ignored.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Tally, outcome};

    #[test]
    fn results_are_summed_over_suites() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a::b ... ignored, not built yet",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            tally.add(line);
        }
        assert_eq!(tally, Tally { passed: 4, failed: 2, ignored: vec!["a::b".to_owned()] });
        assert!(tally.line().starts_with("test result: FAILED. 4 passed; 2 failed; 1 ignored"));
    }

    #[test]
    fn what_a_line_says_of_a_test_is_read() {
        assert_eq!(outcome("test a::b ... ok"), Some(("a::b", Outcome::Passed)));
        assert_eq!(outcome("test a::b ... ignored"), Some(("a::b", Outcome::Ignored)));
        assert_eq!(outcome("test a::b ... FAILED"), None);
        assert_eq!(outcome("test src/lib.rs - c (line 3) ... ignored"), None);
        assert_eq!(outcome("test result: ok. 3 passed"), None);
    }
}
