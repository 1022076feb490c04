//! The control API: paths, methods, every message it has, and what a write promises.

use std::fs;
use std::time::Duration;

use blackbox::{Answer, Connection, Unitd, need_python, request, wait_until};
use serde_json::{Value, json};

/// The body of an error as it is printed: tabs, one member a line, CRLF.
fn error(title: &str, detail: Option<&str>, location: Option<[usize; 3]>) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut members = vec![format!("\t\"error\": {}", quoted(title))];
    if let Some(detail) = detail {
        members.push(format!("\t\"detail\": {}", quoted(detail)));
    }
    if let Some([offset, line, column]) = location {
        members.push(format!(
            "\t\"location\": {{\r\n\t\t\"offset\": {offset},\r\n\t\t\"line\": {line},\r\n\
             \t\t\"column\": {column}\r\n\t}}"
        ));
    }
    format!("{{\r\n{}\r\n}}\r\n", members.join(",\r\n"))
}

fn success(title: &str) -> String {
    format!("{{\r\n\t\"success\": \"{title}\"\r\n}}\r\n")
}

#[track_caller]
fn expect(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.text.as_str()), (status, body));
}

const EXPECTED: &str = "A valid JSON value is expected here.  It must be either a literal (null, \
    true, or false), a number, a string (in double quotes \"\"), an array (with brackets []), or \
    an object (with braces {}).";

#[test]
fn the_answer_is_to_the_byte() {
    let unitd = Unitd::start();
    let answer = unitd.get("/config/routes");
    let lines: Vec<&str> = answer.head.split("\r\n").collect();
    assert_eq!(lines[0], "HTTP/1.1 200 OK");
    assert_eq!(lines[1], "Server: Unit/2.0.0");
    let date = regex::Regex::new(
        r"^Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$",
    );
    assert!(date.unwrap().is_match(lines[2]), "{}", lines[2]);
    assert_eq!(lines[3..5], ["Content-Type: application/json", "Content-Length: 4"]);
    // The one field that the reference does not have.
    let etag = regex::Regex::new(r#"^ETag: "[0-9a-f]{16}"$"#).unwrap();
    assert!(etag.is_match(lines[5]), "{}", lines[5]);
    assert_eq!(lines[6..], ["Connection: close"]);
    assert_eq!(answer.text, "[]\r\n");
}

#[test]
fn one_answer_for_each_connection() {
    let unitd = Unitd::start();
    let mut connection = Connection::unix(&unitd.control_socket());
    let two = [request("GET", "/config", &[], b""), request("GET", "/status", &[], b"")].concat();
    connection.send(&two).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
    connection.expect_close();
}

#[test]
fn the_first_configuration_is_empty() {
    let unitd = Unitd::start();
    assert_eq!(
        unitd.get("/config").text,
        "{\r\n\t\"listeners\": {},\r\n\t\"routes\": [],\r\n\t\"applications\": {}\r\n}\r\n"
    );
    assert_eq!(
        unitd.get("/status/").text,
        "{\r\n\t\"modules\": {},\r\n".replace("{},", &modules_text(&unitd))
            + "\t\"connections\": {\r\n\t\t\"accepted\": 0,\r\n\t\t\"active\": 0,\r\n\
               \t\t\"idle\": 0,\r\n\t\t\"closed\": 0\r\n\t},\r\n\r\n\
               \t\"requests\": {\r\n\t\t\"total\": 0\r\n\t},\r\n\r\n\
               \t\"applications\": {}\r\n}\r\n"
    );
}

/// The printed modules and the separator after them, which depends on what is installed.
fn modules_text(unitd: &Unitd) -> String {
    let text = unitd.get("/status/modules").text;
    let text = text.trim_end();
    if text == "{}" { "{},".to_owned() } else { text.replace("\r\n", "\r\n\t") + ",\r\n" }
}

#[test]
fn the_root_holds_configuration_and_status() {
    let unitd = Unitd::start();
    let text = unitd.get("/").text;
    let config = text.find("\"config\"").unwrap();
    let status = text.find("\"status\"").unwrap();
    assert!(config < status, "{text}");
    let value = unitd.get("/").json();
    assert_eq!(value["config"], unitd.config(""));
    assert_eq!(value["status"]["requests"]["total"], 0);
}

#[test]
fn values_are_printed_as_they_were_received() {
    let unitd = Unitd::start();
    // An odd order, odd numbers and escapes; a blank line after a member with something in it.
    let body = r#"{"routes":[{"action":{"return":2e2}},{"action":{"return":200,
        "location":"\u0041\/\u001f\"\\\u00e9 €"}}],"listeners":{},"applications":{}}"#;
    unitd.put("/config", body).expect_success();
    assert_eq!(
        unitd.get("/config").text,
        "{\r\n\t\"routes\": [\r\n\t\t{\r\n\t\t\t\"action\": {\r\n\t\t\t\t\"return\": 2e2\r\n\
         \t\t\t}\r\n\t\t},\r\n\t\t{\r\n\t\t\t\"action\": {\r\n\t\t\t\t\"return\": 200,\r\n\
         \t\t\t\t\"location\": \"A/\\u001F\\\"\\\\é €\"\r\n\t\t\t}\r\n\t\t}\r\n\t],\r\n\r\n\
         \t\"listeners\": {},\r\n\t\"applications\": {}\r\n}\r\n"
    );
    assert_eq!(unitd.get("/config/routes/0/action/return").text, "2e2\r\n");
    assert_eq!(
        fs::read_to_string(unitd.path("state/conf.json")).unwrap(),
        "{\"routes\":[{\"action\":{\"return\":2e2}},{\"action\":{\"return\":200,\
         \"location\":\"A/\\u001F\\\"\\\\é €\"}}],\"listeners\":{},\"applications\":{}}"
    );
}

/// Every message about JSON, with the place it points at.
#[test]
fn json_errors_are_told_with_their_place() {
    let closing = |what: &str, name: &str, mark: &str| {
        format!("Unexpected end of JSON payload.  There's {what} without a {name} ({mark}).")
    };
    let object_end = closing("an object", "closing brace", "}");
    let array_end = closing("an array", "closing bracket", "]");
    let string_end = closing("a string", "final double quote", "\"");
    let empty = "An empty JSON payload isn't allowed.  It must be either a literal (null, true, \
                 or false), a number, a string (in double quotes \"\"), an array (with brackets \
                 []), or an object (with braces {}).";
    let trailing = "Unexpected character after the end of a valid JSON value.";
    let no_value = "Unexpected end of JSON payload.  There's an object member without a value.";
    let name = "A double quote (\") is expected here.  There must be a valid JSON object member \
                starts with a name, which is a string enclosed in double quotes.";
    let colon = "A colon (:) is expected here.  There must be a colon after a JSON member name.";
    let brace = "Either a closing brace (}) or a comma (,) is expected here.  Each JSON object \
                 must be enclosed in braces and its members must be separated by commas.";
    let bracket = "Either a closing bracket (]) or a comma (,) is expected here.  Each array must \
                   be enclosed in brackets and its members must be separated by commas.";
    let duplicate = "Duplicate object member.  All JSON object members must have unique names.";
    let control = "Unexpected character.  All control characters in a JSON string must be escaped.";
    let backslash = "Unexpected backslash.  A literal backslash in a JSON string must be escaped \
                     with a second backslash (\\\\).";
    let escape = "Invalid escape sequence.  An escape sequence in a JSON string must start with a \
                  backslash, followed by the lowercase letter u, followed by four hexadecimal \
                  digits (\\uXXXX).";
    let lone = "Invalid JSON encoding sequence.  This 6-byte sequence does not represent a valid \
                UTF character.";
    let pair = "Invalid JSON encoding sequence.  This 12-byte sequence composes an illegal UTF-16 \
                surrogate pair.";
    let fraction =
        "The number is invalid.  A fraction part in JSON numbers must contain at least one digit.";
    let zeros = "The number is invalid.  Leading zeros are not allowed in JSON numbers.";
    let exponent = "The number is invalid.  An exponent part in JSON numbers must contain at least \
                    one digit.";
    let long = "The number is too long.  Such a long JSON number value is not supported.";
    let huge =
        "The number is out of representable range.  Such JSON number value is not supported.";

    let unitd = Unitd::start();
    let table: [(&str, &str, [usize; 3]); 38] = [
        ("", empty, [0, 1, 1]),
        (" \n ", empty, [0, 1, 1]),
        ("/* nothing */", empty, [0, 1, 1]),
        ("nul", EXPECTED, [0, 1, 1]),
        ("{\"a\": yes}", EXPECTED, [6, 1, 7]),
        ("12a", EXPECTED, [0, 1, 1]),
        ("[,1]", EXPECTED, [1, 1, 2]),
        ("/", EXPECTED, [0, 1, 1]),
        ("{} x", trailing, [3, 1, 4]),
        ("{}\n{}", trailing, [3, 2, 1]),
        ("{", &object_end, [1, 1, 2]),
        ("{\"a\": 1", &object_end, [7, 1, 8]),
        ("{\"a\"", no_value, [4, 1, 5]),
        ("{\"a\":", no_value, [5, 1, 6]),
        ("{a: 1}", name, [1, 1, 2]),
        ("{\"a\" 1}", colon, [5, 1, 6]),
        ("{\"a\": 1 \"b\": 2}", brace, [8, 1, 9]),
        ("{\n\t\"é\": 1\n\t\"b\": 2\n}", brace, [12, 3, 2]),
        ("{\"a\": 1, \"a\": 2}", duplicate, [9, 1, 10]),
        ("[", &array_end, [1, 1, 2]),
        ("[1", &array_end, [2, 1, 3]),
        ("[1 2]", bracket, [3, 1, 4]),
        ("\"abc", &string_end, [4, 1, 5]),
        ("\"a\tb\"", control, [2, 1, 3]),
        ("\"\\a\"", backslash, [1, 1, 2]),
        ("\"\\u12g4\"", escape, [5, 1, 6]),
        ("\"\\udc00\"", lone, [1, 1, 2]),
        ("\"\\ud800\\u0041\"", pair, [1, 1, 2]),
        ("1.", fraction, [0, 1, 1]),
        ("01", zeros, [0, 1, 1]),
        ("1e", exponent, [0, 1, 1]),
        ("[1e]", exponent, [1, 1, 2]),
        ("123456789012345", long, [0, 1, 1]),
        ("1e19", huge, [0, 1, 1]),
        ("\u{feff}{\"a\"", no_value, [4, 1, 5]),
        ("// comment\n{\"a\": 1,}\nx", trailing, [21, 3, 1]),
        ("{\"a\": /* b */ }", EXPECTED, [14, 1, 15]),
        ("{'a': 1}", name, [1, 1, 2]),
    ];
    for (body, detail, location) in table {
        let answer = unitd.put("/config", body);
        let wanted = error("Invalid JSON.", Some(detail), Some(location));
        assert_eq!((answer.status, answer.text), (400, wanted), "{body:?}");
    }
    // Parsing comes before the path.
    assert_eq!(unitd.put("/config/no/such", "{").json()["error"], "Invalid JSON.");
}

#[test]
fn a_place_after_invalid_utf8_is_an_offset_only() {
    let unitd = Unitd::start();
    let answer = unitd.control("PUT", "/config", b"\"\xff\" x");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["location"], json!({ "offset": 4 }));
}

#[test]
fn comments_and_trailing_commas_are_read_over() {
    let unitd = Unitd::start();
    let body =
        "\u{feff}// first\n{ /* a \u{1} b */ \"listeners\": {}, // last\n\"routes\": [],\n}\n";
    expect(&unitd.put("/config", body), 200, &success("Reconfiguration done."));
    assert_eq!(unitd.config(""), json!({ "listeners": {}, "routes": [] }));
}

/// Each method at each kind of path: which title it gets.
#[test]
fn methods_are_refused_by_the_table() {
    let unitd = Unitd::start();
    let invalid = (405, error("Invalid method.", None, None));
    let refused = (405, error("Method isn't allowed.", None, None));
    let missing = (404, error("Value doesn't exist.", None, None));
    let restart = "/control/applications/a/restart";
    let table = [
        ("PUT", "/", &invalid),
        ("POST", "/", &invalid),
        ("DELETE", "/", &invalid),
        ("PATCH", "/", &invalid),
        ("PUT", "/status", &invalid),
        ("POST", "/status/requests", &invalid),
        ("DELETE", "/status", &invalid),
        ("POST", "/config", &refused),
        ("PATCH", "/config", &refused),
        ("OPTIONS", "/config/listeners", &refused),
        ("POST", "/config/listeners", &refused),
        ("PUT", restart, &refused),
        ("POST", restart, &refused),
        ("DELETE", restart, &refused),
        ("GET", restart, &missing),
        ("GET", "/control/", &missing),
        ("GET", "/control", &missing),
        ("PUT", "/control", &missing),
        ("GET", "/configuration", &missing),
        ("GET", "/configs", &missing),
        ("DELETE", "/elsewhere", &missing),
        ("GET", "/config/no", &missing),
        ("GET", "/config/listeners/no", &missing),
        ("GET", "/config/routes/0", &missing),
        ("DELETE", "/config/no", &missing),
        ("POST", "/config/no", &missing),
        ("PUT", "/config/no/such", &missing),
    ];
    for (method, target, (status, text)) in table {
        let answer = unitd.control(method, target, "{}");
        assert_eq!((answer.status, &answer.text), (*status, text), "{method} {target}");
    }
    let answer = unitd.get("/status/no");
    expect(&answer, 404, &error("Invalid path.", None, None));
    // HEAD is not GET: it is refused, with a body.
    let mut connection = Connection::unix(&unitd.control_socket());
    let answer = connection.ask(&request("HEAD", "/config", &[], b""));
    assert_eq!((answer.status, answer.text()), (405, refused.1));
}

#[test]
fn paths_are_normalised() {
    let unitd = Unitd::start();
    unitd.configure(&json!({
        "listeners": {},
        "routes": { "a/b": [], "50%": [{ "action": { "return": 1 } }], "é": [] },
    }));
    for (target, text) in [
        ("/config/routes/a%2Fb", "[]"),
        ("/config/routes/a%2fb/", "[]"),
        ("//config//routes/./a%2Fb", "[]"),
        ("/config/x/../routes/a%2Fb?query", "[]"),
        ("/%63onfig/routes/%C3%A9", "[]"),
        ("/config/routes/50%25/0/action/return", "1"),
    ] {
        let answer = unitd.get(target);
        assert_eq!((answer.status, answer.text.trim_end()), (200, text), "{target}");
    }
    for target in ["/config/routes/50%25/+0", "/config/routes/50%25/-1", "/config/routes/a/b"] {
        assert_eq!(unitd.get(target).status, 404, "{target}");
    }
    // Malformed escapes get an answer that says so.
    let answer = unitd.get("/config/%zz");
    assert_eq!(answer.status, 400);
    assert!(answer.json()["error"].is_string());
    // A segment that is too long is not found, whatever is asked.
    let long = format!("/config/routes/{}", "x".repeat(300));
    assert_eq!(unitd.get(&long).status, 404);
    assert_eq!(unitd.put(&long, "[]").status, 404);
}

#[test]
fn parts_of_the_configuration_are_edited() {
    let unitd = Unitd::start();
    let done = success("Reconfiguration done.");
    let action = |code: u16| json!({ "action": { "return": code } });
    expect(&unitd.put("/config", json!({ "routes": [action(1)] })), 200, &done);
    expect(&unitd.post("/config/routes", action(2)), 200, &done);
    expect(&unitd.put("/config/routes/2", action(3)), 200, &done);
    expect(&unitd.put("/config/routes/0/action/return", 4), 200, &done);
    assert_eq!(unitd.config("/routes"), json!([action(4), action(2), action(3)]));
    expect(&unitd.delete("/config/routes/1"), 200, &done);
    assert_eq!(unitd.config("/routes"), json!([action(4), action(3)]));
    // Beyond the end, without a parent, or below a scalar there is nothing to write to.
    let missing = error("Value doesn't exist.", None, None);
    for target in [
        "/config/routes/3",
        "/config/routes/x",
        "/config/no/such",
        "/config/routes/0/action/return/deeper",
    ] {
        expect(&unitd.put(target, "1"), 404, &missing);
    }
    expect(&unitd.post("/config/routes/0", "1"), 405, &error("Method isn't allowed.", None, None));
    // A new member goes last.
    expect(&unitd.put("/config/listeners", "{}"), 200, &done);
    let text = unitd.get("/config").text;
    assert!(text.find("listeners") > text.find("routes"), "{text}");
    // Numbers keep their text.
    expect(&unitd.put("/config/routes/0/action/return", "2e2"), 200, &done);
    assert_eq!(unitd.get("/config/routes/0/action/return").text, "2e2\r\n");
    expect(&unitd.delete("/config"), 200, &done);
    expect(&unitd.get("/config"), 200, "{}\r\n");
}

#[test]
fn listeners_are_addressed_by_their_name() {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } }, "routes": [],
    }));
    for name in [format!("127.0.0.1:{port}"), format!("127.0.0.1%3A{port}")] {
        assert_eq!(unitd.config(&format!("/listeners/{name}/pass")), "routes");
    }
}

#[test]
fn a_refused_configuration_says_what_is_wrong_and_changes_nothing() {
    let unitd = Unitd::start();
    let before = unitd.get("/config").text;
    let stored = fs::read(unitd.path("state/conf.json")).ok();
    let table = [
        (json!([]), "The configuration must be an object, but not an array."),
        (json!({ "unknown": 1 }), "Unknown parameter \"unknown\"."),
        (
            json!({ "listeners": [] }),
            "The \"listeners\" value must be an object, but not an array.",
        ),
        (json!({ "listeners": { "nowhere": {} } }), "The listener address \"nowhere\" is invalid."),
        (
            json!({ "listeners": { "*:80": { "pass": "routes/no" } }, "routes": {} }),
            "Request \"pass\" points to invalid location \"routes/no\".",
        ),
        (
            json!({ "applications": { "a": { "type": "cobol" } } }),
            "The module to run \"cobol\" is not found among the available application modules.",
        ),
        (
            json!({ "applications": { "a": {} } }),
            "Application must have the \"type\" property set.",
        ),
        (
            json!({ "routes": [{ "action": { "return": 1000 } }] }),
            "The \"return\" value is out of allowed HTTP status code range 0-999.",
        ),
    ];
    for (config, detail) in table {
        let answer = unitd.put("/config", &config);
        let start = error("Invalid configuration.", Some(detail), None);
        let start = format!("{},\r\n\t\"location\": {{\r\n", start.trim_end_matches("\r\n}\r\n"));
        assert_eq!(answer.status, 400);
        assert!(answer.text.starts_with(&start), "{}", answer.text);
    }
    assert_eq!(unitd.get("/config").text, before);
    assert_eq!(fs::read(unitd.path("state/conf.json")).ok(), stored);
}

#[test]
fn an_address_in_use_refuses_the_configuration() {
    let unitd = Unitd::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (free, before) = (unitd.port(), unitd.get("/config").text);
    unitd.expect_alert("failed to apply new conf");
    unitd.expect_alert(&format!(r#"bind(\"{address}\") failed (98: Address already in use)"#));
    let answer = unitd.put(
        "/config",
        json!({
            "listeners": {
                format!("127.0.0.1:{free}"): { "pass": "routes" },
                address.to_string(): { "pass": "routes" },
            },
            "routes": [],
        }),
    );
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["error"], "Failed to apply new configuration.");
    let escaped = format!(r#"bind\(\\"{address}\\"\) failed \(98: Address already in use\)"#);
    assert_eq!(unitd.log().count(&escaped), 1);
    assert_eq!(unitd.log().count("failed to apply new conf"), 1);
    assert_eq!(unitd.get("/config").text, before);
    // What was opened on the way is closed again.
    assert!(std::net::TcpListener::bind(("127.0.0.1", free)).is_ok());
}

#[test]
fn a_restart_is_for_applications_there_are() {
    need_python!();
    let unitd = Unitd::start();
    let directory = unitd.application("hello");
    unitd.configure(&json!({
        "listeners": {},
        "applications": {
            "a/b": { "type": "python", "module": "hello", "path": directory, "processes": 1 },
        },
    }));
    let before = unitd.wait_for_workers("a/b", 1)[0].pid;
    expect(&unitd.get("/control/applications/a/b/restart"), 200, &success("Ok"));
    wait_until("another worker", Duration::from_secs(30), || {
        let workers = unitd.workers("a/b");
        workers.len() == 1 && workers[0].pid != before
    });
    let missing = error("Value doesn't exist.", None, None);
    for target in ["/control/applications/no/restart", "/control/applications/a%2Fb/restart"] {
        expect(&unitd.get(target), 404, &missing);
    }
}

#[test]
fn the_status_counts() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 204 } }]));
    let mut kept = Connection::tcp(port);
    for _ in 0..3 {
        assert_eq!(kept.get("/").status, 204);
    }
    let mut closed = Connection::tcp(port);
    closed.ask(&request("GET", "/", &["Connection: close"], b""));
    closed.expect_close();
    wait_until("the close is counted", Duration::from_secs(10), || {
        unitd.status("/connections/closed") == 1
    });
    assert_eq!(
        unitd.status("/connections"),
        json!({ "accepted": 2, "active": 0, "idle": 1, "closed": 1 })
    );
    assert_eq!(unitd.get("/status/requests/total").text, "4\r\n");
    // The control socket is not counted, and a new configuration does not reset anything.
    unitd.put("/config/routes/0/action/return", 200).expect_success();
    assert_eq!(unitd.status("/requests/total"), 4);
}

#[test]
fn the_status_shows_applications() {
    need_python!();
    let unitd = Unitd::start();
    let directory = unitd.application("hello");
    unitd.configure(&json!({
        "listeners": {},
        "applications": {
            "x/y": { "type": "python", "module": "hello", "path": directory, "processes": 2 },
            "z": { "type": "python", "module": "hello", "path": directory,
                   "processes": { "spare": 0 } },
        },
    }));
    // The answer to the write came after the prestarted processes were ready.
    assert_eq!(
        unitd.status("/applications/x%2Fy"),
        json!({ "processes": { "running": 2, "starting": 0, "idle": 2 },
                "requests": { "active": 0 } })
    );
    assert_eq!(unitd.status("/applications/z/processes/running"), 0);
}

#[test]
fn the_configuration_survives_a_restart() {
    let (mut unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 418 } }]));
    let config = unitd.get("/config").text;
    let stored = fs::read(unitd.path("state/conf.json")).unwrap();
    assert_eq!(fs::read_to_string(unitd.path("state/version")).unwrap(), "20000");
    unitd.stop();
    unitd.start_again();
    assert_eq!(unitd.get("/config").text, config);
    assert_eq!(unitd.fetch(port, "/").status, 418);
    assert_eq!(fs::read(unitd.path("state/conf.json")).unwrap(), stored);
}

#[test]
fn writes_at_the_same_time_are_done_one_after_the_other() {
    let unitd = Unitd::start();
    unitd.configure(&json!({ "routes": [] }));
    std::thread::scope(|scope| {
        for code in 0..20 {
            let unitd = &unitd;
            scope.spawn(move || {
                let route = json!({ "action": { "return": 200 + code } });
                unitd.post("/config/routes", route).expect_success();
            });
        }
    });
    let routes = unitd.config("/routes");
    let mut codes: Vec<u64> = routes
        .as_array()
        .unwrap()
        .iter()
        .map(|route| route["action"]["return"].as_u64().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, (200..220).collect::<Vec<_>>());
    let stored = fs::read(unitd.path("state/conf.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&stored).unwrap()["routes"], routes);
}

#[test]
fn a_client_that_leaves_does_not_cancel_its_write() {
    let unitd = Unitd::start();
    let body = json!({ "routes": [{ "action": { "return": 299 } }] }).to_string();
    let mut connection = Connection::unix(&unitd.control_socket());
    connection.send(&request("PUT", "/config", &[], body.as_bytes())).unwrap();
    drop(connection);
    wait_until("the write is done", Duration::from_secs(10), || {
        unitd.get("/config/routes/0/action/return").text == "299\r\n"
    });
}

#[test]
fn a_slow_client_does_not_hold_others_up() {
    let unitd = Unitd::start();
    let mut slow = Connection::unix(&unitd.control_socket());
    slow.send(b"PUT /config HTTP/1.1\r\nContent-Length: 13\r\n\r\n{\"list").unwrap();
    unitd.configure(&json!({ "routes": [] }));
    assert_eq!(unitd.config(""), json!({ "routes": [] }));
    slow.send(b"eners\":{}}").unwrap();
    // It said 13 and sent 17: what came within the announced length counts.
    let answer: Answer = slow.read_response().unwrap().into();
    assert_eq!(answer.status, 400);
}

#[test]
fn a_chunked_body_is_accepted() {
    let unitd = Unitd::start();
    let mut connection = Connection::unix(&unitd.control_socket());
    let answer = connection.ask(
        b"PUT /config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
          7\r\n{\"route\r\n6\r\ns\":[]}\r\n0\r\n\r\n",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(unitd.config(""), json!({ "routes": [] }));
}

#[test]
fn curl_is_served() {
    let Some(curl) = blackbox::program("curl") else {
        blackbox::skip!("no curl");
    };
    let unitd = Unitd::start();
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(&curl);
        command.args(["--silent", "--show-error", "--max-time", "30", "--unix-socket"]);
        let output = command.arg(unitd.control_socket()).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let put = ["-X", "PUT", "--data-binary", "{\"routes\": []}", "http://localhost/config"];
    assert_eq!(run(&put), success("Reconfiguration done."));
    assert_eq!(run(&["http://localhost/config/routes"]), "[]\r\n");
    // Large enough for curl to ask whether it may send.
    let large =
        json!({ "routes": [{ "action": { "return": 200, "location": "y".repeat(2 << 20) } }] });
    let file = unitd.write("large.json", large.to_string());
    let put = ["-X", "PUT", "--data-binary", &format!("@{file}"), "http://localhost/config"];
    assert_eq!(run(&put), success("Reconfiguration done."));
    assert_eq!(unitd.config(""), large);
}
