//! The initial configuration: applied before anything else, or not at all.

use super::*;

fn initial(json: &str) -> StoredConfig {
    StoredConfig::Initial { json: json.as_bytes().to_vec() }
}

/// A session whose router runs the default configuration, with a client that waits.
fn with_default() -> Bench {
    let mut bench = Bench::new(initial(r#"{"a": 1}"#));
    bench.put(1, "/b", "2");
    assert_eq!(bench.config(), DEFAULT);
    bench.router_found();
    assert_eq!(bench.question(), format!("prepare {DEFAULT}"));
    bench.answer("prepare", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [""; 0], "business does not open yet");
    bench
}

#[test]
fn it_is_stored_and_committed_before_business_opens() {
    let mut bench = with_default();
    bench.answer(r#"prepare {"a":1}"#, Answer::Done);
    assert_eq!(bench.config(), DEFAULT);
    bench.answer(r#"store {"a":1}"#, Answer::Done);
    assert_eq!(bench.said(), [""; 0]);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.config(), r#"{"a":1}"#);
    assert_eq!(bench.said(), ["open"]);
    assert_eq!(bench.question(), r#"prepare {"a":1,"b":2}"#);
}

#[test]
fn what_cannot_be_applied_or_stored_leaves_the_default() {
    const ALERT: &str = "[alert] the initial configuration was not applied: no";
    let mut bench = with_default();
    bench.answer("prepare", no("no"));
    assert_eq!(bench.said(), [ALERT, "open"]);
    assert_eq!(bench.config(), DEFAULT);
    let mut bench = with_default();
    bench.answer("prepare", Answer::Done);
    bench.answer("store", no("no"));
    bench.answer("abort", Answer::Done);
    assert_eq!(bench.said(), [ALERT, "open"]);
    assert_eq!(bench.config(), DEFAULT);
    let mut bench = with_default();
    bench.answer("prepare", Answer::Lost);
    assert_eq!(
        bench.said(),
        [format!("{} {ROUTER_LOST}", &ALERT[..ALERT.len() - 3]), "open".to_owned()]
    );
}

#[test]
fn one_that_is_stored_survives_its_router() {
    let mut bench = with_default();
    bench.answer("prepare", Answer::Done);
    bench.answer("store", Answer::Done);
    bench.answer("commit", Answer::Lost);
    assert_eq!(bench.said(), [""; 0]);
    bench.router_found();
    bench.answer(r#"prepare {"a":1}"#, Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), ["open"]);
}

#[test]
fn an_invalid_one_is_told_and_left() {
    for (json, detail) in
        [(r#"{"bad":1}"#, "Unknown parameter \"bad\"."), ("", conf::parse(b"").unwrap_err().detail)]
    {
        let mut bench = Bench::new(initial(json));
        let alert = format!("[alert] the initial configuration was not applied: {detail}");
        assert_eq!(bench.said(), [alert]);
        bench.router_found();
        bench.answer("prepare", Answer::Done);
        bench.answer("commit", Answer::Done);
        assert_eq!(bench.said(), ["open"]);
    }
}

#[test]
fn a_daemon_that_stops_does_not_begin_with_it() {
    let mut bench = Bench::new(initial(r#"{"a": 1}"#));
    bench.router_found();
    bench.session.stop();
    bench.answer("prepare", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.question(), "");
    assert_eq!(bench.config(), DEFAULT);
}
