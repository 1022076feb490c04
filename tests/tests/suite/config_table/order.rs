//! Section 13: the order of checks.

use super::{check, group};

#[test]
fn order_of_checks() {
    let nowhere = "Request \"pass\" points to invalid location \"routes/a\".";
    let order = group("13.1 stored order", "{§}", "")
        // Only the first of several faults is told, in the order in which members are stored.
        .refuse(r#""one":1,"two":2"#, "Unknown parameter \"one\".", "/one")
        .refuse(r#""two":2,"one":1"#, "Unknown parameter \"two\".", "/two")
        .refuse(
            r#""listeners":{"*:%PORT":{"pass":"routes/a"}},"routes":{"b":1}"#,
            nowhere,
            "/listeners/*:%PORT/pass",
        )
        .refuse(
            r#""routes":{"b":1},"listeners":{"*:%PORT":{"pass":"routes/a"}}"#,
            "The \"b\" value must be an array, but not an integer number.",
            "/routes/b",
        )
        .refuse(
            r#""settings":{"listen_threads":0},"routes":1"#,
            "The \"listen_threads\" number must be equal to or greater than 1.",
            "/settings/listen_threads",
        )
        .refuse(
            r#""routes":1,"settings":{"listen_threads":0}"#,
            "The \"routes\" value must be either an array or an object, but not an integer number.",
            "/routes",
        )
        // The name comes before the value, the kind before what the value says.
        .refuse(r#""routs":1"#, "Unknown parameter \"routs\".", "/routs");
    let required = group("13.1 required members first", "{§}", "")
        .refuse(
            r#""applications":{"a":{"type":"perl","unknown":1,"threads":"x"}}"#,
            "Required parameter \"script\" is missing.",
            "/applications/a/script",
        )
        .refuse(
            r#""applications":{"a":{"unknown":1,"type":"perl","script":1}}"#,
            "Unknown parameter \"unknown\".",
            "/applications/a/unknown",
        )
        .refuse(
            r#""applications":{"a":{"type":"wasm","free_handler":1,"malloc_handler":2}}"#,
            "Required parameter \"module\" is missing.",
            "/applications/a/module",
        );
    let templates = group("13.1 templates skip the rest", "{§}", "")
        // The target of a template is not looked up.
        .accept([r#""listeners":{"127.0.0.1:%PORT":{"pass":"nowhere/$uri"}}"#])
        .refuse(
            r#""routes":[{"action":{"return":200,"response_headers":{"Content-Length":"$uri"}}}]"#,
            "The \"Content-Length\" response header value is not supported",
            "/routes/0/action/response_headers/Content-Length",
        );
    let references = group("13.2 forward references", "{§}", "").accept([
        r#""listeners":{"127.0.0.1:%PORT":{"pass":"routes/a"}},"routes":{"a":[{"action":{"pass":"routes/b"}}],"b":[]}"#,
        r#""listeners":{"127.0.0.1:%PORT":{"pass":"applications/x"}},"applications":{"x":{"type":"php","root":"/"}}"#,
    ]);
    check(vec![order, required, templates, references], 14);
}

/// 13.3: an edit anywhere is checked against the whole of what it results in.
#[test]
fn every_edit_is_checked_as_a_whole() {
    let unitd = super::unitd();
    let port = unitd.port();
    unitd.configure(&serde_json::json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes/a" } },
        "routes": { "a": [], "b": [] },
    }));
    let before = unitd.get("/config").text;
    let listener = format!("/listeners/127.0.0.1:{port}/pass");
    for (method, target, body) in [
        ("DELETE", "/config/routes/a", ""),
        ("DELETE", "/config/routes", ""),
        ("PUT", "/config/routes", "{\"b\":[]}"),
        ("PUT", "/config/routes", "[]"),
    ] {
        let answer = unitd.control(method, target, body);
        assert_eq!(
            answer.json(),
            serde_json::json!({
                "error": "Invalid configuration.",
                "detail": "Request \"pass\" points to invalid location \"routes/a\".",
                "location": { "path": listener },
            }),
            "{method} {target}"
        );
        assert_eq!(answer.status, 400);
    }
    assert_eq!(unitd.get("/config").text, before);
    unitd.delete("/config/routes/b").expect_success();
}
