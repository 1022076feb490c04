//! Response heads: whatever an application puts into its fields, no line is begun but by us.
#![no_main]

use router_proc::http::{
    Delivery, Framing, HeadEnd, RequestFacts, ResponseHead, ServerField, Version,
};

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[facts, status, class, length], rest)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let request = RequestFacts {
        version: if facts & 1 == 0 { Version::Http11 } else { Version::Http10 },
        is_head: facts & 2 != 0,
        keep_alive: facts & 4 != 0,
    };
    let status = u16::from(status % 100) + u16::from(class % 12) * 100;
    let length = (facts & 8 != 0).then_some(u64::from(length));
    let delivery = Delivery::decide(request, status, length);
    let mut out = Vec::new();
    let mut head = ResponseHead::begin(&mut out, status, delivery);
    let mut sent = 0;
    for field in rest.split(|&octet| octet == 0xff).take(50) {
        let at = field.iter().position(|&octet| octet == 0xfe).unwrap_or(field.len());
        let (name, value) = field.split_at(at);
        head.field(name, value.get(1..).unwrap_or_default());
        sent += 1;
    }
    head.finish(&HeadEnd { server: ServerField::Versioned, date: DATE, websocket_accept: None });

    let head = out.strip_suffix(b"\r\n\r\n").expect("ends with an empty line");
    let lines: Vec<&[u8]> = split(head);
    // The status line, at most every field, and of ours Server, Date, length, Connection, coding
    // and Sec-WebSocket-Version.
    assert!(lines.len() <= 1 + sent + 6);
    for line in &lines {
        assert!(!line.is_empty() && !line.iter().any(|octet| b"\r\n\0".contains(octet)));
    }
    let count = |name: &[u8]| {
        let is = |line: &&&[u8]| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        lines.iter().filter(is).count()
    };
    let has_length = matches!(delivery.framing, Framing::Length(_));
    assert_eq!(count(b"content-length:"), usize::from(has_length));
    assert_eq!(count(b"transfer-encoding:"), usize::from(delivery.framing == Framing::Chunked));
    assert!(!(delivery.has_body && matches!(status, 100..=199 | 204 | 304)));
});

fn split(head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    lines
}
