//! Parts of files: `Range`, `If-Range`, `multipart/byteranges`.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

use blackbox::{Connection, Response, Unitd, request};
use serde_json::{Value, json};

/// A daemon that shares its `www` directory, with more members in the action.
fn sharing(more: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let mut action = json!({ "share": format!("{}$uri", unitd.text_path("www")) });
    action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": action }],
    }));
    (unitd, port)
}

/// Bytes that repeat with no power of two, so that a piece in the wrong place shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at ^ (at >> 8)) % 251).unwrap()).collect()
}

fn part(connection: &mut Connection, target: &str, range: &str) -> Response {
    connection.ask(&request("GET", target, &[&format!("Range: {range}")], b""))
}

/// One part of a body, as a client that takes the standard at its word reads it.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    content_type: Option<String>,
    content_range: String,
    body: Vec<u8>,
}

#[track_caller]
fn parts_of(response: &Response) -> Vec<Part> {
    assert_eq!(response.status, 206, "{}", response.head);
    let content_type = response.field("Content-Type").unwrap();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    assert!(boundary.len() >= 16 && boundary.bytes().all(|octet| octet.is_ascii_alphanumeric()));
    assert_eq!(response.field("Content-Range"), None);
    let delimiter = format!("\r\n--{boundary}");
    let body = [b"\r\n", &response.body[..]].concat();
    let mut starts = Vec::new();
    let mut from = 0;
    while let Some(at) =
        body[from..].windows(delimiter.len()).position(|window| window == delimiter.as_bytes())
    {
        starts.push(from + at);
        from += at + delimiter.len();
    }
    assert_eq!(starts[0], 0);
    let last = *starts.last().unwrap();
    assert_eq!(&body[last + delimiter.len()..], b"--\r\n");
    let read = |pair: &[usize]| {
        let text = body[pair[0] + delimiter.len()..pair[1]].strip_prefix(b"\r\n").unwrap();
        let end = text.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&text[..end]).unwrap();
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
        };
        Part {
            content_type: field("Content-Type"),
            content_range: field("Content-Range").unwrap(),
            body: text[end + 4..].to_vec(),
        }
    };
    starts.windows(2).map(read).collect()
}

#[test]
fn one_range_is_the_part_it_names() {
    let (unitd, port) = sharing(&json!({}));
    let content = pattern(1000);
    unitd.write("www/file.txt", &content);
    let mut connection = Connection::tcp(port);
    let whole = connection.get("/file.txt");
    assert_eq!(whole.field("Accept-Ranges"), Some("bytes"));
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-999", 0, 999),
        ("bytes=100-199", 100, 199),
        ("bytes=999-", 999, 999),
        ("bytes=0-", 0, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=990-5000", 990, 999),
        ("BYTES=1-2", 1, 2),
        ("bytes= 1-2 ,, ", 1, 2),
        ("bytes=1000-,1-2", 1, 2),
        ("bytes=5-9,0-4", 0, 9),
    ] {
        let response = part(&mut connection, "/file.txt", range);
        assert_eq!(response.status_line(), "HTTP/1.1 206 Partial Content", "{range}");
        assert_eq!(response.body, content[first..=last], "{range}");
        let length = (last + 1 - first).to_string();
        let shown = format!("bytes {first}-{last}/1000");
        for (name, value) in [
            ("Content-Range", Some(shown.as_str())),
            ("Content-Length", Some(&length)),
            ("Content-Type", Some("text/plain")),
            ("Accept-Ranges", Some("bytes")),
            ("ETag", whole.field("ETag")),
            ("Last-Modified", whole.field("Last-Modified")),
        ] {
            assert_eq!(response.field(name), value, "{range} {name}");
        }
    }
}

#[test]
fn what_is_no_range_is_ignored() {
    let (unitd, port) = sharing(&json!({}));
    unitd.write("www/file.txt", "0123456789");
    unitd.write("www/empty.txt", "");
    let mut connection = Connection::tcp(port);
    let many = format!("bytes={}", (0..65).map(|_| "0-0").collect::<Vec<_>>().join(","));
    for range in [
        "bytes",
        "bytes=",
        "bytes=x",
        "bytes=5-4",
        "bytes=0-1,x",
        "items=0-1",
        "0-1",
        "bytes=--1",
        "bytes=0x0-1",
        &many,
    ] {
        let response = part(&mut connection, "/file.txt", range);
        assert_eq!((response.status, response.text().as_str()), (200, "0123456789"), "{range}");
        assert_eq!(response.field("Content-Range"), None);
    }
    let twice = ["Range: bytes=0-1", "Range: bytes=2-3"];
    assert_eq!(connection.ask(&request("GET", "/file.txt", &twice, b"")).status, 200);
    // The end of nothing.
    let response = part(&mut connection, "/empty.txt", "bytes=-1");
    assert_eq!((response.status, response.body.len()), (200, 0));
}

#[test]
fn a_range_outside_is_told_the_size() {
    let (unitd, port) = sharing(&json!({ "response_headers": { "X": "x" } }));
    unitd.write("www/file.txt", "0123456789");
    unitd.write("www/empty.txt", "");
    let mut connection = Connection::tcp(port);
    for (target, range, size) in [
        ("/file.txt", "bytes=10-", 10),
        ("/file.txt", "bytes=-0", 10),
        ("/file.txt", "bytes=10-20,99999999999999999999999-", 10),
        ("/empty.txt", "bytes=0-", 0),
    ] {
        let response = part(&mut connection, target, range);
        assert_eq!(response.status, 416, "{range}");
        assert_eq!(response.field("Content-Range"), Some(format!("bytes */{size}").as_str()));
        assert_eq!(response.field("Content-Type"), Some("text/html"));
        assert_eq!(response.field("X"), None);
        let page = "<!DOCTYPE html><title>Error 416</title><p>Error 416.\r\n";
        assert_eq!(response.text(), page);
    }
    assert_eq!(connection.get("/file.txt").text(), "0123456789");
}

#[test]
fn several_ranges_come_in_parts() {
    let (unitd, port) = sharing(&json!({}));
    let content = pattern(200_000);
    unitd.write("www/file.txt", &content);
    unitd.write("www/untyped", &content);
    let mut connection = Connection::tcp(port);
    let mut boundaries = std::collections::HashSet::new();
    for (range, expected) in [
        ("bytes=0-0,-1", &[(0, 0), (199_999, 199_999)][..]),
        ("bytes=150000-,0-9", &[(150_000, 199_999), (0, 9)]),
        ("bytes=0-99999,100001-", &[(0, 99_999), (100_001, 199_999)]),
        ("bytes=0-9,20-29,5-15,400000-", &[(0, 15), (20, 29)]),
    ] {
        for (target, content_type) in [("/file.txt", Some("text/plain")), ("/untyped", None)] {
            let response = part(&mut connection, target, range);
            let expected: Vec<Part> = expected
                .iter()
                .map(|&(first, last)| Part {
                    content_type: content_type.map(str::to_owned),
                    content_range: format!("bytes {first}-{last}/200000"),
                    body: content[first..=last].to_vec(),
                })
                .collect();
            assert!(parts_of(&response) == expected, "{range} of {target}");
            assert!(boundaries.insert(response.field("Content-Type").unwrap().to_owned()));
        }
    }
    // Where one answer ends the next one begins.
    assert_eq!(connection.get("/untyped").body.len(), content.len());
}

/// Ranges that overlap over and over make other servers send a file many times.
#[test]
fn no_request_makes_the_answer_much_longer_than_the_file() {
    let (unitd, port) = sharing(&json!({}));
    let content = pattern(100_000);
    unitd.write("www/file.bin", &content);
    let mut connection = Connection::tcp(port);
    let list = |spec: &dyn Fn(usize) -> String, count: usize| {
        format!("bytes={}", (0..count).map(spec).collect::<Vec<_>>().join(","))
    };
    for range in [
        list(&|at| format!("{at}-"), 64),
        list(&|at| format!("-{}", 100_000 - at), 64),
        list(&|_| "0-".to_owned(), 64),
        list(&|at| format!("{at}-"), 1300),
        list(&|at| format!("{0}-{0}", at * 2), 64),
        list(&|at| format!("{}-{}", at * 1500, at * 1500 + 1498), 64),
        list(&|at| format!("{0}-{0}", at * 2), 900),
    ] {
        let response = part(&mut connection, "/file.bin", &range);
        assert!([200, 206].contains(&response.status), "{}", response.head);
        assert!(response.body.len() < content.len() + 64 * 200, "{}", response.body.len());
    }
}

#[test]
fn if_range_gives_all_of_another_version() {
    let (unitd, port) = sharing(&json!({}));
    let path = unitd.write("www/file.txt", "0123456789");
    let modified = |seconds: u64| {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    modified(1_000_000_000);
    let mut connection = Connection::tcp(port);
    let mut ask = |validator: &str| {
        let fields = ["Range: bytes=5-", &format!("If-Range: {validator}")];
        connection.ask(&request("GET", "/file.txt", &fields, b""))
    };
    for (validator, status) in [
        ("\"3b9aca00-a\"", 206),
        ("Sun, 09 Sep 2001 01:46:40 GMT", 206),
        ("W/\"3b9aca00-a\"", 200),
        ("\"3b9aca00-b\"", 200),
        ("Sun, 09 Sep 2001 01:46:41 GMT", 200),
        ("Sun, 09 Sep 2001 01:46:39 GMT", 200),
        ("x", 200),
    ] {
        let response = ask(validator);
        let body = if status == 206 { "56789" } else { "0123456789" };
        assert_eq!((response.status, response.text().as_str()), (status, body), "{validator}");
    }
    // It changes under the client's hands.
    modified(1_000_000_001);
    assert_eq!(ask("\"3b9aca00-a\"").status, 200);
    assert_eq!(ask("\"3b9aca01-a\"").status, 206);
    // A range that cannot be had does not count either, if the version is another.
    let fields = ["Range: bytes=10-", "If-Range: \"x\""];
    assert_eq!(connection.ask(&request("GET", "/file.txt", &fields, b"")).status, 200);
}

#[test]
fn head_knows_no_ranges() {
    let (unitd, port) = sharing(&json!({}));
    unitd.write("www/file.txt", "0123456789");
    let mut connection = Connection::tcp(port);
    for range in ["bytes=0-0", "bytes=0-0,5-5", "bytes=10-"] {
        let fields = [format!("Range: {range}")];
        connection.send(&request("HEAD", "/file.txt", &[&fields[0]], b"")).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!((head.status, head.field("Content-Length")), (200, Some("10")), "{range}");
        assert_eq!(head.field("Accept-Ranges"), Some("bytes"));
        assert_eq!(head.field("Content-Range"), None);
    }
    assert_eq!(connection.get("/file.txt").text(), "0123456789");
}

#[test]
fn response_headers_apply_to_parts() {
    let (unitd, port) = sharing(&json!({ "response_headers": {
        "Cache-Control": "no-store",
        "Content-Type": "text/x-other",
        "X-Length": "$response_header_content_length",
    } }));
    unitd.write("www/file.txt", "0123456789");
    let mut connection = Connection::tcp(port);
    let one = part(&mut connection, "/file.txt", "bytes=2-4");
    assert_eq!((one.status, one.text().as_str()), (206, "234"));
    assert_eq!(one.field("Cache-Control"), Some("no-store"));
    assert_eq!(one.field("Content-Type"), Some("text/x-other"));
    assert_eq!(one.field("X-Length"), Some("3"));
    let several = part(&mut connection, "/file.txt", "bytes=2-4,6-6");
    assert_eq!(several.field("Cache-Control"), Some("no-store"));
    let parts = parts_of(&several);
    let types: Vec<_> = parts.iter().map(|part| part.content_type.as_deref()).collect();
    assert_eq!(types, [Some("text/x-other"); 2]);
    assert_eq!(several.all("Content-Type").len(), 1);
    unitd
        .put("/config/routes/0/action/response_headers", json!({ "Content-Type": null }))
        .expect_success();
    let mut connection = Connection::tcp(port);
    let several = part(&mut connection, "/file.txt", "bytes=2-4,6-6");
    let parts = parts_of(&several);
    assert!(parts.iter().all(|part| part.content_type.is_none()), "{parts:?}");
    assert_eq!(connection.get("/file.txt").field("Content-Type"), None);
}

#[test]
fn ranges_reach_beyond_four_gigabytes() {
    let (unitd, port) = sharing(&json!({}));
    let size = 5u64 << 30;
    let path = unitd.sparse("www/large.bin", size);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"middle", (4 << 30) - 3).unwrap();
    file.write_all_at(b"end", size - 3).unwrap();
    drop(file);
    let mut connection = Connection::tcp(port);
    for (range, body) in [
        ("bytes=0-4", "begin"),
        ("bytes=4294967293-4294967298", "middle"),
        ("bytes=-3", "end"),
        ("bytes=5368709117-", "end"),
    ] {
        let response = part(&mut connection, "/large.bin", range);
        assert_eq!((response.status, response.text().as_str()), (206, body), "{range}");
        assert!(response.field("Content-Range").unwrap().ends_with("/5368709120"));
    }
    let several = part(&mut connection, "/large.bin", "bytes=-3,0-4,4294967293-4294967298");
    let bodies: Vec<Vec<u8>> = parts_of(&several).into_iter().map(|part| part.body).collect();
    assert_eq!(bodies, [&b"end"[..], b"begin", b"middle"]);
}

/// Large parts to a client that takes its time, others being served; over a Unix socket as well.
#[test]
fn large_parts_arrive_byte_for_byte() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let socket = unitd.path("listen.sock");
    unitd.configure(&json!({
        "listeners": {
            format!("127.0.0.1:{port}"): { "pass": "routes" },
            format!("unix:{}", socket.display()): { "pass": "routes" },
        },
        "routes": [{ "action": { "share": format!("{}$uri", unitd.text_path("www")) } }],
    }));
    let content = pattern(24 << 20);
    unitd.write("www/large.bin", &content);
    let (one, other) = (9 << 20, 20 << 20);
    let range = format!("Range: bytes=1-{one},{other}-");
    for mut connection in [Connection::tcp(port), Connection::unix(&socket)] {
        connection.send(&request("GET", "/large.bin", &[&range], b"")).unwrap();
        let mut response = connection.read_head().unwrap();
        assert_eq!(unitd.fetch(port, "/none").status, 404);
        response.body = connection.read_body(&response).unwrap();
        let bodies: Vec<Vec<u8>> = parts_of(&response).into_iter().map(|part| part.body).collect();
        assert!(bodies == [&content[1..=one], &content[other..]]);
        let response = part(&mut connection, "/large.bin", &format!("bytes={one}-"));
        assert!(response.body == content[one..]);
    }
}

#[test]
fn curl_goes_on_where_it_was_cut_off() {
    let Some(curl) = blackbox::program("curl") else {
        blackbox::skip!("no curl");
    };
    let (unitd, port) = sharing(&json!({}));
    let content = pattern(300_000);
    unitd.write("www/file.bin", &content);
    let half = unitd.write("half.bin", &content[..123_456]);
    let output = Command::new(curl)
        .args(["--silent", "--show-error", "--fail", "--max-time", "60", "--continue-at", "-"])
        .args(["--output", &half])
        .arg(format!("http://127.0.0.1:{port}/file.bin"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(fs::read(&half).unwrap() == content);
}
