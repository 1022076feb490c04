//! A Python runtime of unitd: prototype and workers of one Python application. See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    python_runtime::run()
}
