//! Which interpreter runs, and with what around it.

use std::path::Path;
use std::process::Command;

use crate::stage::Stage;
use crate::{definition, runtime, start};

/// Answers with an expression's value.
fn evaluating(expression: &str) -> String {
    format!(
        "
import os, sys
def application(environ, start_response):
    start_response('200 OK', [])
    return [str({expression}).encode()]
"
    )
}

fn evaluate(expression: &str) -> String {
    let (_stage, mut worker) = start(&evaluating(expression));
    worker.get("/").text().to_owned()
}

#[test]
fn is_the_one_it_was_built_for() {
    let version = evaluate("'%d.%d.%d' % sys.version_info[:3]");
    assert_eq!(version, env!("UNIT_PYTHON_VERSION"));
    assert_eq!(evaluate("sys.argv"), "['unit']");
    let library = evaluate("os.path.dirname(os.__file__)");
    let minor = version.rsplit_once('.').unwrap().0;
    assert!(library.ends_with(&format!("lib/python{minor}")), "{library}");
    // C modules are found and loaded.
    assert_eq!(evaluate("__import__('_ctypes').__name__"), "_ctypes");
    assert_eq!(evaluate("sys.executable"), env!("UNIT_PYTHON_EXECUTABLE"));
}

#[test]
fn path_comes_first_and_in_order() {
    let mut stage = runtime();
    stage.write("app.py", &evaluating("sys.path[:3]"));
    let path = stage.directory.path().to_str().unwrap().to_owned();
    stage.set_up(&format!(
        r#"{{"type": "python", "module": "app", "path": ["/first", "{path}", "/third"]}}"#
    ));
    let mut worker = stage.worker();
    let expected = format!("['/first', '{path}', '/third']");
    assert_eq!(worker.get("/").text(), expected);
}

#[test]
fn the_environment_counts_without_home() {
    let program = Path::new(env!("CARGO_BIN_EXE_python-runtime"));
    let mut stage = Stage::with_environment(program, &["PYTHONPATH=/from/environment", "X=y"]);
    stage.write("app.py", &evaluating("('/from/environment' in sys.path, os.environ['X'])"));
    let definition = definition(&stage, "");
    stage.set_up(&definition);
    assert_eq!(stage.worker().get("/").text(), "(True, 'y')");
}

#[test]
fn home_is_a_virtual_environment() {
    let program = Path::new(env!("CARGO_BIN_EXE_python-runtime"));
    let mut stage = Stage::with_environment(program, &["PYTHONPATH=/from/environment"]);
    let venv = stage.directory.path().join("venv");
    let made = Command::new(env!("UNIT_PYTHON_EXECUTABLE"))
        .args(["-I", "-m", "venv", "--without-pip"])
        .arg(&venv)
        .output()
        .unwrap();
    if !made.status.success() {
        eprintln!("skipped: this Python makes no virtual environments");
        return;
    }
    let minor = env!("UNIT_PYTHON_VERSION").rsplit_once('.').unwrap().0;
    let packages = venv.join(format!("lib/python{minor}/site-packages"));
    std::fs::write(packages.join("only_here.py"), "value = 'found'").unwrap();
    stage.write(
        "app.py",
        &evaluating("(__import__('only_here').value, sys.prefix, '/from/environment' in sys.path)"),
    );
    let definition = definition(&stage, &format!(r#", "home": "{}""#, venv.display()));
    stage.set_up(&definition);
    let expected = format!("('found', '{}', False)", venv.display());
    assert_eq!(stage.worker().get("/").text(), expected, "{}", stage.log());
}

#[test]
fn a_home_that_is_none_refuses_the_start() {
    let mut stage = runtime();
    stage.write("app.py", "");
    let definition = definition(&stage, r#", "home": "/nonexistent""#);
    let refusal = stage.try_set_up(&definition, crate::SetUp::default()).unwrap_err();
    assert!(refusal.starts_with("Failed to initialise config"), "{refusal}");
    assert!(stage.wait_for_log("Failed to initialise config").contains("[alert]"));
    assert_eq!(
        stage.wait_for_end(),
        nix::sys::wait::WaitStatus::Exited(stage_pid(&stage), 1),
        "{}",
        stage.log()
    );
}

fn stage_pid(stage: &Stage) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(stage.last_pid)
}

#[test]
fn workers_differ_in_their_random_numbers() {
    let mut stage = runtime();
    stage.write("app.py", &evaluating("__import__('random').random()"));
    let definition = definition(&stage, "");
    stage.set_up(&definition);
    let (mut one, mut two) = (stage.worker(), stage.worker());
    assert_ne!(one.get("/").text(), two.get("/").text());
}

#[test]
fn describes_itself_without_starting() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_python-runtime")).arg("--describe").output().unwrap();
    assert!(output.status.success());
    let line = String::from_utf8(output.stdout).unwrap();
    let version = env!("UNIT_PYTHON_VERSION");
    let start =
        format!(r#"{{"unit":"2.0.0","language":"python","version":"{version}","mounts":["/"#);
    assert!(line.starts_with(&start) && line.ends_with("\"]}\n"), "{line}");
}
