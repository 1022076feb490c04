//! Golden octets for responses, and the framing decision as a table.

use proptest::prelude::*;

use super::super::status::PLAIN_HTTP_ON_TLS;
use super::*;
use crate::http::field::{FieldScanner, FieldStep};
use crate::http::http_date;

const V: &str = env!("CARGO_PKG_VERSION");
const GET: RequestFacts =
    RequestFacts { version: Version::Http11, is_head: false, keep_alive: true };
const HEAD: RequestFacts = RequestFacts { is_head: true, ..GET };
const CLOSING: RequestFacts = RequestFacts { keep_alive: false, ..GET };
const OLD: RequestFacts =
    RequestFacts { version: Version::Http10, is_head: false, keep_alive: false };
const OLD_KEPT: RequestFacts = RequestFacts { keep_alive: true, ..OLD };
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn date() -> [u8; 29] {
    http_date(784_111_777)
}

fn end(date: &[u8; 29]) -> HeadEnd<'_> {
    HeadEnd { server: ServerField::Versioned, date, websocket_accept: None }
}

fn respond(
    request: RequestFacts,
    status: u16,
    length: Option<u64>,
    fields: &[(&str, &str)],
) -> String {
    let mut out = Vec::new();
    let delivery = Delivery::decide(request, status, length);
    let mut head = ResponseHead::begin(&mut out, status, delivery);
    for (name, value) in fields {
        head.field(name.as_bytes(), value.as_bytes());
    }
    head.finish(&end(&date()));
    String::from_utf8(out).unwrap()
}

#[test]
fn a_plain_response_is_written_in_the_documented_order() {
    assert_eq!(
        respond(GET, 200, Some(5), &[("Content-Type", "text/plain"), ("X-Empty", "")]),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Empty: \r\nServer: Unit/{V}\r\n\
             Date: {DATE}\r\nContent-Length: 5\r\n\r\n"
        )
    );
}

#[test]
fn unknown_lengths_are_chunked_or_end_with_the_connection() {
    assert_eq!(
        respond(GET, 200, None, &[]),
        format!(
            "HTTP/1.1 200 OK\r\nServer: Unit/{V}\r\nDate: {DATE}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        )
    );
    assert_eq!(
        respond(CLOSING, 404, None, &[]),
        format!(
            "HTTP/1.1 404 Not Found\r\nServer: Unit/{V}\r\nDate: {DATE}\r\nConnection: close\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        )
    );
    assert_eq!(
        respond(OLD_KEPT, 200, None, &[]),
        format!("HTTP/1.1 200 OK\r\nServer: Unit/{V}\r\nDate: {DATE}\r\n\r\n")
    );
}

#[test]
fn connection_fields_appear_where_they_change_the_default() {
    for (request, line) in [
        (GET, ""),
        (CLOSING, "Connection: close\r\n"),
        (OLD, ""),
        (OLD_KEPT, "Connection: keep-alive\r\n"),
    ] {
        assert_eq!(
            respond(request, 204, Some(0), &[]),
            format!(
                "HTTP/1.1 204 No Content\r\nServer: Unit/{V}\r\nDate: {DATE}\r\n\
                 Content-Length: 0\r\n{line}\r\n"
            )
        );
    }
}

#[test]
fn date_and_length_of_the_response_itself_are_kept_in_place() {
    assert_eq!(
        respond(GET, 200, Some(5), &[("date", "x"), ("content-length", "005"), ("A", "b")]),
        format!(
            "HTTP/1.1 200 OK\r\ndate: x\r\ncontent-length: 005\r\nA: b\r\nServer: Unit/{V}\r\n\r\n"
        )
    );
}

#[test]
fn framing_fields_that_disagree_are_dropped() {
    let plain = respond(GET, 200, Some(5), &[]);
    for fields in [
        &[("Content-Length", "6")][..],
        &[("Content-Length", "5, 5")],
        &[("Content-Length", "+5")],
        &[("Content-Length", "")],
        &[("Transfer-Encoding", "chunked")],
        &[("transfer-encoding", "gzip, chunked")],
    ] {
        assert_eq!(respond(GET, 200, Some(5), fields), plain, "{fields:?}");
    }
    assert_eq!(
        respond(GET, 200, Some(5), &[("Content-Length", "5"), ("Content-Length", "5")]),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: Unit/{V}\r\nDate: {DATE}\r\n\r\n")
    );
    assert_eq!(respond(GET, 200, None, &[("Content-Length", "5")]), respond(GET, 200, None, &[]));
    let empty = respond(GET, 204, None, &[]);
    assert_eq!(respond(GET, 204, Some(5), &[("Content-Length", "5")]), empty);
    assert!(!empty.contains("Content-Length") && !empty.contains("chunked"));
}

#[test]
fn no_field_begins_another_line() {
    let response = respond(
        GET,
        200,
        Some(0),
        &[
            ("A", "b\r\nSet-Cookie: x"),
            ("B", "\r\n\r\n\0<html>"),
            ("C", "tab\tand \u{e4}"),
            ("D\r\nE", "x"),
            ("F:", "x"),
            ("", "x"),
            ("G H", "x"),
            ("Content-Length ", "5"),
            ("Transfer-Encoding\t", "chunked"),
            ("\u{e4}", "x"),
        ],
    );
    assert_eq!(
        response,
        format!(
            "HTTP/1.1 200 OK\r\nA: b  Set-Cookie: x\r\nB:      <html>\r\nC: tab\tand \u{e4}\r\n\
             Server: Unit/{V}\r\nDate: {DATE}\r\nContent-Length: 0\r\n\r\n"
        )
    );
}

#[test]
fn upgrades_are_answered_in_the_documented_order() {
    let mut out = Vec::new();
    let delivery = Delivery::decide(GET, 101, None);
    assert!(!delivery.keep_alive && !delivery.has_body);
    let head = ResponseHead::begin(&mut out, 101, delivery);
    let date = date();
    head.finish(&HeadEnd {
        server: ServerField::Bare,
        date: &date,
        websocket_accept: Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    });
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nServer: Unit\r\nDate: {DATE}\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
    );
}

fn page(status: u16, request: RequestFacts) -> String {
    let mut out = Vec::new();
    write_error_page(&mut out, status, request, &end(&date()));
    String::from_utf8(out).unwrap()
}

#[test]
fn error_pages_are_54_octets_with_the_status() {
    assert_eq!(
        page(404, GET),
        format!(
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nServer: Unit/{V}\r\n\
             Date: {DATE}\r\nContent-Length: 54\r\n\r\n\
             <!DOCTYPE html><title>Error 404</title><p>Error 404.\r\n"
        )
    );
    assert_eq!(
        page(426, CLOSING),
        format!(
            "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/html\r\nServer: Unit/{V}\r\n\
             Date: {DATE}\r\nContent-Length: 54\r\nConnection: close\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n\
             <!DOCTYPE html><title>Error 426</title><p>Error 426.\r\n"
        )
    );
    let plain_on_tls = page(497, CLOSING);
    assert!(
        plain_on_tls.starts_with("HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n")
    );
    assert!(plain_on_tls.ends_with("<title>Error 497</title><p>Error 497.\r\n"));
}

#[test]
fn error_pages_answer_head_without_the_page() {
    let head = page(404, HEAD);
    assert!(head.contains("Content-Length: 54\r\n"));
    assert!(head.ends_with("\r\n\r\n"));
    assert_eq!(format!("{head}{}", std::str::from_utf8(&error_page(404)).unwrap()), page(404, GET));
}

#[test]
fn the_idle_answer_is_fixed() {
    let mut out = Vec::new();
    write_idle_timeout(&mut out, &date());
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!(
            "HTTP/1.1 408 Request Timeout\r\nServer: Unit/{V}\r\nConnection: close\r\n\
             Content-Length: 0\r\nDate: {DATE}\r\n\r\n"
        )
    );
}

#[test]
fn framing_follows_from_version_method_status_and_length() {
    use Framing::{Chunked, Length, None as Nothing, UntilClose};
    for (request, status, length, framing, has_body, keep_alive) in [
        (GET, 200, Some(7), Length(7), true, true),
        (GET, 200, Some(0), Length(0), true, true),
        (GET, 200, None, Chunked, true, true),
        (GET, 500, None, Chunked, true, true),
        (CLOSING, 200, None, Chunked, true, false),
        (HEAD, 200, Some(7), Length(7), false, true),
        (HEAD, 200, None, Chunked, false, true),
        (OLD_KEPT, 200, Some(7), Length(7), true, true),
        (OLD_KEPT, 200, None, UntilClose, true, false),
        (OLD, 200, Some(7), Length(7), true, false),
        (OLD, 200, None, UntilClose, true, false),
        (GET, 304, Some(7), Length(7), false, true),
        (GET, 304, None, Nothing, false, true),
        (OLD_KEPT, 304, None, Nothing, false, false),
        (GET, 204, Some(0), Length(0), false, true),
        (GET, 204, Some(7), Nothing, false, true),
        (GET, 204, None, Nothing, false, true),
        (GET, 101, None, Nothing, false, false),
        (GET, 100, Some(3), Nothing, false, false),
        (GET, 103, None, Nothing, false, false),
        (GET, 0, Some(0), Length(0), true, true),
        (GET, 205, None, Chunked, true, true),
    ] {
        let delivery = Delivery::decide(request, status, length);
        let expected = Delivery { framing, has_body, keep_alive, version: request.version };
        assert_eq!(delivery, expected, "{request:?} {status} {length:?}");
    }
}

fn body(
    request: RequestFacts,
    status: u16,
    length: Option<u64>,
    parts: &[&str],
) -> (String, BodyEnd) {
    let mut out = Vec::new();
    let mut encoder = BodyEncoder::new(&Delivery::decide(request, status, length));
    for part in parts {
        encoder.push(part.as_bytes(), &mut out);
    }
    let end = encoder.finish(&mut out);
    (String::from_utf8(out).unwrap(), end)
}

#[test]
fn bodies_are_framed_and_held_to_their_length() {
    use BodyEnd::{Complete, Short};
    let long = "x".repeat(0x1ab);
    let chunk = format!("1ab\r\n{long}\r\n");
    for (request, status, length, parts, octets, end) in [
        (GET, 200, None, &["abc", "", "de"][..], "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", Complete),
        (GET, 200, None, &[], "0\r\n\r\n", Complete),
        (GET, 200, None, &[&long[..]], &format!("{chunk}0\r\n\r\n")[..], Complete),
        (GET, 200, Some(5), &["abc", "de"], "abcde", Complete),
        (GET, 200, Some(5), &["abc", "def", "g"], "abcde", Complete),
        (GET, 200, Some(5), &["abc"], "abc", Short),
        (GET, 200, Some(0), &["abc"], "", Complete),
        (OLD, 200, None, &["abc", "de"], "abcde", Complete),
        (HEAD, 200, None, &["abc"], "", Complete),
        (HEAD, 200, Some(3), &["abc"], "", Complete),
        (GET, 204, None, &["abc"], "", Complete),
        (GET, 304, Some(3), &["abc"], "", Complete),
    ] {
        let expected = (octets.to_owned(), end);
        assert_eq!(body(request, status, length, parts), expected, "{status} {parts:?}");
    }
}

#[test]
fn chunk_sizes_are_lower_case_hex() {
    for (len, line) in [
        (0, "0\r\n"),
        (9, "9\r\n"),
        (10, "a\r\n"),
        (255, "ff\r\n"),
        (256, "100\r\n"),
        (0xdead_beef, "deadbeef\r\n"),
        (u64::MAX, "ffffffffffffffff\r\n"),
    ] {
        assert_eq!(ChunkHeader::new(len).as_bytes(), line.as_bytes());
    }
}

#[test]
fn a_closing_request_is_told_so() {
    let delivery = Delivery::decide(GET.closing(), 413, Some(54));
    assert_eq!((delivery.connection(), delivery.keep_alive), (Some("close"), false));
}

/// The fields of a head as our own parser of requests reads them.
fn read_back(head: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let start = memchr::memmem::find(head, b"\r\n").unwrap() + 2;
    let mut scanner = FieldScanner::new(start);
    let mut fields = Vec::new();
    loop {
        match scanner.next(head) {
            FieldStep::Field(field) => {
                fields.push((field.name.of(head).to_vec(), field.value.of(head).to_vec()));
            }
            FieldStep::End(end) => {
                assert_eq!(end, head.len());
                return fields;
            }
            step => panic!("{step:?} in {}", head.escape_ascii()),
        }
    }
}

proptest! {
    /// What is written reads back as the same fields, by our parser and by another one.
    #[test]
    fn heads_read_back_as_they_were_meant(
        fields in prop::collection::vec(
            (
                prop_oneof![
                    "[!-~]{1,12}",
                    "[A-Za-z-]{1,20}",
                    "(?i)(content-length|transfer-encoding|date|x)[ \t:]?",
                ],
                prop::collection::vec(any::<u8>(), 0..20),
            ),
            0..8,
        ),
        status in 200u16..600,
        length in prop::option::of(0u64..100),
        http10 in any::<bool>(),
    ) {
        let request = if http10 { OLD } else { GET };
        let delivery = Delivery::decide(request, status, length);
        let mut out = Vec::new();
        let mut head = ResponseHead::begin(&mut out, status, delivery);
        let mut meant = Vec::new();
        for (name, value) in &fields {
            // The parsers refuse control octets, which applications may send.
            let plain = |octet: &u8| if octet.is_ascii_control() { b' ' } else { *octet };
            let value: Vec<u8> = value.iter().map(plain).collect();
            head.field(name.as_bytes(), &value);
            let is_framing = ["content-length", "transfer-encoding"]
                .iter()
                .any(|framing| name.eq_ignore_ascii_case(framing));
            if is_field_name(name.as_bytes()) && !is_framing {
                meant.push((name.clone().into_bytes(), value.trim_ascii().to_vec()));
            }
        }
        let date = date();
        head.finish(&end(&date));
        let read = read_back(&out);
        prop_assert_eq!(read.iter().filter(|(name, _)| {
            !name.eq_ignore_ascii_case(b"content-length")
        }).take(meant.len()).cloned().collect::<Vec<_>>(), meant);
        let count = |known: &[u8]| {
            read.iter().filter(|(name, _)| name.eq_ignore_ascii_case(known)).count()
        };
        prop_assert_eq!(
            count(b"content-length"),
            usize::from(matches!(delivery.framing, Framing::Length(_)))
        );
        prop_assert_eq!(
            count(b"transfer-encoding"),
            usize::from(delivery.framing == Framing::Chunked)
        );
        let mut slots = [httparse::EMPTY_HEADER; 32];
        let mut other = httparse::Response::new(&mut slots);
        prop_assert_eq!(other.parse(&out), Ok(httparse::Status::Complete(out.len())));
        // One status is for ourselves.
        let shown = if status == PLAIN_HTTP_ON_TLS { 400 } else { status };
        prop_assert_eq!(other.code, Some(shown));
        prop_assert_eq!(other.headers.len(), read.len());
    }
}
