//! Arguments and cookies: what variables and patterns see is what a plain reading of the text gives.
#![no_main]

use std::sync::LazyLock;

use conf::{PeerAddress, Template};
use router_proc::http::{Limits, ParseStatus, RequestHead, parse_head};
use router_proc::routing::variables::expand;
use router_proc::routing::{RequestCache, RequestContext, RequestTimes, ResponseFacts};

static TEMPLATE: LazyLock<Template> =
    LazyLock::new(|| Template::parse(b"$arg_a$dollar$cookie_a", None).expect("is a template"));

/// The last argument of that name, by the letter of the description.
fn argument(query: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    for piece in query.split(|octet| *octet == b'&') {
        let at = piece.iter().position(|octet| *octet == b'=');
        let (name, value) = piece.split_at(at.unwrap_or(piece.len()));
        if decode(name) == b"a" {
            found = decode(value.get(1..).unwrap_or_default());
        }
    }
    found
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let digits =
            text.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match (text[at], digits) {
            (b'%', Some(digits)) => {
                let digits = std::str::from_utf8(digits).expect("are digits");
                out.push(u8::from_str_radix(digits, 16).expect("are digits"));
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (octet, _) => out.push(octet),
        }
        at += 1;
    }
    out
}

/// The first cookie of that name.
fn cookie(value: &[u8]) -> Vec<u8> {
    for piece in value.split(|octet| *octet == b';') {
        let text: String = piece.iter().map(|octet| char::from(*octet)).collect();
        if let Some((name, value)) = text.split_once('=')
            && name.trim_start_matches(' ') == "a"
        {
            let value = value.trim_end_matches(' ');
            return value.chars().map(|octet| u8::try_from(octet).expect("was an octet")).collect();
        }
    }
    Vec::new()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|&byte| byte == 0xff).unwrap_or(bytes.len());
    let (query, cookies) = bytes.split_at(at);
    let cookies = cookies.get(1..).unwrap_or_default();
    let text = [b"GET /?", query, b" HTTP/1.1\r\nCookie: ", cookies, b"\r\n\r\n"].concat();
    let mut head = RequestHead::new();
    let limits = Limits { large_header_buffer_size: 1 << 20, ..Limits::default() };
    let status = parse_head(&text, &limits, &mut head);
    if status != (ParseStatus::Complete { consumed: text.len() }) {
        return;
    }
    let expected = [
        argument(head.query().unwrap_or_default()),
        b"$".to_vec(),
        cookie(head.cookie().unwrap_or_default()),
    ]
    .concat();
    let peer = PeerAddress::Unix;
    let mut ctx = RequestContext {
        head: &mut head,
        cache: &mut RequestCache::default(),
        peer,
        local: peer,
        is_tls: false,
        conn: 1,
        times: RequestTimes::default(),
    };
    // A second time it comes from what was kept of the first.
    for _ in 0..2 {
        let mut out = Vec::new();
        expand(&TEMPLATE, &mut ctx, &ResponseFacts::default(), b"", &mut out).expect("no script");
        assert_eq!(out, expected);
    }
});
