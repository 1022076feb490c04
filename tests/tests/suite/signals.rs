//! Signals to main: stopping at once or when work is done, and log rotation.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use blackbox::{Connection, Load, Log, Process, Unitd, need_python, request, wait_for, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// A daemon with the tools behind a port.
fn with_tools(processes: u32) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let (port, directory) = (unitd.port(), unitd.application("tools"));
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": {
            "app": { "type": "python", "module": "tools", "path": directory,
                     "processes": processes },
        },
    }));
    (unitd, port)
}

#[test]
fn each_signal_to_stop_stops_cleanly() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let (mut unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
        let mut idle = Connection::tcp(port);
        idle.get("/");
        unitd.stop_by(signal, Duration::from_secs(15));
        let number = signal as i32;
        let line = format!(r"\[notice\] .*signal signo:{number} \({signal}\) received$");
        assert_eq!(unitd.log().count(&line), 1);
        assert!(Connection::try_tcp(port).is_err());
    }
}

#[test]
fn a_stop_takes_applications_and_sockets_along() {
    need_python!();
    let (mut unitd, port) = with_tools(2);
    let socket = format!("unix:{}", unitd.text_path("listener.sock"));
    unitd
        .put(
            &format!("/config/listeners/{}", socket.replace('/', "%2F")),
            json!({
                "pass": "applications/app"
            }),
        )
        .expect_success();
    unitd.fetch(port, "/pid");
    unitd.stop();
}

#[test]
fn a_fast_stop_does_not_wait_for_a_slow_request() {
    need_python!();
    let (mut unitd, port) = with_tools(1);
    let file = unitd.text_path("go");
    let mut slow = Connection::tcp(port);
    slow.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    wait_until("the request is being served", LIMIT, || {
        unitd.status("/applications/app/processes/idle") == 0
    });
    unitd.expect_alert("exited on signal");
    unitd.stop_by(Signal::SIGTERM, Duration::from_secs(15));
    assert!(slow.read_response().is_err());
}

/// QUIT lets what was accepted be finished.
#[test]
fn n26_a_graceful_stop_finishes_a_slow_request() {
    need_python!();
    let (mut unitd, port) = with_tools(1);
    let file = unitd.text_path("go");
    let mut slow = Connection::tcp(port);
    slow.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    wait_until("the request is being served", LIMIT, || {
        unitd.status("/applications/app/processes/idle") == 0
    });
    let mut queued = Connection::tcp(port);
    queued.send(&request("GET", "/pid", &[], b"")).unwrap();
    wait_until("another one waits", LIMIT, || {
        unitd.status("/applications/app/requests/active") == 2
    });
    let before = unitd.processes();
    unitd.signal(Signal::SIGQUIT);
    wait_until("nothing is accepted any more", LIMIT, || Connection::try_tcp(port).is_err());
    assert!(unitd.ended().is_none());
    fs::write(&file, "").unwrap();
    for connection in [&mut slow, &mut queued] {
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    unitd.wait_for_stop(&before, Duration::from_secs(15));
}

#[test]
fn a_second_signal_hurries_a_graceful_stop() {
    need_python!();
    let (mut unitd, port) = with_tools(1);
    let file = unitd.text_path("go");
    let mut slow = Connection::tcp(port);
    slow.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    wait_until("the request is being served", LIMIT, || {
        unitd.status("/applications/app/processes/idle") == 0
    });
    unitd.expect_alert("exited on signal");
    unitd.signal(Signal::SIGQUIT);
    wait_until("nothing is accepted any more", LIMIT, || Connection::try_tcp(port).is_err());
    unitd.stop_by(Signal::SIGTERM, Duration::from_secs(15));
}

/// Every request that was accepted under load is answered.
#[test]
fn n26_a_graceful_stop_under_load_breaks_nothing() {
    need_python!();
    let (mut unitd, port) = with_tools(2);
    // An idle connection is closed with the fixed 408, which may cross its next request.
    let load = Load::start(8, port, "/pid", |response| {
        response.status == 200 || (response.status == 408 && response.body.is_empty())
    });
    load.wait_for_more(500);
    unitd.stop_by(Signal::SIGQUIT, Duration::from_secs(30));
    let tally = load.stop();
    // Whoever comes when nobody listens any more is refused, and a connection may be closed just
    // when its client sends the next request: once for each of them. What was begun is finished.
    println!("{tally:?}");
    assert_eq!(tally.wrong, 0, "{tally:#?}");
    assert!(tally.broken <= 8, "{tally:#?}");
    assert!(!tally.words.keys().any(|words| words.contains("in the head")), "{tally:#?}");
}

#[test]
fn hang_up_is_ignored() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
    let before: Vec<Process> = unitd.processes();
    unitd.signal(Signal::SIGHUP);
    unitd.log().wait(r"\[notice\] .*signal signo:1 \(SIGHUP\) received, ignored");
    assert_eq!(unitd.fetch(port, "/").status, 200);
    assert_eq!(unitd.processes(), before);
}

/// The log moves to a new file, and with it what every process writes.
#[test]
fn the_log_is_rotated() {
    need_python!();
    let (unitd, port) = with_tools(2);
    let say = |words: &str| unitd.fetch(port, &format!("/say?words={words}"));
    say("before");
    let (path, old) = (unitd.log().path().to_owned(), unitd.path("unit.log.1"));
    fs::rename(&path, &old).unwrap();
    // What is written until the signal is heard goes to the old file.
    say("between");
    let began = Instant::now();
    unitd.signal(Signal::SIGUSR1);
    wait_until("the new log", Duration::from_secs(5), || path.exists());
    println!("the new log was there after {:?}", began.elapsed());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let old = Log::at(&old);
    old.wait(r"\[notice\] .*signal 10 \(SIGUSR1\) received, log files rotation");
    // A busy worker follows when it looks: all of them write to the new file in the end.
    wait_for("every worker follows", LIMIT, || {
        let mark = old.len();
        for _ in 0..8 {
            say("after");
        }
        (old.len() == mark).then_some(())
    });
    let length = old.len();
    assert_eq!((old.count("^before$"), old.count("^between$")), (1, 1));
    for _ in 0..20 {
        say("late");
    }
    assert_eq!(unitd.log().count("^late$"), 20);
    // The roles as well: the router tells of a wrong share, main of an ignored signal.
    unitd.signal(Signal::SIGHUP);
    unitd.log().wait("SIGHUP");
    unitd.put("/config/settings", json!({ "http": { "log_route": true } })).expect_success();
    say("logged");
    unitd.log().wait("http request line \"GET /say");
    unitd.control("GET", "/%zz", "");
    assert_eq!(old.len(), length, "{}", old.text());
    assert_eq!(old.unexpected(&[]), [""; 0]);
    for process in unitd.processes().iter().chain([&unitd.main()]) {
        let error = fs::read_link(format!("/proc/{}/fd/2", process.pid)).unwrap();
        assert_eq!(error, path, "{}", process.title);
    }
}

#[test]
fn a_log_that_cannot_be_reopened_stays() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
    let path = unitd.log().path().to_owned();
    let old = unitd.path("unit.log.1");
    fs::rename(&path, &old).unwrap();
    fs::create_dir(&path).unwrap();
    unitd.signal(Signal::SIGUSR1);
    let old = Log::at(&old);
    old.wait(r"\[alert\].*unit\.log.*failed \(21: Is a directory\)");
    assert_eq!(unitd.fetch(port, "/").status, 200);
    unitd.signal(Signal::SIGHUP);
    old.wait("SIGHUP");
    fs::remove_dir(&path).unwrap();
    unitd.signal(Signal::SIGUSR1);
    wait_until("the new log", Duration::from_secs(5), || path.exists());
}
