//! The real runtime with a test in the place of main and of the router.

#[path = "../../host/tests/stage/stage.rs"]
mod stage;

use std::path::Path;

use stage::{Stage, Worker};

/// A stage with a Python application whose module is `app`.
fn stage(source: &str) -> Stage {
    stage_with(source, "")
}

/// As [`stage`], with further members of the application object.
fn stage_with(source: &str, members: &str) -> Stage {
    let mut stage = Stage::new(Path::new(env!("CARGO_BIN_EXE_python-runtime")));
    stage.write("app.py", source);
    let path = stage.directory.path().to_str().unwrap().to_owned();
    let json = format!(r#"{{"type": "python", "module": "app", "path": "{path}"{members}}}"#);
    stage.set_up(&json);
    stage
}

fn start(source: &str) -> (Stage, Worker) {
    let mut stage = stage(source);
    let worker = stage.worker();
    (stage, worker)
}

#[test]
fn says_hello() {
    let (stage, mut worker) = start(
        "
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('X-A', 'b')])
    return [b'hello world']
",
    );
    let answer = worker.get("/");
    assert_eq!(answer.status, Some(200), "{}", stage.log());
    assert_eq!(answer.text(), "hello world");
    assert_eq!(answer.field("x-a"), Some(&b"b"[..]));
    assert_eq!(answer.records, 1);
}
