//! Bodies of known length and chunked ones, whole and in every split.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Done { data: Vec<u8>, consumed: usize },
    Unfinished,
    Refused(u16),
}

/// Decodes `input` as it arrives up to each of `ends` in turn.
fn run(
    body: RequestBody,
    max_size: u64,
    input: &[u8],
    ends: impl IntoIterator<Item = usize>,
) -> Outcome {
    let mut decoder = BodyDecoder::new(body, max_size);
    let mut data = Vec::new();
    let mut at = 0;
    for end in ends.into_iter().chain([input.len()]) {
        loop {
            let rest = &input[at..end];
            match decoder.decode(rest) {
                BodyEvent::Data(range) => {
                    assert!(!range.is_empty());
                    at += range.end;
                    data.extend_from_slice(&rest[range]);
                }
                BodyEvent::NeedMore => {
                    at = end;
                    break;
                }
                BodyEvent::Done { consumed } => {
                    assert!(decoder.is_done());
                    assert_eq!(decoder.decoded_len(), data.len() as u64);
                    assert_eq!(decoder.decode(b"more"), BodyEvent::Done { consumed: 0 });
                    return Outcome::Done { data, consumed: at + consumed };
                }
                BodyEvent::Error(status) => {
                    assert_eq!(decoder.decode(b"0\r\n\r\n"), BodyEvent::Error(status));
                    return Outcome::Refused(status);
                }
            }
        }
    }
    Outcome::Unfinished
}

fn chunked(input: &str, max_size: u64) -> Outcome {
    let input = input.as_bytes();
    let expected = run(RequestBody::Chunked, max_size, input, []);
    for end in 0..=input.len() {
        assert_eq!(run(RequestBody::Chunked, max_size, input, [end]), expected, "cut at {end}");
    }
    assert_eq!(run(RequestBody::Chunked, max_size, input, 0..=input.len()), expected);
    expected
}

fn done(data: &str, consumed: usize) -> Outcome {
    Outcome::Done { data: data.as_bytes().to_vec(), consumed }
}

#[test]
fn known_lengths_end_where_they_say() {
    for (length, input, expected) in [
        (0, "", done("", 0)),
        (0, "next", done("", 0)),
        (3, "abc", done("abc", 3)),
        (3, "abcnext", done("abc", 3)),
        (4, "abc", Outcome::Unfinished),
    ] {
        for end in 0..=input.len() {
            let outcome = run(RequestBody::Length(length), 100, input.as_bytes(), [end]);
            assert_eq!(outcome, expected, "{length} {input}");
        }
    }
    assert_eq!(run(RequestBody::None, 0, b"next", []), done("", 0));
    assert_eq!(run(RequestBody::Length(101), 100, b"", []), Outcome::Refused(413));
    assert_eq!(run(RequestBody::Length(u64::MAX), u64::MAX, b"x", []), Outcome::Unfinished);
}

#[test]
fn chunks_are_joined() {
    for (input, data) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("0000000000000000000000001\r\nx\r\n0\r\n\r\n", "x"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
    ] {
        assert_eq!(chunked(input, 100), done(data, input.len()), "{input:?}");
        let pipelined = format!("{input}GET / HTTP/1.1\r\n\r\n");
        assert_eq!(chunked(&pipelined, 100), done(data, input.len()), "{input:?}");
    }
}

#[test]
fn the_chunk_grammar_is_strict() {
    for input in [
        "\r\n",
        "\n",
        " 3\r\nabc\r\n",
        "3 \r\nabc\r\n",
        "3\t\r\nabc\r\n",
        "3\nabc\r\n",
        "3\r\nabc\n",
        "3\r\nabcd\r\n",
        "3\r\nabc0\r\n",
        "3\rabc",
        "3;x\r\nabc\r\n",
        "3;x=y\r\nabc\r\n",
        "0x3\r\nabc\r\n",
        "+3\r\nabc\r\n",
        "-1\r\n",
        "g\r\n",
        "3\r\nabc\r\n\r\n",
        "3\r\nabc\r\n;\r\n",
        "0;x\r\n\r\n",
        "0\n\n",
        "0\r\n\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\n\rx",
        "0\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "ffffffffffffffffffff\r\n",
    ] {
        assert_eq!(chunked(input, u64::MAX), Outcome::Refused(400), "{input:?}");
    }
    let zeros = "0".repeat(128);
    assert_eq!(chunked(&format!("{zeros}\r\n\r\n"), 9), done("", 132));
    assert_eq!(chunked(&format!("0{zeros}\r\n\r\n"), 9), Outcome::Refused(400));
    assert_eq!(chunked("ffffffffffffffff\r\nx", u64::MAX), Outcome::Unfinished);
}

#[test]
fn decoded_size_is_limited() {
    assert_eq!(chunked("5\r\nabcde\r\n0\r\n\r\n", 5), done("abcde", 15));
    assert_eq!(chunked("6\r\nabcdef\r\n0\r\n\r\n", 5), Outcome::Refused(413));
    assert_eq!(chunked("5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n", 5), Outcome::Refused(413));
    assert_eq!(chunked("ffffffffffffffff\r\n", 5), Outcome::Refused(413));
    assert_eq!(chunked("5\r\nabcde\r\nffffffffffffffff\r\n", u64::MAX), Outcome::Refused(413));
    assert_eq!(chunked("1\r\na\r\n", 0), Outcome::Refused(413));
    assert_eq!(chunked("0\r\n\r\n", 0), done("", 5));
}

#[test]
fn truncated_bodies_wait_for_more() {
    let input = "3\r\nabc\r\n00\r\n\r\n";
    for end in 0..input.len() {
        assert_eq!(chunked(&input[..end], 100), Outcome::Unfinished, "{end}");
    }
}

#[test]
fn data_read_elsewhere_counts() {
    let mut decoder = BodyDecoder::new(RequestBody::Length(10), 10);
    assert_eq!(decoder.decode(b"abc"), BodyEvent::Data(0..3));
    assert_eq!((decoder.remaining(), decoder.skip(4), decoder.remaining()), (7, 4, 3));
    assert_eq!((decoder.skip(9), decoder.is_done()), (3, true));
    assert_eq!(decoder.decoded_len(), 10);

    let mut decoder = BodyDecoder::new(RequestBody::Chunked, 10);
    assert_eq!(decoder.skip(5), 0);
    assert_eq!(decoder.decode(b"5\r\na"), BodyEvent::Data(3..4));
    assert_eq!(decoder.skip(4), 4);
    assert_eq!(decoder.remaining(), 0);
    assert_eq!(decoder.decode(b"\r\n0\r\n\r\nx"), BodyEvent::Done { consumed: 7 });
}

proptest! {
    #[test]
    fn valid_chunks_survive_every_split(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        upper in any::<bool>(),
        zeros in 0usize..4,
        mut ends in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut input = Vec::new();
        for chunk in &chunks {
            let size = format!("{}{:x}\r\n", "0".repeat(zeros), chunk.len());
            input.extend(if upper { size.to_uppercase() } else { size }.into_bytes());
            input.extend(chunk);
            input.extend(b"\r\n");
        }
        input.extend(b"0\r\n\r\n");
        let body = RequestBody::Chunked;
        let expected = Outcome::Done { data: chunks.concat(), consumed: input.len() };
        input.extend(b"tail");
        ends.sort_by_key(|end| end.index(input.len() + 1));
        let ends: Vec<usize> = ends.iter().map(|end| end.index(input.len() + 1)).collect();
        prop_assert_eq!(&run(body, 1_000, &input, ends), &expected);
        prop_assert_eq!(&run(body, 1_000, &input, 0..=input.len()), &expected);
    }

    #[test]
    fn arbitrary_octets_decode_the_same_in_every_split(
        input in "([0-9a-f]{0,3}\r?\n?[ -~]{0,6}\r?\n?){0,6}",
        max_size in 0u64..40,
    ) {
        chunked(&input, max_size);
    }

    #[test]
    fn arbitrary_octets_never_panic(
        input in prop::collection::vec(any::<u8>(), 0..200),
        length in any::<u64>(),
    ) {
        run(RequestBody::Chunked, u64::MAX, &input, []);
        run(RequestBody::Length(length), u64::MAX, &input, []);
    }
}
