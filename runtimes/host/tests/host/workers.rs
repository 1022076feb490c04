//! How workers start and end, and what is told of it.

use std::os::fd::AsFd;

use app_proto::ToWorker;
use port_proto::{ExitStatus, WorkerSignal};

use crate::stage::{Ask, Stage};
use crate::{definition, fact, program, stage, start};

#[test]
fn an_application_that_does_not_load_is_no_worker() {
    let mut stage = Stage::new(&program());
    stage.set_up(r#"{"type": "perl", "script": "broken"}"#);
    let worker = stage.fork_worker(1);
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(1));
    assert!(stage.log().contains("the script is broken"));
    assert!(!stage.log().contains("application started"));
}

#[test]
fn the_end_of_a_worker_is_logged_and_told() {
    let (mut stage, mut worker) = start();
    worker.offer(0, &Ask::get("/exit"));
    worker.ring();
    let news = stage.wait_for_exit(&worker);
    assert_eq!((news.pid.0, news.status), (worker.pid, ExitStatus::Code(3)));
    let line = stage.wait_for_log(&format!("app process {} exited with code 3", worker.pid));
    assert!(line.contains(&format!("[notice] {0}#{0} ", stage.prototype)), "{line}");

    let mut worker = stage.worker();
    worker.offer(0, &Ask::get("/abort"));
    worker.ring();
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Signal(6));
    let line = stage.wait_for_log(&format!("app process {} exited on signal 6", worker.pid));
    assert!(line.contains("[alert]"), "{line}");

    // Others are not concerned.
    assert_eq!(stage.worker().ask(&Ask::post("/", b"echo")).text(), "echo");
}

#[test]
fn a_hanging_worker_is_killed_on_request() {
    let (mut stage, mut worker) = start();
    worker.offer(0, &Ask::get("/hang"));
    worker.ring();
    stage.signal(&worker, WorkerSignal::Kill);
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Signal(9));
}

#[test]
fn workers_run_side_by_side() {
    let mut stage = stage();
    let mut workers: Vec<_> = (0..5).map(|_| stage.worker()).collect();
    for worker in &mut workers {
        let answer = worker.get("/facts");
        assert_eq!(fact(&answer, "pid"), worker.pid.to_string());
    }
}

#[test]
fn the_request_limit_ends_a_worker_after_its_last_answer() {
    let mut stage = Stage::new(&program());
    stage.set_up(&definition(r#", "limits": {"requests": 2}"#));
    let mut worker = stage.worker();
    let ids: Vec<_> = (0..4).map(|_| worker.offer(0, &Ask::post("/", b"x"))).collect();
    worker.ring();
    assert_eq!(worker.collect(0, ids[0]).text(), "x");
    assert_eq!(worker.collect(0, ids[1]).text(), "x");
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(0));
    assert!(stage.log().contains("finished after 2 requests"));
    // What was not claimed is for another worker.
    assert!(worker.channels[0].is_offered(ids[2]) && worker.channels[0].is_offered(ids[3]));
    assert!(worker.channels[0].revoke(ids[2]) && worker.channels[0].revoke(ids[3]));
}

#[test]
fn a_graceful_quit_serves_what_was_offered() {
    let (mut stage, mut worker) = start();
    let slow = worker.offer(0, &Ask::get("/slow"));
    let next = worker.offer(0, &Ask::post("/", b"next"));
    worker.ring();
    worker.tell(ToWorker::Quit { graceful: true }, &[]);
    assert_eq!(worker.collect(0, slow).status, Some(200));
    assert_eq!(worker.collect(0, next).text(), "next");
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(0));
    assert!(stage.log().contains("finished after 2 requests"));
}

#[test]
fn a_quit_while_waiting_for_channels_ends_at_once() {
    let mut stage = stage();
    let worker = stage.fork_worker(2);
    worker.tell(ToWorker::Quit { graceful: false }, &[]);
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(0));
    let worker = stage.fork_worker(2);
    stage.signal(&worker, WorkerSignal::Term);
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(0));
}

#[test]
fn a_worker_whose_router_hangs_up_ends() {
    let (mut stage, mut worker) = start();
    worker.channels.clear();
    assert_eq!(stage.wait_for_exit(&worker).status, ExitStatus::Code(0));
    assert!(!stage.log().contains("[alert]"), "{}", stage.log());
}

#[test]
fn a_worker_takes_a_reopened_log() {
    let (mut stage, mut worker) = start();
    let path = stage.directory.path().join("new-log");
    let log = std::fs::File::create(&path).unwrap();
    worker.tell(ToWorker::Log, &[log.as_fd()]);
    worker.get("/");
    worker.tell(ToWorker::Quit { graceful: false }, &[]);
    stage.wait_for_exit(&worker);
    assert!(std::fs::read_to_string(path).unwrap().contains("finished after 1 requests"));
    assert!(!stage.log().contains("finished"));
}
