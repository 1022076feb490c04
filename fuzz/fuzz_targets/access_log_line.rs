//! Entries of the access log: whatever a request and its answer say, an entry is one line whose quotes
//! stand where the format has them, or one JSON object with the members of the format.
#![no_main]

use std::net::{Ipv4Addr, SocketAddr};

use conf::{AccessLogFormat, PeerAddress, Template};
use router_proc::access_log::Format;
use router_proc::http::{Delivery, HeadParser, Limits, ParseStatus, RequestHead};
use router_proc::routing::{
    RequestCache, RequestContext, RequestTimes, ResponseFacts, ResponseFieldsView,
};

const NAMES: [&str; 22] = [
    "dollar",
    "method",
    "uri",
    "request_uri",
    "request_line",
    "request_id",
    "request_time",
    "host",
    "remote_addr",
    "time_local",
    "status",
    "body_bytes_sent",
    "header_a",
    "header_referer",
    "header_user_agent",
    "arg_a",
    "cookie_a",
    "response_header_a",
    "response_header_server",
    "response_header_connection",
    "response_header_content_length",
    "response_header_transfer_encoding",
];

fn template(text: &str) -> Template {
    Template::parse(text.as_bytes(), None).expect("the names are variables")
}

/// Undoes the escapes of a text.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        match (octet, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("they are digits");
                out.push(u8::from_str_radix(digits, 16).expect("they are digits"));
                rest = after;
            }
            (b'\\', _) => panic!("a backslash without its digits"),
            _ => {
                out.push(octet);
                rest = after;
            }
        }
    }
    out
}

/// Whether a character ends lines, controls a terminal or turns text around.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[split, status], input)) = bytes.split_first_chunk::<2>() else { return };
    let at = input.len() * usize::from(split) / 255;
    let (request, response) = input.split_at(at);
    let limits = Limits { discard_unsafe_fields: false, ..Limits::default() };
    let (mut parser, mut head) = (HeadParser::new(), RequestHead::new());
    if parser.parse(request, &limits, &mut head) == ParseStatus::Incomplete {
        parser.abandon(request, &mut head);
    }
    let delivery = Delivery::decide(head.facts(), u16::from(status) * 4, None);
    let facts = ResponseFacts {
        status: u16::from(status) * 4,
        body_bytes_sent: u64::MAX,
        delivery: (status % 2 == 0).then_some(delivery),
        fields: ResponseFieldsView::Sent(response),
    };
    let address = PeerAddress::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    let mut cache = RequestCache::default();
    let mut ctx = RequestContext {
        head: &mut head,
        cache: &mut cache,
        peer: address,
        local: address,
        is_tls: false,
        conn: 1,
        times: RequestTimes { unix_secs: 784_111_777, elapsed_ms: 1 },
    };

    let text = NAMES.map(|name| format!("\"${name}\"")).join(" ");
    let format = AccessLogFormat::Line(template(&text));
    let mut line = Vec::new();
    let format = Format::compile(&format).expect("there is no script in it");
    format.push_entry(&mut ctx, &facts, &mut Vec::new(), &mut line);
    let line = String::from_utf8(line).expect("entries are UTF-8");
    let line = line.strip_suffix('\n').expect("entries end");
    assert!(!line.chars().any(is_unseen));
    let parts: Vec<&str> = line.split('"').collect();
    assert_eq!(parts.len(), 2 * NAMES.len() + 1);
    assert!(parts[2..2 * NAMES.len()].iter().step_by(2).all(|gap| *gap == " "));

    let members = NAMES.map(|name| (name.into(), template(&format!("${name}"))));
    let format = AccessLogFormat::Json(members.into());
    let mut object = Vec::new();
    let format = Format::compile(&format).expect("there is no script in it");
    format.push_entry(&mut ctx, &facts, &mut Vec::new(), &mut object);
    assert_eq!(object.iter().position(|octet| *octet == b'\n'), Some(object.len() - 1));
    let shown = std::str::from_utf8(&object).expect("entries are UTF-8").trim_end_matches('\n');
    assert!(!shown.chars().any(is_unseen));
    let value = conf::parse(&object).expect("entries are JSON");
    let value = value.as_object().expect("entries are objects");
    assert_eq!(value.len(), NAMES.len());
    for ((at, name), (shown, value)) in NAMES.iter().enumerate().zip(value.iter()) {
        assert_eq!(shown.as_bytes(), name.as_bytes());
        let from_text = unescape(parts[2 * at + 1]);
        let from_text = String::from_utf8_lossy(&from_text);
        assert_eq!(value.as_text().map(|text| text.as_bytes()), Some(from_text.as_bytes()));
    }
});
