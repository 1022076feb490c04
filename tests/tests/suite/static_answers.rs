//! Every kind of answer that a `share` gives: nothing is left behind by any of them, and HEAD says
//! of each what GET would say.

use std::fs;
use std::time::Duration;

use blackbox::{Connection, Unitd, request, wait_until};
use serde_json::json;

/// How many requests of each kind are sent; so many are a matter of seconds.
const REQUESTS: usize = 2000;

/// How many are sent before the first answer is read.
const AT_ONCE: usize = 20;

/// What may be added to the memory of the router meanwhile, for buffers that are kept.
const MEMORY_KIB: u64 = 4096;

/// One kind: its name, the request, the status.
type Kind = (&'static str, Vec<u8>, u16);

fn daemon() -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let www = unitd.text_path("www");
    unitd.write("www/file.txt", "0123456789");
    unitd.write("www/empty.txt", "");
    unitd.write("www/index.html", "<p>index");
    unitd.write("www/image.png", "png");
    unitd.write("www/chroot/file.txt", "below");
    fs::create_dir(unitd.path("www/directory")).unwrap();
    fs::create_dir(unitd.path("www/chroot/directory")).unwrap();
    unitd.sparse("www/large.bin", 5 << 30);
    let text = json!(["text/*", "application/octet-stream"]);
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/chroot/*" },
              "action": { "share": format!("{www}$uri"), "chroot": format!("{www}/chroot") } },
            { "match": { "uri": "/beside" },
              "action": { "share": format!("{www}/chrooted"), "chroot": format!("{www}/chroot"),
                          "fallback": { "share": format!("{www}/file.txt") } } },
            { "match": { "uri": "/fallback" },
              "action": { "share": format!("{www}/none"), "fallback": { "return": 204 } } },
            { "action": { "share": format!("{www}$uri"), "types": text } },
        ],
    }));
    (unitd, port)
}

fn kinds() -> Vec<Kind> {
    let get = |target: &str, fields: &[&str]| request("GET", target, fields, b"");
    vec![
        ("whole", get("/file.txt", &[]), 200),
        ("empty", get("/empty.txt", &[]), 200),
        ("index", get("/", &[]), 200),
        ("below a chroot", get("/chroot/file.txt", &[]), 200),
        ("one part", get("/file.txt", &["Range: bytes=2-4"]), 206),
        ("several parts", get("/file.txt", &["Range: bytes=0-1,4-5,8-"]), 206),
        ("not modified", get("/file.txt", &["If-None-Match: *"]), 304),
        ("precondition failed", get("/file.txt", &["If-Match: \"x\""]), 412),
        ("range not satisfiable", get("/file.txt", &["Range: bytes=10-"]), 416),
        ("not found", get("/none.txt", &[]), 404),
        ("forbidden", get("/image.png", &[]), 403),
        ("directory", get("/directory/", &[]), 404),
        ("redirect", get("/chroot/directory?x", &[]), 301),
        ("not allowed", request("POST", "/file.txt", &[], b"body"), 405),
        ("fallback", get("/fallback", &[]), 204),
        ("fallback to a file", get("/beside", &[]), 200),
    ]
}

/// Sends one request so many times over one connection.
#[track_caller]
fn repeat(connection: &mut Connection, (name, request, status): &Kind, count: usize) {
    let mut left = count;
    while left > 0 {
        let at_once = left.min(AT_ONCE);
        connection.send(&request.repeat(at_once)).unwrap();
        for _ in 0..at_once {
            let response = connection.read_response().unwrap();
            assert_eq!(response.status, *status, "{name}: {}", response.head);
        }
        left -= at_once;
    }
}

/// `UNIT_TEST_REQUESTS` makes it as many of each kind as one likes.
#[test]
fn n5_no_kind_of_answer_leaves_a_descriptor_or_memory_behind() {
    let count = std::env::var("UNIT_TEST_REQUESTS").ok().and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(REQUESTS);
    let (unitd, port) = daemon();
    let router = unitd.role("router");
    let warm_up = (count / 10).clamp(20, 500);
    for kind in kinds() {
        repeat(&mut Connection::tcp(port), &kind, warm_up);
    }
    let closed = || unitd.status("/connections/active") == json!(0);
    wait_until("the connections are gone", Duration::from_secs(30), closed);
    let (descriptors, memory) = (router.descriptors(), router.resident_kib());
    for kind in kinds() {
        repeat(&mut Connection::tcp(port), &kind, count);
    }
    wait_until("the descriptors are as before", Duration::from_secs(30), || {
        router.descriptors() <= descriptors
    });
    let grown = router.resident_kib().saturating_sub(memory);
    assert!(grown <= MEMORY_KIB, "{grown} KiB more than before");
}

#[test]
fn n22_head_is_answered_like_get_and_has_no_body() {
    let (_unitd, port) = daemon();
    let mut connection = Connection::tcp(port);
    let large = ("larger than one would read", request("GET", "/large.bin", &[], b""), 200);
    for (name, get, status) in kinds().into_iter().chain([large]) {
        let text = String::from_utf8(get.clone()).unwrap();
        let Some(rest) = text.strip_prefix("GET") else { continue };
        connection.send(format!("HEAD{rest}").as_bytes()).unwrap();
        let head = connection.read_head().unwrap();
        // Ranges are for GET alone.
        let expected = if [206, 416].contains(&status) { 200 } else { status };
        assert_eq!(head.status, expected, "{name}");
        assert_eq!(head.field("Connection"), None, "{name}");
        if name.starts_with("larger") {
            assert_eq!(head.field("Content-Length"), Some("5368709120"));
        } else if status == expected {
            connection.send(&get).unwrap();
            let got = connection.read_response().unwrap();
            assert_eq!(got.status, status, "{name}");
            for field in ["Content-Length", "Content-Type", "ETag", "Last-Modified", "Location"] {
                assert_eq!(head.field(field), got.field(field), "{name}: {field}");
            }
        }
        // Whatever HEAD was answered with: what follows is the next answer.
        assert_eq!(connection.get("/file.txt").text(), "0123456789", "{name}");
    }
}
