//! N10: what is held for a session has a ceiling, whoever of the two does not read.

use std::time::Duration;

use blackbox::websocket::{WebSocket, frame};
use blackbox::{Process, Unitd};
use serde_json::json;

use super::{start, start_with, wait_for_calm};

/// Sends until nothing more is taken; the octets that were.
fn send_until_full(session: WebSocket, octets: &[u8], at_most: usize) -> (WebSocket, usize) {
    let WebSocket { connection, accepted } = session;
    let mut connection = connection.within(Duration::from_millis(500));
    let mut sent = 0;
    while sent < at_most && connection.send(octets).is_ok() {
        sent += octets.len();
    }
    (WebSocket { connection, accepted }, sent)
}

fn sizes(unitd: &Unitd) -> [u64; 2] {
    [unitd.role("router"), unitd.workers("app")[0].clone()].each_ref().map(Process::resident_kib)
}

#[track_caller]
fn expect_growth_below(before: [u64; 2], after: [u64; 2], kib: [u64; 2]) {
    let grown = [0, 1].map(|at| after[at].saturating_sub(before[at]));
    assert!(grown[0] < kib[0] && grown[1] < kib[1], "router and worker grew by {grown:?} KiB");
}

/// A client that pings without end and never reads the pongs.
#[test]
fn n10_pongs_that_nobody_reads_stop_the_pings() {
    let (unitd, port) = start();
    WebSocket::open(port, "/echo").echo("warm");
    let before = sizes(&unitd);
    let pings = frame(0x89, &[b'p'; 125]).repeat(1000);
    let mut full = Vec::new();
    for _ in 0..3 {
        let (session, sent) = send_until_full(WebSocket::open(port, "/echo"), &pings, 200 << 20);
        assert!(sent < 200 << 20, "all {sent} octets of pings were taken");
        full.push(session);
    }
    expect_growth_below(before, sizes(&unitd), [4096, 1024]);
    // Once they are read, nothing was lost.
    let mut session = full.pop().unwrap();
    for _ in 0..1000 {
        assert_eq!(session.read().payload, [b'p'; 125]);
    }
    drop((session, full));
    wait_for_calm(&unitd, port);
}

/// Messages of any number of fragments pass through and stay nowhere.
#[test]
fn n10_a_message_without_end_is_kept_by_nobody() {
    let (unitd, port) = start();
    let mut session = WebSocket::open(port, "/sink");
    session.send(0x02, b"start");
    let before = sizes(&unitd);
    let fragments = frame(0x00, &[b'f'; 1000]).repeat(100);
    for _ in 0..500 {
        session.connection.send(&fragments).unwrap();
    }
    session.send(0x80, b"sum");
    assert_eq!(session.read().text(), (5 + 500 * 100 * 1000).to_string());
    expect_growth_below(before, sizes(&unitd), [2048, 4096]);
}

/// An application that does not read makes the client wait.
#[test]
fn n10_a_deaf_application_holds_up_its_client() {
    let (unitd, port) = start_with(&json!({ "keepalive_interval": 1 }), |_| {});
    WebSocket::open(port, "/echo").echo("warm");
    let before = sizes(&unitd);
    let message = frame(0x82, &vec![b'm'; 500_000]);
    let mut full = Vec::new();
    for _ in 0..3 {
        let (session, sent) = send_until_full(WebSocket::open(port, "/deaf"), &message, 100 << 20);
        assert!(sent < 100 << 20, "all {sent} octets were taken");
        full.push(session);
    }
    // For each one frame and the windows around it.
    expect_growth_below(before, sizes(&unitd), [2048, 3 * 2048]);
    // Others of the same worker are served meanwhile.
    WebSocket::open(port, "/echo").echo("beside them");
    drop(full);
    wait_for_calm(&unitd, port);
}

/// A client that does not read makes the application wait.
#[test]
fn n10_a_slow_client_holds_up_its_application() {
    let (unitd, port) = start();
    let mut warm = WebSocket::open(port, "/flood");
    warm.send(0x81, b"x");
    assert_eq!(warm.read().payload.len(), 4 << 20);
    drop(warm);
    let before = unitd.role("router").resident_kib();
    let mut sessions: Vec<WebSocket> = (0..5).map(|_| WebSocket::open(port, "/flood")).collect();
    for session in &mut sessions {
        for _ in 0..2 {
            session.send(0x81, b"x");
        }
    }
    WebSocket::open(port, "/echo").echo("beside them");
    let grown = unitd.role("router").resident_kib().saturating_sub(before);
    assert!(grown < 4096, "the router grew by {grown} KiB");
    // What waited comes, every octet of it.
    for session in &mut sessions {
        for _ in 0..2 {
            let flood = session.read();
            assert!(
                flood.payload.len() == 4 << 20 && flood.payload.iter().all(|octet| *octet == b'f')
            );
        }
    }
    drop(sessions);
    wait_for_calm(&unitd, port);
}
