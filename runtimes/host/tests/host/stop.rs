//! How a prototype and its workers stop.

use std::time::{Duration, Instant};

use app_proto::ToWorker;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use port_proto::Quit;
use sys::signal::Signal;

use crate::stage::{Ask, Stage};
use crate::start;

fn ends_well(stage: &mut Stage) {
    let pid = Pid::from_raw(stage.last_pid);
    assert_eq!(stage.wait_for_end(), WaitStatus::Exited(pid, 0), "{}", stage.log());
}

fn send(pid: i32, signal: Signal) {
    sys::signal::send(sys::process::Pid::from_raw(pid), signal).unwrap();
}

#[test]
fn fast_ends_all_workers_first() {
    let (mut stage, _one) = start();
    let _two = stage.worker();
    stage.quit(Quit::Fast);
    ends_well(&mut stage);
    let log = stage.log();
    assert_eq!(log.matches("exited with code 0").count(), 2, "{log}");
    assert!(!log.contains("[alert]"), "{log}");
}

#[test]
fn fast_answers_what_is_being_served() {
    let (mut stage, mut worker) = start();
    let id = worker.offer(0, &Ask::get("/slow"));
    worker.ring();
    while worker.channels[0].is_offered(id) {
        std::thread::yield_now();
    }
    stage.quit(Quit::Fast);
    assert_eq!(worker.collect(0, id).status, Some(200));
    ends_well(&mut stage);
}

#[test]
fn graceful_leaves_workers_to_the_router() {
    let (mut stage, mut worker) = start();
    stage.quit(Quit::Graceful);
    assert_eq!(worker.ask(&Ask::post("/", b"still here")).text(), "still here");
    worker.tell(ToWorker::Quit { graceful: true }, &[]);
    ends_well(&mut stage);
}

#[test]
fn a_stuck_worker_is_killed_in_the_end() {
    let (mut stage, mut worker) = start();
    worker.offer(0, &Ask::get("/hang"));
    worker.ring();
    let began = Instant::now();
    stage.quit(Quit::Fast);
    ends_well(&mut stage);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(stage.log().contains("exited on signal 9"), "{}", stage.log());
}

#[test]
fn ends_when_main_or_router_is_gone() {
    let (mut stage, _worker) = start();
    stage.drop_main();
    ends_well(&mut stage);
    let (mut stage, _worker) = start();
    stage.drop_router();
    ends_well(&mut stage);
}

#[test]
fn obeys_and_ignores_signals() {
    for (signal, text) in [
        (Signal::SIGTERM, "signal signo:15 (SIGTERM) received"),
        (Signal::SIGINT, "signal signo:2 (SIGINT) received"),
        (Signal::SIGQUIT, "signal signo:3 (SIGQUIT) received"),
    ] {
        let (mut stage, _worker) = start();
        send(stage.prototype, Signal::SIGHUP);
        let line = stage.wait_for_log("signal signo:1 (SIGHUP) received, ignored");
        assert!(line.contains("[notice]"));
        send(stage.prototype, signal);
        assert!(stage.wait_for_log(text).contains("[notice]"));
        ends_well(&mut stage);
    }
}

#[test]
fn workers_do_not_outlive_a_killed_prototype() {
    let (mut stage, worker) = start();
    send(stage.prototype, Signal::SIGKILL);
    stage.wait_for_end();
    let deadline = Instant::now() + crate::stage::DEADLINE;
    let stat = format!("/proc/{}/stat", worker.pid);
    // It is gone, or waits for whoever inherited it to take notice.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "the worker lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}
