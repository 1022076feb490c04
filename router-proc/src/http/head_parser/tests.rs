//! Whole heads: size limits, every split, agreement with `httparse`, arbitrary octets.

use proptest::prelude::*;

use super::*;

/// Everything a head shows to others.
fn observe(head: &RequestHead) -> String {
    let text = |octets: &[u8]| octets.escape_ascii().to_string();
    let fields: Vec<String> =
        head.fields().map(|field| format!("{}={}", text(field.name), text(field.value))).collect();
    format!(
        "{} {} {} {:?} {} {:?} {:?} {} {:?} {:?} {:?} {} {} {:?} {:?}",
        text(head.method()),
        text(head.target()),
        text(head.path()),
        head.query().map(text),
        text(head.version_text()),
        head.request_line().map(text),
        head.facts(),
        text(head.host()),
        fields,
        head.content_length(),
        head.is_chunked(),
        head.upgrade_requested(),
        head.is_websocket_handshake(),
        head.cookie().map(text),
        head.user_agent().map(text),
    )
}

fn whole(input: &[u8], limits: &Limits) -> (ParseStatus, String) {
    let mut head = RequestHead::new();
    let status = parse_head(input, limits, &mut head);
    (status, observe(&head))
}

/// The outcome when `input` arrives up to each of `ends` in turn, and how much of it was needed.
fn in_pieces(
    input: &[u8],
    ends: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> (ParseStatus, String) {
    let mut parser = HeadParser::new();
    let mut head = RequestHead::new();
    // What an earlier request left behind must not show.
    head.append_field(b"Left", b"over");
    let mut status = ParseStatus::Incomplete;
    for end in ends.into_iter().chain([input.len()]) {
        status = parser.parse(&input[..end], limits, &mut head);
        if status != ParseStatus::Incomplete {
            assert!(parser.is_fresh());
            return (status, observe(&head));
        }
    }
    (status, String::new())
}

fn assert_no_split_matters(input: &[u8], limits: &Limits) {
    let expected = whole(input, limits);
    if expected.0 == ParseStatus::Incomplete {
        assert_eq!(in_pieces(input, 0..=input.len(), limits).0, ParseStatus::Incomplete);
        return;
    }
    assert_eq!(in_pieces(input, 0..=input.len(), limits), expected);
    let step = (input.len() / 300).max(1);
    for end in (0..input.len()).step_by(step) {
        assert_eq!(in_pieces(input, [end], limits), expected, "cut at {end}");
    }
}

fn status(input: &str) -> ParseStatus {
    whole(input.as_bytes(), &Limits::default()).0
}

const fn error(status: u16, phase: Phase) -> ParseStatus {
    ParseStatus::Error { status, phase }
}

#[test]
fn a_complete_head_ends_where_the_body_begins() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for tail in ["", "body", "\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        let input = format!("{head}{tail}");
        assert_eq!(status(&input), ParseStatus::Complete { consumed: head.len() });
    }
}

#[test]
fn faults_name_the_part_of_the_head() {
    for (input, expected) in [
        ("get / HTTP/1.1\r\n", error(400, Phase::RequestLine)),
        ("GET /.. HTTP/1.1\r\n", error(400, Phase::RequestLine)),
        ("GET /%zz HTTP/1.1\r\n", error(400, Phase::RequestLine)),
        ("GET / HTTP/2.0\r\n", error(505, Phase::RequestLine)),
        ("GET / HTTP/1.1\r\n a: b\r\n", error(400, Phase::Fields)),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n", ParseStatus::Incomplete),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", error(400, Phase::Interpretation)),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n:\r\n", error(400, Phase::Fields)),
        (
            "GET / HTTP/1.1\r\nContent-Length: 8388609\r\nHost: /\r\n\r\n",
            error(413, Phase::Interpretation),
        ),
        (
            "GET / HTTP/1.1\r\nHost: /\r\nContent-Length: 8388609\r\n\r\n",
            error(400, Phase::Interpretation),
        ),
    ] {
        assert_eq!(status(input), expected, "{input:?}");
        assert_no_split_matters(input.as_bytes(), &Limits::default());
    }
}

#[test]
fn the_log_sees_what_was_read_before_a_fault() {
    let mut head = RequestHead::new();
    let limits = Limits::default();

    parse_head(b"GETx / HTTP/1.1\r\n", &limits, &mut head);
    assert_eq!((head.method(), head.path(), head.request_line()), (&b"GET"[..], &b""[..], None));

    parse_head(b"GET /a?b HTTP/1.1\r\nUser-Agent: u\r\n:\r\n\r\n", &limits, &mut head);
    assert_eq!((head.path(), head.target()), (&b"/a"[..], &b"/a?b"[..]));
    assert_eq!(head.user_agent(), Some(&b"u"[..]));
    assert_eq!(head.request_line(), None);
    assert!(!head.facts().keep_alive);

    parse_head(b"GET /a HTTP/1.1\r\nHost: /\r\n\r\nrest", &limits, &mut head);
    assert_eq!(head.request_line(), Some(&b"GET /a HTTP/1.1"[..]));

    let mut parser = HeadParser::new();
    let input = b"HEAD /x HTTP/1.0\r\nReferer: r\r\nX: unfin";
    assert_eq!(parser.parse(input, &limits, &mut head), ParseStatus::Incomplete);
    assert!(!parser.is_fresh());
    parser.abandon(input, &mut head);
    assert!(parser.is_fresh());
    assert_eq!((head.method(), head.referer()), (&b"HEAD"[..], Some(&b"r"[..])));
    assert_eq!(head.facts().version, crate::http::Version::Http10);
    assert!(head.is_head() && head.request_line().is_none());
    assert_eq!(head.fields().len(), 1);
}

#[test]
fn an_unsupported_major_version_counts_by_its_minor() {
    let mut head = RequestHead::new();
    for (line, version) in [
        ("HEAD / HTTP/2.0\r\n", crate::http::Version::Http10),
        ("HEAD / HTTP/2.1\r\n", crate::http::Version::Http11),
    ] {
        parse_head(line.as_bytes(), &Limits::default(), &mut head);
        assert_eq!(head.version(), version);
        assert!(head.is_head() && !head.facts().keep_alive);
    }
}

#[test]
fn unsafe_names_are_dropped_or_kept_as_configured() {
    let input = b"GET / HTTP/1.1\r\nA_B: 1\r\nA.B: 2\r\nA-B: 3\r\n\r\n";
    let mut head = RequestHead::new();
    for (discard_unsafe_fields, count) in [(true, 1), (false, 3)] {
        let limits = Limits { discard_unsafe_fields, ..Limits::default() };
        parse_head(input, &limits, &mut head);
        assert_eq!(head.fields().len(), count);
    }
    // Dropped or not, the grammar holds.
    assert_eq!(status("GET / HTTP/1.1\r\nA_B: \x01\r\n\r\n"), error(400, Phase::Fields));
}

#[test]
fn a_host_value_may_take_one_octet_less_than_a_large_buffer() {
    let limits = Limits::default();
    for lead in [0, 1, 100, 1_900, 2_020, 2_030, 2_040] {
        for (len, fits) in [(8_190, true), (8_191, true), (8_192, false), (8_193, false)] {
            let input = format!(
                "GET / HTTP/1.1\r\nL: {}\r\nHost: {}\r\n\r\n",
                "l".repeat(lead),
                "h".repeat(len)
            );
            let expected = match fits {
                true => ParseStatus::Complete { consumed: input.len() },
                false => error(431, Phase::Fields),
            };
            assert_eq!(status(&input), expected, "{lead} {len}");
        }
    }
    let input = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "h".repeat(8_192));
    assert_no_split_matters(input.as_bytes(), &limits);
}

#[test]
fn names_and_the_space_before_a_value_do_not_count_against_it() {
    let limits = Limits::default();
    for spaces in [2_000, 2_030, 9_000] {
        for (len, fits) in [(8_191, true), (8_192, false)] {
            let field = format!("{}:{}{}", "N".repeat(255), " ".repeat(spaces), "v".repeat(len));
            let input = format!("GET / HTTP/1.1\r\n{field}\r\n\r\n");
            let expected = match fits {
                true => ParseStatus::Complete { consumed: input.len() },
                false => error(431, Phase::Fields),
            };
            assert_eq!(whole(input.as_bytes(), &limits).0, expected, "{spaces} {len}");
        }
    }
}

#[test]
fn the_mark_moves_when_a_buffer_is_full() {
    let limits = Limits::default();
    let mut parser = HeadParser::new();
    let mut head = RequestHead::new();
    let input = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(4_000));
    assert_eq!(parser.buffer_end(), 2_048);
    parser.parse(&input.as_bytes()[..2_047], &limits, &mut head);
    assert_eq!(parser.buffer_end(), 2_048);
    parser.parse(&input.as_bytes()[..2_048], &limits, &mut head);
    assert_eq!(parser.buffer_end(), "GET / HTTP/1.1\r\nX: ".len() + 8_192);
}

#[test]
fn a_request_line_may_fill_a_large_buffer_with_its_line_end() {
    for (len, fits) in [(8_191, true), (8_192, true), (8_193, false)] {
        let target = "t".repeat(len - "GET / HTTP/1.1\r\n".len());
        let input = format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let expected = match fits {
            true => ParseStatus::Complete { consumed: input.len() },
            false => error(431, Phase::RequestLine),
        };
        assert_eq!(status(&input), expected, "{len}");
    }
    // A line that never ends is refused when the last buffer for it is full, not later.
    let endless = format!("GET /{}", "t".repeat(20_000));
    let limits = Limits::default();
    let mut parser = HeadParser::new();
    let mut head = RequestHead::new();
    let refused_at = (1..endless.len()).find(|&end| {
        parser.parse(&endless.as_bytes()[..end], &limits, &mut head) != ParseStatus::Incomplete
    });
    assert_eq!(refused_at, Some(8_192));
}

#[test]
fn as_many_large_fields_fit_as_there_are_large_buffers() {
    for large_header_buffers in [1, 2, 4, 7] {
        let limits = Limits { large_header_buffers, ..Limits::default() };
        for (count, fits) in [(large_header_buffers, true), (large_header_buffers + 1, false)] {
            let field = format!("X: {}\r\n", "x".repeat(8_000));
            let input = format!("GET / HTTP/1.1\r\n{}\r\n", field.repeat(count));
            let (status, _) = whole(input.as_bytes(), &limits);
            let expected = match fits {
                true => ParseStatus::Complete { consumed: input.len() },
                false => error(431, Phase::Fields),
            };
            assert_eq!(status, expected, "{large_header_buffers} {count}");
        }
    }
}

#[test]
fn without_large_buffers_the_first_one_is_the_limit() {
    for limits in [
        Limits { large_header_buffers: 0, ..Limits::default() },
        Limits { large_header_buffer_size: 0, ..Limits::default() },
    ] {
        for (len, fits) in [(2_047, true), (2_048, true), (2_049, false)] {
            let filler = "x".repeat(len - "GET / HTTP/1.1\r\nX: \r\n\r\n".len());
            let input = format!("GET / HTTP/1.1\r\nX: {filler}\r\n\r\n");
            let expected = match fits {
                true => ParseStatus::Complete { consumed: len },
                false => error(431, Phase::Fields),
            };
            assert_eq!(whole(input.as_bytes(), &limits).0, expected, "{len}");
        }
    }
}

#[test]
fn huge_limits_do_not_overflow() {
    let limits = Limits {
        large_header_buffer_size: usize::MAX,
        large_header_buffers: usize::MAX,
        ..Limits::default()
    };
    let input = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4_000));
    assert_eq!(whole(input.as_bytes(), &limits).0, error(431, Phase::Fields));
    let limits = Limits { large_header_buffer_size: 1 << 29, ..limits };
    let complete = ParseStatus::Complete { consumed: input.len() };
    assert_eq!(whole(input.as_bytes(), &limits).0, complete);
}

#[test]
fn endless_blank_lines_are_refused() {
    let blank = vec![b'\n'; 2_048 + 4 * 8_192 + 1];
    assert_eq!(whole(&blank, &Limits::default()).0, error(431, Phase::RequestLine));
}

#[test]
fn every_split_of_a_rich_request_gives_the_same_result() {
    let head = "\r\nPOST /a//%62/../c?d=e#f HTTP/1.1\r\n\
        Host: EXAMPLE.org.:8080\r\nUser-Agent: u\t v \r\nX_Dropped: y\r\nCookie: a=b\r\n\
        Connection: Keep-Alive, Upgrade\r\nUpgrade: WebSocket\r\nContent-Length: 3\nEmpty:\r\n\
        \r\nabc";
    assert_no_split_matters(head.as_bytes(), &Limits::default());
    // All pairs of cuts, too.
    let expected = whole(head.as_bytes(), &Limits::default());
    for first in 0..head.len() {
        for second in first..head.len() {
            let pieces = in_pieces(head.as_bytes(), [first, second], &Limits::default());
            assert_eq!(pieces, expected);
        }
    }
}

#[test]
fn a_head_that_arrives_by_octets_costs_linear_time() {
    let limits = Limits { large_header_buffer_size: 1 << 20, ..Limits::default() };
    let input = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20 >> 1));
    let mut parser = HeadParser::new();
    let mut head = RequestHead::new();
    let began = std::time::Instant::now();
    for end in 0..input.len() {
        let status = parser.parse(&input.as_bytes()[..end], &limits, &mut head);
        assert_eq!(status, ParseStatus::Incomplete);
    }
    // Looking at all octets again each time would be 10^11 steps.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

/// Pieces heads are made of, good and bad, so that most random mixtures get somewhere.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("GET / HTTP/1.1\r\n".to_owned()),
        Just("POST /a/./b%41?q HTTP/1.0\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("Host: A.b.:80\r\n".to_owned()),
        Just("Content-Length: 12\r\n".to_owned()),
        Just("Transfer-Encoding: chunked\r\n".to_owned()),
        Just("Connection: close, upgrade\r\n".to_owned()),
        Just("Name_x: value \t\n".to_owned()),
        Just("a:\r\n".to_owned()),
        "[ -~\t]{0,12}",
        "[a-zA-Z]{1,6}: [ -~]{0,20}\r\n",
        "[\\x00-\\x20\\x7f:/]{1,3}",
        (1usize..3_000, any::<bool>()).prop_map(|(len, ended)| {
            format!("long: {}{}", "v".repeat(len), if ended { "\r\n" } else { "" })
        }),
        (240usize..260).prop_map(|len| format!("{}: v\r\n", "n".repeat(len))),
    ];
    (any::<bool>(), prop::collection::vec(piece, 0..8)).prop_map(|(good_start, pieces)| {
        let start = if good_start { "GET /x HTTP/1.1\r\n" } else { "" };
        format!("{start}{}\r\n\r\n", pieces.concat()).into_bytes()
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let size = prop::sample::select(vec![0usize, 1, 64, 1_000, 2_048, 2_500, 8_192]);
    (size, 0usize..5, any::<bool>()).prop_map(|(size, buffers, discard)| Limits {
        large_header_buffer_size: size,
        large_header_buffers: buffers,
        discard_unsafe_fields: discard,
        ..Limits::default()
    })
}

proptest! {
    #[test]
    fn no_split_changes_the_outcome(
        input in pieces(),
        limits in limits(),
        mut ends in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let expected = whole(&input, &limits);
        ends.sort_by_key(|end| end.index(input.len() + 1));
        let ends: Vec<usize> = ends.iter().map(|end| end.index(input.len() + 1)).collect();
        let pieces = in_pieces(&input, ends, &limits);
        prop_assert_eq!(pieces.0, expected.0);
        if expected.0 != ParseStatus::Incomplete {
            prop_assert_eq!(&pieces, &expected);
            prop_assert_eq!(&in_pieces(&input, 0..=input.len(), &limits), &expected);
        }
    }

    #[test]
    fn arbitrary_octets_never_panic(
        input in prop::collection::vec(any::<u8>(), 0..3_000),
        limits in limits(),
    ) {
        let mut head = RequestHead::new();
        let mut parser = HeadParser::new();
        let mut prefixed = b"GET / HTTP/1.1\r\n".to_vec();
        prefixed.extend_from_slice(&input);
        for input in [&input, &prefixed] {
            if parser.parse(input, &limits, &mut head) == ParseStatus::Incomplete {
                parser.abandon(input, &mut head);
            }
            let _ = (observe(&head), head.body(&limits));
        }
    }

    /// Where `httparse` takes a field block, so do we, with the same fields; where it refuses one,
    /// so do we, but for the octet 0x7F in a value.
    #[test]
    fn field_blocks_agree_with_httparse(
        block in prop_oneof![
            "([A-Za-z_-]{1,8}[ ]?:[ \t]{0,2}[ -~\t]{0,9}\r?\n){0,4}\r\n",
            "([!-~ ]{0,5}:[ -~\t\r\n\\x00\\x7f]{0,9}\r\n){0,4}\r?\n",
        ]
    ) {
        let input = format!("GET / HTTP/1.1\r\n{block}");
        let limits = Limits { discard_unsafe_fields: false, ..Limits::default() };
        let mut head = RequestHead::new();
        let ours = parse_head(input.as_bytes(), &limits, &mut head);
        let mut slots = [httparse::EMPTY_HEADER; 32];
        match (httparse::parse_headers(block.as_bytes(), &mut slots), ours) {
            (Ok(httparse::Status::Complete((len, theirs))), ParseStatus::Complete { consumed }) => {
                prop_assert_eq!(consumed, input.len() - block.len() + len);
                let ours: Vec<_> = head.fields().map(|field| (field.name, field.value)).collect();
                let theirs: Vec<_> =
                    theirs.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
                prop_assert_eq!(ours, theirs);
            }
            // A block that only an interpreted field spoils.
            (Ok(_), ParseStatus::Error { phase: Phase::Interpretation, .. }) => {}
            (Ok(httparse::Status::Partial), ParseStatus::Incomplete) => {}
            (Err(_), ParseStatus::Error { status: 400, .. }) => {}
            (Err(_), _) if block.contains('\u{7f}') => {}
            // `httparse` reports a fault only in front of the last octets it needs.
            (Ok(httparse::Status::Partial), ParseStatus::Error { .. }) => {}
            (theirs, ours) => prop_assert!(false, "{:?} {:?}", theirs, ours),
        }
    }
}
