//! The JSON reader and printers beside another implementation: what that takes within our limits
//! is read here as the same value, and printing changes nothing.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use conf::{DEPTH_MAX, Value, parse, print_compact, print_pretty};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value as Json;

/// The longest text of a number that is taken.
const NUMBER_LEN_MAX: usize = 14;

/// Whether a value of ours is the same as one of the oracle, members in any order.
fn is_same(ours: &Value, other: &Json) -> bool {
    match (ours, other) {
        (Value::Null, Json::Null) => true,
        (Value::Boolean(a), Json::Bool(b)) => a == b,
        (Value::Number(a), Json::Number(b)) => b.as_f64().is_some_and(|b| is_close(a.value(), b)),
        (Value::String(a), Json::String(b)) => a.as_bytes() == b.as_bytes(),
        (Value::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && b.iter().all(|(name, b)| a.get(name.as_bytes()).is_some_and(|a| is_same(a, b)))
        }
        _ => false,
    }
}

/// The oracle is fast rather than exact in the last digit.
fn is_close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= a.abs() * 1e-15
}

/// Strings of what may be trouble in a text.
fn text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        4 => proptest::sample::select(&['a', 'b', '"', '\\', '/', '\n', '\u{0}', '\u{1f}', '\u{7f}'][..]),
        1 => any::<char>(),
    ];
    proptest::collection::vec(letter, 0..8).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-9_999_999_999_999_i64..99_999_999_999_999).prop_map(Json::from),
        (-9999..9999, 0..6).prop_map(|(a, b)| Json::from(f64::from(a) / f64::from(1 << b))),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            proptest::collection::btree_map(text(), inner, 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// Texts made of what JSON is made of, in an order that is often wrong.
fn nearly_json() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\\",
        "\\n",
        "\\u12",
        "\\udc00",
        "true",
        "false",
        "null",
        "0",
        "-0",
        "-",
        "1",
        "12",
        "1.5",
        "1e5",
        "1E-2",
        "e",
        ".",
        "+",
        " ",
        "\n",
        "\t",
        "\r",
        "é",
        "\u{feff}",
        "//",
        "/*",
        "*/",
        "/",
    ];
    let pieces = proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..12);
    pieces.prop_map(|pieces| pieces.concat())
}

/// Whether a text keeps to limits that only we have. Its strings may look as if it did not.
fn is_within_limits(text: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_digit() || "+-.eE".contains(letter);
    let mut numbers = text.split(|letter| !is_part(letter));
    numbers.all(|number| {
        number.len() <= NUMBER_LEN_MAX
            && number.parse::<f64>().map_or(true, |value| value.abs() < 9.2e18)
    })
}

fn has_duplicates(error: &conf::ParseError) -> bool {
    error.detail.starts_with("Duplicate object member.")
}

proptest! {
    // The same cases every time.
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(20_260),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn values_are_read_as_the_oracle_prints_them(value in value()) {
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assume!(is_within_limits(&text));
            let ours = parse(text.as_bytes());
            prop_assert!(ours.is_ok(), "{text}: {ours:?}");
            prop_assert!(is_same(&ours.unwrap(), &value), "{text}");
        }
    }

    #[test]
    fn the_oracle_reads_what_is_printed(value in value()) {
        let text = serde_json::to_string(&value).unwrap();
        prop_assume!(is_within_limits(&text));
        let ours = parse(text.as_bytes()).unwrap();
        for printed in [print_compact(&ours), print_pretty(&ours)] {
            let read: Json = serde_json::from_slice(&printed).unwrap();
            prop_assert_eq!(&read, &value);
            let again = parse(&printed).unwrap();
            prop_assert_eq!(&again, &ours);
            prop_assert_eq!(print_compact(&again), print_compact(&ours));
        }
    }

    #[test]
    fn what_the_oracle_takes_is_taken_as_the_same(text in nearly_json()) {
        let (ours, other) = (parse(text.as_bytes()), serde_json::from_str::<Json>(&text));
        if let Ok(other) = other && is_within_limits(&text) {
            match ours {
                Ok(ours) => prop_assert!(is_same(&ours, &other), "{text:?}"),
                // The last of two members wins there.
                Err(error) => prop_assert!(has_duplicates(&error), "{text:?}: {error:?}"),
            }
        } else if let Ok(ours) = ours {
            // What is taken here only - comments, commas - is printed as what both take.
            let read: Result<Json, _> = serde_json::from_slice(&print_compact(&ours));
            prop_assert!(read.is_ok() || text.contains("-0"), "{text:?}: {read:?}");
        }
    }

    #[test]
    fn any_part_of_a_text_is_read_or_refused_at_a_place_in_it(value in value(), cut in any::<(prop::sample::Index, prop::sample::Index)>()) {
        let text = serde_json::to_vec_pretty(&value).unwrap();
        let (start, end) = (cut.0.index(text.len() + 1), cut.1.index(text.len() + 1));
        let part = &text[start.min(end)..start.max(end)];
        if let Err(error) = parse(part) {
            prop_assert!(error.offset <= part.len(), "{error:?}");
            prop_assert!(!error.detail.is_empty());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        match parse(&bytes) {
            Ok(value) => {
                prop_assert!(value.is_within_depth(DEPTH_MAX));
                prop_assert_eq!(parse(&print_compact(&value)), Ok(value.clone()));
                prop_assert_eq!(parse(&print_pretty(&value)), Ok(value));
            }
            Err(error) => prop_assert!(error.offset <= bytes.len()),
        }
    }
}
