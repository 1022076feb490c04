//! Section 12: what is valid and refused when it is applied: 500, a line in the log, and nothing
//! has changed.

use blackbox::{Unitd, need_python};
use serde_json::{Value, json};

/// Puts a configuration that cannot be applied. `line` is what the log says.
#[track_caller]
fn expect_refusal(unitd: &Unitd, config: &Value, line: &str) {
    unitd.expect_alert(line);
    unitd.expect_alert("failed to apply new conf");
    let (before, mark) = (unitd.get("/config").text, unitd.log().len());
    let answer = unitd.put("/config", config);
    assert_eq!(answer.status, 500, "{config}: {}", answer.text);
    assert_eq!(answer.json()["error"], "Failed to apply new configuration.", "{config}");
    // The reference gives no reason here: a deliberate difference.
    assert!(!answer.detail().is_empty(), "{config}: {}", answer.text);
    assert!(answer.json().get("location").is_none(), "{config}: {}", answer.text);
    unitd.log().wait_after(mark, &regex::escape(line));
    unitd.log().wait_after(mark, r"\[alert\].* failed to apply new conf");
    assert_eq!(unitd.get("/config").text, before, "{config}");
}

#[test]
fn addresses_that_cannot_be_bound() {
    let unitd = super::unitd();
    let port = unitd.port();
    let directory = unitd.text_path("");
    let listeners = |keys: &[String]| {
        let listeners: serde_json::Map<String, Value> =
            keys.iter().map(|key| (key.clone(), json!({ "pass": "routes" }))).collect();
        json!({ "listeners": listeners, "routes": [] })
    };
    // Two keys for one address, and a wildcard with a specific address of the same port.
    for (keys, address) in [
        ([format!("127.0.0.1:{port}"), format!("*:{port}")], r"(127\.0\.0\.1|0\.0\.0\.0|\*)"),
        ([format!("0.0.0.0:{port}"), format!("*:{port}")], r"(0\.0\.0\.0|\*)"),
    ] {
        let mark = unitd.log().len();
        unitd.expect_alert("failed (98: Address already in use)");
        expect_refusal(&unitd, &listeners(&keys), "failed (98: Address already in use)");
        let line = format!(r#"bind\(\\"{address}:{port}\\"\) failed \(98: "#);
        unitd.log().wait_after(mark, &line);
    }
    let missing = format!("unix:{directory}/no/such.sock");
    let line = format!(r#"bind(\"{missing}\") failed (2: No such file or directory)"#);
    expect_refusal(&unitd, &listeners(&[missing]), &line);
    // An address that this machine does not have.
    let line = format!(r#"bind(\"192.0.2.1:{port}\") failed (99: "#);
    expect_refusal(&unitd, &listeners(&[format!("192.0.2.1:{port}")]), &line);
}

#[test]
fn applications_that_do_not_start() {
    need_python!();
    let unitd = Unitd::start();
    unitd.expect_alert("Python failed to import module \"none\"");
    let directory = unitd.application("hello");
    let python = |more: Value| {
        let mut app = json!({ "type": "python", "module": "hello", "path": directory });
        app.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "applications": { "app": app } })
    };
    let failed = "failed to start application \"app\"";
    expect_refusal(&unitd, &python(json!({ "module": "none" })), failed);
    // Without a process from the start the same is taken, and its requests will fail.
    let lazy = python(json!({ "module": "none", "processes": { "spare": 0 } }));
    unitd.put("/config", &lazy).expect_success();
    unitd.clear();
    let user = python(json!({ "user": "nobody-of-this-name" }));
    unitd.expect_alert("nobody-of-this-name");
    let answer = unitd.put("/config", &user);
    assert_eq!(answer.status, 500, "{}", answer.text);
}

/// What the reference refuses when it is applied, without a word, is a mistake in the text here.
#[test]
fn what_can_be_known_before_is_refused_before() {
    let unitd = super::unitd();
    for (config, detail) in [
        (r#"{"listeners":{"*:1":{}}}"#, "Required parameter \"pass\" is missing."),
        (r#"{"listeners":{"*:1":{"backlog":1}}}"#, "Required parameter \"pass\" is missing."),
        (r#"{"routes":[{}]}"#, "Required parameter \"action\" is missing."),
        (r#"{"routes":[{"match":{}}]}"#, "Required parameter \"action\" is missing."),
    ] {
        let answer = unitd.put("/config", config);
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail), "{config}");
    }
}

/// Each feature of the schema that this release lacks is refused by name.
#[test]
fn what_is_not_built_is_named() {
    let unitd = super::unitd();
    let app = |members: &str| {
        format!(r#"{{"applications":{{"app":{{"processes":{{"spare":0}},{members}}}}}}}"#)
    };
    let python = |members: &str| app(&format!(r#""type":"python","module":"a",{members}"#));
    for config in [
        r#"{"routes":[{"action":{"proxy":"http://127.0.0.1:1"}}]}"#.to_owned(),
        r#"{"routes":[{"action":{"pass":"upstreams/u"}}],"upstreams":{"u":{"servers":{}}}}"#
            .to_owned(),
        app(r#""type":"external","executable":"/a""#),
        app(r#""type":"php","root":"/""#),
        app(r#""type":"perl","script":"/""#),
        app(r#""type":"ruby","script":"/""#),
        app(r#""type":"java","webapp":"/""#),
        app(r#""type":"wasm-wasi-component","component":"/""#),
        python(r#""protocol":"asgi""#),
        python(r#""threads":2"#),
        python(r#""isolation":{"rootfs":"srv"}"#),
        python(r#""isolation":{"namespaces":{"pid":true}}"#),
        python(r#""isolation":{"uidmap":[]}"#),
        python(r#""isolation":{"cgroup":{"path":"a"}}"#),
    ] {
        let before = unitd.get("/config").text;
        let answer = unitd.put("/config", &config);
        assert_eq!(answer.status, 500, "{config}: {}", answer.text);
        let detail = answer.detail();
        assert!(detail.ends_with(" is not supported by this release"), "{config}: {detail}");
        assert_eq!(unitd.get("/config").text, before);
    }
}
