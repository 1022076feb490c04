//! Starting and ending of workers that run Python.

use app_proto::ToWorker;
use port_proto::{ExitStatus, Quit, WorkerSignal};

use crate::stage::Ask;
use crate::{returning, start, start_with};

const LEAVING: &str = "
import atexit, os, sys, threading, time
atexit.register(lambda: print('atexit ran', file=sys.stderr))
def application(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/slow':
        time.sleep(0.3)
    return [str(os.getpid()).encode()]
";

#[test]
fn quitting_runs_exit_functions() {
    let (mut stage, mut worker) = start(LEAVING);
    assert_eq!(worker.get("/").text(), worker.pid.to_string());
    worker.tell(ToWorker::Quit { graceful: false }, &[]);
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(0));
    stage.wait_for_log("atexit ran");
    let line = format!(
        "[notice] {}#{} app process {} exited with code 0",
        stage.prototype, stage.prototype, worker.pid
    );
    stage.wait_for_log(&line);
}

#[test]
fn termination_waits_for_the_request_in_progress() {
    let (mut stage, mut worker) = start(LEAVING);
    let id = worker.offer(0, &Ask::get("/slow"));
    worker.ring();
    while worker.channels[0].is_offered(id) {
        std::thread::yield_now();
    }
    stage.signal(&worker, WorkerSignal::Term);
    assert_eq!(worker.collect(0, id).text(), worker.pid.to_string());
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(0));
    stage.wait_for_log("atexit ran");
}

#[test]
fn the_request_limit_ends_the_worker() {
    let (mut stage, mut worker) = start_with(LEAVING, r#", "limits": {"requests": 3}"#);
    for _ in 0..3 {
        worker.get("/");
    }
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(0));
    let mut next = stage.worker();
    assert_ne!(next.get("/").text(), worker.pid.to_string());
}

#[test]
fn background_threads_run_between_requests() {
    let (mut stage, mut worker) = start(
        "
import sys, threading, time
def tick():
    for n in range(20):
        time.sleep(0.005)
    print('ticked', file=sys.stderr, flush=True)
def application(environ, start_response):
    threading.Thread(target=tick, daemon=True).start()
    start_response('200 OK', [])
    return []
",
    );
    worker.get("/");
    stage.wait_for_log("ticked");
}

#[test]
fn children_of_the_application_end_at_sigterm() {
    let (stage, mut worker) = start(
        "
import multiprocessing, time, signal
def application(environ, start_response):
    child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join(10)
    start_response('200 OK', [])
    return [str(child.exitcode).encode()]
",
    );
    assert_eq!(worker.get("/").text(), "-15", "{}", stage.log());
}

#[test]
fn the_prototype_stops_with_its_workers() {
    let (mut stage, _worker) = start(&returning("[]"));
    stage.quit(Quit::Fast);
    stage.wait_for_end();
    let log = stage.log();
    assert!(log.contains("\"app\" prototype started"), "{log}");
    assert!(log.contains("\"app\" application started"), "{log}");
    assert!(!log.contains("[alert]"), "{log}");
}
