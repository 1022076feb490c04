//! Section 1: what is on the wire.

use std::time::Duration;

use blackbox::{Connection, Place, Unitd, request};

use super::ask;

/// What a row expects of an answer: its status, and the detail where it is an error.
type Expected = (u16, Option<&'static str>);

const OK: Expected = (200, None);

/// A request, and what comes of it.
fn rows() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let malformed = (400, Some("The request line is malformed."));
    let fields = (400, Some("The header fields are malformed."));
    let length = (400, Some("The Content-Length field is invalid."));
    let row = |what, text: &str, expected| (what, text.as_bytes().to_vec(), expected);
    let head = |field: &str| format!("GET /config HTTP/1.1\r\n{field}\r\n\r\n");
    let mut rows = vec![
        row("HTTP/1.1", "GET /config HTTP/1.1\r\n\r\n", OK),
        row("HTTP/1.0: the answer is 1.1 still", "GET /config HTTP/1.0\r\n\r\n", OK),
        row("line feeds alone", "GET /config HTTP/1.1\n\n", OK),
        row("no Host is needed", &head("Accept: */*"), OK),
        row("any Host", &head("Host: !!! not examined"), OK),
        row("any Content-Type", &head("Content-Type: text/plain"), OK),
        row("unknown fields", &head("X-Y: z\r\nX-Y: z"), OK),
        row("a query is ignored", "GET /config?a=b&%zz HTTP/1.1\r\n\r\n", OK),
        row("a fragment is ignored", "GET /config#x HTTP/1.1\r\n\r\n", OK),
        row("keep-alive is not kept", &head("Connection: keep-alive"), OK),
        // The reference closes without a word on all that follow: a deliberate difference.
        row("lower-case method", "get /config HTTP/1.1\r\n\r\n", malformed),
        row("method with a digit", "G3T /config HTTP/1.1\r\n\r\n", malformed),
        row("method with a colon", "GET: /config HTTP/1.1\r\n\r\n", malformed),
        row("no method", " /config HTTP/1.1\r\n\r\n", malformed),
        row("no target", "GET\r\n\r\n", malformed),
        row("no version", "GET /config\r\n\r\n", malformed),
        row(
            "version 2",
            "GET /config HTTP/2.0\r\n\r\n",
            (400, Some("The HTTP version is not supported.")),
        ),
        row("version in lower case", "GET /config http/1.1\r\n\r\n", malformed),
        row("version cut short", "GET /config HTTP/1\r\n\r\n", malformed),
        row("no colon in a field", &head("Host"), fields),
        row("blank before a colon", &head("Host : a"), fields),
        row("a null in a field name", &head("Ho\0st: a"), fields),
        row(
            "bad escape",
            "GET /config/%zz HTTP/1.1\r\n\r\n",
            (400, Some("The request target has a malformed percent sequence.")),
        ),
        row(
            "escape cut short",
            "GET /config/%2 HTTP/1.1\r\n\r\n",
            (400, Some("The request target has a malformed percent sequence.")),
        ),
        row(
            "null in the path",
            "GET /config/%00 HTTP/1.1\r\n\r\n",
            (400, Some("The request target has a zero byte.")),
        ),
        row(
            "no slash",
            "GET config HTTP/1.1\r\n\r\n",
            (400, Some("The request target must begin with a slash (/).")),
        ),
        row(
            "above the root",
            "GET /../config HTTP/1.1\r\n\r\n",
            (400, Some("The request target leads above the root.")),
        ),
        row("length is no number", &head("Content-Length: two"), length),
        row("length is signed", &head("Content-Length: +2"), length),
        row("length is negative", &head("Content-Length: -1"), length),
        row("length is a fraction", &head("Content-Length: 2.0"), length),
        row("length is empty", &head("Content-Length:"), length),
        row("two lengths", &head("Content-Length: 2\r\nContent-Length: 2"), length),
        row(
            "length over the limit",
            &head("Content-Length: 268435457"),
            (413, Some("At most 268435456 bytes are accepted.")),
        ),
        row(
            "length beyond all numbers",
            &head("Content-Length: 99999999999999999999"),
            (413, Some("At most 268435456 bytes are accepted.")),
        ),
        row(
            "chunked and a length",
            &head("Transfer-Encoding: chunked\r\nContent-Length: 2"),
            (400, Some("The Transfer-Encoding field is invalid.")),
        ),
        row(
            "another coding",
            &head("Transfer-Encoding: gzip"),
            (400, Some("The Transfer-Encoding field is invalid.")),
        ),
    ];
    let put =
        |more: &str, body: &str| format!("PUT /config HTTP/1.1\r\n{more}\r\n{body}").into_bytes();
    rows.extend([
        ("a body of the length", put("Content-Length: 2\r\n", "{}"), OK),
        ("a body without a length", put("", "{}"), OK),
        // The reference takes what is beyond the length into the body: a deliberate difference.
        ("more than the length", put("Content-Length: 2\r\n", "{}trailing"), OK),
        // The reference reads the framing as text: a deliberate difference.
        (
            "a chunked body",
            put("Transfer-Encoding: chunked\r\n", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
            OK,
        ),
        (
            "a malformed chunk",
            put("Transfer-Encoding: chunked\r\n", "x\r\n"),
            (400, Some("The chunked body is malformed.")),
        ),
    ]);
    // The head may have 16 KiB; the reference has 1 KiB and closes without a word.
    let fixed = "GET /config HTTP/1.1\r\nX: \r\n\r\n".len();
    let long = |len: usize| head(&format!("X: {}", "x".repeat(len - fixed))).into_bytes();
    rows.extend([
        ("a head of 1025 bytes", long(1025), OK),
        ("a head of 16 KiB", long(16 * 1024), OK),
        (
            "a head of 16 KiB and a byte",
            long(16 * 1024 + 1),
            (400, Some("The request headers are too long.")),
        ),
        (
            "a head that does not end",
            vec![b'A'; 20 * 1024],
            (400, Some("The request headers are too long.")),
        ),
    ]);
    rows
}

#[test]
fn requests_and_what_comes_of_them() {
    let unitd = Unitd::start();
    let rows = rows();
    for (what, bytes, (status, detail)) in &rows {
        let response = ask(&unitd, bytes);
        assert_eq!(response.status, *status, "{what}: {}", response.text());
        let said = response.json();
        if let Some(detail) = detail {
            let title =
                if *status == 413 { "Request body is too large." } else { "Invalid request." };
            assert_eq!(said, serde_json::json!({ "error": title, "detail": detail }), "{what}");
        } else {
            assert!(said.get("error").is_none(), "{what}: {said}");
        }
    }
    assert_eq!(rows.len(), 46, "the number of rows");
    // What the log says of those that the reference logs.
    for line in [
        "parsing error",
        "too long request headers",
        "Content-Length is invalid",
        "Content-Length is too big",
    ] {
        unitd.log().wait(&format!(r"\[error\].* {line}"));
    }
}

#[test]
fn requests_arrive_in_any_pieces() {
    let unitd = Unitd::start();
    let bytes = request("PUT", "/config", &["X-Y: z"], b"{\"routes\":[]}");
    for size in [1, 2, 7, 40] {
        let mut connection = Connection::unix(&unitd.control_socket());
        for piece in bytes.chunks(size) {
            connection.send(piece).unwrap();
        }
        assert_eq!(connection.read_response().unwrap().status, 200, "pieces of {size}");
    }
    assert_eq!(unitd.get("/config").text, "{\r\n\t\"routes\": []\r\n}\r\n");
}

#[test]
fn a_client_that_waits_for_a_word_gets_it() {
    let unitd = Unitd::start();
    let mut connection = Connection::unix(&unitd.control_socket());
    connection
        .send(b"PUT /config HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .unwrap();
    assert_eq!(connection.read_head().unwrap().status, 100);
    connection.send(b"{}").unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
    connection.expect_close();
    // An older client knows no such word.
    let body = b"PUT /config HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(ask(&unitd, body).status, 200);
}

#[test]
fn a_second_request_gets_no_answer() {
    let unitd = Unitd::start();
    let two =
        [request("GET", "/config", &[], b""), request("DELETE", "/config", &[], b"")].concat();
    assert_eq!(ask(&unitd, &two).status, 200);
    assert!(unitd.config("").get("routes").is_some(), "the second was carried out");
}

#[test]
fn the_api_answers_over_tcp_as_well() {
    let place = Place::new();
    let port = place.port();
    let address = format!("127.0.0.1:{port}");
    let place = place.with_options(&["--control", &address]);
    let mut main = place.command().spawn().unwrap();
    blackbox::wait_until("the port answers", Duration::from_secs(30), || {
        Connection::try_tcp(port).is_ok_and(|mut connection| {
            connection.exchange(&request("GET", "/config", &[], b"")).is_ok()
        })
    });
    let response = Connection::tcp(port).ask(&request("PUT", "/config", &[], b"{}"));
    assert_eq!(response.status, 200, "{}", response.text());
    super::expect_head(&response);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(main.id().try_into().unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert!(main.wait().unwrap().success());
}
