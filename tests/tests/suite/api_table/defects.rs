//! Section 14: what the reference does wrong and is done sensibly here.

use blackbox::Unitd;
use serde_json::json;

#[test]
fn defects_of_the_reference_are_mended() {
    let unitd = Unitd::start();
    unitd.expect_alert("failed to apply new conf");
    unitd.configure(&json!({
        "settings": { "http": { "max_body_size": 1, "log_route": true, "body_temp_path": "/x" } },
        "routes": [{ "action": { "return": 200, "response_headers": { "A": null } } }],
    }));
    let controller = unitd.role("controller").pid;
    let missing = json!({ "error": "Value doesn't exist." });
    // The reference crashes on a path below a scalar.
    for target in [
        "/config/settings/http/max_body_size/x",
        "/config/settings/http/max_body_size/0",
        "/config/settings/http/log_route/x",
        "/config/settings/http/body_temp_path/x/y",
        "/config/routes/0/action/response_headers/A/x",
    ] {
        for (method, body) in [("GET", ""), ("PUT", "1"), ("POST", "1"), ("DELETE", "")] {
            let answer = unitd.control(method, target, body);
            assert_eq!((answer.status, answer.json()), (404, missing.clone()), "{method} {target}");
        }
    }
    // And on one compressor that is not in an array, which is valid.
    unitd
        .put("/config/settings/http/compression", r#"{"compressors":{"encoding":"gzip"}}"#)
        .expect_success();
    // A listener without members is a mistake in the text, not a failure.
    let answer = unitd.put("/config/listeners", r#"{"127.0.0.1:1":{}}"#);
    assert_eq!(
        (answer.status, &*answer.detail()),
        (400, "Required parameter \"pass\" is missing.")
    );
    assert_eq!(unitd.role("controller").pid, controller);
}
