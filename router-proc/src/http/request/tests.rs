//! What each interpreted field means, and what the router changes in a head.

use super::*;
use crate::http::{HeadParser, ParseStatus, parse_head};

fn with_limits(fields: &str, limits: &Limits) -> Result<RequestHead, u16> {
    let input = format!("POST /a?q HTTP/1.1\r\n{fields}\r\n");
    let mut head = RequestHead::new();
    match parse_head(input.as_bytes(), limits, &mut head) {
        ParseStatus::Complete { .. } => Ok(head),
        ParseStatus::Error { status, .. } => Err(status),
        ParseStatus::Incomplete => panic!("{input:?} is not whole"),
    }
}

fn with(fields: &str) -> Result<RequestHead, u16> {
    with_limits(fields, &Limits::default())
}

#[test]
fn hosts_are_normalised_and_values_kept() {
    for (value, host) in [
        ("example.org", "example.org"),
        ("Example.ORG.:8080", "example.org"),
        ("[::A]:80", "[::a]"),
        ("a:", "a"),
        ("", ""),
        ("A\u{c4}", "a\u{c4}"),
    ] {
        let head = with(&format!("Host: {value}\r\n")).unwrap();
        assert_eq!(head.host(), host.as_bytes(), "{value}");
        assert_eq!(head.field(b"host"), Some(value.as_bytes()));
    }
    assert_eq!(with("").unwrap().host(), b"");
}

#[test]
fn bad_and_repeated_hosts_are_refused() {
    for fields in [
        "Host: a\r\nHost: a\r\n",
        "Host:\r\nhost:\r\n",
        "Host: a/b\r\n",
        "Host: a..b\r\n",
        "HOST: ..\r\n",
    ] {
        assert_eq!(with(fields).err(), Some(400), "{fields:?}");
    }
}

#[test]
fn content_lengths_are_plain_numbers() {
    for (value, length) in [("0", 0), ("00", 0), ("5", 5), ("0005", 5), ("8388608", 8_388_608)] {
        let head = with(&format!("Content-Length: {value}\r\n")).unwrap();
        assert_eq!(head.content_length(), Some(length), "{value}");
    }
    for value in [
        "",
        "+1",
        "-1",
        "1,1",
        "1, 1",
        "1 1",
        "0x1",
        "1.0",
        "1e1",
        "abc",
        "1;",
        "\"1\"",
        "9223372036854775808",
        "18446744073709551617",
        "99999999999999999999999999",
    ] {
        let fields = format!("Content-Length: {value}\r\n");
        assert_eq!(with(&fields).err(), Some(400), "{value:?}");
    }
    for value in ["8388609", "9223372036854775807"] {
        assert_eq!(with(&format!("Content-Length: {value}\r\n")).err(), Some(413), "{value}");
    }
    for fields in
        ["Content-Length: 1\r\nContent-Length: 1\r\n", "Content-Length: 0\r\ncontent-length: 1\r\n"]
    {
        assert_eq!(with(fields).err(), Some(400), "{fields:?}");
    }
    let tight = Limits { max_body_size: 0, ..Limits::default() };
    assert_eq!(with_limits("Content-Length: 1\r\n", &tight).err(), Some(413));
    assert!(with_limits("Content-Length: 0\r\n", &tight).is_ok());
}

#[test]
fn bodies_are_announced_by_one_field_in_one_way() {
    let plain = Limits::default();
    let transform = Limits { chunked_transform: true, ..Limits::default() };
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (fields, without, with_transform) in [
        ("", Ok(RequestBody::None), Ok(RequestBody::None)),
        ("Content-Length: 0\r\n", Ok(RequestBody::None), Ok(RequestBody::None)),
        ("Content-Length: 7\r\n", Ok(RequestBody::Length(7)), Ok(RequestBody::Length(7))),
        (chunked, Err(411), Ok(RequestBody::Chunked)),
        ("Transfer-Encoding:  chunked\t\r\n", Err(411), Ok(RequestBody::Chunked)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Err(411), Err(400)),
        ("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", Err(411), Err(400)),
        ("Transfer-Encoding: gzip\r\nContent-Length: 7\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: Chunked\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: CHUNKED\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: gzip\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: identity\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: chunked, chunked\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: chunked;q=1\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: \"chunked\"\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: xchunked\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: chunked\u{a0}\r\n", Err(501), Err(501)),
        ("Transfer-Encoding:\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Err(501), Err(501)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", Err(501), Err(501)),
    ] {
        let head = with(fields).unwrap();
        assert_eq!(head.body(&plain), without, "{fields:?}");
        assert_eq!(head.body(&transform), with_transform, "{fields:?}");
    }
    assert_eq!(with(&chunked.repeat(2)).err(), Some(400));
    // Names that only look like it are other fields, or none at all.
    for fields in [
        "Transfer_Encoding: chunked\r\n",
        "Transfer-Encodings: chunked\r\n",
        "X-Transfer-Encoding: chunked\r\n",
        "Content_Length: 5\r\n",
    ] {
        assert_eq!(with(fields).unwrap().body(&transform), Ok(RequestBody::None), "{fields:?}");
    }
    for fields in [
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "\u{feff}Transfer-Encoding: chunked\r\n",
        "Content-Length: 1\rContent-Length: 2\r\n",
        "Content-Length\0: 1\r\n",
    ] {
        assert_eq!(with(fields).err(), Some(400), "{fields:?}");
    }
}

#[test]
fn chunks_need_http_1_1() {
    let limits = Limits { chunked_transform: true, ..Limits::default() };
    let mut head = RequestHead::new();
    let input = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    parse_head(input, &limits, &mut head);
    assert_eq!(head.body(&limits), Err(400));
}

#[test]
fn connections_persist_by_version_and_field() {
    let keep_alive = |version: &str, fields: &str| {
        let mut head = RequestHead::new();
        let input = format!("GET / HTTP/1.{version}\r\n{fields}\r\n");
        parse_head(input.as_bytes(), &Limits::default(), &mut head);
        assert_eq!(head.facts().keep_alive, head.keep_alive());
        head.keep_alive()
    };
    for (fields, http10, http11) in [
        ("", false, true),
        ("Connection: close\r\n", false, false),
        ("Connection: Close\r\n", false, false),
        ("Connection: keep-alive\r\n", true, true),
        ("Connection: Keep-Alive\r\n", true, true),
        ("Connection: x, KEEP-ALIVE, y\r\n", true, true),
        ("Connection: close, keep-alive\r\n", false, false),
        ("Connection: keep-alive, close\r\n", false, false),
        ("Connection: close\r\nConnection: keep-alive\r\n", false, false),
        ("Connection: keep-alive\r\nConnection: close\r\n", false, false),
        ("Connection: disclosed\r\n", false, false),
        ("Connection: upgrade\r\n", false, true),
        ("Connection:\r\n", false, true),
    ] {
        assert_eq!(keep_alive("0", fields), http10, "1.0 {fields:?}");
        assert_eq!(keep_alive("1", fields), http11, "1.1 {fields:?}");
        assert_eq!(keep_alive("7", fields), http11, "1.7 {fields:?}");
    }
}

#[test]
fn a_request_that_was_not_understood_never_keeps_its_connection() {
    let mut head = RequestHead::new();
    for (fields, keep_alive) in [
        ("", true),
        ("Host: a\r\nHost: a\r\n", false),
        ("Content-Length: x\r\nConnection: keep-alive\r\n", false),
        ("Transfer-Encoding: gzip\r\n", false),
        ("Transfer-Encoding: chunked\r\n", false),
        (" bad\r\n", false),
    ] {
        let input = format!("POST / HTTP/1.1\r\n{fields}\r\n");
        parse_head(input.as_bytes(), &Limits::default(), &mut head);
        assert_eq!(head.facts().keep_alive, keep_alive, "{fields:?}");
    }
    let mut head = with("Transfer-Encoding: chunked\r\n").unwrap();
    head.set_decoded_length(0);
    assert!(head.facts().keep_alive);
}

#[test]
fn websocket_handshakes_need_both_fields() {
    for (fields, handshake) in [
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
        ("Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n", true),
        ("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false),
        ("Connection: Upgrade\r\nUpgrade: h2c\r\n", false),
        ("Connection: Upgrade\r\n", false),
        ("Upgrade: websocket\r\n", false),
    ] {
        assert_eq!(with(fields).unwrap().is_websocket_handshake(), handshake, "{fields:?}");
    }
    for (key, good) in [
        ("dGhlIHNhbXBsZSBub25jZQ==", true),
        ("+/0189AZazbXBsZSBub25jZ===", false),
        ("dGhlIHNhbXBsZSBub25jZQ=", false),
        ("dGhlIHNhbXBsZSBub25jZQ===", false),
        ("dGhlIHNhbXBsZSBub25jZQAA", false),
        ("dGhlIHNhbXBsZSBub25j-_==", false),
        ("dGhlIHNhbXBsZS Bub25jZ==", false),
        ("==", false),
        ("", false),
    ] {
        let head = with(&format!("Sec-WebSocket-Key: {key}\r\n")).unwrap();
        assert_eq!(head.websocket_key(), good.then_some(key.as_bytes()), "{key:?}");
        let twice = with(&format!("Sec-WebSocket-Key: {key}\r\n").repeat(2)).unwrap();
        assert_eq!(twice.websocket_key(), None, "{key:?} twice");
    }
    for (version, good) in [("13", true), ("12", false), ("013", false), ("", false)] {
        let head = with(&format!("Sec-WebSocket-Version: {version}\r\n")).unwrap();
        assert_eq!(head.websocket_version_is_13(), good, "{version}");
    }
}

#[test]
fn the_last_of_the_remembered_fields_wins() {
    let head = with(
        "Cookie: a\r\nCookie: b\r\nReferer: c\r\nREFERER: d\r\nUser-Agent: e\r\nuser-agent: f\r\n\
         Content-Type: g\r\nContent-Type: h\r\nAuthorization: i\r\nauthorization:\r\n",
    )
    .unwrap();
    assert_eq!(head.cookie(), Some(&b"b"[..]));
    assert_eq!(head.referer(), Some(&b"d"[..]));
    assert_eq!(head.user_agent(), Some(&b"f"[..]));
    assert_eq!(head.content_type(), Some(&b"h"[..]));
    assert_eq!(head.authorization(), Some(&b""[..]));
    assert_eq!(head.field(b"COOKIE"), Some(&b"a"[..]));
    assert_eq!(head.fields().len(), 10);
    assert_eq!(with("").unwrap().cookie(), None);
}

#[test]
fn expectations_are_seen_in_http_1_1() {
    assert!(with("Expect: 100-Continue\r\n").unwrap().expects_continue());
    assert!(!with("Expect: 200-ok\r\n").unwrap().expects_continue());
    let mut head = RequestHead::new();
    let input = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
    parse_head(input, &Limits::default(), &mut head);
    assert!(!head.expects_continue());
    assert_eq!(head.field(b"expect"), Some(&b"100-continue"[..]));
}

#[test]
fn rewriting_changes_the_path_alone() {
    let mut head = with("").unwrap();
    assert_eq!((head.path(), head.query()), (&b"/a"[..], Some(&b"q"[..])));
    assert!(!head.is_rewritten());
    for (text, path) in [("/b/../c%41?x=1", "/cA"), ("/plain#f", "/plain"), ("", ""), ("x", "x")] {
        head.rewrite_path(text.as_bytes()).unwrap();
        assert_eq!(head.path(), path.as_bytes());
        assert_eq!((head.target(), head.query()), (&b"/a?q"[..], Some(&b"q"[..])));
        assert!(head.is_rewritten());
    }
    assert!(head.rewrite_path(b"/..").is_err());
}

#[test]
fn a_decoded_body_is_presented_with_its_length() {
    let mut head = with("A: 1\r\nTransfer-Encoding: chunked\r\nHost: HOST\r\nB: 2\r\n").unwrap();
    head.set_decoded_length(1234);
    let fields: Vec<_> = head.fields().map(|field| (field.name, field.value)).collect();
    assert_eq!(
        fields,
        [(&b"A"[..], &b"1"[..]), (b"Host", b"HOST"), (b"B", b"2"), (b"Content-Length", b"1234")]
    );
    assert_eq!(head.content_length(), Some(1234));
    assert!(!head.is_chunked());
    assert_eq!(head.body(&Limits::default()), Ok(RequestBody::Length(1234)));
    assert_eq!(head.host(), b"host");
}

#[test]
fn nothing_of_a_request_is_left_in_the_next_one() {
    let mut parser = HeadParser::new();
    let mut head = RequestHead::new();
    let limits = Limits::default();
    let first = b"HEAD /%41?q HTTP/1.0\r\nHost: UP\r\nContent-Length: 5\r\nCookie: c\r\n\
        Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Expect: 100-continue\r\n\r\n";
    parser.parse(first, &limits, &mut head);
    head.rewrite_path(b"/other").unwrap();
    head.append_field(b"X", b"y");

    parser.parse(b"GET /b HTTP/1.1\r\n\r\n", &limits, &mut head);

    assert_eq!(
        (head.method(), head.path(), head.query(), head.host()),
        (&b"GET"[..], &b"/b"[..], None, &b""[..])
    );
    assert_eq!(head.fields().len(), 0);
    assert_eq!((head.content_length(), head.cookie()), (None, None));
    assert!(head.keep_alive() && !head.is_head() && !head.is_rewritten());
    assert!(!head.is_websocket_handshake() && !head.websocket_version_is_13());
    assert!(!head.expects_continue());
}

#[test]
fn the_second_request_allocates_nothing() {
    let mut head = RequestHead::new();
    let input = b"GET /a//b%41?q HTTP/1.1\r\nHost: UPPER.example\r\nA: b\r\n\r\n";
    parse_head(input, &Limits::default(), &mut head);
    let buffers = |head: &RequestHead| {
        [
            (head.raw.as_ptr() as usize, head.raw.capacity()),
            (head.path_buf.as_ptr() as usize, head.path_buf.capacity()),
            (head.host_buf.as_ptr() as usize, head.host_buf.capacity()),
            (head.fields.as_ptr() as usize, head.fields.capacity()),
        ]
    };
    let before = buffers(&head);
    parse_head(input, &Limits::default(), &mut head);
    assert_eq!(buffers(&head), before);
}
