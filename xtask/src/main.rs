//! The project's own commands, run as `cargo xtask <command>`.
//!
//! Everything a person or a build machine does with this repository goes through here: building
//! every role and language runtime, trying the daemon out, running the tests, checking what lints
//! cannot, installing, and measuring. One file for each command; what they share has a name of its
//! own (`workspace`, `command`, `packages`, `pythons`, `server`, `http`).
//!
//! It runs as the developer, starts other programs through `command` alone, listens nowhere, and
//! never touches anything outside the checkout but what `install` and the package manager are
//! asked to write.

#![forbid(unsafe_code)]

mod arguments;
mod command;
mod http;
mod packages;
mod pythons;
mod server;
mod task_bench;
mod task_build;
mod task_ci;
mod task_docs;
mod task_fuzz;
mod task_install;
mod task_run;
mod task_test;
mod task_tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::bail;

use crate::arguments::Arguments;

const HELP: &str = "\
cargo xtask <command>

  run [--release]                build, start unitd with the demo application
  test                           every test there is
  build [--release | --dev]      all role executables and language runtimes
  ci                             exactly what the build machines run
  docs                           make the generated documents anew
  tidy                           repository rules that lints cannot check
  install --prefix DIR [--destdir DIR]
                                 release build, laid out under DIR
  bench [--json] [--quick] [--rounds N] [--seconds N] [ROW...]
                                 CPU time per request beside other servers
  fuzz [TARGET] [SECONDS]        run a fuzz target

UNIT_PYTHONS=3.11,3.12 limits which Pythons a runtime is built for.
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next();
    let arguments = Arguments::new(words);
    match command.as_deref() {
        Some("build") => task_build::main(arguments),
        Some("run") => task_run::main(arguments),
        Some("test") => task_test::main(arguments),
        Some("ci") => task_ci::main(arguments),
        Some("docs") => task_docs::main(arguments),
        Some("tidy") => task_tidy::main(arguments),
        Some("install") => task_install::main(arguments),
        Some("bench") => task_bench::main(arguments),
        Some("fuzz") => task_fuzz::main(arguments),
        None | Some("help" | "-h" | "--help") => {
            print!("{HELP}");
            Ok(())
        }
        Some(unknown) => bail!("unknown command {unknown:?}\n\n{HELP}"),
    }
}
