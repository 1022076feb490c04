//! WebSocket sessions with an application, over a real socket.

mod leaving;
mod life;
mod memory;

use std::path::Path;
use std::time::Duration;

use blackbox::websocket::{ACCEPT, WebSocket, echo_application, frame, handshake};
use blackbox::{Connection, Place, Unitd, Venv, request, run, skip, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// A daemon with the echoing application behind a port.
fn start() -> (Unitd, u16) {
    start_with(&json!({}), |_| {})
}

/// The same with settings of `websocket`, and an application that may be changed.
fn start_with(websocket: &Value, change: impl FnOnce(&mut Value)) -> (Unitd, u16) {
    let runtime = Path::new(env!("CARGO_BIN_EXE_echo-runtime"));
    let unitd = Place::new().with_echo_runtime(runtime).start();
    let port = unitd.port();
    let mut application = echo_application();
    change(&mut application);
    unitd.configure(&json!({
        "settings": { "http": { "websocket": websocket } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": { "app": application },
    }));
    (unitd, port)
}

/// The process id of a worker, its live sessions, and those that ended.
fn state(port: u16) -> (i32, u64, u64) {
    let text = Connection::tcp(port).get("/state").text();
    let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
    (i32::try_from(numbers[0]).unwrap(), numbers[1], numbers[2])
}

/// Waits until the one worker has no session, and the router counts nothing.
#[track_caller]
fn wait_for_calm(unitd: &Unitd, port: u16) {
    wait_until("no session is left", LIMIT, || state(port).1 == 0);
    wait_until("nothing is counted", LIMIT, || {
        let connections = unitd.status("/connections");
        let application = unitd.status("/applications/app");
        connections["active"] == 0
            && application["requests"]["active"] == 0
            && application["processes"]["running"] == application["processes"]["idle"]
    });
}

#[test]
fn a_handshake_is_accepted_and_frames_go_both_ways() {
    let (unitd, port) = start();
    let mut connection = Connection::tcp(port);
    connection.send(&handshake("/echo", &["Sec-WebSocket-Protocol: chat, other"])).unwrap();
    let accepted = connection.read_head().unwrap();
    assert_eq!(accepted.status_line(), "HTTP/1.1 101 Switching Protocols");
    for (name, value) in [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
        ("Sec-WebSocket-Protocol", "chat"),
    ] {
        assert_eq!(accepted.all(name), [value], "{}", accepted.head);
    }
    for name in ["Content-Length", "Transfer-Encoding"] {
        assert_eq!(accepted.field(name), None, "{}", accepted.head);
    }
    let mut session = WebSocket { connection, accepted };
    session.echo("hello");
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 500_000] {
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        session.send(0x82, &payload);
        let echo = session.read();
        assert!(echo.first == 0x82 && echo.payload == payload, "{len}");
    }
    // A message in pieces, with a ping in between, reserved bits and all.
    session.send(0x41, b"one");
    session.send(0x89, b"are you there");
    session.send(0x00, b"two");
    session.send(0x80, b"");
    let mut frames: Vec<(u8, String)> = Vec::new();
    while frames.len() < 4 {
        let frame = session.read();
        frames.push((frame.first, frame.text()));
    }
    // The router reads the echoes and answers the ping when it likes.
    let pong = frames.iter().position(|(first, _)| *first == 0x8a).unwrap();
    assert_eq!(frames.remove(pong).1, "are you there");
    let echoes =
        [(0x01, "one"), (0x00, "two"), (0x80, "")].map(|(first, text)| (first, text.to_owned()));
    assert_eq!(frames, echoes, "reserved bits are not echoed by this application");
    // A pong goes to the application.
    session.send(0x8a, b"unasked");
    assert_eq!(session.read().first, 0x8a);
    assert_eq!(unitd.status("/applications/app/requests/active"), 0);
    assert_eq!(unitd.status("/applications/app/processes/idle"), 0);
    assert_eq!(unitd.status("/connections/active"), 1);
    session.send(0x88, b"\x0b\xb8done");
    session.expect_closed(3000, "done");
    wait_for_calm(&unitd, port);
    assert_eq!(state(port).2, 1);
}

#[test]
fn bad_handshakes_are_refused_in_order_and_logged() {
    let (unitd, port) = start();
    let fields = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (line, further, status, log) in [
        ("POST / HTTP/1.0", String::new(), 400, "bad method"),
        ("GET / HTTP/1.0", String::new(), 400, "bad protocol version"),
        ("GET / HTTP/1.1", String::new(), 400, "bad or absent websocket key"),
        ("GET / HTTP/1.1", key.repeat(2), 400, "bad or absent websocket key"),
        ("GET / HTTP/1.1", key.replace("==", "="), 400, "bad or absent websocket key"),
        ("GET / HTTP/1.1", key.to_owned(), 426, "bad or absent websocket version"),
        (
            "GET / HTTP/1.1",
            format!("{key}Sec-WebSocket-Version: 8\r\n"),
            426,
            "bad or absent websocket version",
        ),
    ] {
        let log = format!("h1p upgrade: {log}");
        let before = unitd.log().count(&log);
        let request = format!("{line}\r\n{fields}{further}\r\n");
        let mut connection = Connection::tcp(port);
        let answer = connection.ask(request.as_bytes());
        assert_eq!(answer.status, status, "{request}");
        let version = answer.field("Sec-WebSocket-Version");
        assert_eq!(version, (status == 426).then_some("13"), "{request}");
        wait_until(&log, LIMIT, || unitd.log().count(&log) == before + 1);
    }
    // Half a handshake is an ordinary request.
    for field in ["Connection: Upgrade", "Upgrade: websocket"] {
        assert_eq!(Connection::tcp(port).ask(&request("POST", "/", &[field], b"x")).text(), "x");
    }
}

#[test]
fn an_application_may_refuse_and_a_plain_101_is_no_answer() {
    let (_unitd, port) = start();
    let mut connection = Connection::tcp(port);
    for _ in 0..2 {
        let refused = connection.ask(&handshake("/refuse", &[]));
        assert_eq!((refused.status, refused.text().as_str()), (403, "no"));
        assert_eq!(refused.field("Upgrade"), None);
    }
    assert_eq!(Connection::tcp(port).ask(&handshake("/plain", &[])).status, 503);
    // Nor is it to an ordinary request.
    assert_eq!(connection.get("/state").status, 200);
}

#[test]
fn early_frames_wait_for_the_application() {
    let (_unitd, port) = start();
    let mut octets = handshake("/slow", &[]);
    for number in 0..100 {
        octets.extend(frame(0x81, format!("early {number}").as_bytes()));
    }
    let mut connection = Connection::tcp(port);
    connection.send(&octets).unwrap();
    let accepted = connection.read_head().unwrap();
    let mut session = WebSocket { connection, accepted };
    for number in 0..100 {
        assert_eq!(session.read().text(), format!("early {number}"));
    }
    session.send(0x88, b"");
    session.expect_closed(1000, "");
}

#[test]
fn octets_that_come_one_by_one_are_a_session_as_well() {
    let (_unitd, port) = start();
    let octets = [
        handshake("/echo", &[]),
        frame(0x81, b"text"),
        frame(0x89, b"ping"),
        frame(0x82, &[7; 200]),
        frame(0x88, b"\x03\xe8bye"),
    ]
    .concat();
    let mut connection = Connection::tcp(port);
    for octet in &octets {
        connection.send(&[*octet]).unwrap();
    }
    let accepted = connection.read_head().unwrap();
    let mut session = WebSocket { connection, accepted };
    let mut frames: Vec<(u8, Vec<u8>)> = Vec::new();
    while frames.len() < 3 {
        let frame = session.read();
        frames.push((frame.first, frame.payload));
    }
    frames.sort();
    assert_eq!(frames, [(0x81, b"text".to_vec()), (0x82, vec![7; 200]), (0x8a, b"ping".to_vec())]);
    session.expect_closed(1000, "bye");
}

/// N2: each hostile frame costs its sender the session, with the code and reason of the table, and
/// nobody else anything.
#[test]
fn n2_hostile_frames_end_their_session_and_no_other() {
    let (unitd, port) = start();
    let long = |first: u8, len: u64| {
        let mut header = vec![first, 0xff];
        header.extend(len.to_be_bytes());
        header.extend([1, 2, 3, 4]);
        header
    };
    let mut witness = WebSocket::open(port, "/echo");
    let router = unitd.role("router");
    let ticks = router.cpu_ticks();
    let cases = [
        (vec![0x81, 0x01, b'a'], 1002, "Not masked client frame"),
        (vec![0x81, 125], 1002, "Not masked client frame"),
        (vec![0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], 1002, "Not masked client frame"),
        (frame(0x09, b""), 1002, "Fragmented control frame"),
        (frame(0x8b, b""), 1002, "Unrecognized opcode 11"),
        (frame(0x89, &[0; 126]), 1002, "Control frame too big: 126 bytes"),
        (frame(0x8a, &[0; 127]), 1002, "Control frame too big: 127 bytes"),
        (frame(0x88, b"1"), 1002, "Close frame payload length cannot be 1"),
        (
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            1002,
            "Continuation expected, but 1 opcode received",
        ),
        (frame(0x80, b""), 1002, "Unrecognized opcode 0"),
        (frame(0x83, b""), 1002, "Unrecognized opcode 3"),
        (long(0x82, 1_048_576), 1009, "Message too big: 1048576 bytes"),
        (long(0x82, 1 << 63), 1009, "Message too big: 9223372036854775808 bytes"),
        (long(0x82, u64::MAX), 1009, "Message too big: 18446744073709551615 bytes"),
        (frame(0x88, b"\x03\xed"), 1002, "Close code 1005 is not valid"),
        (frame(0x88, b"\xff\xff"), 1002, "Close code 65535 is not valid"),
    ];
    let mut sessions = 0;
    for (octets, code, reason) in &cases {
        let log = format!("websocket error {code}: {reason}");
        let logged = unitd.log().count(&log);
        // All at once, octet by octet, and with the rest of a frame that never ends behind it.
        for piece in [octets.len(), 1] {
            for rest in [0, 50_000] {
                sessions += 1;
                let mut session = WebSocket::open(port, "/echo");
                for piece in octets.chunks(piece) {
                    session.connection.send(piece).unwrap();
                }
                // The server may have closed before it has all of that.
                let _ = session.connection.send(&vec![0x55; rest]);
                let mut frame = session.read();
                if frame.first == 0x01 {
                    // The echo of the good half.
                    frame = session.read();
                }
                assert_eq!(frame.close(), (*code, (*reason).to_owned()));
                session.connection.finish_sending().unwrap();
                session.connection.expect_close();
            }
        }
        wait_until(&log, LIMIT, || unitd.log().count(&log) == logged + 4);
        witness.echo("still here");
    }
    wait_until("the application was told of each", LIMIT, || state(port).2 == sessions);
    let spent = router.cpu_ticks() - ticks;
    assert!(spent < 500, "the router spent {spent} ticks on {sessions} sessions");
    // More than was announced is the next frame, and that is judged by itself.
    witness.echo("four");
    witness.connection.send(b"\x81\x01").unwrap();
    witness.expect_closed(1002, "Not masked client frame");
    wait_for_calm(&unitd, port);
}

#[test]
fn large_frames_need_only_a_larger_limit() {
    let (unitd, port) = start_with(&json!({ "max_frame_size": 33_554_432 }), |_| {});
    let mut session = WebSocket::open(port, "/echo");
    let payload: Vec<u8> = [vec![7; 1 << 20], vec![8; 1000]].concat().repeat(16);
    let before = unitd.role("router").resident_kib();
    session.send(0x82, &payload);
    let echo = session.read();
    assert!(echo.payload == payload);
    let grown = unitd.role("router").resident_kib().saturating_sub(before);
    assert!(grown < 4096, "the router holds no frame, but grew by {grown} KiB");
}

#[test]
fn our_frames_come_between_those_of_the_application() {
    let (_unitd, port) = start();
    let mut session = WebSocket::open(port, "/halves");
    session.send(0x81, b"first half");
    assert_eq!(session.connection.read_exactly(7).unwrap(), b"\x82\x0a01234");
    for number in 0..50 {
        session.send(0x89, format!("{number}").as_bytes());
    }
    session.send(0x81, b"second half");
    assert_eq!(session.connection.read_exactly(5).unwrap(), b"56789");
    for number in 0..50 {
        let pong = session.read();
        assert_eq!((pong.first, pong.text()), (0x8a, number.to_string()));
    }
    // An error inside of such a frame can only cut the connection.
    session.send(0x81, b"first half");
    assert_eq!(session.connection.read_exactly(7).unwrap(), b"\x82\x0a01234");
    session.connection.send(b"\x81\x00").unwrap();
    session.connection.finish_sending().unwrap();
    session.connection.expect_close();
}

/// A client that others have written.
#[test]
fn the_websockets_library_is_served() {
    let venv = match Venv::of_checkers() {
        Ok(venv) => venv,
        Err(missing) => skip!("{missing}"),
    };
    let (unitd, port) = start_with(&json!({ "keepalive_interval": 1 }), |_| {});
    let mut client = venv.script("checkers/websocket_client.py");
    client.arg(port.to_string());
    let output = run(client);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_for_calm(&unitd, port);
}
