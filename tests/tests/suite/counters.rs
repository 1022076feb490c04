//! The numbers of `/status`: exact, whatever clients do and however often the configuration changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use blackbox::{Connection, Unitd, need_python, request, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

fn number(status: &Value, path: &str) -> u64 {
    status.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} of {status}"))
}

/// What one client did.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    connections: u64,
    requests: u64,
}

/// Connections of every kind, one after the other. What the server may not have seen is not done:
/// each connection is answered, or closed by the server.
fn behave_badly(port: u16, client: usize, stop: &AtomicBool) -> Done {
    let mut done = Done::default();
    let mut round = client;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let mut connection = Connection::tcp(port);
        done.connections += 1;
        match round % 9 {
            // One after the other.
            0 => {
                for _ in 0..5 {
                    assert_eq!(connection.get("/").status, 204);
                }
                done.requests += 5;
            }
            // A pipeline, at once.
            1 => {
                connection.send(&request("GET", "/", &[], b"").repeat(20)).unwrap();
                for _ in 0..20 {
                    assert_eq!(connection.read_response().unwrap().status, 204);
                }
                done.requests += 20;
            }
            // Good ones with a bad one behind them; what follows that is no request.
            2 => {
                let mut bytes = request("GET", "/", &[], b"").repeat(3);
                bytes.extend_from_slice(b"bad\r\n\r\nGET / HTTP/1.1\r\n\r\n");
                connection.send(&bytes).unwrap();
                let all = connection.read_to_end().unwrap();
                assert!(String::from_utf8_lossy(&all).contains("HTTP/1.1 400 "));
                done.requests += 4;
            }
            // The client leaves in the head, in the body, in blank lines.
            3 => {
                connection.send(b"GET / HTTP/1.1\r\nHos").unwrap();
                connection.finish_sending().unwrap();
                connection.expect_close();
                done.requests += 1;
            }
            4 => {
                connection.send(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").unwrap();
                connection.finish_sending().unwrap();
                connection.expect_close();
                done.requests += 1;
            }
            5 => {
                connection.get("/");
                connection.send(b"\r\n").unwrap();
                connection.finish_sending().unwrap();
                connection.expect_close();
                done.requests += 2;
            }
            // Refused.
            6 => {
                let answer = connection.ask(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n");
                assert_eq!(answer.status, 413);
                done.requests += 1;
            }
            // In small pieces.
            7 => {
                for piece in request("GET", "/", &[], b"").chunks(7) {
                    connection.send(piece).unwrap();
                }
                assert_eq!(connection.read_response().unwrap().status, 204);
                done.requests += 1;
            }
            // Gone in the middle of the answer.
            _ => {
                connection.send(&request("GET", "/large", &[], b"")).unwrap();
                assert_eq!(connection.read_head().unwrap().status, 200);
                done.requests += 1;
            }
        }
    }
    done
}

#[test]
fn every_connection_and_every_request_is_counted_once() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let large = unitd.sparse("large", 50_000_000);
    let config = |threads: u64, more: &str| {
        json!({
            "settings": { "listen_threads": threads },
            "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
            "routes": [
                { "match": { "uri": "/large" }, "action": { "share": large } },
                { "match": { "uri": more }, "action": { "return": 200 } },
                { "action": { "return": 204 } },
            ],
        })
    };
    unitd.configure(&config(2, "/0"));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..24)
        .map(|client| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || behave_badly(port, client, &stop))
        })
        .collect();
    let mut before = json!({ "accepted": 0, "closed": 0, "total": 0 });
    for round in 0..200 {
        let status = unitd.status("");
        let connections = &status["connections"];
        let [accepted, active, idle, closed] =
            ["/accepted", "/active", "/idle", "/closed"].map(|name| number(connections, name));
        assert_eq!(accepted, active + idle + closed, "{status}");
        assert!(active + idle <= 2000, "{status}");
        let total = number(&status, "/requests/total");
        // Nothing that is counted is ever taken back.
        let now = json!({ "accepted": accepted, "closed": closed, "total": total });
        for name in ["accepted", "closed", "total"] {
            assert!(now[name].as_u64() >= before[name].as_u64(), "{before} then {now}");
        }
        before = now;
        if round % 20 == 0 {
            // Loops come and go; what they counted stays.
            unitd.configure(&config([2, 4, 1, 3][round / 20 % 4], &format!("/{round}")));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut done = Done::default();
    for client in clients {
        let client = client.join().unwrap();
        done.connections += client.connections;
        done.requests += client.requests;
    }
    let expected = json!({
        "accepted": done.connections, "active": 0, "idle": 0, "closed": done.connections,
    });
    wait_until(&format!("{expected} {done:?}"), LIMIT, || unitd.status("/connections") == expected);
    assert_eq!(unitd.status("/requests/total"), done.requests);
    assert!(done.requests > 100);
}

/// Hundreds at the same time, in known states.
#[test]
fn connections_in_known_states_are_counted_as_that() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 204 } }]));
    let connections = |active: u64, idle: u64, closed: u64| {
        let accepted = active + idle + closed;
        let expected =
            json!({ "accepted": accepted, "active": active, "idle": idle, "closed": closed });
        wait_until(&expected.to_string(), LIMIT, || unitd.status("/connections") == expected);
    };
    let mut open: Vec<Connection> = (0..300).map(|_| Connection::tcp(port)).collect();
    for connection in &mut open {
        connection.get("/");
    }
    connections(0, 300, 0);
    for connection in open.iter_mut().take(100) {
        connection.send(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n1").unwrap();
    }
    connections(100, 200, 0);
    unitd.put("/config/routes/0/action/return", "201").expect_success();
    connections(100, 200, 0);
    for connection in open.iter_mut().take(50) {
        connection.send(b"2").unwrap();
        assert_eq!(connection.read_response().unwrap().status, 204);
    }
    connections(50, 250, 0);
    open.drain(25..75);
    connections(25, 225, 50);
    drop(open);
    connections(0, 0, 300);
    assert_eq!(unitd.status("/requests/total"), 400);
}

/// N7, the counting side: whoever goes away in whatever phase, what was counted up is counted down.
#[test]
fn n7_applications_are_at_rest_when_their_clients_have_gone() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let directory = unitd.application("tools");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": { "app": {
            "type": "python", "module": "tools", "path": directory, "processes": 2,
            "limits": { "timeout": 30 },
        } },
    }));
    let app = |name: &str| number(&unitd.status("/applications/app"), name);
    let rest = |what: &str| {
        wait_until(what, LIMIT, || {
            app("/requests/active") == 0
                && app("/processes/idle") == 2
                && app("/processes/running") == 2
                && unitd.status("/connections/active") == 0
        });
        assert_eq!(unitd.fetch(port, "/pid").status, 200, "{what}");
    };
    rest("at first");
    for round in 0..5 {
        // In the upload: it never was the application's.
        let mut leaving = Connection::tcp(port);
        leaving.send(b"POST /sum HTTP/1.1\r\nContent-Length: 100000\r\n\r\nabc").unwrap();
        drop(leaving);
        rest("an upload that was given up");
        // While it is being processed, and while it waits behind others that are.
        let go = unitd.text_path(format!("go-{round}"));
        let waiting: Vec<Connection> = (0..6)
            .map(|_| {
                let mut waiting = Connection::tcp(port);
                let target = format!("/wait?file={go}");
                waiting.send(&request("GET", &target, &[], b"")).unwrap();
                waiting
            })
            .collect();
        wait_until("two are processed and four wait", LIMIT, || {
            app("/requests/active") == 6 && app("/processes/idle") == 0
        });
        drop(waiting);
        std::fs::write(&go, "").unwrap();
        rest("clients that did not wait");
        // In the answer.
        let mut reading: Vec<Connection> = (0..2).map(|_| Connection::tcp(port)).collect();
        for reading in &mut reading {
            reading.send(&request("GET", "/stream?size=100000000", &[], b"")).unwrap();
            reading.read_head().unwrap();
        }
        assert_eq!(app("/requests/active"), 2);
        drop(reading);
        rest("answers that nobody reads");
        // The application fails half-way.
        let mut failed = Connection::tcp(port);
        failed.send(&request("GET", "/raise-after-body", &[], b"")).unwrap();
        failed.read_to_end().unwrap();
        rest("an answer that broke off");
    }
}
