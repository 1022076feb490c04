//! Requests that servers are known to read in different ways, with our reading of each, and that of
//! nginx and HAProxy, beside unitd and in front of it.
//!
//! `smuggling/requests.txt` has the requests. Behind every one of them the test sends one more, the
//! *probe*, and nothing else; what is answered tells how many requests were seen in the bytes and
//! where the last of them was thought to end. A reading is the list of answers: the method and
//! target of a request that was served, or the status by which one was refused.

mod neighbours;
mod reading;
mod table;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use blackbox::{Connection, Unitd};
use serde_json::json;

use reading::{PROBE, Reading};
use table::Case;

/// The number of requests: none is lost in silence.
const COUNT: usize = 381;

/// Clients at once.
const CLIENTS: usize = 8;

/// A daemon that tells in a field of its answer what it has read.
fn unitd() -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "settings": { "http": { "chunked_transform": true } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": {
            "return": 200,
            "response_headers": { "X-Read": "$method $request_uri", "X-Tag": "$header_x_tag" },
        } }],
    }));
    (unitd, port)
}

/// Sends the bytes and the probe in pieces of some length, and reads what is answered.
fn read_by(port: u16, bytes: &[u8], piece: usize) -> Reading {
    let mut connection = Connection::tcp(port);
    for piece in [bytes, PROBE].concat().chunks(piece) {
        // What was refused is not always read to its end.
        if connection.send(piece).is_err() {
            break;
        }
    }
    let _ = connection.finish_sending();
    match connection.read_to_end() {
        Ok(answers) => Reading::of(&answers),
        Err(error) => panic!("{error} for {}", bytes.escape_ascii()),
    }
}

/// Has several clients try every request, and collects what they find wrong.
fn for_each(cases: &[Case], check: impl Fn(&Case) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || cases.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(take).filter_map(&check).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

#[track_caller]
fn expect_readings(piece: usize) {
    let cases = table::cases();
    assert_eq!(cases.len(), COUNT, "the number of requests");
    let (unitd, port) = unitd();
    let router = unitd.role("router");
    let wrong = for_each(&cases, |case| {
        let reading = read_by(port, &case.bytes, piece);
        (reading.exact() != case.unitd)
            .then(|| format!("{}\n  {}\n  {}", case.name, case.unitd, reading.exact()))
    });
    assert!(wrong.is_empty(), "{} are read otherwise:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(unitd.role("router"), router);
}

#[test]
fn n13_every_request_is_read_as_the_table_says() {
    expect_readings(usize::MAX);
}

#[test]
fn n13_every_request_is_read_the_same_byte_by_byte() {
    expect_readings(1);
}
