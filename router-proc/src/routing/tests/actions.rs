//! What actions lead to: targets, returns, rewrites, response header fields.

use super::super::{ResponseFields, apply_response_headers};
use super::{Request, Router};
use crate::http::Delivery;
use crate::routing::Decision;

const APPLICATIONS: &str = r#"{
    "plain": {"type": "external", "executable": "/x"},
    "a/b": {"type": "external", "executable": "/x"},
    "many": {"type": "python", "targets": {"x": {"module": "m"}, "y": {"module": "n"}}}
}"#;

/// What becomes of a request passed to `pass`; `routes` is a name and steps.
fn passed(pass: &str, routes: &str, request: &mut Request) -> String {
    let config = format!(
        r#"{{"listeners": {{"*:80": {{"pass": "{pass}"}}}}, "routes": {routes},
            "applications": {APPLICATIONS}, "upstreams": {{"up": {{"servers": {{}}}}}}}}"#
    );
    Router::new(&config).outcome(request)
}

#[test]
fn constant_targets_lead_where_they_say() {
    for (pass, routes, outcome) in [
        ("applications/plain", "[]", "app 0 0"),
        ("applications/a%2Fb", "[]", "app 1 0"),
        ("applications/many", "[]", "app 2 0"),
        ("applications/many/x", "[]", "app 2 0"),
        ("applications/many/y", "[]", "app 2 1"),
        ("upstreams/up", "[]", "upstream up"),
        ("routes", "[]", "404"),
        ("routes", r#"[{"action":{"return":200}}]"#, "return 200"),
        ("routes/n", r#"{"n":[{"action":{"return":200}}]}"#, "return 200"),
        ("routes/n", r#"{"m":[{"action":{"return":200}}],"n":[]}"#, "404"),
        ("routes", r#"[{"action":{"proxy":"http://127.0.0.1:81"}}]"#, "proxy 127.0.0.1:81"),
        ("routes", r#"[{"action":{"proxy":"http://unix:/a.sock"}}]"#, "proxy unix:/a.sock"),
    ] {
        assert_eq!(passed(pass, routes, &mut Request::get("/")), outcome, "{pass} {routes}");
    }
}

#[test]
fn targets_made_by_templates_are_resolved_for_each_request() {
    let routes = r#"{"n":[{"action":{"return":200}}]}"#;
    for (argument, outcome) in [
        ("applications/plain", "app 0 0"),
        ("applications/a%252Fb", "app 1 0"),
        ("applications/many/y", "app 2 1"),
        ("applications/many/z", "404"),
        ("applications/plain/x", "404"),
        ("applications/none", "404"),
        ("applications", "404"),
        ("upstreams/up", "upstream up"),
        ("upstreams/none", "404"),
        ("routes/n", "return 200"),
        ("routes/m", "404"),
        ("routes", "404"),
        ("", "404"),
        ("/", "404"),
        ("routes/n/", "404"),
        ("routes/%25zz", "404"),
        ("a/b/c/d", "404"),
    ] {
        let mut request = Request::get(&format!("/?to={argument}"));
        assert_eq!(passed("$arg_to", routes, &mut request), outcome, "{argument}");
    }
    let mut request = Request::get("/?to=plain");
    assert_eq!(passed("applications/${arg_to}", "[]", &mut request), "app 0 0");
    let mut request = Request::get("/");
    let routes = r#"[{"match":{"uri":"/"},"action":{"return":204}}]"#;
    assert_eq!(passed("rou${dollar}tes", routes, &mut request), "404");
    assert_eq!(passed("routes$arg_none", routes, &mut request), "return 204");
}

#[test]
fn a_step_without_a_match_ends_the_route_not_the_configuration() {
    let routes = r#"{
        "a": [{"action": {"pass": "routes/b"}}, {"action": {"return": 200}}],
        "b": [{"match": {"uri": "/x"}, "action": {"return": 201}}]
    }"#;
    assert_eq!(passed("routes/a", routes, &mut Request::get("/x")), "return 201");
    assert_eq!(passed("routes/a", routes, &mut Request::get("/y")), "404");
}

#[test]
fn circles_end_with_500() {
    let circle = r#"{"a":[{"action":{"pass":"routes/b"}}],"b":[{"action":{"pass":"routes/a"}}]}"#;
    assert_eq!(passed("routes/a", circle, &mut Request::get("/")), "500");
    let circle = r#"[{"action":{"pass":"$arg_to"}}]"#;
    assert_eq!(passed("routes", circle, &mut Request::get("/?to=routes")), "500");
}

#[test]
fn chains_may_have_255_hand_overs() {
    for (routes, outcome) in [(255, "return 200"), (256, "500")] {
        let mut steps = String::new();
        for at in 1..routes {
            let next = at + 1;
            steps += &format!(r#""r{at}":[{{"action":{{"pass":"routes/r{next}"}}}}],"#);
        }
        steps += &format!(r#""r{routes}":[{{"action":{{"return":200}}}}]"#);
        let outcome_of = passed("routes/r1", &format!("{{{steps}}}"), &mut Request::get("/"));
        assert_eq!(outcome_of, outcome, "{routes}");
    }
}

#[test]
fn fallbacks_chain_and_circles_through_them_end() {
    for (action, outcome) in [
        (r#"{"share":"/nonexistent"}"#, "404"),
        (r#"{"share":"/nonexistent","fallback":{"return":200}}"#, "return 200"),
        (r#"{"share":"/nonexistent","fallback":{"pass":"applications/plain"}}"#, "app 0 0"),
        (
            r#"{"share":"/nonexistent","fallback":{"share":"/nowhere","fallback":{"return":201}}}"#,
            "return 201",
        ),
        (r#"{"share":"/nonexistent","fallback":{"pass":"routes"}}"#, "500"),
    ] {
        let steps = format!(r#"[{{"action":{action}}}]"#);
        assert_eq!(passed("routes", &steps, &mut Request::get("/")), outcome, "{action}");
    }
}

#[test]
fn shares_are_for_get_and_head() {
    for (start, share, with_fallback) in [
        ("GET /", "404", "return 200"),
        ("HEAD /", "404", "return 200"),
        ("POST /", "405", "return 200"),
        ("OPTIONS /", "405", "return 200"),
    ] {
        let router = Router::with_steps(r#"[{"action":{"share":"/nonexistent"}}]"#);
        assert_eq!(router.outcome(&mut Request::new(start, &[])), share, "{start}");
        let steps = r#"[{"action":{"share":"/nonexistent","fallback":{"return":200}}}]"#;
        let router = Router::with_steps(steps);
        assert_eq!(router.outcome(&mut Request::new(start, &[])), with_fallback, "{start}");
    }
}

#[test]
fn returns_of_errors_are_error_pages() {
    for (action, outcome) in [
        (r#"{"return":0}"#, "return 0"),
        (r#"{"return":200}"#, "return 200"),
        (r#"{"return":399,"location":""}"#, "return 399 <>"),
        (r#"{"return":400,"location":"/"}"#, "400"),
        (r#"{"return":599,"location":"/"}"#, "599"),
        (r#"{"return":600,"location":"/a b"}"#, "return 600 </a%20b>"),
        (r#"{"return":999}"#, "return 999"),
        (
            r#"{"return":301,"location":"https://$host$request_uri"}"#,
            "return 301 <https://h/%41?b>",
        ),
        (r#"{"return":301,"location":"$uri/$arg_none"}"#, "return 301 </A/>"),
        (r#"{"return":200,"location":"${dollar}"}"#, "return 200 <$>"),
        (r#"{"return":301,"location":"/?a=$header_x"}"#, "return 301 </?a=%C3%A4%20%2525>"),
    ] {
        let router = Router::with_steps(&format!(r#"[{{"action":{action}}}]"#));
        let mut request = Request::new("GET /%41?b", &["Host: H", "X: \u{e4} %25"]);
        assert_eq!(router.outcome(&mut request), outcome, "{action}");
    }
}

#[test]
fn rewriting_changes_the_path_and_nothing_else() {
    for (rewrite, target, path) in [
        ("/x", "/a?q", Ok("/x")),
        ("/x$uri", "/a%20b?q", Ok("/x/a b")),
        ("/x?y#z", "/a?q", Ok("/x")),
        ("/x#z", "/a?q", Ok("/x")),
        ("/x/../y//z/.", "/a?q", Ok("/y/z/")),
        ("/%41%3F", "/a?q", Ok("/A?")),
        ("", "/a?q", Ok("")),
        ("x", "/a?q", Ok("x")),
        ("$arg_p", "/a?p=/%2541", Ok("/A")),
        ("/..", "/a?q", Err("500")),
        ("/%", "/a?q", Err("500")),
        ("/%00", "/a?q", Err("500")),
        ("$uri%", "/a?q", Err("500")),
    ] {
        let steps = format!(r#"[{{"action":{{"return":200,"rewrite":"{rewrite}"}}}}]"#);
        let router = Router::with_steps(&steps);
        let mut request = Request::get(target);
        let outcome = router.outcome(&mut request);
        match path {
            Ok(path) => {
                assert_eq!(outcome, "return 200", "{rewrite}");
                assert_eq!(request.head.path(), path.as_bytes(), "{rewrite}");
                assert_eq!(request.head.target(), target.as_bytes(), "{rewrite}");
                let query = target.split_once('?').map(|(_, query)| query.as_bytes());
                assert_eq!(request.head.query(), query, "{rewrite}");
            }
            Err(status) => assert_eq!(outcome, status, "{rewrite}"),
        }
    }
}

#[test]
fn each_selected_action_rewrites_once_and_later_steps_see_it() {
    let routes = r#"{
        "a": [{"action": {"pass": "routes/$arg_to", "rewrite": "/1$uri"}}],
        "b": [
            {"match": {"uri": "/x"}, "action": {"return": 500}},
            {"match": {"uri": "/1/x"}, "action": {
                "share": "/nonexistent$uri", "rewrite": "/2$uri",
                "fallback": {"return": 301, "location": "$uri", "rewrite": "/3$uri"}
            }}
        ]
    }"#;
    let mut request = Request::get("/x?to=b");
    assert_eq!(passed("routes/a", routes, &mut request), "return 301 </3/2/1/x>");
    let mut request = Request::new("POST /x?to=b", &[]);
    assert_eq!(passed("routes/a", routes, &mut request), "return 301 </3/2/1/x>");
}

/// The fields of the answer, after `response_headers`.
fn fields_after(router: &Router, request: &mut Request, before: &[(&str, &str)]) -> Vec<String> {
    let (status, action) = match router.decide(request) {
        Decision::Return { status, action, .. } => (status, action),
        Decision::Application { action, .. } => (200, action),
        other => panic!("{other:?}"),
    };
    let mut fields = ResponseFields::default();
    for (name, value) in before {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let delivery = Delivery::decide(request.head.facts(), status, Some(0));
    let is_changed = router.table.changes_response(action, status);
    let ctx = &mut request.context();
    apply_response_headers(&router.table, action, ctx, status, delivery, &mut fields).unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let after: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect();
    let unchanged: Vec<String> =
        before.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert!(is_changed || after == unchanged);
    after
}

#[test]
fn response_headers_set_append_and_remove() {
    for (headers, before, after) in [
        (r#"{"A":"1"}"#, &[][..], &["A: 1"][..]),
        (r#"{"a":"1"}"#, &[("A", "x"), ("A", "y")], &["A: 1", "A: y"]),
        (r#"{"a":null}"#, &[("A", "x"), ("A", "y")], &["A: y"]),
        (r#"{"a":null}"#, &[("B", "x")], &["B: x"]),
        (r#"{"A":"1","a":null}"#, &[("A", "x"), ("A", "y")], &["A: y"]),
        (r#"{"A":null,"a":"1"}"#, &[("A", "x"), ("A", "y")], &["A: 1"]),
        (r#"{"A":"$uri-$arg_x","B":"$host","C":""}"#, &[], &["A: /p-1", "B: ", "C: "]),
        (
            r#"{"A":"$response_header_b","B":"$response_header_a"}"#,
            &[("A", "x"), ("B", "y")],
            &["A: y", "B: x"],
        ),
        (
            r#"{"A":"$status $response_header_content_length $response_header_connection"}"#,
            &[],
            &["A: 204 0 "],
        ),
        (r#"{"Server":"x","Date":null}"#, &[("Date", "d")], &["Server: x"]),
        (r#"{}"#, &[("A", "x")], &["A: x"]),
    ] {
        let steps = format!(r#"[{{"action":{{"return":204,"response_headers":{headers}}}}}]"#);
        let router = Router::with_steps(&steps);
        let mut request = Request::get("/p?x=1");
        assert_eq!(fields_after(&router, &mut request, before), after, "{headers}");
    }
}

#[test]
fn response_headers_are_for_statuses_from_200_to_399() {
    for (status, applies) in [(0, false), (199, false), (200, true), (399, true), (600, false)] {
        let steps =
            format!(r#"[{{"action":{{"return":{status},"response_headers":{{"A":"1"}}}}}}]"#);
        let router = Router::with_steps(&steps);
        let after = fields_after(&router, &mut Request::get("/"), &[]);
        assert_eq!(!after.is_empty(), applies, "{status}");
    }
}

#[test]
fn response_headers_are_those_of_the_action_selected_last() {
    let config = |first: &str, second: &str| {
        format!(
            r#"{{"listeners": {{"*:80": {{"pass": "routes/a"}}}},
                "applications": {APPLICATIONS},
                "routes": {{"a": [{{"action": {first}}}], "b": [{{"action": {second}}}]}}}}"#
        )
    };
    for (first, second, after) in [
        (r#"{"pass":"routes/b","response_headers":{"A":"1"}}"#, r#"{"return":200}"#, &[][..]),
        (
            r#"{"pass":"routes/b","response_headers":{"A":"1"}}"#,
            r#"{"return":200,"response_headers":{"B":"2"}}"#,
            &["B: 2"],
        ),
        (
            r#"{"pass":"applications/plain","response_headers":{"A":"1"}}"#,
            r#"{"return":200}"#,
            &["A: 1"],
        ),
        (
            r#"{"share":"/nonexistent","response_headers":{"A":"1"},
                "fallback":{"return":200,"response_headers":{"C":"3"}}}"#,
            r#"{"return":200}"#,
            &["C: 3"],
        ),
    ] {
        let router = Router::new(&config(first, second));
        assert_eq!(fields_after(&router, &mut Request::get("/"), &[]), after, "{first} {second}");
    }
}
