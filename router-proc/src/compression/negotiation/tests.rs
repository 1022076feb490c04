//! Every sentence about `Accept-Encoding`, and a second reading of it to compare with.

use conf::ContentEncoding::{self, Brotli, Deflate, Gzip, Identity, Zstd};
use proptest::prelude::*;

use super::*;

const ALL: &[ContentEncoding] = &[Brotli, Zstd, Gzip, Deflate];

/// A result as one word: the name of the encoding, with `!` if the response as it is is refused.
fn word(negotiated: Negotiated) -> String {
    match negotiated {
        Negotiated::Identity => "identity".to_owned(),
        Negotiated::NotAcceptable => "406".to_owned(),
        Negotiated::Encoded { encoding, or_identity: true } => encoding.name().to_owned(),
        Negotiated::Encoded { encoding, or_identity: false } => format!("!{encoding}"),
    }
}

#[track_caller]
fn check(offered: &[ContentEncoding], rows: &[(&str, &str)]) {
    for (field, wanted) in rows {
        let negotiated = negotiate(Some(field.as_bytes()), offered);
        assert_eq!(word(negotiated), *wanted, "Accept-Encoding: {field}");
    }
}

#[test]
fn without_the_field_nothing_is_encoded() {
    assert_eq!(negotiate(None, ALL), Negotiated::Identity);
    check(ALL, &[("", "identity"), (" ", "identity"), (",", "identity"), (";", "identity")]);
}

#[test]
fn names_are_exact() {
    check(
        ALL,
        &[
            ("gzip", "gzip"),
            ("deflate", "deflate"),
            ("zstd", "zstd"),
            ("br", "br"),
            ("GZIP", "identity"),
            ("Br", "identity"),
            ("x-gzip", "identity"),
            ("gzi", "identity"),
            ("gzipp", "identity"),
            ("identity", "identity"),
            ("IDENTITY;q=0", "identity"),
        ],
    );
}

#[test]
fn only_what_is_configured_counts() {
    check(
        &[Gzip],
        &[
            ("br, gzip, zstd", "gzip"),
            ("br;q=1, gzip;q=0.1", "gzip"),
            ("br", "identity"),
            ("br, identity;q=0", "406"),
        ],
    );
    check(&[], &[("gzip", "identity"), ("gzip, identity;q=0", "406"), ("*", "identity")]);
    check(&[Identity], &[("identity", "identity"), ("*;q=0", "406"), ("identity;q=0", "406")]);
}

#[test]
fn spaces_mean_nothing() {
    check(
        ALL,
        &[
            ("  gzip  ,  br ;q=0.5", "gzip"),
            ("gzip ; q = 0 . 5 , br ; q = 0 . 4", "gzip"),
            ("g zip", "gzip"),
            ("gzip\t;\tq=0,\tbr", "br"),
        ],
    );
}

#[test]
fn the_highest_weight_wins() {
    check(
        ALL,
        &[
            ("gzip;q=0.5, br;q=0.9, zstd;q=0.8", "br"),
            ("br;q=0.9, gzip;q=0.901", "gzip"),
            ("gzip, br;q=0.999999", "gzip"),
            ("gzip;q=0.5, identity;q=0.8", "identity"),
            ("gzip;q=0.8, identity;q=0.5", "gzip"),
            ("gzip;q=0.001", "gzip"),
            ("identity;q=0.001, gzip;q=0.0000001", "identity"),
        ],
    );
}

#[test]
fn of_equal_weights_the_last_wins() {
    check(
        ALL,
        &[
            ("gzip, deflate, br, zstd", "zstd"),
            ("zstd, br, gzip", "gzip"),
            ("gzip;q=0.5, br;q=0.5", "br"),
            ("gzip;q=0.50, br;q=0.5, zstd;q=0.4", "br"),
            ("gzip, identity", "identity"),
            ("identity, gzip", "gzip"),
            ("gzip, *", "identity"),
            ("*, gzip", "gzip"),
        ],
    );
}

#[test]
fn weights_out_of_range_or_shape_drop_their_token() {
    for weight in [
        "1.1",
        "1.0000001",
        "2",
        "10",
        "01.5",
        "-0",
        "-1",
        "+1",
        "",
        ".",
        "x",
        "0.5x",
        "1e-1",
        "0.1.2",
        "0,5",
        "nan",
        "99999999999999999999",
        "0.5;x=1",
    ] {
        let field = format!("gzip;q={weight}");
        assert_eq!(word(negotiate(Some(field.as_bytes()), ALL)), "identity", "{field}");
    }
    check(
        ALL,
        &[
            ("gzip;", "identity"),
            ("gzip;q", "identity"),
            ("gzip;level=1", "identity"),
            ("gzip;q=2, br;q=0.1", "br"),
            ("identity;q=1.5, gzip;q=0.1", "gzip"),
            ("*;q=-1", "identity"),
            ("gzip;q=1", "gzip"),
            ("gzip;q=1.", "gzip"),
            ("gzip;q=1.000", "gzip"),
            ("gzip;q=.5", "gzip"),
            ("gzip;q=000.5", "gzip"),
            ("gzip;Q=0.5", "gzip"),
        ],
    );
}

#[test]
fn a_weight_of_nothing_is_a_refusal() {
    check(
        ALL,
        &[
            ("gzip;q=0", "identity"),
            ("gzip;q=0.0", "identity"),
            ("gzip;q=0, br", "br"),
            ("identity;q=0", "406"),
            ("*;q=0", "406"),
            ("identity;q=0, gzip;q=0", "406"),
            ("identity;q=0, lzma", "406"),
            ("gzip, identity;q=0", "!gzip"),
            ("gzip;q=0.1, *;q=0", "!gzip"),
            ("*;q=0, br;q=0.000", "406"),
        ],
    );
}

#[test]
fn any_other_means_the_response_as_it_is() {
    check(
        ALL,
        &[("*", "identity"), ("*;q=0.5, gzip;q=0.4", "identity"), ("*;q=0.4, gzip;q=0.5", "gzip")],
    );
}

#[test]
fn identity_by_name_decides_over_any_other() {
    check(
        ALL,
        &[
            // What browsers send with requests for audio and video.
            ("identity;q=1, *;q=0", "identity"),
            ("*;q=0, identity;q=1", "identity"),
            ("identity;q=0.1, *;q=0, gzip;q=0.5", "gzip"),
            ("*;q=1, identity;q=0.1, gzip;q=0.5", "gzip"),
            // All encodings that are not named are taken: there is no need to refuse.
            ("identity;q=0, *", "!br"),
            ("*;q=0.1, identity;q=0, br;q=0", "!zstd"),
            ("identity;q=0, *;q=1, gzip;q=0.1", "!gzip"),
            ("identity;q=0, *;q=0", "406"),
            ("identity;q=0, *, br;q=0, zstd;q=0, gzip;q=0, deflate;q=0", "406"),
        ],
    );
    check(&[Identity], &[("identity;q=0, *", "406")]);
}

#[test]
fn what_browsers_and_tools_send_is_served_encoded() {
    check(
        ALL,
        &[
            ("gzip, deflate", "deflate"),
            ("gzip, deflate, br", "br"),
            ("gzip, deflate, br, zstd", "zstd"),
            ("deflate, gzip, br, zstd", "zstd"),
            ("gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "gzip"),
        ],
    );
}

/// The same rules with texts and floating point.
fn second_reading(field: &str, offered: &[ContentEncoding]) -> Negotiated {
    let squeezed = field.replace([' ', '\t'], "");
    let mut tokens: Vec<(String, f64)> = Vec::new();
    for element in squeezed.split(',') {
        let (name, weight) = match element.split_once(';') {
            None => (element, 1.0),
            Some((name, parameter)) => {
                let Some(digits) = parameter.to_lowercase().strip_prefix("q=").map(str::to_owned)
                else {
                    continue;
                };
                if !digits.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') {
                    continue;
                }
                match digits.parse::<f64>() {
                    Ok(weight) if (0.0..=1.0).contains(&weight) => (name, weight),
                    _ => continue,
                }
            }
        };
        tokens.push((name.to_owned(), weight));
    }
    let named = tokens.iter().any(|(name, _)| name == "identity");
    let mut candidates: Vec<(ContentEncoding, f64)> = Vec::new();
    for (name, weight) in &tokens {
        if name == "identity" || (name == "*" && !named) {
            candidates.push((Identity, *weight));
        }
        candidates.extend(
            offered
                .iter()
                .filter(|encoding| **encoding != Identity && encoding.name() == name)
                .map(|encoding| (*encoding, *weight)),
        );
    }
    let or_identity = !candidates.iter().any(|(name, weight)| *name == Identity && *weight == 0.0);
    let highest = candidates.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let best = candidates.iter().rev().find(|(_, weight)| *weight == highest && *weight > 0.0);
    match best {
        Some((encoding, _)) if *encoding != Identity => {
            Negotiated::Encoded { encoding: *encoding, or_identity }
        }
        _ if or_identity => Negotiated::Identity,
        _ => {
            let any = named && tokens.iter().any(|(name, weight)| name == "*" && *weight > 0.0);
            let rest = offered.iter().find(|encoding| {
                **encoding != Identity && !tokens.iter().any(|(name, _)| encoding.name() == name)
            });
            match rest {
                Some(&encoding) if any => Negotiated::Encoded { encoding, or_identity },
                _ => Negotiated::NotAcceptable,
            }
        }
    }
}

fn offers() -> impl Strategy<Value = Vec<ContentEncoding>> {
    let all = [Identity, Deflate, Gzip, Zstd, Brotli];
    proptest::collection::vec(proptest::sample::select(all.to_vec()), 0..5)
}

proptest! {
    #[test]
    fn agrees_with_a_second_reading(
        field in "((gzip|br|zstd|deflate|identity|\\*|lzma|GZIP)( ?; ?[qQ] ?= ?[01]?\\.?[0-9]{0,3})?,? ?){0,6}",
        offered in offers(),
    ) {
        let negotiated = negotiate(Some(field.as_bytes()), &offered);
        prop_assert_eq!(negotiated, second_reading(&field, &offered), "{}", field);
    }

    #[test]
    fn any_octets_are_taken(
        field in proptest::collection::vec(any::<u8>(), 0..80),
        offered in offers(),
    ) {
        if let Negotiated::Encoded { encoding, .. } = negotiate(Some(&field), &offered) {
            prop_assert!(offered.contains(&encoding) && encoding != Identity);
        }
    }
}
