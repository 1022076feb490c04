//! N16: whatever clients send, an entry is one line of the configured form, and there is one for each
//! request.

use std::time::Duration;

use blackbox::{Connection, Random, request};
use serde_json::{Value, json};

use super::Logging;

const NAMES: [&str; 10] = [
    "request_line",
    "uri",
    "request_uri",
    "host",
    "method",
    "header_referer",
    "header_user_agent",
    "arg_a",
    "cookie_c",
    "status",
];

fn json_format() -> Value {
    NAMES.iter().map(|name| ((*name).to_owned(), json!(format!("${name}")))).collect()
}

fn text_format() -> String {
    NAMES.map(|name| format!("\"${name}\"")).join(" ")
}

#[test]
fn n16_line_breaks_and_quotes_in_requests_stay_where_they_are() {
    let logging = Logging::with(&json!({ "format": text_format() }), &json!({}));
    let attack =
        "/%0A127.0.0.1%20-%20-%20%22GET%20/admin%22%20200%0d%0a%1b[2J%00".trim_end_matches("%00");
    let fields = ["Referer: \"quoted\" \\ \u{1b}", "User-Agent: a\" \"b", "Cookie: c=%0a\""];
    // An escape in a value is refused, so there is none here.
    let fields =
        [fields[0].trim_end_matches([' ', '\u{1b}']), fields[1], fields[2], "Connection: close"];
    Connection::tcp(logging.port).ask(&request("GET", &format!("{attack}?a=%0a%22"), &fields, b""));
    let entries = logging.entries(1);
    let expected = format!(
        r#""GET {attack}?a=%0a%22 HTTP/1.1" "/\x0A127.0.0.1 - - \x22GET /admin\x22 200\x0D\x0A\x1B[2J" "{attack}?a=%0a%22" "localhost" "GET" "\x22quoted\x22 \x5C" "a\x22 \x22b" "\x0A\x22" "%0a\x22" "200""#
    );
    assert_eq!(entries, [expected]);
    logging.unitd.put("/config/access_log/format", json_format()).expect_success();
    Connection::tcp(logging.port).ask(&request("GET", &format!("{attack}?a=%0a%22"), &fields, b""));
    let entry: Value = serde_json::from_str(&logging.entries(2)[1]).unwrap();
    assert_eq!(entry["uri"], "/\n127.0.0.1 - - \"GET /admin\" 200\r\n\u{1b}[2J");
    assert_eq!(entry["arg_a"], "\n\"");
    assert_eq!(entry["header_referer"], "\"quoted\" \\");
    assert_eq!(entry.as_object().unwrap().len(), NAMES.len());
}

/// A line that is shown turned around, or a name that only looks like another, tells lies.
#[test]
fn invisible_characters_of_requests_are_shown() {
    let logging = Logging::with(&json!({ "format": "$uri|$header_user_agent" }), &json!({}));
    let target = "/%E2%80%AEgpj.exe%E2%80%8B%EF%BB%BF%C3%A9";
    let fields = ["User-Agent: a\u{202e}b\u{2066}c\u{ad}d\u{e0041}", "Connection: close"];
    Connection::tcp(logging.port).ask(&request("GET", target, &fields, b""));
    assert_eq!(
        logging.entries(1),
        [concat!(
            r"/\xE2\x80\xAEgpj.exe\xE2\x80\x8B\xEF\xBB\xBFé",
            r"|a\xE2\x80\xAEb\xE2\x81\xA6c\xC2\xADd\xF3\xA0\x81\x81",
        )]
    );
    let format = json!({ "uri": "$uri", "agent": "$header_user_agent" });
    logging.unitd.put("/config/access_log/format", format).expect_success();
    Connection::tcp(logging.port).ask(&request("GET", target, &fields, b""));
    let entry = &logging.entries(2)[1];
    assert!(entry.contains(r"/\u202egpj.exe\u200b\ufeffé") && entry.contains(r"d\udb40\udc41"));
    let entry: Value = serde_json::from_str(entry).unwrap();
    assert_eq!(entry["agent"], "a\u{202e}b\u{2066}c\u{ad}d\u{e0041}");
}

/// Random octets in every part of a request; each connection is one request, good or bad.
#[test]
fn n16_random_requests_are_one_entry_each() {
    let logging = Logging::with(
        &json!({ "format": json_format() }),
        &json!({ "settings": { "http": { "discard_unsafe_fields": false } } }),
    );
    let mut random = Random::new();
    let palette: &[u8] = b"\"\\\n\r\t\0\x1b\x7f\x85\x9b\xc2\xe2\x80\xa8\xff{}:,%/?&=; azAZ09";
    let read = || std::fs::read(&logging.path).unwrap();
    for format in [json_format(), json!(text_format())] {
        logging.unitd.put("/config/access_log/format", &format).expect_success();
        for _ in 0..600 {
            let mut part = |most: usize| -> Vec<u8> {
                let len = random.below(most + 1);
                (0..len).map(|_| palette[random.below(palette.len())]).collect()
            };
            let target = part(30);
            let escaped: String = part(10).iter().map(|octet| format!("%{octet:02X}")).collect();
            let mut bytes = [b"GET /", &target[..], escaped.replace("%00", "").as_bytes()].concat();
            for before in ["?a=", " HTTP/1.1\r\nReferer: ", "\r\nUser-Agent: ", "\r\nCookie: c="] {
                bytes.extend_from_slice(before.as_bytes());
                bytes.extend(part(20));
            }
            bytes.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
            let mark = read().len();
            let mut connection = Connection::tcp(logging.port).within(Duration::from_secs(20));
            connection.send(&bytes).unwrap();
            connection.finish_sending().unwrap();
            let answer = connection.read_to_end().unwrap();
            let added = String::from_utf8(read()[mark..].to_vec()).expect("entries are UTF-8");
            assert!(added.ends_with('\n'), "{added:?} for {bytes:?}");
            // An empty line in the middle makes two of it.
            for (at, line) in added.lines().enumerate() {
                assert!(!line.chars().any(char::is_control), "{line:?}");
                let status = match answer.get(9..12) {
                    Some(status) => std::str::from_utf8(status).unwrap(),
                    None => "400",
                };
                let shown = if format.is_object() {
                    let entry: Value = serde_json::from_str(line).unwrap();
                    assert_eq!(entry.as_object().unwrap().len(), NAMES.len(), "{line}");
                    entry["status"].as_str().unwrap().to_owned()
                } else {
                    let parts: Vec<&str> = line.split('"').collect();
                    assert_eq!(parts.len(), 2 * NAMES.len() + 1, "{line}");
                    let mut gaps = parts.iter().step_by(2);
                    assert!(gaps.all(|gap| matches!(*gap, " " | "")), "{line}");
                    parts[2 * NAMES.len() - 1].to_owned()
                };
                assert!(at > 0 || shown == status, "{line}");
            }
        }
    }
    let total = logging.unitd.status("/requests/total").as_u64().unwrap();
    assert!(total >= 1200);
    assert_eq!(logging.text().lines().count() as u64, total);
}
