//! Which responses are encoded.

use conf::{Compression as Conf, Config, Environment, parse};

use super::*;

fn compression(members: &str) -> Option<Compression> {
    let text = format!(r#"{{"settings":{{"http":{{"compression":{{{members}}}}}}}}}"#);
    let config = Config::validate(&parse(text.as_bytes()).unwrap(), &Environment::default());
    let conf: Conf = config.unwrap().settings.http.compression.unwrap();
    Compression::new(&conf, Path::new("/tmp"))
}

/// The choice as a word.
fn choose(compression: &Compression, accept: &str, len: u64, content_type: &str) -> String {
    let subject = Subject { len, content_type: content_type.as_bytes() };
    match compression.choose(Some(accept.as_bytes()), subject).unwrap() {
        Choice::Identity => "identity".to_owned(),
        Choice::NotAcceptable => "406".to_owned(),
        Choice::Encode { compressor, .. } => {
            format!("{} {}", compressor.encoding, compressor.level)
        }
    }
}

#[test]
fn without_compressors_there_is_nothing_to_choose() {
    assert!(compression("").is_none());
    assert!(compression(r#""types":"text/*""#).is_none());
    assert!(compression(r#""compressors":[]"#).is_none());
}

#[test]
fn one_compressor_need_not_be_in_an_array() {
    let compression = compression(r#""compressors":{"encoding":"gzip"}"#).unwrap();
    assert_eq!(choose(&compression, "gzip", 1, "text/html"), "gzip -1");
    assert_eq!(choose(&compression, "br", 1, "text/html"), "identity");
}

#[test]
fn levels_are_as_configured_or_the_default() {
    let compression = compression(
        r#""compressors":[{"encoding":"gzip","level":4},{"encoding":"zstd"},{"encoding":"br"},
            {"encoding":"deflate","level":10}]"#,
    )
    .unwrap();
    for (accept, chosen) in
        [("gzip", "gzip 4"), ("zstd", "zstd 3"), ("br", "br 11"), ("deflate", "deflate -1")]
    {
        assert_eq!(choose(&compression, accept, 1, "text/html"), chosen);
    }
    let notices: Vec<_> = compression.notices().collect();
    assert_eq!(notices, ["Overriding invalid compression level for [deflate] [10] -> [-1]"]);
}

#[test]
fn of_two_compressors_for_one_encoding_the_first_is_taken() {
    let compression = compression(
        r#""compressors":[{"encoding":"gzip","level":4},{"encoding":"gzip","level":5}]"#,
    )
    .unwrap();
    assert_eq!(choose(&compression, "gzip", 1, "text/html"), "gzip 4");
}

#[test]
fn types_are_matched_as_they_stand_in_the_field() {
    let compression = compression(
        r#""types":["text/*","!text/css","application/json"],"compressors":{"encoding":"gzip"}"#,
    )
    .unwrap();
    for (content_type, chosen) in [
        ("text/html", "gzip -1"),
        ("TEXT/HTML", "gzip -1"),
        ("text/html; charset=utf-8", "gzip -1"),
        ("text/css", "identity"),
        ("application/json", "gzip -1"),
        ("Application/JSON", "gzip -1"),
        ("application/json; charset=utf-8", "identity"),
        ("image/png", "identity"),
        ("", "identity"),
    ] {
        assert_eq!(choose(&compression, "gzip", 1, content_type), chosen, "{content_type}");
        // What is not considered is not refused either.
        let refused = choose(&compression, "identity;q=0", 1, content_type);
        assert_eq!(refused == "406", chosen != "identity", "{content_type}");
    }
}

#[test]
fn without_types_all_are_encoded() {
    for types in ["", r#""types":[],"#] {
        let compression =
            compression(&format!(r#"{types}"compressors":{{"encoding":"gzip"}}"#)).unwrap();
        assert_eq!(choose(&compression, "gzip", 1, "x"), "gzip -1");
    }
}

#[test]
fn nothing_is_not_encoded() {
    let compression = compression(r#""compressors":{"encoding":"gzip"}"#).unwrap();
    assert_eq!(choose(&compression, "gzip", 0, "text/html"), "identity");
    assert_eq!(choose(&compression, "identity;q=0", 0, "text/html"), "identity");
}

#[test]
fn what_is_shorter_than_the_minimum_is_sent_as_it_is() {
    let compression = compression(
        r#""compressors":[{"encoding":"gzip","min_length":100},{"encoding":"br","min_length":-1}]"#,
    )
    .unwrap();
    for (accept, len, chosen) in [
        ("gzip", 99, "identity"),
        ("gzip", 100, "gzip -1"),
        ("br", 1, "br 11"),
        // The length is looked at last: what was negotiated stays.
        ("br, gzip", 99, "identity"),
        ("gzip, identity;q=0", 99, "identity"),
        ("identity;q=0", 99, "406"),
    ] {
        assert_eq!(choose(&compression, accept, len, "text/html"), chosen, "{accept} {len}");
    }
}
