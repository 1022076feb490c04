//! The Python runtime: an interpreter in a process of unitd, serving WSGI applications.
//!
//! `host` runs the prototype and the workers; this crate starts the interpreter in the prototype,
//! loads the application in each worker, and turns requests into calls of it. One executable is
//! built for each Python version, and starts the interpreter by what was known when it was built.
//!
//! All unsafe code is under `ffi`, which hands out owned references and borrowed bytes. A
//! `ffi::Object` exists only in a thread that holds the interpreter's lock; the lock is given up
//! only while a worker sleeps.
#![deny(unsafe_code)]

mod ffi;
mod interpreter;
mod load;
mod runtime;
mod wsgi;

use std::process::ExitCode;

/// The whole program.
#[must_use]
pub fn run() -> ExitCode {
    let mounts: Vec<&str> =
        env!("UNIT_PYTHON_PATHS").split(':').filter(|path| !path.is_empty()).collect();
    let facts = host::Facts {
        language: conf::Language::Python,
        version: env!("UNIT_PYTHON_VERSION"),
        mounts: &mounts,
    };
    host::run(&facts, runtime::Python::default())
}
