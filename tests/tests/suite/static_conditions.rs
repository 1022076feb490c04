//! Conditional requests for files: what is asked about the version that the client has.

use std::fs;
use std::time::{Duration, SystemTime};

use blackbox::{Connection, Response, Unitd, request};
use serde_json::{Value, json};

/// The file is of Sun, 09 Sep 2001 01:46:40 GMT and has these marks.
const MODIFIED: u64 = 1_000_000_000;
const TAG: &str = "\"3b9aca00-a\"";
const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";

/// A daemon that shares a file of ten bytes, with more members in the action.
fn sharing(more: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let path = unitd.write("www/file.txt", "0123456789");
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED);
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    let mut action = json!({ "share": format!("{}$uri", unitd.text_path("www")) });
    action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/returned" }, "action": { "return": 200 } },
            { "action": action },
        ],
    }));
    (unitd, port)
}

/// Asks with GET and with HEAD, which say the same.
#[track_caller]
fn ask(connection: &mut Connection, fields: &[&str]) -> Response {
    let get = connection.ask(&request("GET", "/file.txt", fields, b""));
    connection.send(&request("HEAD", "/file.txt", fields, b"")).unwrap();
    let head = connection.read_head().unwrap();
    let without_date = |response: &Response| {
        let fields = response.fields.iter().filter(|(name, _)| name != "Date");
        (response.status, fields.cloned().collect::<Vec<_>>())
    };
    assert_eq!(without_date(&head), without_date(&get), "{fields:?}");
    get
}

#[test]
fn preconditions_decide_between_200_304_and_412() {
    let (_unitd, port) = sharing(&json!({}));
    let mut connection = Connection::tcp(port);
    let since = "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT";
    let since_before = "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT";
    let unmodified = "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT";
    let unmodified_before = "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT";
    for (fields, status) in [
        (&["If-None-Match: \"3b9aca00-a\""][..], 304),
        (&["If-None-Match: W/\"3b9aca00-a\""], 304),
        (&["If-None-Match: \"x\", \"3b9aca00-a\""], 304),
        (&["If-None-Match: \"x\"", "If-None-Match: \"3b9aca00-a\""], 304),
        (&["If-None-Match: *"], 304),
        (&["If-None-Match: \"x\""], 200),
        (&["If-None-Match: 3b9aca00-a"], 200),
        (&[since], 304),
        (&["If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT"], 304),
        (&["If-Modified-Since: Sun Sep  9 01:46:40 2001"], 304),
        (&["If-Modified-Since: Mon, 10 Sep 2001 01:46:40 GMT"], 304),
        (&[since_before], 200),
        (&["If-Modified-Since: the other day"], 200),
        (&[since, since], 200),
        (&["If-Match: *"], 200),
        (&["If-Match: \"3b9aca00-a\""], 200),
        (&["If-Match: W/\"3b9aca00-a\""], 412),
        (&["If-Match: \"x\""], 412),
        (&[unmodified], 200),
        (&[unmodified_before], 412),
        (&["If-Unmodified-Since: the other day"], 200),
        // The order of RFC 9110, 13.2.2.
        (&["If-Match: \"3b9aca00-a\"", unmodified_before], 200),
        (&["If-Match: \"x\"", unmodified], 412),
        (&["If-Match: \"x\"", "If-None-Match: *"], 412),
        (&["If-Match: *", "If-None-Match: *"], 304),
        (&["If-None-Match: \"x\"", since], 200),
        (&["If-None-Match: *", since_before], 304),
        (&[unmodified_before, since], 412),
        // Ranges come after that.
        (&["If-None-Match: *", "Range: bytes=0-0"], 304),
        (&["If-Match: \"x\"", "Range: bytes=0-0"], 412),
        (&["If-None-Match: *", "Range: bytes=10-"], 304),
    ] {
        let response = ask(&mut connection, fields);
        assert_eq!(response.status, status, "{fields:?}");
        let field = |name| response.field(name);
        match status {
            200 => assert_eq!(response.text(), "0123456789"),
            304 => {
                assert_eq!((field("ETag"), field("Last-Modified")), (Some(TAG), Some(DATE)));
                assert!(field("Date").is_some() && field("Server").is_some());
                for absent in
                    ["Content-Type", "Content-Length", "Transfer-Encoding", "Content-Range"]
                {
                    assert_eq!(field(absent), None, "{fields:?}");
                }
            }
            _ => {
                let page = "<!DOCTYPE html><title>Error 412</title><p>Error 412.\r\n";
                assert_eq!(response.text(), page);
                assert_eq!(field("Content-Type"), Some("text/html"));
            }
        }
    }
    assert_eq!(connection.get("/file.txt").text(), "0123456789");
}

#[test]
fn only_what_would_be_200_has_preconditions() {
    let (unitd, port) = sharing(&json!({}));
    fs::create_dir(unitd.path("www/directory")).unwrap();
    let mut connection = Connection::tcp(port);
    for fields in [&["If-None-Match: *"][..], &["If-Match: \"x\""], &["Range: bytes=0-0"]] {
        for (method, target, status) in [
            ("GET", "/none", 404),
            ("GET", "/directory", 301),
            ("GET", "/directory/", 404),
            ("GET", "/returned", 200),
            ("POST", "/file.txt", 405),
            ("PUT", "/file.txt", 405),
        ] {
            let response = connection.ask(&request(method, target, fields, b""));
            assert_eq!(response.status, status, "{method} {target} {fields:?}");
            assert_eq!(response.field("Accept-Ranges"), None, "{method} {target} {fields:?}");
        }
    }
}

#[test]
fn response_headers_are_those_of_a_success() {
    let (_unitd, port) = sharing(&json!({ "response_headers": {
        "Cache-Control": "max-age=60",
        "X-Status": "$response_header_etag $response_header_content_length",
        "Last-Modified": null,
    } }));
    let mut connection = Connection::tcp(port);
    let known = connection.ask(&request("GET", "/file.txt", &["If-None-Match: *"], b""));
    assert_eq!(known.status, 304);
    assert_eq!(known.field("Cache-Control"), Some("max-age=60"));
    assert_eq!(known.field("Last-Modified"), None);
    assert!(known.field("X-Status").unwrap().starts_with(TAG), "{}", known.head);
    let failed = connection.ask(&request("GET", "/file.txt", &["If-Match: \"x\""], b""));
    assert_eq!((failed.status, failed.field("Cache-Control")), (412, None));
}

#[test]
fn a_client_of_http_1_0_is_told_as_well() {
    let (_unitd, port) = sharing(&json!({}));
    let mut connection = Connection::tcp(port);
    let fields = format!("If-None-Match: {TAG}\r\nConnection: keep-alive\r\n");
    connection.send(format!("GET /file.txt HTTP/1.0\r\n{fields}\r\n").as_bytes()).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 304);
    connection.expect_close();
}

/// What is going to be refused for another reason has no preconditions either.
#[test]
fn a_representation_that_is_not_acceptable_has_no_preconditions() {
    let (unitd, port) = sharing(&json!({}));
    let compression = json!({ "compressors": [{ "encoding": "gzip" }] });
    unitd
        .put("/config/settings", json!({ "http": { "compression": compression } }))
        .expect_success();
    let mut connection = Connection::tcp(port);
    for condition in ["If-None-Match: *", "If-Match: \"x\"", "Range: bytes=10-"] {
        let fields = ["Accept-Encoding: identity;q=0", condition];
        let response = connection.ask(&request("GET", "/file.txt", &fields, b""));
        assert_eq!(response.status, 406, "{condition}");
    }
}

/// A fallback answers for what is not there, not for what the client has or does not want.
#[test]
fn the_fallback_is_for_missing_files_only() {
    let (_unitd, port) = sharing(&json!({ "fallback": { "return": 204 } }));
    let mut connection = Connection::tcp(port);
    for (fields, target, status) in [
        (&["If-None-Match: *"][..], "/file.txt", 304),
        (&["If-Match: \"x\""], "/file.txt", 412),
        (&["Range: bytes=10-"], "/file.txt", 416),
        (&["If-Match: \"x\""], "/none", 204),
        (&["Range: bytes=10-"], "/none", 204),
    ] {
        let response = connection.ask(&request("GET", target, fields, b""));
        assert_eq!(response.status, status, "{fields:?} {target}");
    }
}
