//! Ranges as clients ask for them.

use proptest::prelude::*;

use super::*;

/// The outcome in a few words: parts as they are in `Content-Range`.
fn outcome(range: &str, len: u64) -> String {
    let shown = |part: &Part| {
        let mut text = Vec::new();
        part.push_content_range(len, &mut text);
        String::from_utf8(text).unwrap()
    };
    match select(range.as_bytes(), len) {
        Selection::Whole => "whole".to_owned(),
        Selection::One(part) => shown(&part),
        Selection::Several(parts) => parts.iter().map(shown).collect::<Vec<_>>().join(" and "),
        Selection::Unsatisfiable => "none".to_owned(),
    }
}

#[test]
fn one_range() {
    for (range, expected) in [
        ("bytes=0-0", "bytes 0-0/100"),
        ("bytes=0-99", "bytes 0-99/100"),
        ("bytes=10-19", "bytes 10-19/100"),
        ("bytes=99-99", "bytes 99-99/100"),
        // Ends beyond the end are the end.
        ("bytes=10-100", "bytes 10-99/100"),
        ("bytes=0-18446744073709551615", "bytes 0-99/100"),
        ("bytes=0-99999999999999999999999", "bytes 0-99/100"),
        ("bytes=007-0000000000000000000000008", "bytes 7-8/100"),
        // Open ends.
        ("bytes=0-", "bytes 0-99/100"),
        ("bytes=99-", "bytes 99-99/100"),
        // The last ones.
        ("bytes=-1", "bytes 99-99/100"),
        ("bytes=-30", "bytes 70-99/100"),
        ("bytes=-100", "bytes 0-99/100"),
        ("bytes=-101", "bytes 0-99/100"),
        ("bytes=-99999999999999999999999", "bytes 0-99/100"),
        // Units know no letter case.
        ("BYTES=0-0", "bytes 0-0/100"),
        ("Bytes=0-0", "bytes 0-0/100"),
        // Lists may have blanks and holes.
        ("bytes= 0-0", "bytes 0-0/100"),
        ("bytes=\t0-0 ", "bytes 0-0/100"),
        ("bytes=,, 0-0 , ,", "bytes 0-0/100"),
    ] {
        assert_eq!(outcome(range, 100), expected, "{range}");
    }
}

#[test]
fn what_is_not_understood_is_as_good_as_none() {
    for range in [
        "",
        "b",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes= ",
        "bytes 0-1",
        "bytes:0-1",
        "bytes =0-1",
        " bytes=0-1",
        "byte=0-1",
        "bytess=0-1",
        "items=0-1",
        "none=0-1",
        "=0-1",
        "0-1",
        "bytes=0",
        "bytes=-",
        "bytes=--1",
        "bytes=-1-",
        "bytes=1--",
        "bytes=1--2",
        "bytes=0-1-2",
        "bytes=a-1",
        "bytes=0-b",
        "bytes=0x1-2",
        "bytes=+1-2",
        "bytes=0-+1",
        "bytes=1 - 2",
        "bytes=0 -1",
        "bytes=- 1",
        "bytes=1.0-2",
        "bytes=0-1;1-2",
        "bytes=\u{e4}-1",
        // Backwards.
        "bytes=1-0",
        "bytes=99999999999999999999-5",
        // One mistake spoils the whole set.
        "bytes=0-1,x",
        "bytes=0-1,2",
        "bytes=0-1,5-4",
        "bytes=x,0-1",
        "bytes=500-,x",
        "bytes=0-1,bytes=3-4",
        "bytes=0-1 2-3",
    ] {
        assert_eq!(outcome(range, 100), "whole", "{range}");
    }
}

#[test]
fn what_lies_outside_is_left_out_and_nothing_left_is_unsatisfiable() {
    for (range, len, expected) in [
        ("bytes=100-", 100, "none"),
        ("bytes=100-200", 100, "none"),
        ("bytes=18446744073709551615-", 100, "none"),
        ("bytes=99999999999999999999999-", 100, "none"),
        ("bytes=-0", 100, "none"),
        ("bytes=-0,100-,200-300", 100, "none"),
        ("bytes=-0,5-6,100-", 100, "bytes 5-6/100"),
        ("bytes=100-,5-6,-1", 100, "bytes 5-6/100 and bytes 99-99/100"),
        // Nothing has no first octet, and its last ones cannot be written down.
        ("bytes=0-", 0, "none"),
        ("bytes=0-0", 0, "none"),
        ("bytes=-0", 0, "none"),
        ("bytes=-1", 0, "whole"),
        ("bytes=0-,-1", 0, "whole"),
        ("bytes=0-0", 1, "bytes 0-0/1"),
        ("bytes=1-1", 1, "none"),
        ("bytes=-1", 1, "bytes 0-0/1"),
        ("bytes=1-", u64::MAX, "bytes 1-18446744073709551614/18446744073709551615"),
        (
            "bytes=18446744073709551614-",
            u64::MAX,
            "bytes 18446744073709551614-18446744073709551614/18446744073709551615",
        ),
    ] {
        assert_eq!(outcome(range, len), expected, "{range} of {len}");
    }
}

#[test]
fn several_ranges_come_in_their_order_and_no_octet_twice() {
    for (range, expected) in [
        ("bytes=0-0,-1", "bytes 0-0/100 and bytes 99-99/100"),
        ("bytes=50-59,0-9", "bytes 50-59/100 and bytes 0-9/100"),
        ("bytes=0-9,20-29,40-49", "bytes 0-9/100 and bytes 20-29/100 and bytes 40-49/100"),
        // They overlap, adjoin, hold one another.
        ("bytes=0-9,5-14", "bytes 0-14/100"),
        ("bytes=5-14,0-9", "bytes 0-14/100"),
        ("bytes=0-9,10-19", "bytes 0-19/100"),
        ("bytes=10-19,0-9", "bytes 0-19/100"),
        ("bytes=0-9,11-19", "bytes 0-9/100 and bytes 11-19/100"),
        ("bytes=0-,5-9,-3", "bytes 0-99/100"),
        ("bytes=5-9,5-9,5-9", "bytes 5-9/100"),
        ("bytes=80-89,0-9,5-19", "bytes 80-89/100 and bytes 0-19/100"),
        ("bytes=0-9,80-89,5-19", "bytes 0-19/100 and bytes 80-89/100"),
        // One that closes the gap between others.
        ("bytes=0-9,50-59,20-29,10-19", "bytes 0-29/100 and bytes 50-59/100"),
        ("bytes=20-29,50-59,0-9,10-19", "bytes 0-29/100 and bytes 50-59/100"),
        ("bytes=50-59,20-29,0-9,30-49", "bytes 20-59/100 and bytes 0-9/100"),
    ] {
        assert_eq!(outcome(range, 100), expected, "{range}");
    }
}

#[test]
fn too_many_ranges_are_none() {
    let ask = |count: usize| {
        let specs: Vec<String> = (0..count).map(|at| format!("{0}-{0}", at * 2)).collect();
        format!("bytes={}", specs.join(","))
    };
    let Selection::Several(parts) = select(ask(RANGES_MAX).as_bytes(), 1000) else {
        panic!("not several");
    };
    assert_eq!(parts.len(), RANGES_MAX);
    assert_eq!(outcome(&ask(RANGES_MAX + 1), 1000), "whole");
    // Those that come to nothing count, too; empty members do not.
    assert_eq!(outcome(&format!("bytes=0-0{}", ",5000-".repeat(RANGES_MAX)), 1000), "whole");
    assert_eq!(outcome(&format!("bytes=0-0{}", ",".repeat(1000)), 1000), "bytes 0-0/1000");
}

#[test]
fn a_body_of_parts_is_what_the_standard_shows() {
    let parts = vec![Part { offset: 500, len: 500 }, Part { offset: 7000, len: 1000 }];
    let boundary: Boundary = [0x0F; 16];
    let multipart = Multipart::new(parts, 8000, Some(b"application/pdf\r\nX: y"), boundary);
    let b = "0f".repeat(16);
    assert_eq!(
        multipart.content_type(),
        format!("multipart/byteranges; boundary={b}").into_bytes()
    );
    let texts: Vec<_> = multipart
        .parts()
        .map(|(text, part)| (String::from_utf8(text.to_vec()).unwrap(), part))
        .collect();
    let typed = "Content-Type: application/pdf  X: y\r\n";
    assert_eq!(
        texts,
        [
            (
                format!("--{b}\r\n{typed}Content-Range: bytes 500-999/8000\r\n\r\n"),
                Part { offset: 500, len: 500 }
            ),
            (
                format!("\r\n--{b}\r\n{typed}Content-Range: bytes 7000-7999/8000\r\n\r\n"),
                Part { offset: 7000, len: 1000 }
            ),
        ]
    );
    assert_eq!(multipart.end(), format!("\r\n--{b}--\r\n").into_bytes());
    let without = multipart.with_content_type(8000, None, boundary);
    assert_eq!(
        without.parts().next().unwrap().0,
        format!("--{b}\r\nContent-Range: bytes 500-999/8000\r\n\r\n").into_bytes()
    );
}

/// What a naive reader of the grammar takes a set of ranges for: which octets are in it.
fn marked(specs: &[(Option<u8>, Option<u8>)], len: usize) -> Vec<bool> {
    let mut marked = vec![false; len];
    for spec in specs {
        for (at, mark) in marked.iter_mut().enumerate() {
            *mark |= match *spec {
                (Some(first), Some(last)) => (usize::from(first)..=usize::from(last)).contains(&at),
                (Some(first), None) => at >= usize::from(first),
                (None, Some(last)) => at + usize::from(last) >= len,
                (None, None) => false,
            };
        }
    }
    marked
}

proptest! {
    /// Exactly the octets asked for are sent, each once, in parts that do not touch, and the body
    /// is hardly longer than the file.
    #[test]
    fn parts_cover_what_is_asked_for_exactly_once(
        specs in prop::collection::vec(
            prop_oneof![
                (0..60u8, 0..60u8).prop_map(|(a, b)| (Some(a.min(b)), Some(a.max(b)))),
                (0..60u8).prop_map(|first| (Some(first), None)),
                (0..60u8).prop_map(|len| (None, Some(len))),
            ],
            1..12,
        ),
        len in 1..50usize,
    ) {
        let written: Vec<String> = specs
            .iter()
            .map(|(first, last)| {
                let shown = |number: &Option<u8>| number.map_or(String::new(), |n| n.to_string());
                format!("{}-{}", shown(first), shown(last))
            })
            .collect();
        let range = format!("bytes={}", written.join(", "));
        let total = len as u64;
        let parts = match select(range.as_bytes(), total) {
            Selection::Whole => panic!("ignored"),
            Selection::One(part) => vec![part],
            Selection::Several(parts) => {
                prop_assert!(parts.len() > 1);
                parts
            }
            Selection::Unsatisfiable => Vec::new(),
        };
        let mut covered = vec![false; len];
        for (at, part) in parts.iter().enumerate() {
            prop_assert!(part.len > 0 && part.end() <= total);
            for other in &parts[at + 1..] {
                prop_assert!(part.end() < other.offset || other.end() < part.offset);
            }
            for octet in part.offset..part.end() {
                covered[usize::try_from(octet).unwrap()] = true;
            }
        }
        prop_assert_eq!(covered, marked(&specs, len));
        let multipart = Multipart::new(parts.clone(), total, Some(b"text/plain"), [7; 16]);
        let texts: usize = multipart.parts().map(|(text, _)| text.len()).sum();
        let sent = (texts + multipart.end().len()) as u64 + parts.iter().map(|p| p.len).sum::<u64>();
        prop_assert_eq!(multipart.body_len(), sent);
        prop_assert!(sent <= total + 200 * (parts.len() as u64 + 1));
    }

    #[test]
    fn nothing_breaks_it(range in "(bytes=)?[-0-9, ]{0,30}", len in any::<u64>()) {
        match select(range.as_bytes(), len) {
            Selection::One(part) => prop_assert!(part.len > 0 && part.end() <= len),
            Selection::Several(parts) => {
                prop_assert!(parts.iter().all(|part| part.len > 0 && part.end() <= len));
                prop_assert!(parts.len() > 1 && parts.len() <= RANGES_MAX);
            }
            Selection::Whole | Selection::Unsatisfiable => {}
        }
    }
}
