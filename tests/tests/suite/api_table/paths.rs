//! Section 2: how targets become paths, and what the segments of a path mean.

use blackbox::Unitd;
use serde_json::json;

#[test]
fn targets_are_normalised_and_dispatched() {
    let unitd = Unitd::start();
    unitd.configure(&json!({
        "routes": {
            "a/b": [], "50%": [], "é": [], "a b": [], "a+b": [], ".": [], "..": [], "": [],
            "%2F": [], "a?b#c": [], "x\ty": [],
            "main": [{ "action": { "return": 200 } }, { "action": { "return": 201 } }],
        },
        "settings": { "http": { "log_route": false, "static": { "mime_types": { "a/b": [".x"] } } } },
    }));
    let action = "{\r\n\t\"action\": {\r\n\t\t\"return\": 201\r\n\t}\r\n}";
    let (found, missing) = (200, 404);
    let rows: [(&str, u16, &str); 57] = [
        // 2.1 and 2.2: normalised once, a slash at the end removed.
        ("/config/routes/main/1", found, action),
        ("/config/routes/main/1/", found, action),
        ("/config/routes/main/1//", found, action),
        ("//config///routes//main/1", found, action),
        ("/./config/././routes/main/1/.", found, action),
        ("/config/x/../routes/main/0/../1", found, action),
        ("/status/../config/routes/main/1/action/..", found, action),
        ("/%63onfig/%72outes/main/%31", found, action),
        ("/%2e/config/%2E%2e/config/routes/main/1", found, action),
        ("/config/routes/main/1?x=/y", found, action),
        ("/config/routes/main/1#x", found, action),
        ("/config/", found, ""),
        ("/config//", found, ""),
        ("/config/?", found, ""),
        // 2.3 and 2.4: a prefix is whole or ends at a slash.
        ("/configs", missing, "Value doesn't exist."),
        ("/confi", missing, "Value doesn't exist."),
        ("/Config", missing, "Value doesn't exist."),
        ("/config%2Froutes", missing, "Value doesn't exist."),
        ("/statuses", missing, "Value doesn't exist."),
        ("/controls/x", missing, "Value doesn't exist."),
        ("/control", missing, "Value doesn't exist."),
        ("/control/", missing, "Value doesn't exist."),
        ("/x", missing, "Value doesn't exist."),
        ("/%25", missing, "Value doesn't exist."),
        // Segments are decoded after they are split.
        ("/config/routes/a%2Fb", found, "[]"),
        ("/config/routes/a%2fb", found, "[]"),
        ("/config/routes/a/b", missing, "Value doesn't exist."),
        ("/config/routes/50%25", found, "[]"),
        ("/config/routes/%C3%A9", found, "[]"),
        ("/config/routes/é", found, "[]"),
        ("/config/routes/%c3%a9", found, "[]"),
        ("/config/routes/a%20b", found, "[]"),
        ("/config/routes/a b", found, "[]"),
        ("/config/routes/a+b", found, "[]"),
        ("/config/routes/a%2Bb", found, "[]"),
        ("/config/routes/x%09y", found, "[]"),
        ("/config/routes/a%3Fb%23c", found, "[]"),
        ("/config/routes/%252F", found, "[]"),
        // Dots are resolved, encoded or not, so that such names cannot be reached.
        ("/config/routes/main/%2e%2e/main/1", found, action),
        ("/config/routes/%2F", missing, "Value doesn't exist."),
        // Objects by exact name, an empty one not addressable.
        ("/config/routes/Main", missing, "Value doesn't exist."),
        ("/config/routes/main%20", missing, "Value doesn't exist."),
        ("/config/settings/http/static/mime_types/a%2Fb/0", found, "\".x\""),
        // Arrays by digits.
        ("/config/routes/main/01", found, action),
        ("/config/routes/main/0001", found, action),
        ("/config/routes/main/2", missing, "Value doesn't exist."),
        ("/config/routes/main/-1", missing, "Value doesn't exist."),
        ("/config/routes/main/+1", missing, "Value doesn't exist."),
        ("/config/routes/main/1.0", missing, "Value doesn't exist."),
        ("/config/routes/main/0x1", missing, "Value doesn't exist."),
        ("/config/routes/main/x", missing, "Value doesn't exist."),
        ("/config/routes/main/%201", missing, "Value doesn't exist."),
        ("/config/routes/main/18446744073709551617", missing, "Value doesn't exist."),
        // Below a scalar there is nothing.
        ("/config/routes/main/1/action/return", found, "201"),
        ("/config/routes/main/1/action/return/0", missing, "Value doesn't exist."),
        ("/config/settings/http/log_route/x", missing, "Value doesn't exist."),
        ("/config/settings/http/static/mime_types/a%2Fb/0/0", missing, "Value doesn't exist."),
    ];
    for (target, status, text) in rows {
        let answer = unitd.get(target);
        assert_eq!(answer.status, status, "{target}: {}", answer.text);
        match status {
            200 if text.is_empty() => {
                assert_eq!(answer.text, unitd.get("/config").text, "{target}")
            }
            200 => assert_eq!(answer.text, format!("{text}\r\n"), "{target}"),
            _ => assert_eq!(answer.json(), json!({ "error": text }), "{target}"),
        }
    }
}

#[test]
fn segments_have_256_bytes_before_they_are_decoded() {
    let unitd = Unitd::start();
    let longest = "x".repeat(256);
    unitd.configure(&json!({ "routes": { &longest: [], "y".repeat(257): [] } }));
    assert_eq!(unitd.get(&format!("/config/routes/{longest}")).text, "[]\r\n");
    let missing = json!({ "error": "Value doesn't exist." });
    // The reference says 500 to the writes: a deliberate difference.
    for target in [
        format!("/config/routes/{}", "y".repeat(257)),
        // Each of these is a byte, but takes three.
        format!("/config/routes/{}", "%25".repeat(86)),
    ] {
        for (method, body) in [("GET", ""), ("PUT", "[]"), ("POST", "{}"), ("DELETE", "")] {
            let answer = unitd.control(method, &target, body);
            assert_eq!((answer.status, answer.json()), (404, missing.clone()), "{method} {target}");
        }
    }
    let status = unitd.get(&format!("/status/{}", "y".repeat(257)));
    assert_eq!((status.status, status.json()), (404, json!({ "error": "Invalid path." })));
}

#[test]
fn listeners_are_reached_by_their_addresses() {
    let unitd = Unitd::start();
    let (one, two, directory) = (unitd.port(), unitd.port(), unitd.text_path("l.sock"));
    unitd.configure(&json!({
        "listeners": {
            format!("127.0.0.1:{one}"): { "pass": "routes" },
            format!("[::1]:{two}"): { "pass": "routes" },
            format!("unix:{directory}"): { "pass": "routes" },
        },
        "routes": [],
    }));
    for name in [
        format!("127.0.0.1:{one}"),
        format!("127.0.0.1%3A{one}"),
        format!("[::1]:{two}"),
        format!("%5B%3A%3A1%5D%3A{two}"),
        format!("unix:{}", directory.replace('/', "%2F")),
    ] {
        assert_eq!(unitd.config(&format!("/listeners/{name}/pass")), "routes", "{name}");
    }
}
