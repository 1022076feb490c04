//! Section 11: restarts of applications.

use std::time::Duration;

use blackbox::{Unitd, need_python, wait_until};
use serde_json::json;

#[test]
fn paths_that_are_none_are_not_found_but_the_method_comes_first() {
    let unitd = Unitd::start();
    unitd.configure(&json!({ "applications": {} }));
    for target in [
        "/control",
        "/control/",
        "/control/x",
        "/control/applications",
        "/control/applications/",
        "/control/applications/restart",
        "/control/applications//restart",
        "/control/applications/a",
        "/control/applications/a/restarts",
        "/control/applications/a/restart/now",
        "/control/Applications/a/restart",
        "/control/applications/a/restart",
    ] {
        let answer = unitd.get(target);
        let missing = json!({ "error": "Value doesn't exist." });
        assert_eq!((answer.status, answer.json()), (404, missing.clone()), "{target}");
        for method in ["PUT", "POST", "DELETE", "PATCH"] {
            let answer = unitd.control(method, target, "");
            let expected = if target.starts_with("/control/") && target != "/control/" {
                (405, json!({ "error": "Method isn't allowed." }))
            } else {
                (404, missing.clone())
            };
            assert_eq!((answer.status, answer.json()), expected, "{method} {target}");
        }
    }
}

#[test]
fn names_are_taken_as_they_stand() {
    need_python!();
    let unitd = Unitd::start();
    let directory = unitd.application("hello");
    let names = ["plain", "a/b", "a b", "é", "restart", "a/restart"];
    let apps: serde_json::Map<String, serde_json::Value> = names
        .iter()
        .map(|name| {
            let app =
                json!({ "type": "python", "module": "hello", "path": directory, "processes": 1 });
            ((*name).to_owned(), app)
        })
        .collect();
    unitd.configure(&json!({ "applications": apps }));
    for (target, name) in [
        ("plain/restart", "plain"),
        ("plain/restart/", "plain"),
        ("a/b/restart", "a/b"),
        ("a%20b/restart", "a b"),
        ("%C3%A9/restart", "é"),
        ("restart/restart", "restart"),
        ("a/restart/restart", "a/restart"),
    ] {
        let before = unitd.wait_for_workers(name, 1)[0].pid;
        let answer = unitd.get(&format!("/control/applications/{target}"));
        assert_eq!((answer.status, answer.json()), (200, json!({ "success": "Ok" })), "{target}");
        wait_until("another worker", Duration::from_secs(30), || {
            let workers = unitd.workers(name);
            workers.len() == 1 && workers[0].pid != before
        });
    }
    // Not decoded as a segment is.
    assert_eq!(unitd.get("/control/applications/a%2Fb/restart").status, 404);
}
