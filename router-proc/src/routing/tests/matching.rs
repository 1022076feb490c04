//! What each member of `match` holds for.

use super::{Request, Router, address};

/// Whether a step with this `match` is for the request.
fn is_for(matching: &str, request: &mut Request) -> bool {
    let steps = format!(r#"[{{"match":{matching},"action":{{"return":200}}}}]"#);
    match Router::with_steps(&steps).outcome(request).as_str() {
        "return 200" => true,
        "404" => false,
        other => panic!("{matching}: {other}"),
    }
}

fn check_each(rows: &[(&str, &str, &[&str], bool)]) {
    for (matching, start, fields, expected) in rows {
        let mut request = Request::new(start, fields);
        assert_eq!(is_for(matching, &mut request), *expected, "{matching} on {start} {fields:?}");
    }
}

#[test]
fn without_members_every_request_matches() {
    assert!(is_for("{}", &mut Request::get("/")));
    let steps = r#"[{"action":{"return":200}}]"#;
    assert_eq!(Router::with_steps(steps).outcome(&mut Request::get("/")), "return 200");
}

#[test]
fn paths_match_decoded_and_case_sensitively() {
    check_each(&[
        (r#"{"uri":"/a"}"#, "GET /a", &[], true),
        (r#"{"uri":"/a"}"#, "GET /A", &[], false),
        (r#"{"uri":"/a"}"#, "GET /a/", &[], false),
        (r#"{"uri":"/a"}"#, "GET /a?b", &[], true),
        (r#"{"uri":"/a"}"#, "GET /x/../%61", &[], true),
        (r#"{"uri":"/a*"}"#, "GET /abc", &[], true),
        (r#"{"uri":"/a*"}"#, "GET /a", &[], true),
        (r#"{"uri":"*c"}"#, "GET /abc", &[], true),
        (r#"{"uri":"/a*b*c"}"#, "GET /aXbYc", &[], true),
        (r#"{"uri":"/a*b*c"}"#, "GET /abc", &[], true),
        (r#"{"uri":"/a*b*bc"}"#, "GET /abc", &[], false),
        (r#"{"uri":"/ab*bc"}"#, "GET /abc", &[], false),
        (r#"{"uri":"*"}"#, "GET /", &[], true),
        (r#"{"uri":""}"#, "GET /", &[], false),
        (r#"{"uri":"!"}"#, "GET /", &[], true),
        (r#"{"uri":"!/a"}"#, "GET /b", &[], true),
        (r#"{"uri":"!/a*"}"#, "GET /ab", &[], false),
        (r#"{"uri":"!!/a"}"#, "GET /a", &[], true),
        (r#"{"uri":"/%2A"}"#, "GET /*", &[], true),
        (r#"{"uri":"/%2A"}"#, "GET /x", &[], false),
        (r#"{"uri":"%21"}"#, "GET /", &[], false),
        (r#"{"uri":"/a%20b"}"#, "GET /a%20b", &[], true),
        (r#"{"uri":"/a+b"}"#, "GET /a+b", &[], true),
        (r#"{"uri":"~^/a.c$"}"#, "GET /abc", &[], true),
        (r#"{"uri":"~b"}"#, "GET /abc", &[], true),
        (r#"{"uri":"~"}"#, "GET /abc", &[], true),
        (r#"{"uri":"~B"}"#, "GET /abc", &[], false),
        (r#"{"uri":"~(?i)B"}"#, "GET /abc", &[], true),
        (r#"{"uri":"!~b"}"#, "GET /abc", &[], false),
        (r#"{"uri":"~^/.$"}"#, "GET /%ff", &[], true),
    ]);
}

#[test]
fn arrays_put_negated_patterns_first() {
    check_each(&[
        (r#"{"uri":["/a","/b"]}"#, "GET /b", &[], true),
        (r#"{"uri":["/a","/b"]}"#, "GET /c", &[], false),
        (r#"{"uri":["/a*","!/ab"]}"#, "GET /ab", &[], false),
        (r#"{"uri":["/a*","!/ab"]}"#, "GET /ac", &[], true),
        (r#"{"uri":["/a*","!/ab"]}"#, "GET /c", &[], false),
        (r#"{"uri":["!/a","!/b"]}"#, "GET /c", &[], true),
        (r#"{"uri":["!/a","!/b"]}"#, "GET /b", &[], false),
        (r#"{"uri":[]}"#, "GET /", &[], true),
        (r#"{"host":[]}"#, "GET /", &[], true),
        (r#"{"method":[]}"#, "GET /", &[], true),
        (r#"{"query":[]}"#, "GET /", &[], true),
        (r#"{"source":[]}"#, "GET /", &[], false),
        (r#"{"destination":[]}"#, "GET /", &[], false),
    ]);
}

#[test]
fn hosts_match_normalised() {
    check_each(&[
        (r#"{"host":"Example.COM"}"#, "GET /", &["Host: eXample.com.:8080"], true),
        (r#"{"host":"*.example.com"}"#, "GET /", &["Host: a.b.EXAMPLE.com"], true),
        (r#"{"host":"*.example.com"}"#, "GET /", &["Host: example.com"], false),
        (r#"{"host":""}"#, "GET /", &[], true),
        (r#"{"host":"!"}"#, "GET /", &[], false),
        (r#"{"host":"~^[a-z]+$"}"#, "GET /", &["Host: ABC"], true),
        (r#"{"host":"~A"}"#, "GET /", &["Host: ABC"], false),
        (r#"{"host":"%61"}"#, "GET /", &["Host: a"], false),
        (r#"{"host":"[::1]"}"#, "GET /", &["Host: [::1]:80"], true),
    ]);
}

#[test]
fn methods_match_in_upper_case() {
    check_each(&[
        (r#"{"method":"get"}"#, "GET /", &[], true),
        (r#"{"method":"P*"}"#, "PATCH /", &[], true),
        (r#"{"method":["GET","HEAD"]}"#, "POST /", &[], false),
        (r#"{"method":"!POST"}"#, "POST /", &[], false),
        (r#"{"method":"~^G.T$"}"#, "GET /", &[], true),
    ]);
}

#[test]
fn schemes_follow_the_connection() {
    for (scheme, is_tls, expected) in [
        ("http", false, true),
        ("HTTP", true, false),
        ("https", true, true),
        ("HttpS", false, false),
    ] {
        let mut request = Request::get("/");
        request.is_tls = is_tls;
        assert_eq!(is_for(&format!(r#"{{"scheme":"{scheme}"}}"#), &mut request), expected);
    }
}

#[test]
fn queries_match_decoded_as_a_whole() {
    check_each(&[
        (r#"{"query":"a=b&c"}"#, "GET /?a=b&c", &[], true),
        (r#"{"query":"a b+%25"}"#, "GET /?a+b%2b%25", &[], false),
        (r#"{"query":"a+b%2B%25"}"#, "GET /?a+b%2b%25", &[], true),
        (r#"{"query":"a%20b"}"#, "GET /?a+b", &[], true),
        (r#"{"query":""}"#, "GET /", &[], true),
        (r#"{"query":""}"#, "GET /?", &[], true),
        (r#"{"query":"!"}"#, "GET /?a", &[], true),
        (r#"{"query":"a%25"}"#, "GET /?a%", &[], true),
        (r#"{"query":"~^a b$"}"#, "GET /?a+b", &[], true),
        (r#"{"query":"A"}"#, "GET /?a", &[], false),
    ]);
}

#[test]
fn every_occurrence_of_an_argument_must_match_and_there_must_be_one() {
    check_each(&[
        (r#"{"arguments":{"a":"1"}}"#, "GET /?a=1", &[], true),
        (r#"{"arguments":{"a":"1"}}"#, "GET /?a=1&a=2", &[], false),
        (r#"{"arguments":{"a":["1","2"]}}"#, "GET /?a=1&a=2", &[], true),
        (r#"{"arguments":{"a":"!1"}}"#, "GET /?b=1", &[], false),
        (r#"{"arguments":{"a":"!1"}}"#, "GET /?a=2", &[], true),
        (r#"{"arguments":{"a":[]}}"#, "GET /?a=2", &[], true),
        (r#"{"arguments":{"a":[]}}"#, "GET /?b=2", &[], false),
        (r#"{"arguments":{"a":""}}"#, "GET /?a", &[], true),
        (r#"{"arguments":{"a":""}}"#, "GET /?a=", &[], true),
        (r#"{"arguments":{"a":"1","b":"2"}}"#, "GET /?b=2&a=1", &[], true),
        (r#"{"arguments":{"a":"1","b":"2"}}"#, "GET /?b=1&a=1", &[], false),
        (r#"{"arguments":[{"a":"1"},{"b":"2"}]}"#, "GET /?b=2", &[], true),
        (r#"{"arguments":[{"a":"1"},{"b":"2"}]}"#, "GET /?c=2", &[], false),
        (r#"{"arguments":{}}"#, "GET /", &[], true),
        (r#"{"arguments":[]}"#, "GET /", &[], true),
        (r#"{"arguments":[{"a":"1"},{}]}"#, "GET /", &[], true),
        (r#"{"arguments":{"A":"1"}}"#, "GET /?a=1", &[], false),
        (r#"{"arguments":{"a":"X"}}"#, "GET /?a=x", &[], false),
        (r#"{"arguments":{"a%26+b":"%3D+x"}}"#, "GET /?a%26%20b=%3D+x", &[], true),
        (r#"{"arguments":{"a":"b&c=d"}}"#, "GET /?a=b%26c%3Dd", &[], true),
        (r#"{"arguments":{"a":"%25"}}"#, "GET /?a=%", &[], true),
        (r#"{"arguments":{"!a":"1"}}"#, "GET /?!a=1", &[], true),
        (r#"{"arguments":{"a*":"1"}}"#, "GET /?ab=1", &[], false),
        (r#"{"arguments":{"a":"~^[0-9]+$"}}"#, "GET /?a=12", &[], true),
    ]);
}

#[test]
fn header_names_and_values_match_in_any_case() {
    check_each(&[
        (r#"{"headers":{"X-A":"Val"}}"#, "GET /", &["x-a: vAL"], true),
        (r#"{"headers":{"X_A":"v"}}"#, "GET /", &["x-a: v"], false),
        (r#"{"headers":{"X_A":"v"}}"#, "GET /", &["x_a: v"], true),
        (r#"{"headers":{"a":"*b*"}}"#, "GET /", &["A: xBy"], true),
        (r#"{"headers":{"a":"~B"}}"#, "GET /", &["A: b"], false),
        (r#"{"headers":{"a":"~(?i)B"}}"#, "GET /", &["A: b"], true),
        (r#"{"headers":{"a":"1"}}"#, "GET /", &["a: 1", "A: 2"], false),
        (r#"{"headers":{"a":["1","2"]}}"#, "GET /", &["a: 1", "A: 2"], true),
        (r#"{"headers":{"a":"!1"}}"#, "GET /", &["b: 1"], false),
        (r#"{"headers":{"a":[]}}"#, "GET /", &["a: 1"], true),
        (r#"{"headers":{"a":[]}}"#, "GET /", &[], false),
        (r#"{"headers":{"a":""}}"#, "GET /", &["a:"], true),
        (r#"{"headers":{"a":"1","b":"2"}}"#, "GET /", &["b: 2", "a: 1"], true),
        (r#"{"headers":[{"a":"1"},{"b":"2"}]}"#, "GET /", &["b: 2"], true),
        (r#"{"headers":{}}"#, "GET /", &[], true),
        (r#"{"headers":[]}"#, "GET /", &[], true),
        (r#"{"headers":{"a":"%41"}}"#, "GET /", &["a: A"], false),
    ]);
}

#[test]
fn cookies_match_as_they_are() {
    check_each(&[
        (r#"{"cookies":{"a":"1"}}"#, "GET /", &["Cookie: b=2; a=1"], true),
        (r#"{"cookies":{"a":"1"}}"#, "GET /", &["Cookie: b=2", "cookie: a=1"], true),
        (r#"{"cookies":{"a":"1"}}"#, "GET /", &["Cookie: a=1; a=2"], false),
        (r#"{"cookies":{"A":"1"}}"#, "GET /", &["Cookie: a=1"], false),
        (r#"{"cookies":{"a":"X"}}"#, "GET /", &["Cookie: a=x"], false),
        (r#"{"cookies":{"a":"%41"}}"#, "GET /", &["Cookie: a=%41"], true),
        (r#"{"cookies":{"a":"!1"}}"#, "GET /", &[], false),
        (r#"{"cookies":{"a":"!1"}}"#, "GET /", &["Cookie: a=2"], true),
        (r#"{"cookies":{"a":"b=c"}}"#, "GET /", &["Cookie: a=b=c  "], true),
        (r#"{"cookies":[{"a":"1"},{"b":"2"}]}"#, "GET /", &["Cookie: b=2"], true),
        (r#"{"cookies":{}}"#, "GET /", &[], true),
        (r#"{"cookies":[]}"#, "GET /", &[], true),
    ]);
}

#[test]
fn addresses_match_both_ends_of_the_connection() {
    for (matching, peer, local, expected) in [
        (r#"{"source":"10.0.0.0/8"}"#, "10.1.2.3:5", "1.1.1.1:1", true),
        (r#"{"source":"10.0.0.0/8"}"#, "11.1.2.3:5", "10.1.1.1:1", false),
        (r#"{"source":"*:5"}"#, "[::1]:5", "1.1.1.1:1", true),
        (r#"{"source":"unix"}"#, "unix", "unix", true),
        (r#"{"source":"unix"}"#, "1.1.1.1:1", "1.1.1.1:1", false),
        (r#"{"source":"*:1-9"}"#, "unix", "unix", false),
        (r#"{"source":"!0.0.0.0/0"}"#, "[::1]:5", "[::1]:1", true),
        (r#"{"source":["10.0.0.0/8","!10.1.0.0/16"]}"#, "10.1.2.3:5", "1.1.1.1:1", false),
        (r#"{"destination":"*:8080"}"#, "1.1.1.1:1", "10.0.0.1:8080", true),
        (r#"{"destination":"*:8080"}"#, "1.1.1.1:8080", "10.0.0.1:80", false),
        (r#"{"destination":"[::1-::5]:80"}"#, "[::1]:1", "[::3]:80", true),
    ] {
        let mut request = Request::get("/");
        (request.peer, request.local) = (address(peer), address(local));
        assert_eq!(is_for(matching, &mut request), expected, "{matching}: {peer} to {local}");
    }
}

#[test]
fn conditions_are_templates_with_few_false_values() {
    check_each(&[
        (r#"{"if":"x"}"#, "GET /", &[], true),
        (r#"{"if":""}"#, "GET /", &[], false),
        (r#"{"if":"!"}"#, "GET /", &[], true),
        (r#"{"if":"!x"}"#, "GET /", &[], false),
        (r#"{"if":"0"}"#, "GET /", &[], false),
        (r#"{"if":"$arg_a"}"#, "GET /?a=1", &[], true),
        (r#"{"if":"$arg_a"}"#, "GET /?a=0", &[], false),
        (r#"{"if":"$arg_a"}"#, "GET /?a=false", &[], false),
        (r#"{"if":"$arg_a"}"#, "GET /?a=null", &[], false),
        (r#"{"if":"$arg_a"}"#, "GET /?a=undefined", &[], false),
        (r#"{"if":"$arg_a"}"#, "GET /?a=FALSE", &[], true),
        (r#"{"if":"$arg_a"}"#, "GET /", &[], false),
        (r#"{"if":"!$arg_a"}"#, "GET /", &[], true),
        (r#"{"if":"!$arg_a"}"#, "GET /?a=1", &[], false),
    ]);
}

#[test]
fn all_members_must_hold() {
    let matching = r#"{"uri":"/a","method":"GET","host":"h","arguments":{"x":"1"}}"#;
    check_each(&[
        (matching, "GET /a?x=1", &["Host: h"], true),
        (matching, "POST /a?x=1", &["Host: h"], false),
        (matching, "GET /b?x=1", &["Host: h"], false),
        (matching, "GET /a?x=2", &["Host: h"], false),
        (matching, "GET /a?x=1", &["Host: i"], false),
    ]);
}

#[test]
fn the_first_step_that_matches_is_taken() {
    let router = Router::with_steps(
        r#"[{"match":{"uri":"/a"},"action":{"return":201}},
            {"match":{"uri":"/*"},"action":{"return":202}},
            {"action":{"return":203}}]"#,
    );
    assert_eq!(router.outcome(&mut Request::get("/a")), "return 201");
    assert_eq!(router.outcome(&mut Request::get("/b")), "return 202");
    assert_eq!(Router::with_steps("[]").outcome(&mut Request::get("/")), "404");
}
