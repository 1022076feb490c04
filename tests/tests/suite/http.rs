//! HTTP/1 as clients meet it: connections, framing, limits, timeouts, and what is refused.

use std::fmt::Write as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use blackbox::{Connection, Place, Response, Unitd, need_python, request, wait_until};
use serde_json::{Value, json};

/// The body of every error that is made here.
fn error_page(status: u16) -> String {
    format!("<!DOCTYPE html><title>Error {status}</title><p>Error {status}.\r\n")
}

#[track_caller]
fn expect_error(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{}", response.head);
    assert_eq!(response.text(), error_page(status));
    assert_eq!(response.field("Content-Type"), Some("text/html"));
    assert_eq!(response.field("Content-Length"), Some("54"));
}

/// A daemon that answers 200 and nothing, with these settings of `http`.
fn with_settings(settings: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "settings": { "http": settings },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 200 } }],
    }));
    (unitd, port)
}

/// A daemon with the Python application of that name behind a port.
fn with_application(name: &str, settings: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let directory = unitd.application(name);
    unitd.configure(&json!({
        "settings": { "http": settings },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": {
            "app": { "type": "python", "module": name, "path": directory, "processes": 1 },
        },
    }));
    (unitd, port)
}

#[test]
fn the_answer_has_its_fields_in_order() {
    let (_unitd, port) = with_settings(&json!({}));
    let response = Connection::tcp(port).get("/");
    let names: Vec<&str> = response.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(response.status_line(), "HTTP/1.1 200 OK");
    assert_eq!(names, ["Server", "Date", "Content-Length"]);
    assert_eq!(response.field("Server"), Some("Unit/2.0.0"));
    assert_eq!(response.field("Content-Length"), Some("0"));
    assert!(response.field("Date").unwrap().ends_with(" GMT"));
}

#[test]
fn the_version_can_be_kept_back() {
    let (_unitd, port) = with_settings(&json!({ "server_version": false }));
    assert_eq!(Connection::tcp(port).get("/").field("Server"), Some("Unit"));
}

#[test]
fn a_connection_is_kept_until_someone_wants_it_closed() {
    let (_unitd, port) = with_settings(&json!({}));
    let mut connection = Connection::tcp(port);
    for _ in 0..3 {
        assert_eq!(connection.get("/").field("Connection"), None);
    }
    let last = connection.ask(&request("GET", "/", &["Connection: Close"], b""));
    assert_eq!(last.field("Connection"), Some("close"));
    connection.expect_close();
}

#[test]
fn http_1_0_is_closed_unless_it_asks() {
    let (_unitd, port) = with_settings(&json!({}));
    let mut connection = Connection::tcp(port);
    let kept = connection.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(kept.status_line(), "HTTP/1.1 200 OK");
    assert_eq!(kept.field("Connection"), Some("keep-alive"));
    let last = connection.ask(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(last.field("Connection"), None);
    connection.expect_close();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (_unitd, port) = Unitd::with_routes(&json!([
        { "match": { "uri": "/1" }, "action": { "return": 201 } },
        { "match": { "uri": "/2" }, "action": { "return": 404 } },
        { "action": { "return": 202 } },
    ]));
    let mut connection = Connection::tcp(port);
    let mut bytes = Vec::new();
    for round in 0..50 {
        bytes.extend(request("GET", "/1", &[], b""));
        bytes.extend(request("POST", "/2", &[], format!("body {round}").as_bytes()));
        bytes.extend(b"\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    }
    connection.send(&bytes).unwrap();
    for _ in 0..50 {
        for status in [201, 404, 202] {
            assert_eq!(connection.read_response().unwrap().status, status);
        }
    }
}

/// A request cut in two at each of its bytes is the same request.
#[test]
fn n1_a_split_anywhere_changes_nothing() {
    need_python!();
    let (_unitd, port) = with_application("record", &json!({ "chunked_transform": true }));
    let plain = b"POST /a%20b//c/../d?e=f HTTP/1.1\r\nHost: Split.Example:80\r\nX-First:  one \r\n\
                  Content-Length: 10\r\nX-Last: two\r\n\r\n0123456789";
    let chunked = b"POST /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n";
    for bytes in [plain.as_slice(), chunked] {
        let mut connection = Connection::tcp(port);
        let record = |connection: &mut Connection, parts: &[&[u8]]| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    // Long enough for the first part to be read alone, most times.
                    thread::sleep(Duration::from_millis(1));
                }
                connection.send(part).unwrap();
            }
            let mut record = connection.read_response().unwrap().json();
            record.as_object_mut().unwrap().retain(|name, _| name != "pid");
            record
        };
        let whole = record(&mut connection, &[bytes]);
        for at in 1..bytes.len() {
            let parts = record(&mut connection, &[&bytes[..at], &bytes[at..]]);
            assert_eq!(parts, whole, "split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(record(&mut connection, &single), whole, "byte by byte");
    }
}

/// HEAD against every kind of answer, each followed by GET on the same connection.
#[test]
fn n22_head_never_sends_a_body() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let file = unitd.write("www/file.txt", "The file.\n");
    let mut config = json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/return" }, "action": { "return": 200 } },
            { "match": { "uri": "/moved" }, "action": { "return": 301, "location": "/" } },
            { "match": { "uri": "/error" }, "action": { "return": 503 } },
            { "match": { "uri": "/file" }, "action": { "share": file } },
            { "match": { "uri": "/directory" }, "action": { "share": unitd.text_path("www") } },
            { "match": { "uri": "/missing" }, "action": { "share": "/no/such/file" } },
        ],
        "applications": {},
    });
    let mut targets = vec!["/return", "/moved", "/error", "/file", "/directory", "/missing", "/no"];
    if !blackbox::pythons().is_empty() {
        let routes = config["routes"].as_array_mut().unwrap();
        for name in ["hello", "record"] {
            let uri = format!("/{name}");
            routes.push(json!({ "match": { "uri": uri },
                                "action": { "pass": format!("applications/{name}") } }));
        }
        for name in ["hello", "record"] {
            let directory = unitd.application(name);
            config["applications"][name] =
                json!({ "type": "python", "module": name, "path": directory });
        }
        targets.extend(["/hello", "/record"]);
    }
    unitd.configure(&config);
    let mut connection = Connection::tcp(port);
    for target in targets {
        connection.send(&request("HEAD", target, &[], b"")).unwrap();
        let head = connection.read_head().unwrap();
        let get = connection.get(target);
        assert_eq!(head.status, get.status, "{target}");
        assert_eq!(head.field("Connection"), None, "{target}: {}", head.head);
        if target != "/record" {
            assert_eq!(head.field("Content-Length"), get.field("Content-Length"), "{target}");
        }
    }
}

/// The same for answers without a length, answers that fail, and requests that are refused.
#[test]
fn n22_head_of_what_is_streamed_failed_or_refused_has_no_body() {
    need_python!();
    let (_unitd, port) = with_application("tools", &json!({ "max_body_size": 1000 }));
    let mut connection = Connection::tcp(port);
    for (target, status) in [
        ("/stream?size=100000", 200),
        ("/trickle?count=3&pause=0.01", 200),
        ("/write", 200),
        ("/none", 503),
        ("/raise", 503),
        ("/start-error?call=few", 200),
        ("/twice", 201),
    ] {
        connection.send(&request("HEAD", target, &[], b"")).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!(head.status, status, "{target}: {}", head.head);
        assert_eq!(head.field("Connection"), None, "{target}: {}", head.head);
        // What was left of it would be read as the beginning of this.
        let get = connection.get(target);
        assert_eq!(get.status, status, "{target}: {}", get.head);
        assert_eq!(head.status_line(), get.status_line());
    }
    for (bytes, status) in [
        (&b"HEAD / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"[..], 413),
        (b"HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"HEAD / HTTP/1.1\r\nBad Name: x\r\n\r\n", 400),
        (b"HEAD / HTTP/2.0\r\n\r\n", 505),
    ] {
        let mut connection = Connection::tcp(port);
        connection.send(bytes).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!((head.status, head.field("Content-Length")), (status, Some("54")));
        connection.finish_sending().unwrap();
        connection.expect_close();
    }
}

#[test]
fn a_head_that_does_not_come_ends_in_408() {
    let (_unitd, port) = with_settings(&json!({ "header_read_timeout": 1 }));
    let mut connection = Connection::tcp(port);
    connection.send(b"GET / HTTP/1.1\r\nHost: slow").unwrap();
    let response = connection.read_response().unwrap();
    expect_error(&response, 408);
    assert_eq!(response.field("Connection"), Some("close"));
    connection.expect_close();
}

/// The time for a head is not begun again by a byte now and then.
#[test]
fn n20_a_slow_head_is_cut_off() {
    let (_unitd, port) = with_settings(&json!({ "header_read_timeout": 2 }));
    let mut connection = Connection::tcp(port);
    connection.send(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let began = Instant::now();
    while connection.send(b"y").is_ok() && began.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(100));
        if began.elapsed() > Duration::from_secs(4) {
            break;
        }
    }
    let end = String::from_utf8_lossy(&connection.read_to_end().unwrap()).into_owned();
    assert!(end.starts_with("HTTP/1.1 408 Request Timeout\r\n") || end.is_empty(), "{end}");
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_body_that_does_not_come_ends_in_408() {
    let (_unitd, port) = with_settings(&json!({ "body_read_timeout": 1 }));
    let mut connection = Connection::tcp(port);
    connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345").unwrap();
    expect_error(&connection.read_response().unwrap(), 408);
    connection.expect_close();
}

#[test]
fn an_idle_connection_ends_in_the_fixed_answer() {
    let (unitd, port) = with_settings(&json!({ "idle_timeout": 1 }));
    let mut connection = Connection::tcp(port);
    connection.get("/");
    let text = String::from_utf8(connection.read_to_end().unwrap()).unwrap();
    let pattern = "^HTTP/1\\.1 408 Request Timeout\r\nServer: Unit/2\\.0\\.0\r\n\
                   Connection: close\r\nContent-Length: 0\r\nDate: [^\r]+ GMT\r\n\r\n$";
    assert!(regex::Regex::new(pattern).unwrap().is_match(&text), "{text}");
    assert_eq!(unitd.status("/requests/total"), 1);
}

#[test]
fn a_body_over_the_limit_is_413() {
    let (_unitd, port) = with_settings(&json!({ "max_body_size": 1000 }));
    let mut connection = Connection::tcp(port);
    assert_eq!(connection.ask(&request("POST", "/", &[], &[b'x'; 1000])).status, 200);
    // Refused by what is announced, before anything of it was sent.
    connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n").unwrap();
    let response = connection.read_response().unwrap();
    expect_error(&response, 413);
    assert_eq!(response.status_line(), "HTTP/1.1 413 Payload Too Large");
    connection.expect_close();
}

#[test]
fn a_chunked_body_over_the_limit_is_413() {
    let (_unitd, port) =
        with_settings(&json!({ "max_body_size": 1000, "chunked_transform": true }));
    for parts in [[600, 600], [1, 1000], [1001, 1]] {
        let mut connection = Connection::tcp(port);
        connection.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for size in parts {
            let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
            // The answer may be there before all was sent.
            let _ = connection.send(chunk.as_bytes());
            thread::sleep(Duration::from_millis(20));
        }
        let _ = connection.send(b"0\r\n\r\n");
        expect_error(&connection.read_response().unwrap(), 413);
    }
}

#[test]
fn n14_field_names_end_at_255() {
    let (_unitd, port) = with_settings(&json!({}));
    for length in [1, 250, 254, 255] {
        let field = format!("{}: v", "n".repeat(length));
        let response = Connection::tcp(port).ask(&request("GET", "/", &[&field], b""));
        assert_eq!(response.status, 200, "{length}");
    }
    for length in [256, 257, 260, 300, 511, 512, 513] {
        let field = format!("{}: v", "n".repeat(length));
        let response = Connection::tcp(port).ask(&request("GET", "/", &[&field], b""));
        expect_error(&response, 431);
        assert_eq!(response.status_line(), "HTTP/1.1 431 Request Header Fields Too Large");
    }
}

#[test]
fn n14_long_fields_and_targets_arrive_whole() {
    need_python!();
    let size = 100_000;
    let settings = json!({ "large_header_buffer_size": size, "large_header_buffers": 2 });
    let (_unitd, port) = with_application("record", &settings);
    for length in [250, 255, 256, 257, 8190, 8192, 65_530, 65_535, 65_536, 65_537, 65_540] {
        let value = "v".repeat(length);
        let field = format!("X-Long: {value}");
        let record = Connection::tcp(port).ask(&request("GET", "/", &[&field], b"")).json();
        assert_eq!(record["HTTP_X_LONG"].as_str().map(str::len), Some(length));
        assert_eq!(record["HTTP_X_LONG"], value);
        let target = format!("/{}?{}", "p".repeat(length - 1), "q".repeat(20_000));
        let record = Connection::tcp(port).get(&target).json();
        assert_eq!(record["PATH_INFO"].as_str().map(str::len), Some(length));
        assert_eq!(record["QUERY_STRING"].as_str().map(str::len), Some(20_000));
        assert_eq!(record["REQUEST_URI"], target);
    }
    // A method is as long as it likes.
    for length in [250, 255, 256, 260, 1000] {
        let method = "M".repeat(length);
        let record = Connection::tcp(port).ask(&request(&method, "/", &[], b"")).json();
        assert_eq!(record["REQUEST_METHOD"], method);
    }
}

#[test]
fn heads_over_the_limits_are_431() {
    let (_unitd, port) = with_settings(&json!({
        "large_header_buffer_size": 4096, "large_header_buffers": 2,
    }));
    let ask = |bytes: &[u8]| Connection::tcp(port).ask(bytes);
    let host = |length: usize| {
        format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "h".repeat(length)).into_bytes()
    };
    assert_eq!(ask(&host(4095)).status, 200);
    expect_error(&ask(&host(4096)), 431);
    let fields = |count: usize| {
        let field = format!("X: {}", "v".repeat(4000));
        request("GET", "/", &vec![field.as_str(); count], b"")
    };
    assert_eq!(ask(&fields(2)).status, 200);
    expect_error(&ask(&fields(3)), 431);
    // There is no separate limit of a target: never 414.
    let target = format!("/{}", "t".repeat(9000));
    expect_error(&ask(&request("GET", &target, &[], b"")), 431);
}

#[test]
fn chunked_bodies_need_the_option() {
    let chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n0\r\n\r\n";
    let (unitd, port) = with_settings(&json!({}));
    let mut connection = Connection::tcp(port);
    expect_error(&connection.ask(chunked), 411);
    connection.expect_close();
    unitd.put("/config/settings/http/chunked_transform", true).expect_success();
    let mut connection = Connection::tcp(port);
    for _ in 0..3 {
        assert_eq!(connection.ask(chunked).status, 200);
    }
}

#[test]
fn a_chunked_body_reaches_the_application_with_its_length() {
    need_python!();
    let (_unitd, port) = with_application("record", &json!({ "chunked_transform": true }));
    let mut connection = Connection::tcp(port);
    let record = connection
        .ask(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX-After: yes\r\n\r\n\
              5\r\nHello\r\n008\r\n, chunks\r\n0\r\n\r\n",
        )
        .json();
    assert_eq!(record["body"], "Hello, chunks");
    assert_eq!(record["CONTENT_LENGTH"], "13");
    assert_eq!(record["HTTP_X_AFTER"], "yes");
    assert_eq!(record.get("HTTP_TRANSFER_ENCODING"), None);
    // And the connection goes on with the next request.
    assert_eq!(connection.get("/next").json()["PATH_INFO"], "/next");
}

/// Raw requests that two servers could read differently: refused, and nothing after them is read
/// as a request.
#[test]
fn n13_ambiguous_requests_are_refused() {
    let (_unitd, port) = with_settings(&json!({ "chunked_transform": true }));
    let post =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}");
    let length = |value: &str| post(&format!("Content-Length:{value}\r\n"), "x");
    let coding = |fields: &str| post(fields, "0\r\n\r\n");
    let chunks = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let table = [
        (400, post("Content-Length: 1\r\nContent-Length: 1\r\n", "x")),
        (400, post("Content-Length: 1\r\ncontent-length: 2\r\n", "xx")),
        (400, length(" +1")),
        (400, length(" -1")),
        (400, length(" 1, 1")),
        (400, length(" 0x1")),
        (400, length("")),
        (400, length(" 1 1")),
        (400, length(" 9223372036854775808")),
        (400, length(" 18446744073709551617")),
        (400, coding("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
        (400, coding("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
        (400, coding("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
        (501, coding("Transfer-Encoding: gzip\r\n")),
        (501, coding("Transfer-Encoding: gzip, chunked\r\n")),
        (501, coding("Transfer-Encoding: chunked, chunked\r\n")),
        (501, coding("Transfer-Encoding: Chunked\r\n")),
        (501, coding("Transfer-Encoding: identity\r\n")),
        (501, coding("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")),
        (400, coding("Transfer-Encoding : chunked\r\n")),
        (400, coding(" Transfer-Encoding: chunked\r\n")),
        (400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        (400, chunks("1;a=b\r\nx\r\n0\r\n\r\n")),
        (400, chunks("1 \r\nx\r\n0\r\n\r\n")),
        (400, chunks("-1\r\nx\r\n0\r\n\r\n")),
        (400, chunks("0x1\r\nx\r\n0\r\n\r\n")),
        (400, chunks("\r\nx\r\n0\r\n\r\n")),
        (400, chunks("10000000000000000\r\nx\r\n0\r\n\r\n")),
        (400, chunks("1\nx\r\n0\r\n\r\n")),
        (400, chunks("1\r\nxy\r\n0\r\n\r\n")),
        (400, chunks("1\r\nx\r\n0\r\nTrailer: x\r\n\r\n")),
        (400, post("Host: other\r\n", "")),
        (400, post("Host: h\r\n", "")),
        (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n: a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nX y: a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned()),
        (400, "get / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET http://h/ HTTP/1.1\r\n\r\n".to_owned()),
        (400, "CONNECT h:1 HTTP/1.1\r\n\r\n".to_owned()),
        (400, "OPTIONS * HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET /\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1 \r\n\r\n".to_owned()),
        (400, "GET / HTTPS/1.1\r\n\r\n".to_owned()),
        (400, "GET /.. HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET /%00 HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET /%1 HTTP/1.1\r\n\r\n".to_owned()),
        (505, "GET / HTTP/2.0\r\n\r\n".to_owned()),
        (505, "GET / HTTP/0.9\r\n\r\n".to_owned()),
    ];
    for (status, bytes) in table {
        let mut connection = Connection::tcp(port);
        connection.send(bytes.as_bytes()).unwrap();
        // What a smuggler would have sent behind it.
        let _ = connection.send(b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
        let response = connection.read_response().unwrap_or_else(|error| {
            panic!("{error:#} for {bytes:?}");
        });
        assert_eq!(response.status, status, "{bytes:?}");
        assert_eq!(response.text(), error_page(status), "{bytes:?}");
        connection.expect_close();
    }
}

#[test]
fn what_looks_odd_but_is_plain_is_served() {
    need_python!();
    let (_unitd, port) = with_application("record", &json!({ "discard_unsafe_fields": false }));
    let record = |bytes: &[u8]| Connection::tcp(port).ask(bytes).json();
    let odd = record(b"\r\n\n\r\nGET  /a b//./c/../%64?x=%zz HTTP/1.1\nHost:\r\nX_y.z: 1\n\n");
    assert_eq!(odd["PATH_INFO"], "/a b/d");
    assert_eq!(odd["REQUEST_URI"], "/a b//./c/../%64?x=%zz");
    assert_eq!(odd["QUERY_STRING"], "x=%zz");
    assert_eq!(odd["SERVER_NAME"], "localhost");
    // No Host at all, and a minor version of the future.
    assert_eq!(record(b"GET / HTTP/1.7\r\n\r\n")["PATH_INFO"], "/");
    for (target, path) in [
        ("/slash//.//", "/slash/"),
        ("/a/../", "/"),
        ("/%2e%2E/%2F", ""),
        ("/a%2Fb", "/a/b"),
        ("/%25%23%3F", "/%#?"),
        ("/...", "/..."),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a#b?c", "/a"),
        ("/+", "/+"),
    ] {
        let response = Connection::tcp(port).get(target);
        if path.is_empty() {
            assert_eq!(response.status, 400, "{target}");
        } else {
            assert_eq!(response.json()["PATH_INFO"], path, "{target}");
        }
    }
}

#[test]
fn unsafe_fields_are_dropped_unless_wanted() {
    need_python!();
    let (unitd, port) = with_application("record", &json!({}));
    let fields = ["X_Under: 1", "X.Dot: 1", "X-Dash: 1"];
    let bytes = request("GET", "/", &fields, b"");
    let record = Connection::tcp(port).ask(&bytes).json();
    assert_eq!(record["HTTP_X_DASH"], "1");
    assert_eq!(record.get("HTTP_X_UNDER"), None);
    unitd.put("/config/settings/http/discard_unsafe_fields", false).expect_success();
    let record = Connection::tcp(port).ask(&bytes).json();
    assert_eq!(record["HTTP_X_UNDER"], "1");
}

/// curl waits a second for the interim answer before it sends a body.
#[test]
fn n21_expect_100_continue_is_answered_at_once() {
    let (_unitd, port) = with_settings(&json!({}));
    // The machine may be busy: the quickest of some counts.
    let quickest = (0..5)
        .map(|_| {
            let mut connection = Connection::tcp(port);
            let began = Instant::now();
            connection
                .send(
                    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\
                      Expect: 100-continue\r\n\r\n",
                )
                .unwrap();
            let interim = connection.read_head().unwrap();
            let took = began.elapsed();
            assert_eq!(interim.status_line(), "HTTP/1.1 100 Continue");
            connection.send(b"12345").unwrap();
            assert_eq!(connection.read_response().unwrap().status, 200);
            took
        })
        .min()
        .unwrap();
    assert!(quickest < Duration::from_millis(500), "{quickest:?}");
}

#[test]
fn n21_curl_uploads_without_waiting() {
    let Some(curl) = blackbox::program("curl") else {
        blackbox::skip!("no curl");
    };
    let (unitd, port) = with_settings(&json!({}));
    let file = unitd.write("upload", vec![b'u'; 2 << 20]);
    let quickest = (0..5)
        .map(|_| {
            let began = Instant::now();
            let status = Command::new(&curl)
                .args(["--silent", "--output", "/dev/null", "--max-time", "30", "--fail"])
                .args(["-H", "Expect: 100-continue", "--data-binary", &format!("@{file}")])
                .arg(format!("http://127.0.0.1:{port}/"))
                .status()
                .unwrap();
            assert!(status.success(), "{status}");
            began.elapsed()
        })
        .min()
        .unwrap();
    assert!(quickest < Duration::from_millis(500), "{quickest:?}");
}

#[test]
fn a_refused_body_is_not_asked_for() {
    let (_unitd, port) = with_settings(&json!({ "max_body_size": 10 }));
    let mut connection = Connection::tcp(port);
    connection
        .send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
        .unwrap();
    expect_error(&connection.read_response().unwrap(), 413);
}

#[test]
fn many_clients_at_once_get_their_own_answers() {
    need_python!();
    let (_unitd, port) = with_application("record", &json!({}));
    thread::scope(|scope| {
        for client in 0..20 {
            scope.spawn(move || {
                let mut connection = Connection::tcp(port);
                for round in 0..25 {
                    let body = format!("{client}/{round}").repeat(1 + (client * round) % 700);
                    let bytes = request("POST", &format!("/{client}"), &[], body.as_bytes());
                    let record = connection.ask(&bytes).json();
                    assert_eq!(record["body"], body);
                    assert_eq!(record["PATH_INFO"], format!("/{client}"));
                }
            });
        }
    });
}

#[test]
fn n5_requests_of_every_kind_leave_no_descriptor() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let file = unitd.write("www/file.txt", "The file.\n");
    unitd.configure(&json!({
        "settings": { "http": { "max_body_size": 100_000, "body_buffer_size": 1000 } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/file" }, "action": { "share": file } },
            { "match": { "uri": "/no" }, "action": { "share": "/no/such" } },
            { "match": { "uri": "/directory" }, "action": { "share": unitd.text_path("www") } },
            { "action": { "return": 200 } },
        ],
    }));
    let router = unitd.role("router");
    let large = vec![b'x'; 50_000];
    let kinds = [
        request("GET", "/", &[], b""),
        request("GET", "/file", &[], b""),
        request("GET", "/no", &[], b""),
        request("GET", "/directory", &[], b""),
        request("POST", "/file", &[], &large),
        request("POST", "/", &[], &large),
        request("GET", "/%", &[], b""),
        request("HEAD", "/file", &["Connection: close"], b""),
        b"POST / HTTP/1.1\r\nContent-Length: 100001\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
    ];
    let round = || {
        for bytes in &kinds {
            let mut connection = Connection::tcp(port);
            connection.send(bytes).unwrap();
            connection.read_head().unwrap();
            // A client that leaves in the middle of its request as well.
            connection.send(b"POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\nabc").ok();
        }
    };
    round();
    let closed =
        || unitd.status("/connections/active") == 0 && unitd.status("/connections/idle") == 0;
    wait_until("all connections are closed", Duration::from_secs(30), closed);
    let before = router.descriptors();
    for _ in 0..100 {
        round();
    }
    wait_until("all connections are closed", Duration::from_secs(30), closed);
    wait_until("the descriptors are as before", Duration::from_secs(30), || {
        router.descriptors() <= before
    });
}

/// Clients that connect and say nothing, or close their half and leave it at that.
#[test]
fn n9_silent_and_half_closed_connections_cost_no_time() {
    let (unitd, port) = with_settings(&json!({}));
    let router = unitd.role("router");
    let mut open = Vec::new();
    for at in 0..600 {
        let mut connection = Connection::tcp(port);
        match at % 3 {
            0 => connection.send(b"GET / HT").unwrap(),
            1 => connection.finish_sending().unwrap(),
            _ => {
                connection.get("/");
                connection.finish_sending().unwrap();
            }
        }
        open.push(connection);
    }
    // Those that closed their half are let go; nobody keeps them for ever.
    wait_until("the half-closed ones are gone", Duration::from_secs(30), || {
        unitd.status("/connections/active").as_u64().unwrap()
            + unitd.status("/connections/idle").as_u64().unwrap()
            <= 200
    });
    let before = router.cpu_ticks();
    let began = Instant::now();
    thread::sleep(Duration::from_secs(1));
    let used = router.cpu_ticks() - before;
    let passed = began.elapsed().as_millis() / 10;
    assert!(u128::from(used) * 5 < passed, "{used} of {passed} ticks with nothing to do");
    assert_eq!(Connection::tcp(port).get("/").status, 200);
}

#[test]
fn unix_listeners_come_and_go_with_their_file() {
    let unitd = Unitd::start();
    let path = unitd.path("listener.sock");
    let name = format!("unix:{}", path.display());
    unitd.configure(&json!({
        "listeners": { name.as_str(): { "pass": "routes" } },
        "routes": [{ "match": { "source": "unix" }, "action": { "return": 204 } }],
    }));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o666);
    assert_eq!(Connection::unix(&path).get("/").status, 204);
    unitd.clear();
    assert!(!path.exists());
    // A file nobody listens on is in the way, and stays.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    unitd.expect_alert("(98: Address already in use)");
    unitd.expect_alert("failed to apply new conf");
    let config = json!({ "listeners": { name: { "pass": "routes" } }, "routes": [] });
    assert_eq!(unitd.put("/config", config).status, 500);
    assert!(path.exists());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn abstract_sockets_are_listened_on() {
    use std::io::{Read, Write};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};

    let unitd = Unitd::start();
    let name = format!("unit-test-{}", unitd.port());
    unitd.configure(&json!({
        "listeners": { format!("unix:@{name}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 204 } }],
    }));
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut client = UnixStream::connect_addr(&address).unwrap();
    client.set_read_timeout(Some(blackbox::LIMIT)).unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
}

#[test]
fn ipv6_is_listened_on() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        blackbox::skip!("no IPv6 here");
    }
    let place = Place::new();
    let port = place.port();
    let unitd = place.start();
    // Both families on one port: IPv6 takes no IPv4 along.
    unitd.configure(&json!({
        "listeners": {
            format!("[::]:{port}"): { "pass": "routes" },
            format!("*:{port}"): { "pass": "routes" },
        },
        "routes": [
            { "match": { "source": "::1" }, "action": { "return": 206 } },
            { "action": { "return": 204 } },
        ],
    }));
    use std::io::{Read, Write};
    for (address, status) in [(format!("[::1]:{port}"), 206), (format!("127.0.0.1:{port}"), 204)] {
        let mut client = std::net::TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(blackbox::LIMIT)).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{address}: {answer}");
    }
}

#[test]
fn reasons_are_the_ones_of_the_table() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
    let mut expected = String::new();
    let mut seen = String::new();
    for (status, reason) in [
        (0, ""),
        (99, ""),
        (201, "Created"),
        (301, "Moved Permanently"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (418, "I'm a teapot"),
        (419, ""),
        (451, ""),
        (505, "HTTP Version Not Supported"),
        (999, ""),
    ] {
        unitd.put("/config/routes/0/action/return", status).expect_success();
        writeln!(expected, "HTTP/1.1 {status:03} {reason}").unwrap();
        writeln!(seen, "{}", Connection::tcp(port).get("/").status_line()).unwrap();
    }
    assert_eq!(seen, expected);
}

/// N13: what a client takes for an interim answer is never the last word, as it would take the next
/// response for it.
#[test]
fn n13_an_interim_status_ends_no_request() {
    need_python!();
    let (_unitd, port) = with_application("answer", &json!({}));
    let mut connection = Connection::tcp(port);
    for status in ["100", "103", "199"] {
        assert_eq!(connection.get(&format!("/?s={status}+X")).status, 503, "{status}");
        assert_eq!(connection.get("/?b=next").text(), "next", "{status}");
    }
    let (_unitd, port) = Unitd::with_routes(&json!([
        { "match": { "uri": "/100" }, "action": { "return": 100 } },
        { "match": { "uri": "/199" }, "action": { "return": 199 } },
        { "action": { "return": 200 } },
    ]));
    for status in ["100", "199"] {
        let mut connection = Connection::tcp(port);
        let mut both = request("GET", &format!("/{status}"), &[], b"");
        both.extend(request("GET", "/next", &[], b""));
        connection.send(&both).unwrap();
        let head = connection.read_head().unwrap();
        assert!(head.status < 200, "{}", head.head);
        assert_eq!(head.field("Connection"), Some("close"));
        connection.expect_close();
    }
}
