//! Patterns of every `match` member, with wildcards or as regular expressions, and what matches
//! them.
#![no_main]

use conf::{Config, Environment, PatternSet, Routes, Text, Value, parse};

const FRAME: &[u8] = br#"{"routes": [{"match": {}, "action": {"return": 200}}]}"#;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let at = rest.iter().position(|&byte| byte == 0xff).unwrap_or(rest.len());
    let (pattern, subject) = rest.split_at(at);
    let subject = subject.get(1..).unwrap_or_default();
    let member = ["method", "host", "uri", "query", "scheme"][usize::from(choice) % 5];
    let path = conf::tree::Path::parse(b"routes/0/match").expect("is a path");
    let matching = Value::from_iter([(member, Value::from(Text::from(pattern)))]);
    let frame = parse(FRAME).expect("is JSON");
    let root = conf::tree::put(&frame, &path, matching).expect("is there");
    let Ok(config) = Config::validate(&root, &Environment::default()) else { return };
    let Routes::Single(steps) = &config.routes else { return };
    let matching = &steps[0].matching;
    let sets = [&matching.method, &matching.host, &matching.uri, &matching.query];
    for set in sets.into_iter().flatten() {
        check(set, pattern, subject);
    }
});

fn check(set: &PatternSet, pattern: &[u8], subject: &[u8]) {
    let Ok(matched) = set.matches(subject) else { return };
    // A pattern and its negation never agree, and a lone asterisk matches everything.
    for negated in set.negative() {
        assert_eq!(negated.matches(subject), Ok(matched));
    }
    if pattern == b"*" {
        assert!(matched);
    }
}
