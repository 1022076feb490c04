//! Section 6: reading and editing at every node of the configuration.

use blackbox::Unitd;
use serde_json::{Value, json};

fn start() -> Value {
    json!({
        "settings": { "http": { "idle_timeout": 5, "static": { "mime_types": { "a/b": [".x", ".y"] } } } },
        "listeners": {},
        "routes": { "a": [{ "action": { "return": 1 } }, { "action": { "return": 2 } }], "b": [] },
    })
}

/// The operation, what comes of it, and a place with the value it has then.
type Row = (&'static str, &'static str, &'static str, u16, &'static str, &'static str);

#[test]
fn edits_do_what_the_table_says() {
    let unitd = Unitd::start();
    let (done, missing, refused) =
        ("Reconfiguration done.", "Value doesn't exist.", "Method isn't allowed.");
    let types = "/config/settings/http/static/mime_types/a%2Fb";
    let rows: [Row; 34] = [
        ("PUT", "/config", r#"{"routes":[]}"#, 200, done, r#"/config = {"routes":[]}"#),
        (
            "PUT",
            "/config/settings/http/idle_timeout",
            "6",
            200,
            done,
            "/config/settings/http/idle_timeout = 6",
        ),
        (
            "PUT",
            "/config/settings/http/send_timeout",
            "7",
            200,
            done,
            r#"/config/settings/http/send_timeout = 7"#,
        ),
        ("PUT", "/config/settings", "{}", 200, done, "/config/settings = {}"),
        ("PUT", "/config/applications", "{}", 200, done, "/config/applications = {}"),
        ("PUT", "/config/routes/c", "[]", 200, done, "/config/routes/c = []"),
        ("PUT", "/config/routes/a", "[]", 200, done, "/config/routes/a = []"),
        (
            "PUT",
            "/config/routes/a/1",
            r#"{"action":{"return":9}}"#,
            200,
            done,
            r#"/config/routes/a/1 = {"action":{"return":9}}"#,
        ),
        (
            "PUT",
            "/config/routes/a/2",
            r#"{"action":{"return":9}}"#,
            200,
            done,
            r#"/config/routes/a/2 = {"action":{"return":9}}"#,
        ),
        (
            "PUT",
            "/config/routes/b/0",
            r#"{"action":{"return":9}}"#,
            200,
            done,
            r#"/config/routes/b = [{"action":{"return":9}}]"#,
        ),
        (
            "PUT",
            "/config/settings/http/static/mime_types/a%2Fb/0",
            "\".z\"",
            200,
            done,
            "/config/settings/http/static/mime_types/a%2Fb = [\".z\",\".y\"]",
        ),
        ("PUT", "/config/routes/a/3", "{}", 404, missing, ""),
        ("PUT", "/config/routes/a/-1", "{}", 404, missing, ""),
        ("PUT", "/config/routes/a/x", "{}", 404, missing, ""),
        ("PUT", "/config/routes/c/0", "{}", 404, missing, ""),
        ("PUT", "/config/upstreams/u/servers", "{}", 404, missing, ""),
        // The reference crashes: a deliberate difference.
        ("PUT", "/config/settings/http/idle_timeout/x", "1", 404, missing, ""),
        ("PUT", "/config/settings/http/static/mime_types/a%2Fb/0/0", "1", 404, missing, ""),
        (
            "POST",
            "/config/routes/b",
            r#"{"action":{"return":9}}"#,
            200,
            done,
            r#"/config/routes/b = [{"action":{"return":9}}]"#,
        ),
        (
            "POST",
            types,
            "\".z\"",
            200,
            done,
            "/config/settings/http/static/mime_types/a%2Fb = [\".x\",\".y\",\".z\"]",
        ),
        // An array is one element, which is refused here as that.
        ("POST", types, "[\".z\"]", 400, "Invalid configuration.", ""),
        ("POST", "/config", "{}", 405, refused, ""),
        ("POST", "/config/routes", "{}", 405, refused, ""),
        ("POST", "/config/settings/http/idle_timeout", "1", 405, refused, ""),
        ("POST", "/config/routes/a/0", "{}", 405, refused, ""),
        ("POST", "/config/routes/c", "{}", 404, missing, ""),
        ("POST", "/config/settings/http/idle_timeout/x", "{}", 404, missing, ""),
        ("DELETE", "/config", "", 200, done, "/config = {}"),
        ("DELETE", "/config/settings", "", 200, done, r#"/config/listeners = {}"#),
        (
            "DELETE",
            "/config/routes/a/0",
            "",
            200,
            done,
            r#"/config/routes/a = [{"action":{"return":2}}]"#,
        ),
        ("DELETE", types, "", 200, done, "/config/settings/http/static/mime_types = {}"),
        ("DELETE", "/config/routes/c", "", 404, missing, ""),
        ("DELETE", "/config/routes/a/2", "", 404, missing, ""),
        ("DELETE", "/config/settings/http/idle_timeout/x", "", 404, missing, ""),
    ];
    for (method, target, body, status, title, then) in rows {
        unitd.configure(&start());
        let answer = unitd.control(method, target, body);
        let said = answer.json();
        let (member, expected) = if status == 200 { ("success", title) } else { ("error", title) };
        assert_eq!(answer.status, status, "{method} {target}: {said}");
        assert_eq!(said[member], expected, "{method} {target}");
        if then.is_empty() {
            assert_eq!(unitd.config(""), start(), "{method} {target}");
        } else {
            let (place, value) = then.split_once(" = ").unwrap();
            let value: Value = serde_json::from_str(value).unwrap();
            assert_eq!(unitd.get(place).json(), value, "{method} {target}");
        }
        if status == 200 && method == "DELETE" && target != "/config" && !target.ends_with('0') {
            assert_eq!(unitd.get(target).status, 404, "{method} {target}");
        }
    }
}

/// The body is read before the path is followed, but not before the method is known.
#[test]
fn a_bad_body_is_told_before_a_missing_path() {
    let unitd = Unitd::start();
    unitd.configure(&start());
    let long = format!("/config/{}", "x".repeat(300));
    for target in ["/config", "/config/none/such", "/config/routes/a/99", &long] {
        for method in ["PUT", "POST"] {
            let answer = unitd.control(method, target, "{");
            let is_refused = method == "POST" && target == "/config";
            let expected =
                if is_refused { (405, "Method isn't allowed.") } else { (400, "Invalid JSON.") };
            let said = answer.json();
            assert_eq!(
                (answer.status, said["error"].as_str().unwrap()),
                expected,
                "{method} {target}"
            );
        }
        // A body is nothing to DELETE.
        if target != "/config" {
            assert_eq!(unitd.control("DELETE", target, "{").status, 404);
        }
    }
    for method in ["PUT", "POST"] {
        let answer = unitd.control(method, "/config/routes/a", "");
        assert_eq!(answer.json()["error"], "Invalid JSON.");
        assert_eq!(answer.json()["location"]["offset"], 0);
    }
}
