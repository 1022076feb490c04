//! `cargo xtask test`: every test there is, after setting up what they need.

use std::process::Command;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::command;
use crate::packages::{self, Need};
use crate::pythons::{self, Python};
use crate::task_build;
use crate::workspace::{Profile, Workspace};

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
    packages::ensure(&[
        Need::PythonDevelopment,
        Need::Curl,
        Need::Procps,
        Need::Chromium,
        Need::ChromeDriver,
        Need::Nginx,
        Need::HaProxy,
        Need::SlowHttpTest,
    ]);
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
    if rigour == Rigour::BuildMachine && runtimes.len() < served.len() {
        bail!("a language runtime could not be built");
    }

    let mut suites = Suites { rigour, tally: Tally::default(), failed: Vec::new() };
    // One selection of packages, as a second one would have its own set of features and so build
    // most crates again.
    suites.run("every crate by itself, and the whole server from outside", &|| {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--no-fail-fast"]);
        workspace.select_languageless(&mut cargo);
        cargo.env("UNIT_BIN_DIR", workspace.bin_dir(profile));
        cargo.env("UNIT_MODULES_DIR", workspace.modules_dir(profile));
        cargo
    });
    for python in pythons {
        suites.run(&format!("language runtimes with Python {}", python.version()), &|| {
            let mut cargo = workspace.cargo();
            cargo.args(["test", "--no-fail-fast"]);
            for runtime in workspace.runtimes() {
                cargo.args(["--package", &runtime.name]);
            }
            task_build::for_python(&mut cargo, workspace, python);
            cargo
        });
    }
    println!("\n{}", suites.tally.line());
    if !suites.failed.is_empty() {
        bail!("failed: {}", suites.failed.join("; "));
    }
    Ok(())
}

/// What was run so far, and what came of it.
#[derive(Debug)]
struct Suites {
    rigour: Rigour,
    tally: Tally,
    failed: Vec<String>,
}

impl Suites {
    /// Runs one `cargo test`; a failure is noted, so that the others still run.
    fn run(&mut self, name: &str, make: &dyn Fn() -> Command) {
        println!("\n== {name}");
        let mut cargo = make();
        if self.rigour == Rigour::BuildMachine {
            cargo.env("UNIT_TEST_STRICT", "1");
        }
        let mut gaps = Vec::new();
        let ended = command::run_seeing(&mut cargo, |line| {
            self.tally.add(line);
            if let Some((name, Outcome::Ignored)) = outcome(line) {
                gaps.push(name.to_owned());
            }
        });
        self.note(name, ended);
        if self.rigour == Rigour::BuildMachine && !gaps.is_empty() {
            let name = format!("known gaps of {name}");
            println!("\n== {name}, which are to fail");
            self.note(&name, run_known_gaps(make(), &gaps));
        }
    }

    fn note(&mut self, name: &str, ended: Result<()>) {
        if let Err(error) = ended {
            println!("{error:#}");
            self.failed.push(name.to_owned());
        }
    }
}

/// Runs the tests set aside as known gaps, and fails when one of them passes: then it is a gap no
/// more and its mark has to go.
fn run_known_gaps(mut cargo: Command, gaps: &[String]) -> Result<()> {
    let mut closed = Vec::new();
    cargo.args(["--lib", "--bins", "--tests", "--", "--ignored"]);
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
        assert_eq!(tally, Tally { passed: 4, failed: 2, ignored: 1 });
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
