//! A prototype and its workers over a real fork, with a test in the place of main and router.
#![allow(clippy::unwrap_used, reason = "part of tests, where a panic is a failed assertion")]

#[path = "stage/stage.rs"]
mod stage;

#[path = "host/channels.rs"]
mod channels;
#[path = "host/sessions.rs"]
mod sessions;
#[path = "host/set_up.rs"]
mod set_up;
#[path = "host/stop.rs"]
mod stop;
#[path = "host/workers.rs"]
mod workers;

use std::path::PathBuf;

use stage::{Answer, Stage, Worker};

/// The runtime in `examples`, which cargo builds with the tests.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples/echo-runtime")
}

fn definition(members: &str) -> String {
    format!(r#"{{"type": "perl", "script": "fine"{members}}}"#)
}

fn stage() -> Stage {
    let mut stage = Stage::new(&program());
    stage.set_up(&definition(""));
    stage
}

fn start() -> (Stage, Worker) {
    let mut stage = stage();
    let worker = stage.worker();
    (stage, worker)
}

/// A fact that the worker tells of itself.
fn fact<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let found = answer.text().lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name:?} in {}", answer.text())).trim()
}
