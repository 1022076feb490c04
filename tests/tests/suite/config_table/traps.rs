//! Section 14: what is odd, and kept or mended on purpose.

use super::{check, group};

#[test]
fn traps() {
    let action = group(
        "14 response headers",
        r#"{"routes":[{"action":{"return":200,"response_headers":{§}}}]}"#,
        "/routes/0/action/response_headers",
    )
    .refuse(
        r#""Content-Length":"1""#,
        "The \"Content-Length\" response header value is not supported",
        "/Content-Length",
    )
    // The reference refuses that letter case only: a deliberate difference, as a second length
    // would be sent.
    .refuse(
        r#""content-length":"1""#,
        "The \"content-length\" response header value is not supported",
        "/content-length",
    )
    .refuse(
        r#""CONTENT-LENGTH":null"#,
        "The \"CONTENT-LENGTH\" response header value is not supported",
        "/CONTENT-LENGTH",
    );
    let types = group(
        "14 types",
        r#"{"routes":[{"action":{"share":"/","types":§}}]}"#,
        "/routes/0/action/types",
    )
    .refuse("[1]", "The \"match\" pattern for \"[null]\" must be strings.", "/0");
    let weight = group(
        "14 weight",
        r#"{"upstreams":{"u":{"servers":{"127.0.0.1:1":{"weight":§}}}}}"#,
        "/upstreams/u/servers/127.0.0.1:1/weight",
    )
    .accept(["0", "-0"])
    .refuse("-1e-9", "The \"weight\" number must be positive.", "");
    let limits = group(
        "14 limits",
        r#"{"applications":{"a":{"type":"php","root":"/","limits":{§}}}}"#,
        "/applications/a/limits",
    )
    .accept([r#""requests":-1"#, r#""timeout":-1"#, r#""shm":-1"#]);
    // A back-quote that does not lead: valid in the reference and refused when it is applied,
    // without a reason; here it is the plain text that it is, and refused as that.
    let pass = group(
        "14 back-quote in pass",
        r#"{"listeners":{"*:%PORT":{"pass":"§"}}}"#,
        "/listeners/*:%PORT/pass",
    )
    .refuse("nope`", "Request \"pass\" points to invalid location \"nope`\".", "");
    check(vec![action, types, weight, limits, pass], 11);
}

/// The name of a MIME type may hold an escape that is none: it is answered, not dropped.
#[test]
fn malformed_escapes_in_paths_are_answered() {
    let unitd = super::unitd();
    unitd.configure(&serde_json::json!({
        "settings": { "http": { "static": { "mime_types": { "%0%00%": ".x", "a/b": ".y" } } } },
    }));
    let answer = unitd.get("/config/settings/http/static/mime_types/%0%00%");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json(),
        serde_json::json!({
            "error": "Invalid request.",
            "detail": "The request target has a malformed percent sequence.",
        })
    );
    // Encoded, it is found.
    for name in ["%250%2500%25", "a%2Fb"] {
        let answer = unitd.get(&format!("/config/settings/http/static/mime_types/{name}"));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
    }
}
