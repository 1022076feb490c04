//! Routes: which step is taken, what an action does, where a pass leads.

use blackbox::{Connection, Response, Unitd, need_python, request};
use serde_json::{Value, json};

/// Routes of one step that answers 204 when `matching` holds.
fn matcher(matching: &Value) -> Value {
    json!([{ "match": matching, "action": { "return": 204 } }])
}

/// Each request with whether it has to match.
#[track_caller]
fn expect_matches(matching: &Value, requests: &[(Vec<u8>, bool)]) {
    let (_unitd, port) = Unitd::with_routes(&matcher(matching));
    for (bytes, holds) in requests {
        let status = Connection::tcp(port).ask(bytes).status;
        let wanted = if *holds { 204 } else { 404 };
        assert_eq!(status, wanted, "{matching} and {}", String::from_utf8_lossy(bytes));
    }
}

fn get(target: &str, fields: &[&str]) -> Vec<u8> {
    request("GET", target, fields, b"")
}

#[test]
fn no_step_is_not_found() {
    let (unitd, port) = Unitd::with_routes(&json!([]));
    assert_eq!(unitd.fetch(port, "/").status, 404);
    unitd
        .put("/config/routes", json!([{ "match": {}, "action": { "return": 204 } }]))
        .expect_success();
    assert_eq!(unitd.fetch(port, "/").status, 204);
}

#[test]
fn the_first_step_that_holds_is_taken() {
    let (unitd, port) = Unitd::with_routes(&json!([
        { "match": { "uri": "/a*" }, "action": { "return": 201 } },
        { "match": { "uri": "/ab" }, "action": { "return": 202 } },
        { "match": { "uri": "/b", "method": "POST" }, "action": { "return": 203 } },
        { "action": { "return": 204 } },
    ]));
    for (target, status) in [("/a", 201), ("/ab", 201), ("/b", 204), ("/", 204)] {
        assert_eq!(unitd.fetch(port, target).status, status, "{target}");
    }
}

#[test]
fn matches_the_method() {
    let ask = |method: &str| request(method, "/", &[], b"");
    expect_matches(
        &json!({ "method": ["p*", "!PUT"] }),
        &[(ask("POST"), true), (ask("PATCH"), true), (ask("PUT"), false), (ask("GET"), false)],
    );
}

#[test]
fn matches_the_host() {
    let ask = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    expect_matches(
        &json!({ "host": ["*.Example.com", "!bad.*", "~^www\\d+\\.net$"] }),
        &[
            (ask("a.example.com"), true),
            (ask("A.EXAMPLE.com:8080"), true),
            (ask("a.b.example.com."), true),
            (ask("example.com"), false),
            (ask("bad.example.com"), false),
            (ask("www12.net"), true),
            (ask("WWW1.net"), true),
            (ask("www.net"), false),
            (ask(""), false),
        ],
    );
}

#[test]
fn matches_the_uri() {
    expect_matches(
        &json!({ "uri": ["/exact", "/pre*", "*.php", "/a*b*c", "/%2A", "~/\\d{3}$", "!/pre-not*"] }),
        &[
            (get("/exact", &[]), true),
            (get("/exact?query", &[]), true),
            (get("//exact/.", &[]), false),
            (get("/./%65xact", &[]), true),
            (get("/EXACT", &[]), false),
            (get("/prefix/more", &[]), true),
            (get("/pre-not", &[]), false),
            (get("/x/y.php", &[]), true),
            (get("/a1b2c", &[]), true),
            (get("/abc", &[]), true),
            (get("/acb", &[]), false),
            (get("/*", &[]), true),
            (get("/x", &[]), false),
            (get("/x/123", &[]), true),
            (get("/x/1234", &[]), false),
        ],
    );
}

#[test]
fn matches_arguments() {
    expect_matches(
        &json!({ "arguments": [{ "a": "1", "b c": ["x*", "!xy"] }, { "only": [] }] }),
        &[
            (get("/?a=1&b+c=x", &[]), true),
            (get("/?b%20c=x%2B&a=1", &[]), true),
            (get("/?a=1", &[]), false),
            (get("/?a=1&b+c=xy", &[]), false),
            (get("/?a=1&b+c=x&b+c=xy", &[]), false),
            (get("/?A=1&b+c=x", &[]), false),
            (get("/?only", &[]), true),
            (get("/?&&only=&", &[]), true),
            (get("/", &[]), false),
        ],
    );
}

#[test]
fn matches_headers() {
    expect_matches(
        &json!({ "headers": { "X-One": ["a*", "!abc"], "user-AGENT": "*Firefox*" } }),
        &[
            (get("/", &["x-one: A", "User-Agent: Mozilla Firefox/1"]), true),
            (get("/", &["X-One: ab", "User-Agent: firefox"]), true),
            (get("/", &["X-One: ABC", "User-Agent: firefox"]), false),
            (get("/", &["X-One: a", "X-One: b", "User-Agent: firefox"]), false),
            (get("/", &["X-One: a"]), false),
            (get("/", &[]), false),
        ],
    );
}

#[test]
fn matches_cookies() {
    expect_matches(
        &json!({ "cookies": { "session": "~^[0-9a-f]+$", "mode": "!debug" } }),
        &[
            (get("/", &["Cookie: session=12ab; mode=plain"]), true),
            (get("/", &["Cookie: session=12ab", "Cookie: mode=Debug"]), true),
            (get("/", &["Cookie: session=12AB; mode=plain"]), false),
            (get("/", &["Cookie: session=12ab; mode=debug"]), false),
            (get("/", &["Cookie: session=12ab"]), false),
        ],
    );
}

#[test]
fn matches_the_query() {
    expect_matches(
        &json!({ "query": ["", "a b*", "~z$"] }),
        &[
            (get("/", &[]), true),
            (get("/?", &[]), true),
            (get("/?a+b", &[]), true),
            (get("/?a%20b&c", &[]), true),
            (get("/?xyz", &[]), true),
            (get("/?x", &[]), false),
        ],
    );
}

#[test]
fn matches_addresses() {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "listeners": { format!("*:{port}"): { "pass": "routes" } }, "routes": [],
    }));
    for (matching, holds) in [
        (json!({ "source": "127.0.0.0/8" }), true),
        (json!({ "source": ["!127.0.0.1"] }), false),
        (json!({ "source": "127.0.0.0-127.0.0.2" }), true),
        (json!({ "source": "*:1-65535" }), true),
        (json!({ "source": "unix" }), false),
        (json!({ "source": "!::/0" }), true),
        (json!({ "source": [] }), false),
        (json!({ "destination": format!("127.0.0.1:{port}") }), true),
        (json!({ "destination": format!("*:{}", port - 1) }), false),
        (json!({ "scheme": "http" }), true),
        (json!({ "scheme": "HTTPS" }), false),
    ] {
        unitd.put("/config/routes", matcher(&matching)).expect_success();
        let wanted = if holds { 204 } else { 404 };
        assert_eq!(unitd.fetch(port, "/").status, wanted, "{matching}");
    }
}

#[test]
fn matches_a_condition() {
    for (condition, holds) in [
        ("$arg_yes", true),
        ("!$arg_yes", false),
        ("$arg_no", false),
        ("!$arg_no", true),
        ("$arg_zero", false),
        ("$cookie_on", false),
        ("$host", true),
        ("!", true),
    ] {
        expect_matches(&json!({ "if": condition }), &[(get("/?yes=1&zero=0", &[]), holds)]);
    }
}

#[test]
fn all_members_of_a_match_have_to_hold() {
    expect_matches(
        &json!({ "uri": "/a", "method": "GET", "headers": { "X": "1" } }),
        &[
            (get("/a", &["X: 1"]), true),
            (get("/b", &["X: 1"]), false),
            (request("PUT", "/a", &["X: 1"], b""), false),
            (get("/a", &["X: 2"]), false),
        ],
    );
}

#[test]
fn a_return_has_its_location_encoded_where_needed() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 301 } }]));
    for (location, wanted) in [
        ("/plain", "/plain"),
        ("https://$host$request_uri", "https://localhost/x?y=z"),
        ("/with space", "/with%20space"),
        ("???", "?%3F%3F"),
        ("/#:/?#", "/#:/%3F%23"),
        ("%20", "%20"),
        (" %20", "%20%2520"),
        ("/é", "/%C3%A9"),
        ("", ""),
    ] {
        unitd.put("/config/routes/0/action/location", json!(location)).expect_success();
        let response = unitd.fetch(port, "/x?y=z");
        assert_eq!(response.status_line(), "HTTP/1.1 301 Moved Permanently");
        assert_eq!(response.field("Location"), Some(wanted), "{location}");
        assert_eq!(response.field("Content-Length"), Some("0"));
    }
    // An error has a page, and no location.
    unitd.put("/config/routes/0/action/return", 404).expect_success();
    let response = unitd.fetch(port, "/");
    assert_eq!(response.field("Location"), None);
    assert_eq!(response.body.len(), 54);
}

#[test]
fn routes_pass_to_routes() {
    let unitd = Unitd::start();
    let ports = [unitd.port(), unitd.port(), unitd.port()];
    unitd.configure(&json!({
        "listeners": {
            format!("127.0.0.1:{}", ports[0]): { "pass": "routes/first" },
            format!("127.0.0.1:{}", ports[1]): { "pass": "routes/with%2Fslash" },
            format!("127.0.0.1:{}", ports[2]): { "pass": "routes/$arg_to" },
        },
        "routes": {
            "first": [{ "match": { "uri": "/loop" }, "action": { "pass": "routes/first" } },
                      { "action": { "pass": "routes/second" } }],
            "second": [{ "match": { "uri": "/2" }, "action": { "return": 202 } }],
            "with/slash": [{ "action": { "return": 203 } }],
        },
    }));
    assert_eq!(unitd.fetch(ports[0], "/2").status, 202);
    assert_eq!(unitd.fetch(ports[0], "/").status, 404);
    // Round and round: an error, not a hang.
    assert_eq!(unitd.fetch(ports[0], "/loop").status, 500);
    assert_eq!(unitd.fetch(ports[1], "/").status, 203);
    assert_eq!(unitd.fetch(ports[2], "/2?to=second").status, 202);
    for target in ["/?to=none", "/", "/?to=a/b/c"] {
        assert_eq!(unitd.fetch(ports[2], target).status, 404, "{target}");
    }
}

#[test]
fn a_rewrite_changes_the_path_and_nothing_else() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let directory = unitd.application("record");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/old/*" },
              "action": { "rewrite": "/new//x/../%24$uri?dropped", "pass": "applications/record" } },
        ],
        "applications": { "record": { "type": "python", "module": "record", "path": directory } },
    }));
    let record = unitd.fetch(port, "/old/page?q=1").json();
    assert_eq!(record["PATH_INFO"], "/new/$/old/page");
    assert_eq!(record["REQUEST_URI"], "/old/page?q=1");
    assert_eq!(record["QUERY_STRING"], "q=1");
}

#[test]
fn response_headers_are_set_and_removed() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let file = unitd.write("www/a.txt", "a");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/file" },
              "action": { "share": file,
                          "response_headers": { "X-Uri": "$uri", "etag": null,
                                                "content-type": "text/x-own" } } },
            { "match": { "uri": "/error" },
              "action": { "return": 404, "response_headers": { "X-Never": "1" } } },
            { "action": { "return": 204, "response_headers": { "X-Empty": "", "X-Host": "$host" } } },
        ],
    }));
    let file = unitd.fetch(port, "/file");
    assert_eq!(file.field("X-Uri"), Some("/file"));
    assert_eq!(file.field("ETag"), None);
    assert_eq!(file.all("Content-Type"), ["text/x-own"]);
    assert_eq!(unitd.fetch(port, "/error").field("X-Never"), None);
    let other = unitd.fetch(port, "/");
    assert_eq!((other.field("X-Empty"), other.field("X-Host")), (Some(""), Some("localhost")));
}

#[test]
fn a_share_falls_back() {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.write("www/here.txt", "here");
    let www = unitd.text_path("www");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": {
            "share": format!("{www}$uri"),
            "fallback": {
                "share": format!("{www}/other$uri"),
                "fallback": { "return": 201, "response_headers": { "X-Fell": "twice" } },
            },
        } }],
    }));
    unitd.write("www/other/there.txt", "there");
    assert_eq!(unitd.fetch(port, "/here.txt").text(), "here");
    assert_eq!(unitd.fetch(port, "/there.txt").text(), "there");
    let fell = |response: Response| {
        assert_eq!((response.status, response.field("X-Fell")), (201, Some("twice")));
    };
    fell(unitd.fetch(port, "/nowhere.txt"));
    fell(Connection::tcp(port).ask(&request("POST", "/here.txt", &[], b"x")));
}

#[test]
fn the_client_address_can_come_from_a_proxy() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let directory = unitd.application("record");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): {
            "pass": "applications/record",
            "forwarded": { "client_ip": "X-Forwarded-For", "protocol": "X-Forwarded-Proto",
                           "recursive": true, "source": ["127.0.0.1", "10.0.0.0/8"] },
        } },
        "applications": { "record": { "type": "python", "module": "record", "path": directory } },
    }));
    for (fields, address, scheme) in [
        (vec!["X-Forwarded-For: 192.0.2.7, 10.1.1.1"], "192.0.2.7", "http"),
        (vec!["X-Forwarded-For: 192.0.2.7, 198.51.100.1, 10.1.1.1"], "198.51.100.1", "http"),
        (vec!["X-Forwarded-For: 2001:db8::1", "X-Forwarded-Proto: HTTPS"], "2001:db8::1", "https"),
        (vec!["X-Forwarded-For: nonsense"], "127.0.0.1", "http"),
        (vec![], "127.0.0.1", "http"),
    ] {
        let record = Connection::tcp(port).ask(&get("/", &fields)).json();
        assert_eq!(record["REMOTE_ADDR"], address, "{fields:?}");
        assert_eq!(record["wsgi.url_scheme"], scheme, "{fields:?}");
    }
}

#[test]
fn variables_expand() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
    let bytes = b"GET /a%20b/../c?x=1&x=2&y=%41 HTTP/1.1\r\nHost: Name.Example:80\r\n\
                  Cookie: c=1; c=2\r\nX-Two-Words: here\r\nReferer: there\r\n\r\n";
    for (template, value) in [
        ("$method", "GET"),
        ("$uri", "/c"),
        ("$request_uri", "/a%20b/../c?x=1&x=2&y=%41"),
        ("${host}s", "name.examples"),
        ("$remote_addr", "127.0.0.1"),
        ("$arg_x$arg_y$arg_none", "2A"),
        ("$cookie_c", "1"),
        ("$header_x_two_words", "here"),
        ("$header_referer$dollar", "there$"),
        ("$request_line", "GET /a%20b/../c?x=1&x=2&y=%41 HTTP/1.1"),
    ] {
        let action = json!({ "return": 200, "response_headers": { "X-Value": template } });
        unitd.put("/config/routes/0/action", action).expect_success();
        let response = Connection::tcp(port).ask(bytes);
        assert_eq!(response.field("X-Value"), Some(value), "{template}");
    }
    for (template, detail) in [
        ("$nothing", "Unknown variable \"nothing\" in the \"location\" value."),
        ("a$", "Invalid variable at position 1 in the \"location\" value."),
        ("${host", "Invalid variable at position 0 in the \"location\" value."),
    ] {
        let answer = unitd.put("/config/routes/0/action/location", json!(template));
        assert_eq!((answer.status, answer.detail()), (400, detail.to_owned()), "{template}");
    }
}

#[test]
fn the_way_of_a_request_is_logged_when_wanted() {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "settings": { "http": { "log_route": true } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes/main" } },
        "routes": { "main": [
            { "match": { "uri": "/no" }, "action": { "return": 200 } },
            { "action": { "rewrite": "/x", "share": "/no/such", "fallback": { "return": 204 } } },
        ] },
    }));
    assert_eq!(unitd.fetch(port, "/a").status, 204);
    let text = unitd.log().text();
    let lines = [
        r#"[notice] "#,
        r#"http request line "GET /a HTTP/1.1""#,
        r#""routes/main/0" discarded"#,
        r#""routes/main/1" selected"#,
        r#"URI rewritten to "/x""#,
        r#""fallback" taken"#,
    ];
    let mut from = 0;
    for line in lines {
        let found = text[from..].find(line);
        from += found.unwrap_or_else(|| panic!("{line} in {text}"));
    }
}

/// Patterns that make a backtracking engine run for years.
#[test]
fn n19_bad_patterns_cost_little() {
    let (unitd, port) = Unitd::with_routes(&json!([]));
    let target = format!("/{}!", "a".repeat(5000));
    for pattern in ["~^/(a+)+$", "~^/(a|aa)+$", "~^/(.*)*x$", "~(?=(a+))\\1+$"] {
        let routes = json!([{ "match": { "uri": pattern }, "action": { "return": 204 } }]);
        let answer = unitd.put("/config/routes", routes);
        if answer.status == 400 {
            // Refused as a whole: that costs nothing.
            continue;
        }
        let began = std::time::Instant::now();
        let status = unitd.fetch(port, &target).status;
        assert!([204, 404, 500].contains(&status), "{pattern}: {status}");
        // Without a limit it would be years; the machine may be busy.
        assert!(began.elapsed().as_secs() < 30, "{pattern}: {:?}", began.elapsed());
    }
}

/// What a client sends appears in the log as text of one line, whatever it decodes to.
#[test]
fn n16_line_breaks_in_targets_forge_no_log_line() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let www = unitd.text_path("www");
    unitd.configure(&json!({
        "settings": { "http": { "log_route": true } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "rewrite": "/sub$uri", "share": format!("{www}$uri") } }],
    }));
    unitd.expect_alert("forged");
    // Not a regular file, which is told with its name.
    for name in ["\n2026/01/01 00:00:00 [alert] forged", "\r[alert] forged", "a\u{1b}[31mred"] {
        std::fs::create_dir_all(unitd.path(format!("www/sub/{name}"))).unwrap();
        nix::unistd::mkfifo(
            &unitd.path(format!("www/sub/{name}/fifo")),
            nix::sys::stat::Mode::from_bits_truncate(0o666),
        )
        .unwrap();
        let target: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(unitd.fetch(port, &format!("/{target}/fifo")).status, 404);
    }
    let text = unitd.log().text();
    assert!(text.contains("is not a regular file"), "{text}");
    for line in text.lines() {
        assert!(line.starts_with("20") && !line.starts_with("2026/01/01"), "{line:?}");
        assert!(!line.contains(['\r', '\u{1b}']), "{line:?}");
    }
}
