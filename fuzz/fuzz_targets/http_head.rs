//! Request heads: however the octets arrive, the outcome is the same.
#![no_main]

use router_proc::http::field::{is_field_name, is_field_value};
use router_proc::http::{HeadParser, Limits, ParseStatus, RequestHead, parse_head};

/// Everything a head shows to others.
fn observe(head: &RequestHead) -> String {
    let fields: Vec<_> = head.fields().map(|field| (field.name, field.value)).collect();
    format!(
        "{:?}",
        (
            (head.method(), head.target(), head.path(), head.query(), head.version_text()),
            (head.request_line(), head.facts(), head.host(), fields, head.content_length()),
            (head.is_chunked(), head.expects_continue(), head.upgrade_requested()),
            (head.is_websocket_handshake(), head.websocket_key(), head.websocket_version_is_13()),
            (head.cookie(), head.referer(), head.user_agent(), head.content_type()),
            head.authorization(),
        )
    )
}

/// Limits small enough that short inputs reach them, or the default ones.
fn limits(choice: u8) -> Limits {
    let small = Limits {
        large_header_buffer_size: 1 + usize::from(choice >> 4) * 4,
        large_header_buffers: usize::from(choice >> 2 & 3),
        max_body_size: 99,
        discard_unsafe_fields: choice & 2 != 0,
        chunked_transform: true,
    };
    if choice & 1 == 0 { Limits::default() } else { small }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[choice, step, count], input)) = bytes.split_first_chunk::<3>() else { return };
    let limits = limits(choice);
    // A repeated input reaches the size limits, which a fuzzer would not by itself.
    let input = input.repeat(1 + usize::from(count) / 16);

    let mut head = RequestHead::new();
    let whole = parse_head(&input, &limits, &mut head);
    let seen = observe(&head);
    match whole {
        ParseStatus::Incomplete => {}
        ParseStatus::Complete { consumed } => {
            assert!(consumed <= input.len() && head.is_complete());
            assert!(head.fields().all(|field| is_field_name(field.name)));
            assert!(head.fields().all(|field| is_field_value(field.value)));
            // Where a body that is refused ends is not known.
            assert!(head.body(&limits).is_ok() || !head.facts().keep_alive);
            // Nothing behind the head had a say in it.
            let mut alone = RequestHead::new();
            assert_eq!(parse_head(&input[..consumed], &limits, &mut alone), whole);
            assert_eq!(observe(&alone), seen);
        }
        ParseStatus::Error { status, .. } => assert!([400, 413, 431, 505].contains(&status)),
    }

    let mut parser = HeadParser::new();
    let mut head = RequestHead::new();
    head.append_field(b"Left", b"over");
    let mut end = 0;
    let in_pieces = loop {
        end = (end + 1 + usize::from(step)).min(input.len());
        let status = parser.parse(&input[..end], &limits, &mut head);
        if status != ParseStatus::Incomplete || end == input.len() {
            break status;
        }
    };
    assert_eq!(in_pieces, whole);
    if whole == ParseStatus::Incomplete {
        parser.abandon(&input, &mut head);
    } else {
        assert_eq!(observe(&head), seen);
    }
    assert!(parser.is_fresh());
});
