//! Responses compressed: what is, what is not, and that nobody gets another's.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use blackbox::{
    Connection, Process, Response, Unitd, decode, need_python, request, run, wait_until,
};
use serde_json::{Value, json};

const ENCODINGS: [&str; 4] = ["gzip", "deflate", "zstd", "br"];

const LIMIT: Duration = Duration::from_secs(30);

/// All encodings, at levels that cost little.
fn all() -> Value {
    json!({ "compressors": [
        { "encoding": "gzip", "level": 4 },
        { "encoding": "deflate" },
        { "encoding": "zstd" },
        { "encoding": "br", "level": 4 },
    ] })
}

/// A daemon that shares its `www` directory below `/` and has the application below `/app`, if
/// there is a Python, with the configuration of `compression` given.
fn serving(compression: &Value) -> (Unitd, u16) {
    serving_files(compression, &json!({}))
}

fn serving_files(compression: &Value, action: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let mut share = json!({ "share": format!("{}$uri", unitd.text_path("www")) });
    share.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
    let mut config = json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": share }],
        "settings": { "http": { "compression": compression } },
    });
    if !blackbox::pythons().is_empty() {
        let app = json!({ "type": "python", "module": "bodies",
            "path": unitd.application("bodies"), "processes": 2 });
        config["applications"] = json!({ "app": app });
        config["routes"] = json!([
            { "match": { "uri": "/app*" }, "action": { "pass": "applications/app" } },
            { "action": share },
        ]);
    }
    unitd.configure(&config);
    (unitd, port)
}

/// What the application makes of a seed and a length.
fn text(seed: &str, length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + 100);
    let mut at = 0;
    while text.len() < length {
        let line = format!(
            "<p class=\"{seed}\">The line of {seed} with the number {at:08}, and no other.</p>\n"
        );
        text.extend_from_slice(line.as_bytes());
        at += 1;
    }
    text.truncate(length);
    text
}

fn ask(port: u16, target: &str, accept: &str) -> Response {
    let field = format!("Accept-Encoding: {accept}");
    Connection::tcp(port).ask(&request("GET", target, &[&field], b""))
}

/// The body as it was before it was encoded, by what the response says.
#[track_caller]
fn decoded(response: &Response) -> Vec<u8> {
    match response.field("Content-Encoding") {
        None => response.body.clone(),
        Some(encoding) => match decode(encoding, &response.body) {
            Ok(text) => text,
            Err(error) => panic!("{error} in {}", response.head),
        },
    }
}

#[track_caller]
fn expect_plain(response: &Response, text: &[u8]) {
    assert_eq!((response.status, response.field("Content-Encoding")), (200, None));
    assert!(response.body == text, "{}", response.head);
    assert_eq!(response.field("Content-Length"), Some(&*text.len().to_string()));
}

#[track_caller]
fn expect_encoded(response: &Response, encoding: &str, text: &[u8]) {
    assert_eq!(response.field("Content-Encoding"), Some(encoding), "{}", response.head);
    assert_eq!(response.all("Content-Encoding").len(), 1, "{}", response.head);
    assert!(decoded(response) == text, "{}", response.head);
    assert!(response.body.len() < text.len() / 2, "{} octets", response.body.len());
    assert_eq!(response.field("Vary"), None);
}

/// The marks are those of the file as it is, but the tag is weak: these are other octets.
#[track_caller]
fn expect_marks(response: &Response, plain: &Response) {
    for mark in ["Last-Modified", "Content-Type"] {
        assert_eq!(response.field(mark), plain.field(mark), "{mark}");
    }
    let etag = plain.field("ETag").unwrap();
    assert!(etag.starts_with('"'), "{etag}");
    assert_eq!(response.field("ETag"), Some(&*format!("W/{etag}")));
}

/// Sets when a file was changed, in seconds before now.
fn age(path: &str, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn files_are_encoded_whole_with_the_marks_they_had() {
    let (unitd, port) = serving(&all());
    for length in [5, 2000, 100_000, 3_000_000] {
        let text = text("file", length);
        unitd.write("www/page.html", &text);
        let plain = unitd.fetch(port, "/page.html");
        expect_plain(&plain, &text);
        for encoding in ENCODINGS {
            for version in ["1.0", "1.1"] {
                let bytes = format!(
                    "GET /page.html HTTP/{version}\r\nHost: x\r\nAccept-Encoding: {encoding}\r\n\r\n"
                );
                let response = Connection::tcp(port).ask(bytes.as_bytes());
                assert_eq!(response.status, 200);
                assert_eq!(response.field("Content-Encoding"), Some(encoding));
                assert!(decoded(&response) == text, "{encoding} {length}");
                let sent = response.body.len().to_string();
                assert_eq!(response.field("Content-Length"), Some(&*sent));
                assert_eq!(response.field("Transfer-Encoding"), None);
                assert_eq!(response.field("Vary"), None);
                expect_marks(&response, &plain);
                let names: Vec<_> =
                    response.fields.iter().map(|(name, _)| name.as_str()).take(4).collect();
                assert_eq!(names, ["Last-Modified", "ETag", "Content-Type", "Content-Encoding"]);
            }
        }
    }
    assert_eq!(fs::read_dir(unitd.path("tmp")).unwrap().count(), 0, "files without a name");
}

#[test]
fn head_tells_of_the_file_as_it_is() {
    let (unitd, port) = serving(&all());
    unitd.write("www/page.html", text("file", 5000));
    let mut connection = Connection::tcp(port);
    for accept in ["gzip", "identity;q=0"] {
        let field = format!("Accept-Encoding: {accept}");
        connection.send(&request("HEAD", "/page.html", &[&field], b"")).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!((head.status, head.field("Content-Encoding")), (200, None));
        assert_eq!(head.field("Content-Length"), Some("5000"));
    }
    // Nothing but heads has been sent.
    assert_eq!(connection.get("/page.html").body.len(), 5000);
}

#[test]
fn answers_of_applications_are_encoded_as_they_come() {
    need_python!();
    let (_unitd, port) = serving(&all());
    for (length, block) in [(1, 1), (1000, 100_000), (100_000, 1000), (700_000, 70_000)] {
        let text = text("x", length);
        let target = format!("/app?length={length}&block={block}");
        expect_plain(&Connection::tcp(port).get(&target), &text);
        for encoding in ENCODINGS {
            let field = format!("Accept-Encoding: {encoding}");
            let mut connection = Connection::tcp(port);
            for _ in 0..2 {
                let response = connection.ask(&request("GET", &target, &[&field], b""));
                assert_eq!(response.field("Content-Encoding"), Some(encoding));
                assert_eq!(response.field("Transfer-Encoding"), Some("chunked"));
                assert_eq!(response.field("Content-Length"), None);
                assert!(decoded(&response) == text, "{encoding} {length}");
            }
            connection.send(&request("HEAD", &target, &[&field], b"")).unwrap();
            let head = connection.read_head().unwrap();
            assert_eq!((head.status, head.field("Content-Encoding")), (200, None));
            assert_eq!(head.field("Content-Length"), Some(&*length.to_string()));
            assert_eq!(connection.get(&target).body.len(), length, "nothing but a head was sent");

            let bytes = format!(
                "GET {target} HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n{field}\r\n\r\n"
            );
            let mut connection = Connection::tcp(port);
            let response = connection.ask(bytes.as_bytes());
            assert_eq!(response.field("Content-Encoding"), Some(encoding));
            assert_eq!(response.field("Transfer-Encoding"), None);
            assert_eq!(response.field("Content-Length"), None);
            assert!(decoded(&response) == text, "{encoding} {length}");
            connection.expect_close();
        }
    }
}

#[test]
fn every_piece_of_an_application_is_sent_at_once() {
    need_python!();
    let (unitd, port) = serving(&all());
    for encoding in ENCODINGS {
        let gate = unitd.text_path(format!("tmp/gate-{encoding}"));
        let mut connection = Connection::tcp(port);
        let target = format!("/app?length=40000&block=20000&gate={gate}");
        let field = format!("Accept-Encoding: {encoding}");
        connection.send(&request("GET", &target, &[&field], b"")).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!(head.field("Content-Encoding"), Some(encoding));
        // The application does not go on before this has been read.
        let size = connection.read_chunk_size().unwrap();
        let mut body = connection.read_exactly(size).unwrap();
        connection.read_exactly(2).unwrap();
        unitd.write(&format!("tmp/gate-{encoding}"), "");
        body.extend(connection.read_body(&head).unwrap());
        assert!(decode(encoding, &body).unwrap() == text("x", 40_000), "{encoding}");
        fs::remove_file(unitd.path(format!("tmp/gate-{encoding}"))).unwrap();
    }
}

#[test]
fn files_of_applications_are_encoded_too() {
    need_python!();
    let (unitd, port) = serving(&all());
    let file = unitd.text_path("apps/body.html");
    fs::set_permissions(unitd.path("apps"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    for length in [1, 70_000, 2_000_000] {
        let text = text("x", length);
        for encoding in ENCODINGS {
            let response = ask(port, &format!("/app?length={length}&file={file}"), encoding);
            assert_eq!(response.field("Content-Encoding"), Some(encoding));
            assert!(decoded(&response) == text, "{encoding} {length}");
        }
    }
}

#[test]
fn an_answer_that_is_not_whole_is_cut_off() {
    need_python!();
    let (_unitd, port) = serving(&all());
    for encoding in ENCODINGS {
        for more in ["raise=1", "claim=50000"] {
            let target = format!("/app?length=40000&block=20000&{more}");
            let mut connection = Connection::tcp(port);
            let field = format!("Accept-Encoding: {encoding}");
            connection.send(&request("GET", &target, &[&field], b"")).unwrap();
            let head = connection.read_head().unwrap();
            assert_eq!(head.field("Content-Encoding"), Some(encoding));
            let error = connection.read_body(&head).unwrap_err();
            assert!(error.to_string().starts_with("closed after"), "{more}: {error}");
        }
    }
}

#[test]
fn only_what_can_be_encoded_is() {
    need_python!();
    let (_unitd, port) = serving(&all());
    let answer = |more: &str| {
        let target = format!("/app?length=5000&{more}");
        let response = ask(port, &target, "gzip");
        // What is not considered is not refused either.
        let refusing = ask(port, &target, "identity;q=0");
        let is_considered = response.field("Content-Encoding") == Some("gzip");
        assert_eq!(refusing.status == 406, is_considered, "{more}");
        response
    };
    for status in ["200 OK", "201 Created", "404 Not Found", "500 Mistake"] {
        let response = answer(&format!("status={}", status.replace(' ', "%20")));
        assert_eq!(response.field("Content-Encoding"), Some("gzip"), "{status}");
        assert!(response.status_line().contains(&status[..3]));
    }
    for more in [
        "unmeasured=1",
        "untyped=1",
        "status=206%20Partial%20Content",
        "fields=[[%22Content-Range%22,%22bytes%200-4999/9999%22]]",
    ] {
        let response = answer(more);
        assert_eq!(response.field("Content-Encoding"), None, "{more}");
        assert!(response.body == text("x", 5000), "{more}");
    }
    let response = answer("fields=[[%22ETag%22,%22%5C%22a%5C%22%22]]");
    assert_eq!(response.field("ETag"), Some("W/\"a\""));
    let response =
        answer("fields=[[%22content-encoding%22,%22x-own%22],[%22ETag%22,%22%5C%22a%5C%22%22]]");
    assert_eq!(response.field("ETag"), Some("\"a\""), "it is not encoded");
    assert_eq!(response.all("Content-Encoding"), ["x-own"]);
    assert!(response.body == text("x", 5000));
    for status in ["204%20No%20Content", "304%20Not%20Modified"] {
        let response = answer(&format!("status={status}"));
        assert_eq!((response.field("Content-Encoding"), response.body.len()), (None, 0));
    }
    let empty = ask(port, "/app?length=0", "gzip");
    expect_plain(&empty, b"");
}

#[test]
fn types_and_length_decide_first() {
    let mut compression = all();
    compression["types"] = json!(["text/*", "!text/css", "application/json"]);
    compression["compressors"][0]["min_length"] = json!(1000);
    let (unitd, port) = serving(&compression);
    for (name, is_encoded) in [
        ("a.html", true),
        ("a.txt", true),
        ("a.css", false),
        ("a.json", true),
        ("a.png", false),
        ("a.unknown", false),
        ("README", false),
    ] {
        let text = text(name, 5000);
        unitd.write(&format!("www/{name}"), &text);
        let response = ask(port, &format!("/{name}"), "gzip");
        match is_encoded {
            true => expect_encoded(&response, "gzip", &text),
            false => expect_plain(&response, &text),
        }
        let refused = ask(port, &format!("/{name}"), "identity;q=0");
        assert_eq!(refused.status, if is_encoded { 406 } else { 200 }, "{name}");
    }
    for (length, is_encoded) in [(999, false), (1000, true)] {
        let text = text("short", length);
        unitd.write("www/short.html", &text);
        let response = ask(port, "/short.html", "gzip");
        assert_eq!(response.field("Content-Encoding").is_some(), is_encoded, "{length}");
        assert!(decoded(&response) == text);
        let response = ask(port, "/short.html", "zstd");
        assert_eq!(response.field("Content-Encoding"), Some("zstd"), "it has no minimum");
        if !blackbox::pythons().is_empty() {
            let response = ask(port, &format!("/app?length={length}"), "gzip");
            assert_eq!(response.field("Content-Encoding").is_some(), is_encoded, "{length}");
        }
    }
    unitd.write("www/empty.html", "");
    expect_plain(&ask(port, "/empty.html", "identity;q=0"), b"");
    if blackbox::pythons().is_empty() {
        return;
    }
    for (content_type, is_encoded) in [
        ("text/html", true),
        ("TEXT/Html;%20charset=utf-8", true),
        ("application/json", true),
        // The field is compared as it is.
        ("application/json;%20charset=utf-8", false),
        ("text/css", false),
    ] {
        let response = ask(port, &format!("/app?length=5000&type={content_type}"), "gzip");
        assert_eq!(response.field("Content-Encoding").is_some(), is_encoded, "{content_type}");
    }
}

#[test]
fn the_client_chooses() {
    let (unitd, port) = serving(&all());
    let text = text("file", 5000);
    unitd.write("www/page.html", &text);
    let mut targets = vec!["/page.html"];
    if !blackbox::pythons().is_empty() {
        targets.push("/app?length=5000&seed=file");
    }
    for (accept, wanted) in [
        ("", "identity"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd, br;q=0.9, gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.4", "br"),
        ("identity;q=0.9, gzip;q=0.5", "identity"),
        ("GZIP, lzma, compress", "identity"),
        ("gzip;q=2", "identity"),
        ("gzip ; q = 0.5", "gzip"),
        ("gzip, *", "identity"),
        ("gzip;q=0", "identity"),
        ("*;q=0, gzip;q=0.001", "gzip"),
        // Browsers ask for media so.
        ("identity;q=1, *;q=0", "identity"),
        ("identity;q=0, *", "gzip"),
        ("*;q=0", "406"),
        ("identity;q=0", "406"),
        ("identity;q=0, lzma", "406"),
    ] {
        for target in &targets {
            let mut connection = Connection::tcp(port);
            let field = format!("Accept-Encoding: {accept}");
            let response = connection.ask(&request("GET", target, &[&field], b""));
            match wanted {
                "identity" => expect_plain(&response, &text),
                "406" => {
                    assert_eq!(response.status_line(), "HTTP/1.1 406 Not Acceptable");
                    assert!(response.text().contains("Error 406"), "{target}");
                }
                encoding => expect_encoded(&response, encoding, &text),
            }
            // It goes on, whatever became of this one.
            expect_plain(&connection.get(target), &text);
        }
    }
    // Of several fields the first one counts.
    let fields = ["Accept-Encoding: gzip", "Accept-Encoding: identity;q=0"];
    let response = Connection::tcp(port).ask(&request("GET", "/page.html", &fields, b""));
    expect_encoded(&response, "gzip", &text);
}

#[test]
fn what_is_not_configured_is_not_done() {
    let text = text("file", 5000);
    for compression in [json!({}), json!({ "compressors": [] }), json!({ "types": "text/*" })] {
        let (unitd, port) = serving(&compression);
        unitd.write("www/page.html", &text);
        for accept in ["gzip", "identity;q=0"] {
            expect_plain(&ask(port, "/page.html", accept), &text);
        }
    }
    let (unitd, port) = serving(&json!({ "compressors": { "encoding": "gzip" } }));
    unitd.write("www/page.html", &text);
    expect_encoded(&ask(port, "/page.html", "gzip, br;q=0.5"), "gzip", &text);
    expect_plain(&ask(port, "/page.html", "br"), &text);
    assert_eq!(ask(port, "/page.html", "br, identity;q=0").status, 406);
    // It takes effect at once, for connections too that are open.
    let mut connection = Connection::tcp(port);
    let bytes = request("GET", "/page.html", &["Accept-Encoding: gzip"], b"");
    expect_encoded(&connection.ask(&bytes), "gzip", &text);
    unitd.delete("/config/settings/http/compression").expect_success();
    expect_plain(&connection.ask(&bytes), &text);
}

#[test]
fn levels_are_used_and_wrong_ones_told() {
    let gzip = |level: i64| json!({ "compressors": { "encoding": "gzip", "level": level } });
    let (unitd, port) = serving(&gzip(1));
    unitd.write("www/page.html", text("file", 200_000));
    let len = || ask(port, "/page.html", "gzip").body.len();
    let fast = len();
    unitd.put("/config/settings/http/compression", gzip(9)).expect_success();
    let dense = len();
    assert!(dense < fast, "{dense} and {fast}");
    unitd.put("/config/settings/http/compression", gzip(10)).expect_success();
    unitd
        .log()
        .wait(r"\[notice\] .*Overriding invalid compression level for \[gzip\] \[10\] -> \[-1\]");
    let default = len();
    unitd.put("/config/settings/http/compression", gzip(6)).expect_success();
    assert_eq!(len(), default);
}

#[test]
fn answers_of_the_router_itself_are_not_encoded() {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "settings": { "http": { "compression": all() } },
        "routes": [
            { "match": { "uri": "/moved" }, "action": { "return": 301, "location": "/x" } },
            { "action": { "return": 404 } },
        ],
    }));
    for accept in ["gzip", "identity;q=0"] {
        for (target, status) in [("/moved", 301), ("/x", 404)] {
            let response = ask(port, target, accept);
            assert_eq!((response.status, response.field("Content-Encoding")), (status, None));
        }
    }
}

#[test]
fn a_configured_field_says_that_all_is_done() {
    let action = json!({ "response_headers": { "content-encoding": "x-own" } });
    let (unitd, port) = serving_files(&all(), &action);
    let text = text("file", 5000);
    unitd.write("www/page.html", &text);
    for accept in ["gzip", "identity;q=0"] {
        let response = ask(port, "/page.html", accept);
        assert_eq!((response.status, response.field("Content-Encoding")), (200, Some("x-own")));
        assert!(response.body == text);
    }
    let action = json!({ "response_headers": { "X-Seen": "$response_header_content_encoding" } });
    let (unitd, port) = serving_files(&all(), &action);
    unitd.write("www/page.html", &text);
    assert_eq!(ask(port, "/page.html", "gzip").field("X-Seen"), Some("gzip"));
}

#[test]
fn conditions_go_first_and_ranges_are_of_the_file_as_it_is() {
    let (unitd, port) = serving(&all());
    let text = text("file", 5000);
    unitd.write("www/page.html", &text);
    let marks = unitd.fetch(port, "/page.html");
    let etag = marks.field("ETag").unwrap();
    let with =
        |fields: &[&str]| Connection::tcp(port).ask(&request("GET", "/page.html", fields, b""));
    for (accept, matched, failed) in [
        ("Accept-Encoding: gzip", 304, 412),
        // RFC 9110, 13.2.1: what would fail without them fails with them.
        ("Accept-Encoding: identity;q=0", 406, 406),
    ] {
        let response = with(&[accept, &format!("If-None-Match: {etag}")]);
        assert_eq!((response.status, response.field("Content-Encoding")), (matched, None));
        assert_eq!(with(&[accept, "If-Match: \"other\""]).status, failed);
    }
    // RFC 9110, 8.8.3.2: what is sent compressed is the same for a cache, and for nothing else.
    let gzip = "Accept-Encoding: gzip";
    let weak = format!("W/{etag}");
    for tag in [etag, &weak] {
        let response = with(&[gzip, &format!("If-None-Match: {tag}")]);
        assert_eq!((response.status, response.field("ETag")), (304, Some(&*weak)));
        assert_eq!(with(&[gzip, &format!("If-Match: {tag}")]).status, 412, "{tag}");
    }
    assert_eq!(with(&[gzip, "If-Match: *"]).status, 200);
    let part = "Range: bytes=0-9";
    let response = with(&[part, &format!("If-Range: {weak}")]);
    assert_eq!((response.status, response.body == text), (200, true), "none of other octets");
    assert_eq!(with(&[part, &format!("If-Range: {etag}")]).status, 206);
    assert_eq!(with(&[&format!("If-Match: {etag}")]).status, 200);
    assert_eq!(with(&[&format!("If-Match: {weak}")]).status, 412);
    let range = "Range: bytes=0-9";
    let response = with(&["Accept-Encoding: gzip", range]);
    assert_eq!((response.status, response.field("Accept-Ranges")), (200, None));
    expect_encoded(&response, "gzip", &text);
    let response = with(&["Accept-Encoding: gzip, identity", range]);
    assert_eq!((response.status, response.body.as_slice()), (206, &text[..10]));
    assert_eq!(with(&["Accept-Encoding: gzip", "Range: bytes=9000-"]).status, 200);
}

#[test]
fn precompressed_files_are_sent_as_they_are() {
    let (unitd, port) = serving(&all());
    let text = text("file", 5000);
    let original = unitd.write("www/page.html", &text);
    age(&original, 100);
    let plain = unitd.fetch(port, "/page.html");
    for (encoding, suffix) in [("br", "br"), ("zstd", "zst"), ("gzip", "gz")] {
        // Not what it says it is, so that it is known from what would be made.
        let content = format!("compressed by {suffix}");
        let beside = unitd.write(&format!("www/page.html.{suffix}"), &content);
        for seconds in [50, 100] {
            age(&beside, seconds);
            let response = ask(port, "/page.html", encoding);
            assert_eq!((response.status, response.text()), (200, content.clone()));
            assert_eq!(response.field("Content-Encoding"), Some(encoding));
            assert_eq!(response.field("Content-Length"), Some(&*content.len().to_string()));
            expect_marks(&response, &plain);
        }
        // Without being asked for it is not sent.
        expect_plain(&unitd.fetch(port, "/page.html"), &text);
        // An older one may be of an older version.
        age(&beside, 200);
        expect_encoded(&ask(port, "/page.html", encoding), encoding, &text);
        // So may one that is older by less than a second.
        let time = fs::metadata(&original).unwrap().modified().unwrap();
        let set = |time| {
            fs::File::options().write(true).open(&beside).unwrap().set_modified(time).unwrap();
        };
        set(time - Duration::from_nanos(1));
        expect_encoded(&ask(port, "/page.html", encoding), encoding, &text);
        set(time);
        assert_eq!(ask(port, "/page.html", encoding).text(), content);
        unitd.write(&format!("www/page.html.{suffix}"), "");
        expect_encoded(&ask(port, "/page.html", encoding), encoding, &text);
        fs::remove_file(&beside).unwrap();
        fs::create_dir(&beside).unwrap();
        expect_encoded(&ask(port, "/page.html", encoding), encoding, &text);
        fs::remove_dir(&beside).unwrap();
        expect_encoded(&ask(port, "/page.html", encoding), encoding, &text);
        // By itself it is a file like others.
        let beside = unitd.write(&format!("www/page.html.{suffix}"), &content);
        let response = ask(port, &format!("/page.html.{suffix}"), encoding);
        assert_eq!((response.text(), response.field("Content-Encoding")), (content, None));
        fs::remove_file(beside).unwrap();
    }
    // An index has them as well.
    unitd.write("www/index.html", &text);
    unitd.write("www/index.html.gz", "the index");
    assert_eq!(ask(port, "/", "gzip").text(), "the index");
}

#[test]
fn precompressed_files_obey_the_rules_of_their_share() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let www = unitd.text_path("www");
    let text = text("file", 5000);
    age(&unitd.write("www/page.html", &text), 100);
    unitd.write("outside.gz", "outside");
    symlink("../outside.gz", unitd.path("www/page.html.gz")).unwrap();
    let share = |more: Value| {
        let mut action = json!({ "share": format!("{www}$uri") });
        action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        unitd.configure(&json!({
            "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
            "routes": [{ "action": action }],
            "settings": { "http": { "compression": all() } },
        }));
    };
    share(json!({}));
    assert_eq!(ask(port, "/page.html", "gzip").text(), "outside");
    share(json!({ "follow_symlinks": false }));
    expect_encoded(&ask(port, "/page.html", "gzip"), "gzip", &text);
    share(json!({ "chroot": www }));
    expect_encoded(&ask(port, "/page.html", "gzip"), "gzip", &text);
    fs::remove_file(unitd.path("www/page.html.gz")).unwrap();
    unitd.write("www/page.html.gz", "inside");
    for more in [json!({ "follow_symlinks": false }), json!({ "chroot": www })] {
        share(more);
        assert_eq!(ask(port, "/page.html", "gzip").text(), "inside");
    }
}

#[test]
fn a_file_that_changes_is_encoded_anew() {
    let (unitd, port) = serving(&all());
    for round in 0..5 {
        let text = text(&format!("round{round}"), 100_000);
        unitd.write("www/page.html", &text);
        for encoding in ENCODINGS {
            for _ in 0..2 {
                expect_encoded(&ask(port, "/page.html", encoding), encoding, &text);
            }
        }
    }
    // One that has not changed for a while is kept; each is still its own.
    let texts: Vec<_> = (0..6).map(|at| text(&format!("kept{at}"), 50_000)).collect();
    for (at, text) in texts.iter().enumerate() {
        unitd.write(&format!("www/kept{at}.html"), text);
    }
    let settled = Instant::now() + Duration::from_secs(3);
    while Instant::now() < settled {
        for (at, text) in texts.iter().enumerate() {
            let encoding = ENCODINGS[at % 4];
            expect_encoded(&ask(port, &format!("/kept{at}.html"), encoding), encoding, text);
        }
    }
    unitd.write("www/kept0.html", &texts[1]);
    expect_encoded(&ask(port, "/kept0.html", "gzip"), "gzip", &texts[1]);
}

#[test]
fn without_room_the_file_is_sent_as_it_is() {
    let (unitd, port) = serving(&all());
    let text = text("file", 50_000);
    unitd.write("www/page.html", &text);
    // One that was compressed before is had all the time.
    unitd.write("www/kept.html", &text);
    let settled = Instant::now() + Duration::from_secs(4);
    while Instant::now() < settled {
        expect_encoded(&ask(port, "/kept.html", "gzip"), "gzip", &text);
    }
    fs::rename(unitd.path("tmp"), unitd.path("moved")).unwrap();
    unitd.expect_alert("cannot compress files: mkstemp");
    let start = Instant::now();
    for _ in 0..20 {
        expect_plain(&ask(port, "/page.html", "gzip"), &text);
        expect_encoded(&ask(port, "/kept.html", "gzip"), "gzip", &text);
        assert_eq!(ask(port, "/page.html", "gzip, identity;q=0").status, 500);
    }
    // Now and then, not for each request.
    let told = unitd.log().count("cannot compress files");
    let most = 1 + start.elapsed().as_secs() / 10;
    assert!((1..=most).contains(&(told as u64)), "{told} lines");
    fs::rename(unitd.path("moved"), unitd.path("tmp")).unwrap();
    expect_encoded(&ask(port, "/page.html", "gzip"), "gzip", &text);
}

#[test]
fn curl_understands_what_is_sent() {
    if blackbox::program("curl").is_none() {
        blackbox::skip!("curl is not installed");
    }
    let (unitd, port) = serving(&all());
    let text = text("file", 100_000);
    unitd.write("www/page.html", &text);
    let page = unitd.path("page.html");
    let mut curl = std::process::Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--compressed", "--output"])
        .arg(&page)
        .arg(format!("http://127.0.0.1:{port}/page.html"));
    assert!(run(curl).status.success());
    assert!(fs::read(page).unwrap() == text);
}

/// N4: a compressed response holds nothing of another, whatever goes on beside it.
#[test]
fn n4_nobody_gets_octets_of_another() {
    let (unitd, port) = serving(&all());
    let has_python = !blackbox::pythons().is_empty();
    let clients = 24;
    for client in 0..clients {
        let length = 3000 + client * 12_345;
        let text = text(&format!("file{client}"), length);
        unitd.write(&format!("www/{client}.html"), text);
    }
    thread::scope(|scope| {
        for client in 0..clients {
            scope.spawn(move || {
                let mut connection = Connection::tcp(port);
                for round in 0..8 {
                    let encoding = ENCODINGS[(client + round) % 4];
                    let field = format!("Accept-Encoding: {encoding}");
                    let length = 3000 + client * 12_345;
                    let (target, text) = if has_python && round % 2 == 1 {
                        let seed = format!("app{client}-{round}");
                        let target = format!("/app?seed={seed}&length={length}&block=4000");
                        (target, text(&seed, length))
                    } else {
                        (format!("/{client}.html"), text(&format!("file{client}"), length))
                    };
                    let bytes = request("GET", &target, &[&field], b"");
                    // Some leave in the middle, and what they leave must reach nobody.
                    if (client + round) % 5 == 0 {
                        let mut leaving = Connection::tcp(port);
                        leaving.send(&bytes).unwrap();
                        drop(leaving.read_some(100));
                    }
                    let response = connection.ask(&bytes);
                    // A file may be sent as it is where there is too much to do.
                    if target.starts_with("/app") || response.field("Content-Encoding").is_some() {
                        expect_encoded(&response, encoding, &text);
                    } else {
                        expect_plain(&response, &text);
                    }
                }
            });
        }
    });
}

/// How often requests are repeated that must leave nothing.
fn repetitions() -> usize {
    std::env::var("UNIT_TEST_REPETITIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(2000)
}

/// N5: no answer leaves a descriptor, least of all a refusal.
#[test]
fn n5_descriptors_stay_few() {
    let (unitd, port) = serving(&all());
    unitd.write("www/page.html", text("file", 5000));
    unitd.write("www/beside.html", text("file", 5000));
    unitd.write("www/beside.html.gz", "beside");
    let mut requests = vec![
        ("/page.html", "identity;q=0", 406),
        ("/page.html", "gzip", 200),
        ("/page.html", "br", 200),
        ("/beside.html", "gzip", 200),
    ];
    if !blackbox::pythons().is_empty() {
        requests.push(("/app?length=5000", "identity;q=0", 406));
        requests.push(("/app?length=5000", "zstd", 200));
    }
    let router = unitd.role("router");
    let bytes: Vec<_> = requests
        .iter()
        .map(|(target, accept, status)| {
            let field = format!("Accept-Encoding: {accept}");
            (request("GET", target, &[&field], b""), *status)
        })
        .collect();
    let ask_all = |connection: &mut Connection| {
        for (bytes, status) in &bytes {
            assert_eq!(connection.ask(bytes).status, *status);
        }
    };
    let mut connection = Connection::tcp(port);
    // What is kept open is open now: the files, and what they were compressed to.
    let settled = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < settled {
        ask_all(&mut connection);
    }
    let before = router.descriptors();
    for _ in 0..repetitions() {
        ask_all(&mut connection);
    }
    let after = router.descriptors();
    assert!(after <= before + 4, "{before} and then {after}: {:?}", router.descriptor_names());
}

/// The highest resident memory of a process while something is done, in KiB.
fn peak_of(process: &Process, act: impl FnOnce()) -> u64 {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::SeqCst) {
                peak = peak.max(process.resident_kib());
                thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        act();
        done.store(true, Ordering::SeqCst);
        watch.join().unwrap()
    })
}

/// N10: clients that do not read cost what an encoder holds, not what they do not read.
#[test]
fn n10_slow_readers_cost_no_more_than_their_encoders() {
    need_python!();
    let (unitd, port) = serving(&json!({ "compressors": { "encoding": "gzip", "level": 0 } }));
    unitd.write("www/large.html", text("file", 30_000_000));
    let router = unitd.role("router");
    // Level 0 makes nothing shorter: sockets fill soon.
    let target = "/app?length=30000000&block=60000";
    let field = "Accept-Encoding: gzip";
    drop(ask(port, "/large.html", "gzip"));
    let before = router.resident_kib();
    let mut slow = Vec::new();
    let peak = peak_of(&router, || {
        for target in [target, target, "/large.html", "/large.html"] {
            let mut connection = Connection::tcp(port);
            connection.send(&request("GET", target, &[field], b"")).unwrap();
            connection.read_head().unwrap();
            slow.push(connection);
        }
        // Both processes of the application are stopped by it now.
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            assert_eq!(ask(port, "/large.html", "identity").body.len(), 30_000_000);
        }
    });
    assert!(peak < before + 20_000, "{before} KiB and then {peak}");
    for mut connection in slow {
        // They get all of it in the end.
        let mut read = 0;
        while read < 30_000_000 {
            let some = connection.read_some(1 << 20).unwrap();
            assert!(!some.is_empty(), "after {read}");
            read += some.len();
        }
    }
}

/// Files that take long hold up neither others nor, for long, those who ask for them.
#[test]
fn large_files_keep_nobody_waiting() {
    let (unitd, port) = serving(&json!({ "compressors": [
        { "encoding": "zstd", "level": 19 }, { "encoding": "br", "level": 11 },
        { "encoding": "gzip", "level": 1 }] }));
    unitd.put("/config/settings/listen_threads", 1).expect_success();
    let large = text("large", 30_000_000);
    unitd.write("www/large.html", &large);
    let other = text("other", 2_000_000);
    unitd.write("www/other.html", &other);
    unitd.write("www/small.html", "small");
    let router = unitd.role("router");
    let done = AtomicBool::new(false);
    let (done, large) = (&done, &large);
    thread::scope(|scope| {
        let clients = ["zstd", "br"].map(|encoding| {
            scope.spawn(move || {
                let field = format!("Accept-Encoding: {encoding}");
                let mut connection = Connection::tcp(port).within(Duration::from_secs(120));
                let start = Instant::now();
                let response = connection.ask(&request("GET", "/large.html", &[&field], b""));
                done.store(true, Ordering::SeqCst);
                assert!(decoded(&response) == *large, "{}", response.head);
                start.elapsed()
            })
        });
        wait_until("both are being encoded", LIMIT, || {
            let names = router.descriptor_names();
            names.iter().filter(|name| name.contains("deleted")).count() >= 2
        });
        let mut waits = Vec::new();
        while !done.load(Ordering::SeqCst) {
            let start = Instant::now();
            assert_eq!(Connection::tcp(port).get("/small.html").text(), "small");
            assert!(decoded(&ask(port, "/other.html", "gzip")) == other);
            waits.push(start.elapsed());
        }
        for client in clients {
            let wait = client.join().unwrap();
            assert!(wait < Duration::from_secs(30), "{wait:?} for a file that can be had as it is");
        }
        waits.sort();
        assert!(waits.len() > 5, "{} requests beside it", waits.len());
        let median = waits[waits.len() / 2];
        assert!(median < Duration::from_millis(500), "a median of {median:?}");
    });
}

/// What is longer is only sent compressed where somebody has done it, and else as if nothing were
/// offered: ranges count too.
#[test]
fn files_beyond_the_limit_are_not_encoded() {
    let (unitd, port) = serving(&all());
    let long = text("long", 32 * 1024 * 1024 + 1);
    unitd.write("www/long.html", &long);
    expect_plain(&ask(port, "/long.html", "gzip"), &long);
    assert_eq!(ask(port, "/long.html", "gzip, identity;q=0").status, 406);
    let fields = ["Accept-Encoding: gzip", "Range: bytes=0-9"];
    let part = Connection::tcp(port).ask(&request("GET", "/long.html", &fields, b""));
    assert_eq!((part.status, part.body.as_slice()), (206, &long[..10]));
    unitd.write("www/long.html.gz", "compressed");
    for accept in ["gzip", "gzip, identity;q=0"] {
        assert_eq!(ask(port, "/long.html", accept).text(), "compressed");
    }
}

/// A client that leaves while its file is encoded leaves nothing else behind.
#[test]
fn clients_that_leave_are_no_burden() {
    let (unitd, port) = serving(&all());
    unitd.write("www/large.html", text("large", 10_000_000));
    let router = unitd.role("router");
    let before = router.descriptors();
    let bytes = request("GET", "/large.html", &["Accept-Encoding: gzip"], b"");
    for _ in 0..20 {
        let mut connection = Connection::tcp(port);
        connection.send(&bytes).unwrap();
    }
    wait_until("all is closed", LIMIT, || router.descriptors() <= before + 6);
    let response = ask(port, "/large.html", "gzip");
    assert!(decoded(&response) == text("large", 10_000_000));
}

#[test]
fn a_daemon_stops_while_something_is_encoded() {
    let (mut unitd, port) = serving(&json!({ "compressors": { "encoding": "br", "level": 11 } }));
    unitd.write("www/large.html", text("large", 30_000_000));
    let mut connection = Connection::tcp(port);
    connection.send(&request("GET", "/large.html", &["Accept-Encoding: br"], b"")).unwrap();
    wait_until("it is being encoded", LIMIT, || {
        let names = unitd.role("router").descriptor_names();
        names.iter().any(|name| name.contains("deleted") && name.contains("/tmp/"))
    });
    unitd.stop();
    let error = connection.read_head().unwrap_err();
    assert!(
        error
            .downcast_ref::<io::Error>()
            .is_none_or(|error| { error.kind() != io::ErrorKind::TimedOut })
    );
}
