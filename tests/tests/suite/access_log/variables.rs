//! What the variables of an entry stand for.

use blackbox::{Connection, need_python, request};
use regex::Regex;
use serde_json::json;

use super::Logging;

#[test]
fn entries_without_a_format_are_those_of_web_servers() {
    let logging = Logging::with(&json!({}), &json!({}));
    let mut connection = Connection::tcp(logging.port);
    let fields = ["Referer: http://example.com/", "User-Agent: test/1"];
    connection.ask(&request("GET", "/a?b=c%20d", &fields, b""));
    connection.get("/");
    let entries = logging.entries(2);
    let time = r"\[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]";
    for (entry, rest) in entries.iter().zip([
        r#""GET /a\?b=c%20d HTTP/1.1" 200 0 "http://example.com/" "test/1""#,
        r#""GET / HTTP/1.1" 200 0 "-" "-""#,
    ]) {
        let pattern = Regex::new(&format!("^127\\.0\\.0\\.1 - - {time} {rest}$")).unwrap();
        assert!(pattern.is_match(entry), "{entry}");
    }
}

/// A string is the path.
#[test]
fn a_path_alone_is_enough() {
    let logging = Logging::with(&json!({}), &json!({}));
    let path = logging.unitd.path("other.log");
    logging.unitd.put("/config/access_log", json!(path)).expect_success();
    let closing = request("GET", "/x", &["Connection: close"], b"");
    Connection::tcp(logging.port).ask(&closing);
    let other = Logging { path, ..logging };
    assert!(other.entries(1)[0].contains("\"GET /x HTTP/1.1\" 200 0 \"-\" \"-\""));
}

#[test]
fn members_are_in_order_and_all_are_strings() {
    let names = [
        "status",
        "method",
        "uri",
        "request_uri",
        "request_line",
        "host",
        "remote_addr",
        "body_bytes_sent",
        "header_x_one",
        "header_x_none",
        "header_x_empty",
        "arg_a",
        "arg_none",
        "arg_empty",
        "cookie_c",
        "cookie_none",
        "response_header_location",
        "response_header_server",
        "response_header_none",
        "response_header_connection",
        "response_header_content_length",
        "response_header_transfer_encoding",
    ];
    let logging = Logging::with(
        &json!({}),
        &json!({ "routes": [{ "action": {
            "rewrite": "/new%20path", "return": 301, "location": "/there",
        } }] }),
    );
    // Not by way of a map, which has an order of its own.
    let members: Vec<String> = names.map(|name| format!(r#""{name}":"${name}""#)).into();
    let format = format!("{{{}}}", members.join(","));
    logging.unitd.put("/config/access_log/format", format).expect_success();
    let fields = ["X-One: 1", "x-one: 2", "X-Empty:", "Cookie: c=1; c=2", "Connection: close"];
    let bytes = request("PUT", "/o%6Cd?a=1&a=%322+x&empty=#f", &fields, b"body");
    let bytes = String::from_utf8(bytes).unwrap().replace("Host: localhost", "Host: A.b:80");
    Connection::tcp(logging.port).ask(bytes.as_bytes());
    let expected = concat!(
        r#"{"status":"301","method":"PUT","uri":"/new path","#,
        r#""request_uri":"/o%6Cd?a=1&a=%322+x&empty=#f","#,
        r#""request_line":"PUT /o%6Cd?a=1&a=%322+x&empty=#f HTTP/1.1","host":"a.b","#,
        r#""remote_addr":"127.0.0.1","body_bytes_sent":"0","header_x_one":"1","#,
        r#""header_x_none":"-","header_x_empty":"","arg_a":"22 x","arg_none":"-","arg_empty":"","#,
        r#""cookie_c":"1","cookie_none":"-","response_header_location":"/there","#,
        r#""response_header_server":"Unit/2.0.0","response_header_none":"-","#,
        r#""response_header_connection":"close","response_header_content_length":"0","#,
        r#""response_header_transfer_encoding":"-"}"#,
    );
    assert_eq!(logging.entries(1), [expected]);
}

#[test]
fn response_fields_are_those_that_were_sent() {
    need_python!();
    let format = "$uri $response_header_content_type $response_header_content_length \
                  $response_header_transfer_encoding $response_header_x_field_a $status";
    let logging = Logging::with_everything(&json!(format), &json!({}));
    let mut connection = Connection::tcp(logging.port);
    for target in ["/ok", "/none", "/file", "/pid", "/stream?size=5", "/empty"] {
        connection.get(target);
    }
    let entries = logging.entries(6);
    let pid_length = entries[3].split(' ').nth(2).unwrap();
    assert!(pid_length.parse::<u32>().is_ok(), "{entries:?}");
    assert_eq!(
        entries,
        [
            "/ok - 0 - - 200",
            "/none text/html 54 - - 404",
            "/file application/octet-stream 100000 - - 200",
            &format!("/pid text/plain {pid_length} - - 200"),
            "/stream application/octet-stream - chunked - 200",
            "/empty - 0 - - 204",
        ]
        .map(|line| line.replace("application/octet-stream 100000", {
            // Whatever the type of such files is, it is the one that was sent.
            match entries[2].contains("octet-stream") {
                true => "application/octet-stream 100000",
                false => "- 100000",
            }
        }))
    );
}

/// The same in a field of the response and in the entry, another for each request.
#[test]
fn an_identifier_is_one_for_each_request() {
    let logging = Logging::with(
        &json!({ "format": "$request_id" }),
        &json!({ "routes": [{ "action": {
            "return": 200, "response_headers": { "X-Id": "$request_id" },
        } }] }),
    );
    let mut connection = Connection::tcp(logging.port);
    let sent: Vec<String> =
        (0..5).map(|_| connection.get("/").field("X-Id").unwrap().to_owned()).collect();
    assert_eq!(logging.entries(5), sent);
    assert!(sent.iter().all(|id| id.len() == 32), "{sent:?}");
    assert_ne!(sent[0], sent[1]);
}

/// They are those of the end, even if something asked for them earlier.
#[test]
fn time_status_and_length_are_those_of_the_end() {
    need_python!();
    let logging =
        Logging::with_everything(&json!("$uri $status $body_bytes_sent $request_time"), &json!({}));
    let steps = json!({
        "match": { "if": "$status$request_time$body_bytes_sent" },
        "action": {
            "pass": "applications/app",
            "response_headers": { "X-Early": "$request_time $body_bytes_sent" },
        },
    });
    logging.unitd.put("/config/routes/6", steps).expect_success();
    let mut connection = Connection::tcp(logging.port);
    let response = connection.get("/sleep?seconds=0.3");
    assert!(response.field("X-Early").unwrap().ends_with(" 0"));
    let entry = &logging.entries(1)[0];
    let parts: Vec<&str> = entry.split(' ').collect();
    assert_eq!(parts[..3], ["/sleep", "200", &response.body.len().to_string()]);
    let (secs, millis) = parts[3].split_once('.').unwrap();
    assert_eq!(millis.len(), 3);
    let elapsed: f64 = format!("{secs}.{millis}").parse().unwrap();
    // The clock is a coarse one.
    assert!((0.28..20.0).contains(&elapsed), "{entry}");
}

#[test]
fn conditions_decide_which_requests_are_logged() {
    let logging = Logging::with(&json!({ "format": "$request_uri" }), &json!({}));
    let mut connection = Connection::tcp(logging.port);
    let mut expected: Vec<String> = Vec::new();
    for (condition, logged) in [
        ("$arg_a", "/?a=1 /?a=FALSE /?a=no"),
        ("!$arg_a", "/ /?a= /?a=0 /?a=false /?a=null /?a=undefined"),
        ("$header_none", ""),
        ("!$header_none", "/ /?a= /?a=0 /?a=1 /?a=false /?a=FALSE /?a=null /?a=undefined /?a=no"),
        ("", ""),
        (
            "$response_header_server",
            "/ /?a= /?a=0 /?a=1 /?a=false /?a=FALSE /?a=null /?a=undefined /?a=no",
        ),
    ] {
        logging.unitd.put("/config/access_log/if", json!(condition)).expect_success();
        for target in
            "/ /?a= /?a=0 /?a=1 /?a=false /?a=FALSE /?a=null /?a=undefined /?a=no".split(' ')
        {
            connection.get(target);
        }
        expected.extend(logged.split_whitespace().map(str::to_owned));
        assert_eq!(logging.entries(expected.len()), expected, "{condition}");
    }
}

#[test]
fn the_client_is_whom_the_listener_believes() {
    let logging =
        Logging::with(&json!({ "format": "$remote_addr $status $request_uri" }), &json!({}));
    let unix = logging.unitd.path("listener.sock");
    let listeners = json!({
        format!("127.0.0.1:{}", logging.port): {
            "pass": "routes",
            "forwarded": { "client_ip": "X-Client", "source": ["127.0.0.1"] },
        },
        format!("unix:{}", unix.display()): { "pass": "routes" },
    });
    logging.unitd.put("/config/listeners", listeners).expect_success();
    logging
        .unitd
        .put("/config/settings", json!({ "http": { "max_body_size": 3 } }))
        .expect_success();
    let field = "X-Client: 2001:DB8::7";
    Connection::tcp(logging.port).ask(&request("GET", "/1", &[field], b""));
    logging.entries(1);
    // Refused by its own head: nothing of it is believed. Refused in the body: it was read.
    Connection::tcp(logging.port).ask(&request("GET", "/2", &[field, "Host: again"], b""));
    logging.entries(2);
    Connection::tcp(logging.port).ask(&request(
        "POST",
        "/3",
        &[field, "Transfer-Encoding: x"],
        b"",
    ));
    logging.entries(3);
    Connection::unix(&unix).get("/4");
    assert_eq!(
        logging.entries(4),
        ["2001:db8::7 200 /1", "127.0.0.1 400 /2", "2001:db8::7 501 /3", "unix: 200 /4"]
    );
}

/// N14: no length is too long for an entry, and none wraps.
#[test]
fn n14_long_names_and_values_are_logged_whole() {
    let http = json!({ "large_header_buffer_size": 200_000, "large_header_buffers": 8 });
    let logging = Logging::with(&json!({}), &json!({ "settings": { "http": http } }));
    for (at, len) in (250..=260).chain(65_530..=65_540).step_by(5).enumerate() {
        let name = "n".repeat(len.min(255));
        let format =
            format!("$method|$request_uri|$uri|$header_{name}|$arg_{name}|$cookie_{name}|$host");
        logging.unitd.put("/config/access_log/format", json!(format)).expect_success();
        let value = "v".repeat(len);
        let bytes = request(
            &"M".repeat(len),
            &format!("/{value}?{name}={value}"),
            &[&format!("{name}: {value}"), &format!("Cookie: {name}={value}"), "Connection: close"],
            b"",
        );
        let host = "h".repeat(len);
        let bytes = String::from_utf8(bytes).unwrap().replace("localhost", &host);
        assert_eq!(Connection::tcp(logging.port).ask(bytes.as_bytes()).status, 200);
        let method = "M".repeat(len);
        let expected =
            format!("{method}|/{value}?{name}={value}|/{value}|{value}|{value}|{value}|{host}");
        // Not to be printed.
        assert!(logging.entries(at + 1).last() == Some(&expected), "with {len}");
    }
}
