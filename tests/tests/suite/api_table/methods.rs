//! Section 3: endpoints and methods.

use blackbox::{Unitd, request};
use serde_json::json;

use super::{ask, names};

/// Methods that no endpoint has, and such as only look like one.
const UNUSUAL: [&str; 12] = [
    "HEAD",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "GETS",
    "GE",
    "P",
    "_",
    "-",
    "A-VERY-LONG-METHOD-THAT-NOBODY-KNOWS",
];

const INVALID: &str = "Invalid method.";
const NOT_ALLOWED: &str = "Method isn't allowed.";
const NO_VALUE: &str = "Value doesn't exist.";

#[test]
fn every_endpoint_has_its_methods() {
    let unitd = Unitd::start();
    let config = json!({ "listeners": {}, "routes": [{ "action": { "return": 200 } }] });
    let restart = "/control/applications/none/restart";
    // The target, and what GET, PUT, POST, DELETE and all others get.
    let table: [(&str, [(u16, &str); 5]); 12] = [
        ("/", [(200, ""), (405, INVALID), (405, INVALID), (405, INVALID), (405, INVALID)]),
        ("/config", [(200, ""), (200, ""), (405, NOT_ALLOWED), (200, ""), (405, NOT_ALLOWED)]),
        ("/config/", [(200, ""), (200, ""), (405, NOT_ALLOWED), (200, ""), (405, NOT_ALLOWED)]),
        (
            "/config/listeners",
            [(200, ""), (200, ""), (405, NOT_ALLOWED), (200, ""), (405, NOT_ALLOWED)],
        ),
        (
            "/config/routes/0/match",
            [(404, NO_VALUE), (200, ""), (404, NO_VALUE), (404, NO_VALUE), (405, NOT_ALLOWED)],
        ),
        (
            "/config/none/such",
            [
                (404, NO_VALUE),
                (404, NO_VALUE),
                (404, NO_VALUE),
                (404, NO_VALUE),
                (405, NOT_ALLOWED),
            ],
        ),
        ("/status", [(200, ""), (405, INVALID), (405, INVALID), (405, INVALID), (405, INVALID)]),
        (
            "/status/requests/total",
            [(200, ""), (405, INVALID), (405, INVALID), (405, INVALID), (405, INVALID)],
        ),
        (
            "/status/none",
            [
                (404, "Invalid path."),
                (405, INVALID),
                (405, INVALID),
                (405, INVALID),
                (405, INVALID),
            ],
        ),
        (
            restart,
            [
                (404, NO_VALUE),
                (405, NOT_ALLOWED),
                (405, NOT_ALLOWED),
                (405, NOT_ALLOWED),
                (405, NOT_ALLOWED),
            ],
        ),
        (
            "/control/none",
            [
                (404, NO_VALUE),
                (405, NOT_ALLOWED),
                (405, NOT_ALLOWED),
                (405, NOT_ALLOWED),
                (405, NOT_ALLOWED),
            ],
        ),
        ("/elsewhere", [(404, NO_VALUE); 5]),
    ];
    let mut rows = 0;
    for (target, expected) in table {
        let mut row = |method: &str, (status, title): (u16, &str)| {
            unitd.configure(&config);
            let response = ask(&unitd, &request(method, target, &[], b"{}"));
            assert_eq!(response.status, status, "{method} {target}: {}", response.text());
            if !title.is_empty() {
                assert_eq!(response.json(), json!({ "error": title }), "{method} {target}");
            }
            rows += 1;
        };
        let [get, put, post, delete, others] = expected;
        row("GET", get);
        row("PUT", put);
        row("POST", post);
        row("DELETE", delete);
        for method in UNUSUAL {
            row(method, others);
        }
    }
    assert_eq!(rows, 12 * 16, "the number of rows");
}

#[test]
fn the_root_has_its_members_in_order() {
    let unitd = Unitd::start();
    let answer = unitd.get("/");
    let value = answer.json();
    let known = ["certificates", "js_modules", "config", "status"];
    let found = names(&answer.text, &value);
    let expected: Vec<&str> = known.into_iter().filter(|name| value.get(name).is_some()).collect();
    assert_eq!(found, expected);
    assert!(found.ends_with(&["config".to_owned(), "status".to_owned()]), "{found:?}");
    assert_eq!(value["config"], unitd.config(""));
    assert_eq!(value["status"], unitd.status(""));
}
