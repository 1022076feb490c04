//! Clients that are slow on purpose, and those that cannot help it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use blackbox::{Connection, Unitd, need_python, request, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

fn with_settings(http: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let file = unitd.path("www/large");
    File::create(&file).unwrap().set_len(512 * 1024 * 1024).unwrap();
    let mut config = json!({
        "settings": { "http": http },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/large" }, "action": { "share": file } },
            { "match": { "uri": "/return" }, "action": { "return": 200 } },
        ],
    });
    if !blackbox::pythons().is_empty() {
        let directory = unitd.application("tools");
        let rest = json!({ "action": { "pass": "applications/app" } });
        config["routes"].as_array_mut().unwrap().push(rest);
        config["applications"] = json!({ "app": {
            "type": "python", "module": "tools", "path": directory, "processes": 2
        } });
    }
    unitd.configure(&config);
    (unitd, port)
}

/// Sends a body of that many bytes, one every 200 ms, until there is an answer; its status.
fn trickle_body(port: u16, len: usize) -> u16 {
    let mut connection = Connection::tcp(port);
    let head = format!("POST /return HTTP/1.1\r\nContent-Length: {len}\r\n\r\n");
    connection.send(head.as_bytes()).unwrap();
    for _ in 0..len {
        thread::sleep(Duration::from_millis(200));
        if connection.send(b"x").is_err() {
            break;
        }
    }
    connection.read_response().unwrap().status
}

#[test]
fn n20_a_byte_of_a_body_now_and_then_is_too_slow() {
    let (unitd, port) = with_settings(&json!({ "body_read_timeout": 3, "min_rate": 100 }));
    let began = Instant::now();
    assert_eq!(trickle_body(port, 300), 408);
    // The whole body takes a minute at least.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    wait_until("it is closed", LIMIT, || unitd.status("/connections/closed") == 1);
}

/// Five bytes a second are enough where little is asked, for longer than a client may be behind; and
/// who can do no better is let be where that is wanted.
#[test]
fn a_byte_of_a_body_now_and_then_can_be_enough() {
    let (unitd, port) = with_settings(&json!({ "body_read_timeout": 10, "min_rate": 1 }));
    let began = Instant::now();
    assert_eq!(trickle_body(port, 110), 200);
    assert!(began.elapsed() > Duration::from_secs(21), "{:?}", began.elapsed());
    unitd.put("/config/settings/http/min_rate", 0).expect_success();
    assert_eq!(trickle_body(port, 20), 200);
}

/// A client with small buffers that has asked for the large file.
fn ask_for_much(port: u16) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 8 * 1024).unwrap();
    socket.write_all(&request("GET", "/large", &[], b"")).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

/// Takes at most so many bytes and rests a little; false at the end.
fn take_some(socket: &mut TcpStream, bytes: usize) -> bool {
    let mut buffer = vec![0; bytes];
    thread::sleep(Duration::from_millis(200));
    matches!(socket.read(&mut buffer), Ok(1..))
}

#[test]
fn n20_a_byte_of_an_answer_now_and_then_is_too_slow() {
    let (unitd, port) = with_settings(&json!({ "send_timeout": 1, "min_rate": 1_000_000 }));
    let mut socket = ask_for_much(port);
    // What the kernels hold for it may take it longer to read than the server waits.
    wait_until("it is let go", Duration::from_secs(30), || {
        take_some(&mut socket, 100);
        unitd.status("/connections/closed") == 1
    });
}

/// It takes a few kilobytes a second, so that the socket has no room for more as long as anybody
/// watches. That is no pause.
#[test]
fn a_steady_slow_reader_is_not_cut_off() {
    let (unitd, port) = with_settings(&json!({ "send_timeout": 10 }));
    let mut socket = ask_for_much(port);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(22) {
        assert!(take_some(&mut socket, 2 * 1024), "cut off after {:?}", began.elapsed());
    }
    // What the kernel holds could be read on from a connection that is closed.
    assert_eq!(unitd.status("/connections/closed"), 0);
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off() {
    let (unitd, port) = with_settings(&json!({ "send_timeout": 1, "min_rate": 0 }));
    let mut connection = Connection::tcp(port);
    connection.send(&request("GET", "/large", &[], b"")).unwrap();
    connection.read_exactly(1000).unwrap();
    wait_until("it is let go", Duration::from_secs(30), || {
        unitd.status("/connections/closed") == 1
    });
}

/// An application that thinks or streams slowly is no fault of its client.
#[test]
fn a_slow_application_does_not_count_against_its_client() {
    need_python!();
    let (_unitd, port) =
        with_settings(&json!({ "send_timeout": 1, "body_read_timeout": 1, "min_rate": 1_000_000 }));
    let mut streaming = Connection::tcp(port);
    streaming.send(&request("GET", "/trickle?count=4&pause=1.2", &[], b"")).unwrap();
    let mut thinking = Connection::tcp(port);
    thinking.send(&request("POST", "/sleep?seconds=4", &[], b"body")).unwrap();
    assert_eq!(streaming.read_response().unwrap().text(), "....");
    assert_eq!(thinking.read_response().unwrap().status, 200);
    assert_eq!(thinking.get("/return").status, 200);
}
