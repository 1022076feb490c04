//! Every way a request can end has its entry, and it is there in time.

use std::thread;
use std::time::Duration;

use blackbox::{Connection, need_python, request};
use serde_json::json;

use super::Logging;

const FORMAT: &str = "$status $body_bytes_sent $method $request_uri <$request_line>";

#[test]
fn an_entry_is_there_when_the_connection_is_closed() {
    let logging = Logging::with(&json!({ "format": "$arg_n" }), &json!({}));
    let threads: Vec<_> = (0..4)
        .map(|client| {
            let (port, path) = (logging.port, logging.path.clone());
            thread::spawn(move || {
                for round in 0..100 {
                    let name = format!("{client}-{round}");
                    let mut connection = Connection::tcp(port);
                    // Some before it, on the same connection.
                    for earlier in 0..round % 3 {
                        connection.get(&format!("/?n={name}-{earlier}"));
                    }
                    let bytes = request("GET", &format!("/?n={name}"), &["Connection: close"], b"");
                    connection.send(&bytes).unwrap();
                    connection.read_to_end().unwrap();
                    let text = std::fs::read_to_string(&path).unwrap();
                    assert!(text.lines().any(|line| line == name), "no {name}");
                    for earlier in 0..round % 3 {
                        let name = format!("{name}-{earlier}");
                        assert!(text.lines().any(|line| line == name), "no {name}");
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    logging.entries(4 * (34 + 33 * 2 + 33 * 3));
}

/// An open connection has its entries within a second, too.
#[test]
fn entries_do_not_wait_for_the_end_of_the_connection() {
    let logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
    let mut connection = Connection::tcp(logging.port);
    for count in 1..20 {
        let before = std::time::Instant::now();
        connection.get("/x");
        logging.entries(count);
        assert!(before.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn octets_after_the_head_are_counted_as_they_are_on_the_wire() {
    need_python!();
    let logging =
        Logging::with_everything(&json!("$request_uri $status $body_bytes_sent"), &json!({}));
    let mut expected = Vec::new();
    for (method, target) in [
        ("GET", "/ok"),
        ("GET", "/none"),
        ("HEAD", "/none"),
        ("GET", "/empty"),
        ("GET", "/moved"),
        ("GET", "/file"),
        ("HEAD", "/file"),
        ("GET", "/pid"),
        ("HEAD", "/pid"),
        ("GET", "/stream?size=0"),
        ("GET", "/stream?size=1"),
        ("GET", "/stream?size=300000&block=1000"),
        ("GET", "/stream?size=3000000"),
        ("HEAD", "/stream?size=300"),
        ("GET", "/too-long"),
        ("GET", "/bytes"),
    ] {
        for version in ["1.1", "1.0"] {
            let text = format!(
                "{method} {target} HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            );
            let mut connection = Connection::tcp(logging.port);
            connection.send(text.as_bytes()).unwrap();
            let all = connection.read_to_end().unwrap();
            let end = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let status = std::str::from_utf8(&all[9..12]).unwrap();
            expected.push(format!("{target} {status} {}", all.len() - end));
            assert_eq!(logging.entries(expected.len()), expected, "{method} {target} {version}");
        }
    }
}

#[test]
fn octets_of_parts_of_files_are_counted_as_they_are_on_the_wire() {
    need_python!();
    let format = "$status $body_bytes_sent $response_header_content_range";
    let logging = Logging::with_everything(&json!(format), &json!({}));
    let mut statuses = Vec::new();
    for field in [
        "Range: bytes=0-99",
        "Range: bytes=0-99, 200-299",
        "Range: bytes=999999-",
        "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
        "If-None-Match: *",
        "If-Match: \"no\"",
    ] {
        for method in ["GET", "HEAD"] {
            let mut connection = Connection::tcp(logging.port);
            let bytes = request(method, "/file", &[field, "Connection: close"], b"");
            connection.send(&bytes).unwrap();
            let head = connection.read_head().unwrap();
            let sent = connection.read_to_end().unwrap().len();
            let range = head.field("Content-Range").unwrap_or("-");
            statuses.push(head.status);
            let entries = logging.entries(statuses.len());
            let expected = format!("{} {sent} {range}", head.status);
            assert_eq!(entries.last(), Some(&expected), "{method} {field}");
        }
    }
    for status in [206, 416, 304, 412] {
        assert!(statuses.contains(&status), "{status} is not in {statuses:?}");
    }
}

/// What is sent is not what the file holds or the application gave.
#[test]
fn octets_of_compressed_answers_are_counted_as_they_are_on_the_wire() {
    need_python!();
    let format = "$request_uri $status $body_bytes_sent $response_header_content_encoding";
    let http = json!({
        "compression": { "types": ["*"], "compressors": [{ "encoding": "gzip", "min_length": 10 }] },
        "static": { "mime_types": { "text/plain": [".bin"] } },
    });
    let logging = Logging::with_everything(&json!(format), &http);
    let mut encoded = 0;
    let mut count = 0;
    for coding in ["gzip", "identity", "identity;q=0"] {
        for (method, target) in [
            ("GET", "/file"),
            ("HEAD", "/file"),
            ("GET", "/stream?size=100000"),
            ("GET", "/say?words=a"),
            ("GET", "/none"),
        ] {
            let mut connection = Connection::tcp(logging.port);
            let field = format!("Accept-Encoding: {coding}");
            let bytes = request(method, target, &[&field, "Connection: close"], b"");
            connection.send(&bytes).unwrap();
            let head = connection.read_head().unwrap();
            let sent = connection.read_to_end().unwrap().len();
            let shown = head.field("Content-Encoding");
            encoded += usize::from(shown.is_some() && sent > 0);
            count += 1;
            let expected = format!("{target} {} {sent} {}", head.status, shown.unwrap_or("-"));
            assert_eq!(logging.entries(count).last(), Some(&expected), "{method} {coding}");
        }
    }
    assert!(encoded > 0, "{}", logging.text());
}

#[test]
fn each_request_of_a_pipeline_has_its_entry() {
    let logging = Logging::with(&json!({ "format": FORMAT }), &json!({}));
    let mut connection = Connection::tcp(logging.port);
    let mut bytes = Vec::new();
    for number in 0..50 {
        bytes.extend(request("GET", &format!("/{number}"), &[], b""));
    }
    bytes.extend_from_slice(b"bad\r\n\r\n");
    connection.send(&bytes).unwrap();
    connection.read_to_end().unwrap();
    let entries = logging.entries(51);
    for (number, entry) in entries.iter().take(50).enumerate() {
        assert_eq!(*entry, format!("200 0 GET /{number} <GET /{number} HTTP/1.1>"));
    }
    assert_eq!(entries[50], "400 54 - - <->");
}

/// What a client sends, whether it leaves then, and the entry.
#[test]
fn refused_and_partial_requests_are_logged() {
    let settings = json!({
        "header_read_timeout": 1, "body_read_timeout": 1, "max_body_size": 10,
    });
    let logging =
        Logging::with(&json!({ "format": FORMAT }), &json!({ "settings": { "http": settings } }));
    let post = "POST /p HTTP/1.1\r\nHost: h\r\n";
    let line = "<POST /p HTTP/1.1>";
    let mut count = 0;
    for (bytes, leaves, entry) in [
        // Refused: the page is counted.
        ("get / HTTP/1.1\r\n\r\n".to_owned(), false, "400 54 - - <->".to_owned()),
        ("GET /a HTTP/2.0\r\n\r\n".to_owned(), false, "505 54 GET - <->".to_owned()),
        ("GET /a HTTP/1.1\r\nbad line\r\n\r\n".to_owned(), false, "400 54 GET /a <->".to_owned()),
        ("HEAD /a HTTP/1.1\r\nbad line\r\n\r\n".to_owned(), false, "400 0 HEAD /a <->".to_owned()),
        (
            format!("GET /a HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000)),
            false,
            "431 54 GET /a <->".to_owned(),
        ),
        // The head was whole.
        (
            "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(),
            false,
            "400 54 GET /a <GET /a HTTP/1.1>".to_owned(),
        ),
        (format!("{post}Content-Length: 11\r\n\r\n"), false, format!("413 54 POST /p {line}")),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n"),
            false,
            format!("411 54 POST /p {line}"),
        ),
        // The client left: nothing was sent.
        ("GE".to_owned(), true, "400 0 GE - <->".to_owned()),
        ("GET /a".to_owned(), true, "400 0 GET - <->".to_owned()),
        ("GET /a HTTP/1.1\r\nHos".to_owned(), true, "400 0 GET /a <->".to_owned()),
        ("\r\n\r\n".to_owned(), true, "400 0 - - <->".to_owned()),
        (format!("{post}Content-Length: 5\r\n\r\nabc"), true, format!("400 0 POST /p {line}")),
        (
            format!("{post}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
            true,
            format!("400 0 POST /p {line}"),
        ),
        // It waits for longer than we do.
        ("GET /a HTTP/1.1\r\nHos".to_owned(), false, "408 54 GET /a <->".to_owned()),
        (format!("{post}Content-Length: 5\r\n\r\nabc"), false, format!("408 54 POST /p {line}")),
        (
            format!("{post}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
            false,
            format!("408 54 POST /p {line}"),
        ),
    ] {
        let mut connection = Connection::tcp(logging.port);
        connection.send(bytes.as_bytes()).unwrap();
        if leaves {
            connection.finish_sending().unwrap();
        }
        connection.read_to_end().unwrap();
        count += 1;
        assert_eq!(logging.entries(count)[count - 1], entry, "{bytes:?}");
    }
}

#[test]
fn connections_without_a_request_are_not_logged() {
    let logging = Logging::with(
        &json!({ "format": FORMAT }),
        &json!({ "settings": { "http": { "idle_timeout": 1 } } }),
    );
    drop(Connection::tcp(logging.port));
    let mut late = Connection::tcp(logging.port);
    let mut second = Connection::tcp(logging.port);
    second.get("/one");
    for connection in [&mut late, &mut second] {
        let answer = connection.read_to_end().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    }
    // Nor is what reaches an address that is no longer served.
    logging.unitd.put("/config/settings/http", json!({})).expect_success();
    let mut idle = Connection::tcp(logging.port);
    idle.get("/two");
    logging.unitd.put("/config/listeners", json!({})).expect_success();
    idle.send(&request("GET", "/three", &[], b"")).unwrap();
    let answer = idle.read_to_end().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(logging.entries(2).len(), 2);
    assert_eq!(logging.unitd.status("/requests/total"), 2);
}

#[test]
fn the_control_api_is_not_logged() {
    let logging = Logging::with(&json!({}), &json!({}));
    for _ in 0..5 {
        logging.unitd.get("/config");
        logging.unitd.get("/status");
    }
    Connection::tcp(logging.port).ask(&request("GET", "/x", &["Connection: close"], b""));
    assert!(logging.entries(1)[0].contains("GET /x"));
}

/// Whoever gives up first, the entry tells what was sent until then.
#[test]
fn answers_that_are_cut_short_are_logged_as_far_as_they_came() {
    need_python!();
    let logging = Logging::with_everything(
        &json!("$uri $status $body_bytes_sent"),
        &json!({ "send_timeout": 1 }),
    );
    let sent = |entry: &str, start: &str| -> u64 {
        let rest = entry.strip_prefix(start).unwrap_or_else(|| panic!("{entry}"));
        rest.parse().unwrap()
    };
    // The client takes nothing for longer than the timeout.
    for (at, target) in ["/large", "/stream"].into_iter().enumerate() {
        let mut slow = Connection::tcp(logging.port);
        slow.send(&request("GET", &format!("{target}?size=200000000"), &[], b"")).unwrap();
        let entry = logging.entries(at + 1).remove(at);
        let octets = sent(&entry, &format!("{target} 200 "));
        assert!((1..200_000_000).contains(&octets), "{entry}");
        let head = slow.read_head().unwrap();
        let received = slow.read_to_end().unwrap();
        assert_eq!(received.len() as u64, octets, "{}", head.head);
    }
    // The client leaves.
    for (at, target) in ["/large", "/stream"].into_iter().enumerate() {
        let mut leaving = Connection::tcp(logging.port);
        leaving.send(&request("GET", &format!("{target}?size=200000000"), &[], b"")).unwrap();
        leaving.read_head().unwrap();
        drop(leaving);
        let entry = logging.entries(at + 3).remove(at + 2);
        assert!(sent(&entry, &format!("{target} 200 ")) < 200_000_000, "{entry}");
    }
    // The application fails, before and after its head.
    let mut connection = Connection::tcp(logging.port);
    connection.get("/raise");
    assert_eq!(logging.entries(5)[4], "/raise 503 54");
    connection.send(&request("GET", "/raise-after-body", &[], b"")).unwrap();
    let all = connection.read_to_end().unwrap();
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(logging.entries(6)[5], format!("/raise-after-body 200 {}", all.len() - end));
    // It promised more than it has.
    let mut connection = Connection::tcp(logging.port);
    connection.send(&request("GET", "/too-short", &[], b"")).unwrap();
    connection.read_to_end().unwrap();
    assert_eq!(logging.entries(7)[6], "/too-short 200 3");
}

/// A client that leaves while its request is with the application is not noticed until the answer.
#[test]
fn a_request_is_logged_when_it_has_ended_and_not_before() {
    need_python!();
    let logging = Logging::with_everything(&json!("$uri $status"), &json!({}));
    let file = logging.unitd.text_path("go");
    let mut connection = Connection::tcp(logging.port);
    connection.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    blackbox::wait_until("it began", super::LIMIT, || {
        std::fs::read_dir(logging.unitd.directory())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_str().unwrap().starts_with("go."))
    });
    assert_eq!(logging.text(), "");
    std::fs::write(&file, "").unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
    assert_eq!(logging.entries(1), ["/wait 200"]);
}

/// What was answered is in the file when the daemon has gone, whichever way it is stopped.
#[test]
fn stopping_loses_no_entry() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGQUIT, Signal::SIGTERM] {
        let mut logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
        let mut connections: Vec<Connection> =
            (0..20).map(|_| Connection::tcp(logging.port)).collect();
        for connection in &mut connections {
            connection.get("/x");
        }
        drop(connections);
        logging.unitd.stop_by(signal, Duration::from_secs(15));
        assert_eq!(logging.text().lines().count(), 20);
    }
}
