//! Section 10: the status.

use std::path::Path;
use std::time::Duration;

use blackbox::{Connection, Place, Unitd, need_python, request, wait_until};
use serde_json::json;

use super::names;

#[test]
fn modules_are_listed_by_language_the_newest_first() {
    let runtime = Path::new(env!("CARGO_BIN_EXE_pretended-runtime"));
    let modules = [
        ("wasm-wasi-component", "0.1"),
        ("wasm", "0.2"),
        ("java", "17"),
        ("ruby", "3.1.2"),
        ("perl", "5.36.0"),
        ("php", "8.2"),
        ("python", "3.9"),
        ("python", "3.11"),
        ("python", "3.10.2"),
        ("external", "1"),
    ];
    let unitd = Place::new().with_pretended_modules(runtime, &modules).start();
    let answer = unitd.get("/status/modules");
    let value = answer.json();
    // One that is external is never listed.
    assert_eq!(
        names(&answer.text, &value),
        ["python", "php", "perl", "ruby", "java", "wasm", "wasm-wasi-component"]
    );
    let file = |name: &str| unitd.text_path(format!("modules/{name}.unit"));
    assert_eq!(value["php"], json!({ "version": "8.2", "lib": file("php8.2") }));
    assert_eq!(
        value["python"],
        json!([
            { "version": "3.11", "lib": file("python3.11") },
            { "version": "3.10.2", "lib": file("python3.10.2") },
            { "version": "3.9", "lib": file("python3.9") },
        ])
    );
    assert_eq!(unitd.get("/status/modules/python/2/version").text, "\"3.9\"\r\n");
}

#[test]
fn members_stand_in_their_order() {
    let unitd = Unitd::start();
    let answer = unitd.get("/status");
    assert_eq!(
        names(&answer.text, &answer.json()),
        ["modules", "connections", "requests", "applications"]
    );
    assert_eq!(
        unitd.get("/status/connections").text,
        "{\r\n\t\"accepted\": 0,\r\n\t\"active\": 0,\r\n\t\"idle\": 0,\r\n\t\"closed\": 0\r\n}\r\n"
    );
    assert_eq!(unitd.get("/status/requests").text, "{\r\n\t\"total\": 0\r\n}\r\n");
    assert_eq!(unitd.get("/status/applications").text, "{}\r\n");
}

#[test]
fn paths_lead_into_it() {
    let unitd = Unitd::start();
    for (target, text) in [
        ("/status/connections/accepted", "0"),
        ("/status/connections/accepted/", "0"),
        ("//status//connections/./idle?x", "0"),
        ("/%73tatus/requests/total", "0"),
    ] {
        assert_eq!(unitd.get(target).text, format!("{text}\r\n"), "{target}");
    }
    for target in [
        "/status/none",
        "/status/connections/none",
        "/status/connections/0",
        "/status/connections/idle/x",
        "/status/applications/none",
        "/status/Requests",
    ] {
        let answer = unitd.get(target);
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({ "error": "Invalid path." })),
            "{target}"
        );
    }
}

#[test]
fn connections_are_counted_by_what_they_do() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 204 } }]));
    let connections = |accepted: u64, active: u64, idle: u64, closed: u64| {
        let expected =
            json!({ "accepted": accepted, "active": active, "idle": idle, "closed": closed });
        wait_until(&expected.to_string(), Duration::from_secs(10), || {
            unitd.status("/connections") == expected
        });
    };
    connections(0, 0, 0, 0);
    // Nothing received yet is idle, a part of a request is not, between two requests is again.
    let mut silent = Connection::tcp(port);
    connections(1, 0, 1, 0);
    silent.send(b"GET / HTTP/1.1\r\nHo").unwrap();
    connections(1, 1, 0, 0);
    silent.send(b"st: a\r\n\r\n").unwrap();
    assert_eq!(silent.read_response().unwrap().status, 204);
    connections(1, 0, 1, 0);
    drop(silent);
    connections(1, 0, 0, 1);
    assert_eq!(unitd.status("/requests/total"), 1);
    // A client that has seen the end of its answer is counted already.
    for count in 2..30 {
        Connection::tcp(port).ask(&request("GET", "/", &["Connection: close"], b""));
        assert_eq!(unitd.status("/requests/total"), count);
    }
    // Neither a new configuration nor the API itself changes anything.
    unitd.put("/config/routes/0/action/return", "200").expect_success();
    assert_eq!(unitd.status("/requests/total"), 29);
}

#[test]
fn a_new_router_counts_from_zero() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 204 } }]));
    assert_eq!(unitd.fetch(port, "/").status, 204);
    assert_eq!(unitd.status("/requests/total"), 1);
    unitd.expect_alert("exited on signal 9");
    let router = unitd.role("router");
    router.signal(nix::sys::signal::Signal::SIGKILL);
    wait_until("another router", Duration::from_secs(30), || {
        unitd.role("router").pid != router.pid
    });
    assert_eq!(unitd.status("/requests/total"), 0);
    assert_eq!(unitd.fetch(port, "/").status, 204);
    assert_eq!(unitd.status("/requests/total"), 1);
}

#[test]
fn applications_are_shown_with_their_processes() {
    need_python!();
    let unitd = Unitd::start();
    let directory = unitd.application("hello");
    let app = |processes: serde_json::Value| json!({ "type": "python", "module": "hello", "path": directory, "processes": processes });
    unitd.configure(
        &json!({ "applications": { "a/b": app(json!(2)), "z": app(json!({ "spare": 0 })) } }),
    );
    let answer = unitd.get("/status/applications");
    assert_eq!(names(&answer.text, &answer.json()), ["a/b", "z"]);
    assert_eq!(
        unitd.get("/status/applications/a%2Fb").text,
        "{\r\n\t\"processes\": {\r\n\t\t\"running\": 2,\r\n\t\t\"starting\": 0,\r\n\t\t\"idle\": 2\r\n\
         \t},\r\n\r\n\t\"requests\": {\r\n\t\t\"active\": 0\r\n\t}\r\n}\r\n"
    );
    assert_eq!(unitd.status("/applications/z/processes/running"), 0);
    unitd.clear();
    assert_eq!(unitd.status("/applications"), json!({}));
}
