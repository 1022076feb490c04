//! The route log: the way of a request, told step by step when it is wanted.

use std::time::Duration;

use blackbox::{Connection, Log, Unitd, request, wait_until};
use serde_json::json;

/// Levels and texts of what was logged for connections since a mark.
fn told(log: &Log, mark: usize) -> Vec<String> {
    let pattern = regex::Regex::new(r"^\S+ \S+ \[(\w+)\] \d+#\d+ \*\d+ (.*)$").unwrap();
    let text = log.text_after(mark);
    let lines = text.lines().filter_map(|line| pattern.captures(line));
    lines.map(|found| format!("{} {}", &found[1], &found[2])).collect()
}

#[test]
fn every_step_of_the_way_is_told() {
    let unitd = Unitd::start();
    let (single, named) = (unitd.port(), unitd.port());
    let www = unitd.text_path("www");
    let config = |routes: serde_json::Value, pass: &str| {
        json!({
            "settings": { "http": { "log_route": true } },
            "listeners": {
                format!("127.0.0.1:{single}"): { "pass": pass },
                format!("127.0.0.1:{named}"): { "pass": pass },
            },
            "routes": routes,
        })
    };
    unitd.configure(&config(
        json!([
            { "match": { "uri": "/no" }, "action": { "return": 200 } },
            { "match": { "uri": "/a*", "method": "GET" }, "action": { "rewrite": "/x$uri", "return": 201 } },
            { "match": { "uri": "/a*" }, "action": { "return": 405 } },
        ]),
        "routes",
    ));
    let log = unitd.log();
    for (bytes, lines) in [
        (
            request("GET", "/a%0Ab?c=d", &[], b""),
            &[
                "notice http request line \"GET /a%0Ab?c=d HTTP/1.1\"",
                "info \"routes/0\" discarded",
                "notice \"routes/1\" selected",
                // The log escapes what a path decodes to.
                "notice URI rewritten to \"/x/a\\nb\"",
            ][..],
        ),
        (
            request("POST", "/a", &[], b"body"),
            &[
                "notice http request line \"POST /a HTTP/1.1\"",
                "info \"routes/0\" discarded",
                "info \"routes/1\" discarded",
                "notice \"routes/2\" selected",
            ],
        ),
        (
            request("GET", "/", &[], b""),
            &[
                "notice http request line \"GET / HTTP/1.1\"",
                "info \"routes/0\" discarded",
                "info \"routes/1\" discarded",
                "info \"routes/2\" discarded",
            ],
        ),
    ] {
        let mark = log.len();
        Connection::tcp(single).ask(&bytes);
        assert_eq!(told(&log, mark), lines);
    }
    unitd.configure(&config(
        json!({
            "main": [
                { "match": { "scheme": "https" }, "action": { "return": 200 } },
                { "action": { "pass": "routes/a b" } },
            ],
            "a b": [{ "action": {
                "rewrite": "/1", "share": format!("{www}/none"),
                "fallback": { "rewrite": "/2", "share": format!("{www}/none"), "fallback": { "return": 204 } },
            } }],
        }),
        "routes/main",
    ));
    let mark = log.len();
    assert_eq!(Connection::tcp(named).get("/x").status, 204);
    assert_eq!(
        told(&log, mark),
        [
            "notice http request line \"GET /x HTTP/1.1\"",
            "info \"routes/main/0\" discarded",
            "notice \"routes/main/1\" selected",
            "notice \"routes/a b/0\" selected",
            "notice URI rewritten to \"/1\"",
            "notice \"fallback\" taken",
            "notice URI rewritten to \"/2\"",
            "notice \"fallback\" taken",
        ]
    );
}

#[test]
fn a_request_is_told_of_as_its_beginning_wanted() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 204 } }]));
    let log = unitd.log();
    let mut connection = Connection::tcp(port);
    for (wanted, wanted_later) in [(false, true), (true, false)] {
        let settings = |wanted: bool| json!({ "http": { "log_route": wanted } });
        unitd.put("/config/settings", settings(wanted)).expect_success();
        connection.send(b"GET / HTTP/1.1\r\n").unwrap();
        wait_until("it began", Duration::from_secs(10), || {
            unitd.status("/connections/active") == 1
        });
        unitd.put("/config/settings", settings(wanted_later)).expect_success();
        let mark = log.len();
        connection.send(b"\r\n").unwrap();
        assert_eq!(connection.read_response().unwrap().status, 204);
        let first = told(&log, mark);
        assert_eq!(first.is_empty(), !wanted, "{first:?}");
        let mark = log.len();
        connection.get("/");
        assert_eq!(told(&log, mark).is_empty(), !wanted_later);
    }
}

#[test]
fn a_request_that_is_refused_has_no_way() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 204 } }]));
    unitd.put("/config/settings", json!({ "http": { "log_route": true } })).expect_success();
    let mark = unitd.log().len();
    for bytes in ["bad\r\n\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n"] {
        let mut connection = Connection::tcp(port);
        connection.ask(bytes.as_bytes());
        connection.expect_close();
    }
    assert_eq!(told(&unitd.log(), mark), [] as [&str; 0]);
}
