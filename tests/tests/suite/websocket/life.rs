//! How long a session lives, and what it survives.

use std::time::{Duration, Instant};

use blackbox::websocket::{WebSocket, handshake};
use blackbox::{Connection, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{LIMIT, start, start_with, state, wait_for_calm};

#[test]
fn a_silent_client_is_sent_away() {
    let (unitd, port) = start_with(&json!({ "read_timeout": 1, "keepalive_interval": 0 }), |_| {});
    let began = Instant::now();
    let mut session = WebSocket::open(port, "/echo");
    session.expect_closed(1001, "Remote peer is going away");
    assert!(began.elapsed() >= Duration::from_secs(1));
    unitd.log().wait("websocket error 1001: Remote peer is going away");
    wait_for_calm(&unitd, port);
    assert_eq!(state(port).2, 1, "the application was told");
}

#[test]
fn octets_of_any_kind_keep_a_session() {
    let (_unitd, port) = start_with(&json!({ "read_timeout": 1, "keepalive_interval": 0 }), |_| {});
    let mut session = WebSocket::open(port, "/echo");
    let began = Instant::now();
    // A frame that comes an octet at a time is longer on its way than the timeout.
    let octets = blackbox::websocket::frame(0x81, b"slow");
    for octet in octets {
        session.connection.send(&[octet]).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(began.elapsed() > Duration::from_millis(1500));
    assert_eq!(session.read().text(), "slow");
}

#[test]
fn a_quiet_client_is_pinged_once_until_it_is_heard_of() {
    let (_unitd, port) = start_with(&json!({ "read_timeout": 4, "keepalive_interval": 1 }), |_| {});
    let mut session = WebSocket::open(port, "/echo");
    for _ in 0..2 {
        let ping = session.read();
        assert_eq!((ping.first, ping.payload), (0x89, Vec::new()));
        // The answer is as good as any sign of life; the application gets it.
        session.send(0x8a, b"");
        assert_eq!(session.read().first, 0x8a, "the echo of the pong");
    }
    assert_eq!(session.read().first, 0x89);
    // No further ping comes, but the end.
    session.expect_closed(1001, "Remote peer is going away");
}

#[test]
fn without_an_interval_nobody_is_pinged() {
    let (_unitd, port) = start_with(&json!({ "read_timeout": 2, "keepalive_interval": 0 }), |_| {});
    WebSocket::open(port, "/echo").expect_closed(1001, "Remote peer is going away");
}

/// Pings are sent without a read timeout as well.
#[test]
fn without_a_read_timeout_clients_are_still_pinged() {
    let (_unitd, port) = start_with(&json!({ "read_timeout": 0, "keepalive_interval": 1 }), |_| {});
    assert_eq!(WebSocket::open(port, "/echo").read().first, 0x89);
}

/// N12: a live session is no request that takes too long.
#[test]
fn n12_the_time_limit_of_requests_does_not_end_a_session() {
    let (unitd, port) = start_with(&json!({}), |application| {
        application["limits"] = json!({ "timeout": 1 });
    });
    let mut session = WebSocket::open(port, "/echo");
    session.echo("before");
    std::thread::sleep(Duration::from_millis(2500));
    session.echo("after");
    drop(session);
    wait_for_calm(&unitd, port);
}

#[test]
fn an_application_that_never_answers_a_close_is_not_waited_for_for_ever() {
    let (unitd, port) = start_with(&json!({ "read_timeout": 1 }), |_| {});
    let mut session = WebSocket::open(port, "/mute");
    session.send(0x88, b"\x03\xe8");
    // It may be told by the end of the stream as well that no more comes.
    session.connection.finish_sending().unwrap();
    session.connection.expect_close();
    wait_for_calm(&unitd, port);
}

#[test]
fn sessions_survive_reconfiguration_and_removal() {
    let (unitd, port) = start();
    let mut session = WebSocket::open(port, "/echo");
    session.echo("first");
    let workers = unitd.workers("app");
    // Another configuration.
    unitd.put("/config/settings/http/server_version", "false").expect_success();
    session.echo("reconfigured");
    // Without the listener, and then without the application.
    let listener = format!("/config/listeners/127.0.0.1:{port}");
    unitd.delete(&listener).expect_success();
    session.echo("without a listener");
    unitd.clear();
    session.echo("without an application");
    assert_eq!(unitd.workers("app"), workers);
    session.send(0x88, b"\x03\xe8");
    session.expect_closed(1000, "");
    unitd.wait_for_rest();
}

#[test]
fn a_restart_of_the_application_says_goodbye() {
    let (unitd, port) = start();
    let mut session = WebSocket::open(port, "/echo");
    session.echo("first");
    let before = state(port).0;
    unitd.get("/control/applications/app/restart").expect_success();
    session.expect_closed(1001, "");
    wait_until("another worker", LIMIT, || state(port).0 != before);
    WebSocket::open(port, "/echo").echo("with the new one");
}

#[test]
fn a_graceful_stop_says_goodbye_and_does_not_wait_for_ever() {
    let (mut unitd, port) = start();
    let mut sessions: Vec<WebSocket> =
        ["/echo", "/deaf", "/mute"].map(|path| WebSocket::open(port, path)).into();
    // One that would be read for ever.
    let mut stubborn = WebSocket::open(port, "/flood");
    stubborn.send(0x81, b"go");
    let clients = std::thread::spawn(move || {
        for session in &mut sessions {
            session.expect_closed(1001, "Server is shutting down");
        }
    });
    unitd.stop_by(Signal::SIGQUIT, LIMIT);
    clients.join().unwrap();
    drop(stubborn);
}

#[test]
fn a_fast_stop_cuts() {
    let (mut unitd, port) = start();
    let mut session = WebSocket::open(port, "/echo");
    session.echo("first");
    unitd.stop();
    session.connection.expect_close();
}

#[test]
fn a_worker_that_dies_cuts_its_sessions_and_no_others() {
    let (unitd, port) = start_with(&json!({}), |application| application["processes"] = json!(2));
    unitd.expect_alert("exited on signal");
    let _ = unitd.wait_for_workers("app", 2);
    let mut sessions: Vec<WebSocket> = (0..8).map(|_| WebSocket::open(port, "/echo")).collect();
    sessions[0].send(0x81, b"abort");
    sessions[0].connection.expect_close();
    let mut survivors = 0;
    for session in &mut sessions[1..] {
        // Those of the dead worker are cut, and so quickly that there is no echo.
        session.send(0x81, b"alive");
        if let Ok(echo) = session.try_read() {
            assert_eq!(echo.text(), "alive");
            survivors += 1;
        }
    }
    println!("{survivors} survivors");
    let _ = unitd.wait_for_workers("app", 2);
    WebSocket::open(port, "/echo").echo("again");
    drop(sessions);
    wait_until("nothing is counted", LIMIT, || unitd.status("/connections/active") == 0);
}

#[test]
fn a_session_the_application_gives_up_is_cut() {
    let (unitd, port) = start();
    let mut session = WebSocket::open(port, "/echo");
    session.send(0x81, b"fail");
    session.connection.expect_close();
    wait_for_calm(&unitd, port);
}

/// A worker with a session is not idle, and is again when that has ended.
#[test]
fn a_worker_is_idle_again_after_its_last_session() {
    let (unitd, port) = start_with(&json!({}), |application| {
        application["processes"] = json!({ "max": 2, "spare": 0, "idle_timeout": 1 });
    });
    let mut session = WebSocket::open(port, "/echo");
    session.echo("first");
    std::thread::sleep(Duration::from_millis(2500));
    session.echo("not stopped for being idle");
    assert_eq!(unitd.status("/applications/app/processes/idle"), 0);
    session.send(0x88, b"");
    session.expect_closed(1000, "");
    wait_until("the idle worker is stopped", LIMIT, || unitd.workers("app").is_empty());
    // And another serves the next.
    let mut connection = Connection::tcp(port);
    connection.send(&handshake("/echo", &[])).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 101);
}
