//! Entries as formats describe them, whatever is in a request.

use std::fs::File;
use std::sync::Arc;

use proptest::prelude::*;

use super::{AccessLog, EntryBuffer, LogFile};
use crate::http::{Delivery, HeadParser, Limits, ParseStatus, RequestHead};
use crate::routing::tests::{Request, configure};
use crate::routing::{RequestCache, ResponseFacts, ResponseFieldsView};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nX-A: \"1\"\r\nServer: Unit/2.0.0\r\n\r\n";

/// The log with these members besides its path.
fn log(members: &str) -> AccessLog {
    let config = configure(&format!(r#"{{"access_log":{{"path":"/log"{members}}}}}"#));
    let file = Arc::new(LogFile::closed("/log".to_owned()));
    AccessLog::compile(&config.access_log.unwrap(), file).unwrap()
}

fn facts(request: &Request) -> ResponseFacts<'static> {
    ResponseFacts {
        status: 200,
        body_bytes_sent: 12,
        delivery: Some(Delivery::decide(request.head.facts(), 200, Some(12))),
        fields: ResponseFieldsView::Sent(HEAD),
    }
}

fn entry(log: &AccessLog, request: &mut Request) -> String {
    let facts = facts(request);
    let mut out = b"before\n".to_vec();
    log.format.push_entry(&mut request.context(), &facts, &mut Vec::new(), &mut out);
    String::from_utf8(out).unwrap().strip_prefix("before\n").unwrap().to_owned()
}

fn format_entry(format: &str, request: &mut Request) -> String {
    entry(&log(&format!(r#","format":{format}"#)), request)
}

#[test]
fn without_a_format_entries_are_those_of_web_servers() {
    let fields = ["Referer: http://a/", "User-Agent: curl/8"];
    let mut request = Request::new("GET /a?b=c", &fields);
    let shown = entry(&log(""), &mut request);
    let (before, after) = shown.split_once(" [").unwrap();
    let (_, after) = after.split_once("] ").unwrap();
    assert_eq!(before, "10.0.0.1 - -");
    assert_eq!(after, "\"GET /a?b=c HTTP/1.1\" 200 12 \"http://a/\" \"curl/8\"\n");
    assert!(
        entry(&log(""), &mut Request::get("/"))
            .ends_with("\"GET / HTTP/1.1\" 200 12 \"-\" \"-\"\n")
    );
}

#[test]
fn missing_values_are_a_dash_and_empty_ones_nothing() {
    let mut request = Request::new("GET /?e=", &["Empty:"]);
    for (format, shown) in [
        (r#""""#, "\n"),
        (r#""constant""#, "constant\n"),
        (r#""$dollar$arg_e|$header_empty|$arg_f|$cookie_g""#, "$||-|-\n"),
        (r#""$response_header_x_a $response_header_none""#, "\\x221\\x22 -\n"),
        (r#""$response_header_content_length $response_header_connection""#, "12 -\n"),
    ] {
        assert_eq!(format_entry(format, &mut request), shown, "{format}");
    }
}

#[test]
fn members_keep_their_order_and_are_strings() {
    let mut request = Request::new("GET /%22%5C%0A", &["Empty:"]);
    for (format, shown) in [
        ("{}", "{}\n"),
        (r#"{"status":"$status","uri":"$uri"}"#, "{\"status\":\"200\",\"uri\":\"/\\\"\\\\\\n\"}\n"),
        (
            r#"{"b":"","a":"$header_empty","c":"$arg_none"}"#,
            "{\"b\":\"\",\"a\":\"\",\"c\":\"-\"}\n",
        ),
        (r#"{"a\"\n":"<\"$method\">\\"}"#, "{\"a\\\"\\n\":\"<\\\"GET\\\">\\\\\"}\n"),
    ] {
        let shown_now = format_entry(format, &mut request);
        assert_eq!(shown_now, shown, "{format}");
        assert!(conf::parse(shown_now.as_bytes()).is_ok(), "{shown_now}");
    }
}

#[test]
fn the_head_is_kept_only_for_those_who_show_it() {
    for (members, reads_head) in [
        ("", false),
        (r#","format":"$response_header_connection$response_header_transfer_encoding""#, false),
        (r#","format":"$response_header_content_length""#, true),
        (r#","format":{"a":"$uri","b":"x${response_header_x}"}"#, true),
        (r#","if":"$response_header_x""#, true),
        (r#","if":"$header_x""#, false),
    ] {
        assert_eq!(log(members).reads_head(), reads_head, "{members}");
    }
}

#[test]
fn conditions_decide_about_entries() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut request = Request::new("GET /?yes=1&no=0&empty=", &[]);
    let mut expected = String::new();
    for (condition, is_logged) in [
        ("$arg_yes", true),
        ("!$arg_yes", false),
        ("$arg_no", false),
        ("!$arg_no", true),
        ("$arg_empty", false),
        ("$arg_missing", false),
        ("!$arg_missing", true),
        ("$response_header_x_a", true),
        ("$response_header_x_b", false),
        ("", false),
        ("!", true),
    ] {
        let members = format!(r#","if":"{condition}","format":"<{condition}>""#);
        // A condition is no template by its exclamation mark.
        let mut log = log(&members.replace("<!", "< !"));
        let file = File::options().append(true).create(true).open(&path).unwrap();
        log.file = Arc::new(LogFile::new("/log".to_owned(), file.into()).unwrap());
        let buffer = EntryBuffer::default();
        let facts = facts(&request);
        buffer.add(&log, &mut request.context(), &facts);
        buffer.flush();
        if is_logged {
            expected.push_str(&entry(&log, &mut request));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "{condition}");
    }
}

#[test]
fn entries_of_another_configuration_go_to_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let with_file = |name: &str| {
        let mut log = log(&format!(r#","format":"{name} $uri""#));
        let file = File::create(directory.path().join(name)).unwrap();
        log.file = Arc::new(LogFile::new(name.to_owned(), file.into()).unwrap());
        log
    };
    let (old, new) = (with_file("old"), with_file("new"));
    let buffer = EntryBuffer::default();
    for (log, target) in [(&old, "/1"), (&new, "/2"), (&old, "/3"), (&new, "/4")] {
        let mut request = Request::get(target);
        let facts = facts(&request);
        buffer.add(log, &mut request.context(), &facts);
    }
    buffer.finish();
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(read("old"), "old /1\nold /3\n");
    assert_eq!(read("new"), "new /2\nnew /4\n");
}

/// Nobody reads the pipe for a while.
#[test]
fn what_a_pipe_does_not_take_waits_and_then_is_lost_entry_by_entry() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut log = log(r#","format":"$request_uri""#);
    log.file = Arc::new(LogFile::new("/pipe".to_owned(), writer.into()).unwrap());
    let buffer = EntryBuffer::default();
    let lines = crate::routing::tests::logged(|| {
        for number in 0..6000 {
            let mut request = Request::get(&format!("/{number:04}/{}", "x".repeat(93)));
            let facts = facts(&request);
            buffer.add(&log, &mut request.context(), &facts);
        }
        buffer.flush();
    });
    assert_eq!(lines, ["alert *0 access log \"/pipe\" takes no more, entries are lost"]);
    // The pipe has its 64 KiB and the buffer its 256.
    let reading = std::thread::spawn(move || {
        let mut content = String::new();
        std::io::Read::read_to_string(&mut reader, &mut content).unwrap();
        content
    });
    while !buffer.is_empty() {
        buffer.flush();
        std::thread::yield_now();
    }
    drop((log, buffer));
    let content = reading.join().unwrap();
    let numbers: Vec<usize> = content.lines().map(|line| line[1..5].parse().unwrap()).collect();
    assert!(content.lines().all(|line| line.len() == 99), "whole entries");
    assert!(
        numbers.is_sorted() && numbers.len() > 3000 && numbers.len() < 6000,
        "{}",
        numbers.len()
    );
}

/// A log whose file is a pipe that has nobody read it yet.
fn piped() -> (std::io::PipeReader, AccessLog) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut log = log(r#","format":"$request_uri""#);
    log.file = Arc::new(LogFile::new("/pipe".to_owned(), writer.into()).unwrap());
    (reader, log)
}

/// Adds entries of 500 octets with these numbers.
fn add(buffer: &EntryBuffer, log: &AccessLog, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let mut request = Request::get(&format!("/{number:04}/{}", "x".repeat(493)));
        let facts = facts(&request);
        buffer.add(log, &mut request.context(), &facts);
    }
}

/// The numbers of the entries in a pipe, once the buffer has nothing left for it.
fn numbers_in(mut reader: std::io::PipeReader, log: AccessLog, buffer: &EntryBuffer) -> Vec<usize> {
    let reading = std::thread::spawn(move || {
        let mut content = String::new();
        std::io::Read::read_to_string(&mut reader, &mut content).unwrap();
        content
    });
    drop(log);
    while !buffer.is_empty() {
        buffer.flush();
        std::thread::yield_now();
    }
    let content = reading.join().unwrap();
    assert!(content.lines().all(|line| line.len() == 499), "whole entries");
    content.lines().map(|line| line[1..5].parse().unwrap()).collect()
}

/// Three times what a pipe takes, and then requests of two configurations in turn.
#[test]
fn what_waits_for_a_pipe_waits_on_when_entries_go_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let (reader, old) = piped();
    let mut new = log(r#","format":"$request_uri""#);
    let path = directory.path().join("new");
    new.file =
        Arc::new(LogFile::new("new".to_owned(), File::create(&path).unwrap().into()).unwrap());
    let buffer = EntryBuffer::default();
    let lines = crate::routing::tests::logged(|| {
        add(&buffer, &old, 0..400);
        for number in 400..420 {
            add(&buffer, &new, number..number + 1);
            add(&buffer, &old, number..number + 1);
            buffer.flush();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 20);
        assert_eq!(numbers_in(reader, old, &buffer), (0..420).collect::<Vec<_>>());
    });
    assert_eq!(lines, <[&str; 0]>::default());
}

#[test]
fn a_file_that_nobody_names_any_more_is_not_waited_for_for_ever() {
    let (_reader, log) = piped();
    let buffer = EntryBuffer::default();
    let start = std::time::Instant::now();
    let at = |secs| start + std::time::Duration::from_secs(secs);
    log.file.set_in_use(true);
    add(&buffer, &log, 0..200);
    let lines = crate::routing::tests::logged(|| {
        buffer.flush_at(at(1000));
        assert!(!buffer.is_empty());
        log.file.set_in_use(false);
        buffer.flush_at(at(1009));
    });
    assert!(buffer.is_empty());
    let told = "alert *0 access log \"/pipe\" takes no more, entries are lost";
    assert_eq!(lines, [told]);
    // From then on it has its time again.
    add(&buffer, &log, 0..1);
    buffer.flush_at(at(2000));
    buffer.flush_at(at(2009));
    assert!(!buffer.is_empty());
    buffer.flush_at(at(2010));
    assert!(buffer.is_empty());
}

#[test]
fn entries_are_kept_for_few_files() {
    let pipes: Vec<_> = (0..6).map(|_| piped()).collect();
    pipes[0].1.file.set_in_use(true);
    let buffer = EntryBuffer::default();
    let lines = crate::routing::tests::logged(|| {
        for (_, log) in &pipes {
            add(&buffer, log, 0..200);
        }
    });
    // The pipes that were left first, but not the one in use.
    let told = "alert *0 access log \"/pipe\" takes no more, entries are lost";
    assert_eq!(lines, [told, told]);
    let (readers, logs): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
    let counts: Vec<usize> = logs.iter().map(|log| Arc::strong_count(&log.file)).collect();
    assert_eq!(counts, [2, 1, 1, 2, 2, 2]);
    drop(readers);
}

/// Formats that show everything there is, in both forms.
const EVERYTHING: [&str; 14] = [
    "remote_addr",
    "method",
    "uri",
    "request_uri",
    "request_line",
    "host",
    "header_referer",
    "header_user_agent",
    "header_x_a",
    "arg_a",
    "cookie_c",
    "status",
    "body_bytes_sent",
    "response_header_x_a",
];

/// Octets that make trouble, more often than others.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        3 => any::<u8>(),
        2 => proptest::sample::select(&b"\"\\{},:[]$-\t \x7f\x9b\xc2\x85\xe2\x80\xa8n0x"[..]),
        2 => b'a'..=b'z',
    ];
    // Some that take a whole sequence to be what they are.
    let unseen =
        ["\u{2028}", "\u{202e}", "\u{200d}", "\u{2066}", "\u{feff}", "\u{ad}", "\u{e0041}"];
    let piece = prop_oneof![
        9 => octet.prop_map(|octet| vec![octet]),
        1 => proptest::sample::select(unseen.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A target with escapes of anything in it.
fn target() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![any::<u8>().prop_map(Err), octets().prop_map(Ok)], 0..6)
        .prop_map(|parts| {
            let mut target = b"/".to_vec();
            for part in parts {
                match part {
                    Ok(octets) => target.extend(octets),
                    Err(octet) => target.extend(format!("%{octet:02x}").into_bytes()),
                }
            }
            target
        })
}

/// Whether it ends lines, controls a terminal or turns text around, and so is in no entry.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || ['\u{2028}', '\u{2029}', '\u{ad}', '\u{feff}'].contains(&c)
        || ('\u{200b}'..='\u{200f}').contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Undoes [`super::Escaping::Text`].
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        if octet == b'\\' {
            assert_eq!(after[0], b'x', "{text}");
            let digits = std::str::from_utf8(&after[1..3]).unwrap();
            out.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[3..];
        } else {
            out.push(octet);
            rest = after;
        }
    }
    out
}

proptest! {
    /// Whatever a client sends, each request is one line, and one object with the configured
    /// members and the values of the request.
    #[test]
    fn n16_no_request_forges_an_entry(
        target in target(),
        referer in octets(),
        agent in octets(),
        cookie in octets(),
        cut in proptest::option::of(0..200_usize),
    ) {
        let mut raw = [b"GET ", &target[..], b"?a=", &cookie, b" HTTP/1.1\r\nHost: "].concat();
        raw.extend_from_slice(&referer);
        for (name, value) in [("Referer", &referer), ("User-Agent", &agent), ("X-A", &agent)] {
            raw.extend_from_slice(format!("\r\n{name}: ").as_bytes());
            raw.extend_from_slice(value);
        }
        raw.extend_from_slice(b"\r\nCookie: c=");
        raw.extend_from_slice(&cookie);
        raw.extend_from_slice(b"\r\n\r\n");
        raw.truncate(cut.unwrap_or(raw.len()));
        let (mut parser, mut head) = (HeadParser::new(), RequestHead::new());
        if parser.parse(&raw, &Limits::default(), &mut head) == ParseStatus::Incomplete {
            parser.abandon(&raw, &mut head);
        }
        let mut request = Request { head, cache: RequestCache::default(), ..Request::get("/") };

        let names = EVERYTHING.map(|name| format!("\\\"${name}\\\"")).join(" ");
        let line = format_entry(&format!("\"{names}\""), &mut request);
        prop_assert!(line.ends_with('\n'));
        let line = &line[..line.len() - 1];
        prop_assert!(!line.chars().any(is_unseen));
        let texts: Vec<Vec<u8>> = line.split('"').skip(1).step_by(2).map(unescape).collect();
        prop_assert_eq!(line.split('"').count(), 2 * EVERYTHING.len() + 1);

        let members = EVERYTHING.map(|name| format!("\"{name}\":\"${name}\"")).join(",");
        let object = format_entry(&format!("{{{members}}}"), &mut request);
        prop_assert!(object.ends_with('\n') && object.lines().count() == 1);
        prop_assert!(!object.trim_end_matches('\n').chars().any(is_unseen));
        let value = conf::parse(object.as_bytes()).unwrap();
        let object = value.as_object().unwrap();
        prop_assert_eq!(object.len(), EVERYTHING.len());
        for ((name, value), (expected, text)) in object.iter().zip(EVERYTHING.iter().zip(&texts)) {
            prop_assert_eq!(name.as_bytes(), expected.as_bytes());
            let lossy = String::from_utf8_lossy(text);
            prop_assert_eq!(value.as_text().unwrap().as_bytes(), lossy.as_bytes());
        }
        let is = |name: &str, expected: Option<&[u8]>| {
            let at = EVERYTHING.iter().position(|known| *known == name).unwrap();
            assert_eq!(texts[at], expected.unwrap_or(b"-"), "{name}");
        };
        is("request_line", request.head.request_line());
        if request.head.is_complete() {
            is("uri", Some(request.head.path()));
            is("header_user_agent", request.head.user_agent());
        }
    }
}
