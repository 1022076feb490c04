//! The real runtime with a test in the place of main and of the router.
#![allow(clippy::unwrap_used, reason = "part of tests, where a panic is a failed assertion")]

#[path = "../../host/tests/stage/stage.rs"]
mod stage;

#[path = "wsgi/environ.rs"]
mod environ;
#[path = "wsgi/failures.rs"]
mod failures;
#[path = "wsgi/input.rs"]
mod input;
#[path = "wsgi/interpreter.rs"]
mod interpreter;
#[path = "wsgi/life.rs"]
mod life;
#[path = "wsgi/response.rs"]
mod response;

use std::path::Path;

use stage::{SetUp, Stage, Worker};

fn runtime() -> Stage {
    Stage::new(Path::new(env!("CARGO_BIN_EXE_python-runtime")))
}

/// The application object for a module `app` in the stage's directory.
fn definition(stage: &Stage, members: &str) -> String {
    let path = stage.directory.path().to_str().unwrap();
    format!(r#"{{"type": "python", "module": "app", "path": "{path}"{members}}}"#)
}

/// A stage with a Python application whose module is `app`, and further members of its object.
fn stage_with(source: &str, members: &str) -> Stage {
    let mut stage = runtime();
    stage.write("app.py", source);
    let definition = definition(&stage, members);
    stage.set_up(&definition);
    stage
}

fn start(source: &str) -> (Stage, Worker) {
    start_with(source, "")
}

fn start_with(source: &str, members: &str) -> (Stage, Worker) {
    let mut stage = stage_with(source, members);
    let worker = stage.worker();
    (stage, worker)
}

/// A worker that does not get ready; returns what the log says then.
fn fails_to_load(mut stage: Stage) -> String {
    let worker = stage.fork_worker(1);
    let news = stage.wait_for_exit(&worker);
    assert_eq!(news.status, port_proto::ExitStatus::Code(1), "{}", stage.log());
    stage.log()
}

/// A plain application around a body that is a Python expression.
fn returning(expression: &str) -> String {
    format!(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    return {expression}
"
    )
}

#[test]
fn says_hello_in_one_record() {
    let (stage, mut worker) = start(
        "
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), (b'X-A', b'b')])
    return [b'hello world']
",
    );
    for _ in 0..3 {
        let answer = worker.get("/");
        assert_eq!(answer.status, Some(200), "{}", stage.log());
        assert_eq!(answer.text(), "hello world");
        assert_eq!(answer.field("x-a"), Some(&b"b"[..]));
        assert_eq!(answer.records, 1);
    }
}

#[test]
fn set_up_refuses_what_is_not_python() {
    let mut stage = runtime();
    let refusal = stage.try_set_up(r#"{"type": "perl", "script": "x"}"#, SetUp::default());
    assert!(refusal.unwrap_err().contains("failed to map app conf received from router"));
    let mut stage = runtime();
    let refusal = stage.try_set_up("{", SetUp::default());
    assert_eq!(refusal.unwrap_err(), "router app configuration parsing error");
}
