//! Changes that are done only in a certain state, or only tried: entity tags, `If-Match`,
//! `If-None-Match` and `?dry_run`.

use blackbox::{Answer, Connection, Unitd, request};
use serde_json::{Value, json};

/// Asks with one more field.
fn ask(unitd: &Unitd, method: &str, target: &str, field: &str, body: &str) -> Answer {
    let mut connection = Connection::unix(&unitd.control_socket());
    connection.ask(&request(method, target, &[field], body.as_bytes())).into()
}

fn etag(answer: &Answer) -> String {
    let field = answer.head.split("\r\n").find_map(|line| line.strip_prefix("ETag: "));
    field.expect("a value has a tag").to_owned()
}

#[track_caller]
fn expect_failed(answer: &Answer) {
    assert_eq!(answer.status, 412, "{}", answer.text);
    assert_eq!(answer.json()["error"], "Precondition failed.");
    assert!(answer.json()["detail"].is_string());
}

#[test]
fn the_slower_of_two_administrators_is_told() {
    let unitd = Unitd::start();
    unitd.put("/config/routes", json!([{ "action": { "return": 200 } }])).expect_success();
    let seen = etag(&unitd.get("/config/routes"));
    // Both edit what they saw.
    let condition = format!("If-Match: {seen}");
    let faster = r#"[{"action": {"return": 201}}]"#;
    ask(&unitd, "PUT", "/config/routes", &condition, faster).expect_success();
    for (method, target, body) in [
        ("PUT", "/config/routes", "[]"),
        ("POST", "/config/routes", r#"{"action": {"return": 202}}"#),
        ("DELETE", "/config/routes", ""),
    ] {
        expect_failed(&ask(&unitd, method, target, &condition, body));
    }
    assert_eq!(unitd.config("/routes/0/action/return"), 201);
    // What changes elsewhere is no hindrance, and the same value has the same tag again.
    let seen = etag(&unitd.get("/config/routes/"));
    unitd.put("/config/settings", "{}").expect_success();
    assert_eq!(etag(&unitd.get("/config/routes")), seen);
    ask(&unitd, "DELETE", "/config/routes", &format!("If-Match: \"x\", {seen}"), "")
        .expect_success();
}

#[test]
fn what_exists_is_not_created_and_what_does_not_is_not_replaced() {
    let unitd = Unitd::start();
    expect_failed(&ask(&unitd, "PUT", "/config/upstreams", "If-Match: *", "{}"));
    ask(&unitd, "PUT", "/config/upstreams", "If-None-Match: *", "{}").expect_success();
    expect_failed(&ask(&unitd, "PUT", "/config/upstreams", "If-None-Match: *", "{}"));
    ask(&unitd, "PUT", "/config/upstreams", "If-Match: *", "{}").expect_success();
    let malformed = ask(&unitd, "PUT", "/config/upstreams", "If-Match: x", "{}");
    assert_eq!(malformed.status, 400);
    assert_eq!(malformed.json()["error"], "Invalid request.");
    // A body that is no JSON is told first.
    let bad = ask(&unitd, "PUT", "/config/upstreams", "If-None-Match: *", "?");
    assert_eq!(bad.json()["error"], "Invalid JSON.");
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let unitd = Unitd::start();
    let seen = etag(&unitd.get("/config"));
    let again = ask(&unitd, "GET", "/config", &format!("If-None-Match: W/{seen}"), "");
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(etag(&again), seen);
    unitd.put("/config/routes", "{}").expect_success();
    let changed = ask(&unitd, "GET", "/config", &format!("If-None-Match: {seen}"), "");
    assert_eq!(changed.status, 200);
    assert_ne!(etag(&changed), seen);
}

#[test]
fn a_dry_run_finds_what_the_real_one_would_and_changes_nothing() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let before = unitd.config("");
    let stored = std::fs::read(unitd.path("state/conf.json")).ok();
    let listeners = |port: u16, pass: &str| {
        json!({ format!("127.0.0.1:{port}"): { "pass": pass } }).to_string()
    };
    unitd.put("/config/routes", json!([{ "action": { "return": 200 } }])).expect_success();
    unitd.put("/config/routes", before["routes"].to_string()).expect_success();
    let good = unitd.put("/config/listeners?dry_run", listeners(port, "routes"));
    assert_eq!((good.status, good.json()), (200, json!({ "success": "Configuration is valid." })));
    assert!(Connection::try_tcp(port).is_err(), "nobody listens");
    let deleted = unitd.delete("/config/routes?dry_run=1");
    assert_eq!(deleted.json(), json!({ "success": "Configuration is valid." }));
    let invalid = unitd.put("/config/listeners?dry_run", listeners(port, "routes/nowhere"));
    assert_eq!(invalid.status, 400);
    // An address that somebody else has shows only when the router tries.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    unitd.expect_alert("failed (98: Address already in use)");
    unitd.expect_alert("failed to apply new conf");
    let refused = unitd.put("/config/listeners?dry_run=true", listeners(taken_port, "routes"));
    assert_eq!(refused.status, 500);
    assert_eq!(refused.json()["error"], "Failed to apply new configuration.");
    assert_eq!(unitd.config(""), before);
    if let Some(stored) = stored {
        assert_eq!(std::fs::read(unitd.path("state/conf.json")).unwrap(), stored);
    }
    let odd = unitd.put("/config/listeners?dry_run=perhaps", "{}");
    assert_eq!(odd.json()["error"], "Invalid request.");
    // Then for real.
    unitd.put("/config/listeners", listeners(port, "routes")).expect_success();
    assert_eq!(unitd.fetch(port, "/").status, 404);
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_was_meant() {
    let unitd = Unitd::start();
    let told = |target: &str, body: &str| -> (Value, Value) {
        let answer = unitd.put(target, body);
        assert_eq!(answer.status, 400, "{}", answer.text);
        (answer.json()["location"].clone(), answer.json()["suggestion"].clone())
    };
    assert_eq!(
        told("/config/settings", r#"{"http": {"max_body_sise": 1}}"#),
        (json!({ "path": "/settings/http/max_body_sise" }), json!("max_body_size"))
    );
    assert_eq!(
        told("/config/routes", r#"{"a/b~": [{"match": {"uri": 1}}]}"#),
        (json!({ "path": "/routes/a~1b~0/0/match/uri" }), Value::Null)
    );
    assert_eq!(told("/config", "[]"), (json!({ "path": "" }), Value::Null));
}
