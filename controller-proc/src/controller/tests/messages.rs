//! Every message of the control API that this role gives, word for word.

use super::*;

const CONFIG: &str = r#"{"listeners":{},"routes":[{"action":{"return":200}}],"applications":{},"settings":{"http":{"max_body_size":1}}}"#;

#[tokio::test]
async fn every_endpoint_answers_in_its_own_words() {
    with_api(CONFIG, |daemon| async move {
        let no_value = r#"404 {"error":"Value doesn't exist."}"#;
        let invalid_path = r#"404 {"error":"Invalid path."}"#;
        let invalid_method = r#"405 {"error":"Invalid method."}"#;
        let not_allowed = r#"405 {"error":"Method isn't allowed."}"#;
        let long = format!("/config/{}", "x".repeat(257));
        for (method, target, body, expected) in [
            ("PUT", "/", "{}", invalid_method),
            ("HEAD", "/", "", invalid_method),
            ("POST", "/config", "{}", not_allowed),
            ("HEAD", "/config", "", not_allowed),
            ("PATCH", "/config/routes", "{}", not_allowed),
            ("GET", "/config", "", &format!("200 {CONFIG}")),
            ("GET", "/config/routes/0/action/return", "", "200 200"),
            ("GET", "/config/routes/1", "", no_value),
            ("GET", "/config/routes/-1", "", no_value),
            ("GET", "/config/routes/0/action/return/x", "", no_value),
            ("GET", "/config/nowhere", "", no_value),
            ("GET", &long, "", no_value),
            ("PUT", &long, "{}", no_value),
            ("DELETE", &long, "", no_value),
            ("PUT", "/config/nowhere/x", "{}", no_value),
            ("PUT", "/config/settings/http/max_body_size/x", "1", no_value),
            ("PUT", "/config/routes/2", "{}", no_value),
            ("PUT", "/config/routes/x", "{}", no_value),
            ("POST", "/config/nowhere", "{}", no_value),
            ("POST", "/config/settings", "{}", not_allowed),
            ("POST", "/config/settings/http/max_body_size", "{}", not_allowed),
            ("DELETE", "/config/nowhere", "", no_value),
            ("DELETE", "/config/routes/1", "", no_value),
            ("PUT", "/status", "{}", invalid_method),
            ("DELETE", "/status/requests", "", invalid_method),
            ("GET", "/status/nowhere", "", invalid_path),
            ("GET", "/control", "", no_value),
            ("GET", "/control/x", "", no_value),
            ("GET", "/control/applications/restart", "", no_value),
            ("POST", "/control/applications/x/restart", "", not_allowed),
            ("GET", "/certificates", "", "200 {}"),
            ("GET", "/certificates/x", "", r#"404 {"error":"Certificate doesn't exist."}"#),
            ("DELETE", "/certificates/x", "", r#"404 {"error":"Certificate doesn't exist."}"#),
            ("POST", "/certificates/x", "", invalid_method),
            ("POST", "/certificates", "", r#"400 {"error":"Invalid certificate name."}"#),
            (
                "PUT",
                "/certificates/x",
                "x",
                r#"400 {"error":"Invalid certificate.","detail":"no key found"}"#,
            ),
            ("GET", "/js_modules", "", no_value),
            ("DELETE", "/js_modules/x", "", no_value),
            ("GET", "/nowhere", "", no_value),
            (
                "GET",
                "/config/%zz",
                "",
                r#"400 {"error":"Invalid request.","detail":"The request target has a malformed percent sequence."}"#,
            ),
            (
                "GET",
                "/config/%0%00%",
                "",
                r#"400 {"error":"Invalid request.","detail":"The request target has a malformed percent sequence."}"#,
            ),
        ] {
            assert_eq!(daemon.brief(method, target, body).await, expected, "{method} {target}");
        }
        // None of this has changed anything.
        assert_eq!(daemon.main.stored(), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn faults_of_a_configuration_are_told_in_detail() {
    with_api("{}", |daemon| async move {
        for (target, body, detail, place) in [
            (
                "/config",
                "1",
                r#"The configuration must be an object, but not an integer number."#,
                r#"{"path":""}"#,
            ),
            (
                "/config/route",
                "1",
                r#"Unknown parameter \"route\"."#,
                r#"{"path":"/route"},"suggestion":"routes""#,
            ),
            (
                "/config/routes",
                "1",
                r#"The \"routes\" value must be either an array or an object, but not an integer number."#,
                r#"{"path":"/routes"}"#,
            ),
            (
                "/config/listeners",
                r#"{"*:80":{}}"#,
                r#"Required parameter \"pass\" is missing."#,
                r#"{"path":"/listeners/*:80/pass"}"#,
            ),
        ] {
            let expected =
                format!(r#"400 {{"error":"Invalid configuration.","detail":"{detail}","location":{place}}}"#);
            assert_eq!(daemon.brief("PUT", target, body).await, expected, "{body}");
        }
    })
    .await;
}

/// A body, what is wrong with it, and where.
const JSON_FAULTS: [(&str, &str, [u32; 3]); 25] = [
    ("", EMPTY, [0, 1, 1]),
    (" // x\n", EMPTY, [0, 1, 1]),
    ("?", VALUE, [0, 1, 1]),
    ("{\"a\":\n tru}", VALUE, [7, 2, 2]),
    ("12x", VALUE, [0, 1, 1]),
    ("{} x", "Unexpected character after the end of a valid JSON value.", [3, 1, 4]),
    (
        "{\"a\":1",
        "Unexpected end of JSON payload.  There's an object without a closing brace (}).",
        [6, 1, 7],
    ),
    (
        "{\"a\"",
        "Unexpected end of JSON payload.  There's an object member without a value.",
        [4, 1, 5],
    ),
    (
        "{a:1}",
        "A double quote (\") is expected here.  There must be a valid JSON object member starts \
         with a name, which is a string enclosed in double quotes.",
        [1, 1, 2],
    ),
    (
        "{\"a\" 1}",
        "A colon (:) is expected here.  There must be a colon after a JSON member name.",
        [5, 1, 6],
    ),
    (
        "{\"a\":1 \"b\"",
        "Either a closing brace (}) or a comma (,) is expected here.  Each JSON object must be \
         enclosed in braces and its members must be separated by commas.",
        [7, 1, 8],
    ),
    (
        "{\"a\":1,\"a\":2}",
        "Duplicate object member.  All JSON object members must have unique names.",
        [7, 1, 8],
    ),
    (
        "[1",
        "Unexpected end of JSON payload.  There's an array without a closing bracket (]).",
        [2, 1, 3],
    ),
    (
        "[1 2]",
        "Either a closing bracket (]) or a comma (,) is expected here.  Each array must be \
         enclosed in brackets and its members must be separated by commas.",
        [3, 1, 4],
    ),
    (
        "\"\u{fc}",
        "Unexpected end of JSON payload.  There's a string without a final double quote (\").",
        [3, 1, 3],
    ),
    (
        "\"\u{fc}\u{1}\"",
        "Unexpected character.  All control characters in a JSON string must be escaped.",
        [3, 1, 3],
    ),
    (
        "\"\\x\"",
        "Unexpected backslash.  A literal backslash in a JSON string must be escaped with a \
         second backslash (\\\\).",
        [1, 1, 2],
    ),
    (
        "\"\\u12x4\"",
        "Invalid escape sequence.  An escape sequence in a JSON string must start with a \
         backslash, followed by the lowercase letter u, followed by four hexadecimal digits \
         (\\uXXXX).",
        [5, 1, 6],
    ),
    (
        "\"\\udc00\"",
        "Invalid JSON encoding sequence.  This 6-byte sequence does not represent a valid UTF \
         character.",
        [1, 1, 2],
    ),
    (
        "\"\\ud800\\u0041\"",
        "Invalid JSON encoding sequence.  This 12-byte sequence composes an illegal UTF-16 \
         surrogate pair.",
        [1, 1, 2],
    ),
    (
        "1.",
        "The number is invalid.  A fraction part in JSON numbers must contain at least one digit.",
        [0, 1, 1],
    ),
    ("01", "The number is invalid.  Leading zeros are not allowed in JSON numbers.", [0, 1, 1]),
    (
        "1e",
        "The number is invalid.  An exponent part in JSON numbers must contain at least one digit.",
        [0, 1, 1],
    ),
    (
        "1e400",
        "The number is out of representable range.  Such JSON number value is not supported.",
        [0, 1, 1],
    ),
    (
        "123456789012345",
        "The number is too long.  Such a long JSON number value is not supported.",
        [0, 1, 1],
    ),
];

const EMPTY: &str = "An empty JSON payload isn't allowed.  It must be either a literal (null, true, \
                     or false), a number, a string (in double quotes \"\"), an array (with brackets \
                     []), or an object (with braces {}).";
const VALUE: &str = "A valid JSON value is expected here.  It must be either a literal (null, true, \
                     or false), a number, a string (in double quotes \"\"), an array (with brackets \
                     []), or an object (with braces {}).";

#[tokio::test]
async fn faults_of_json_are_told_with_their_place() {
    with_api("{}", |daemon| async move {
        for (body, detail, [offset, line, column]) in JSON_FAULTS {
            for target in ["/config", "/config/nowhere/x"] {
                let seen = daemon.ask("PUT", target, body).await;
                assert_eq!(seen.status, "400 Bad Request");
                let mut escaped = Vec::new();
                conf::escape(detail.as_bytes(), &mut escaped);
                let detail = String::from_utf8(escaped).unwrap();
                let expected = format!(
                    "{{\r\n\t\"error\": \"Invalid JSON.\",\r\n\t\"detail\": \"{detail}\",\r\n\t\
                     \"location\": {{\r\n\t\t\"offset\": {offset},\r\n\t\t\"line\": {line},\r\n\t\t\
                     \"column\": {column}\r\n\t}}\r\n}}\r\n"
                );
                assert_eq!(seen.body, expected, "{body}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn each_way_to_restart_an_application_has_its_answer() {
    with_router("{}", |daemon, router| async move {
        for (restart, expected) in [
            (Ok(()), r#"200 {"success":"Ok"}"#),
            (Err(RestartRefusal::Unknown), r#"404 {"error":"Value doesn't exist."}"#),
            (
                Err(RestartRefusal::Failed("x".to_owned())),
                r#"500 {"error":"Failed to restart app."}"#,
            ),
        ] {
            router.script.borrow_mut().restart = restart;
            router.forget();
            let target = "/control/applications/a/b%2Fc/restart/";
            assert_eq!(daemon.brief("GET", target, "").await, expected);
            assert_eq!(router.heard(), ["restart a/b%2Fc"]);
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_router_or_main_refuses_is_told_with_the_reason() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        router.script.borrow_mut().refusal = Some("bind(\"*:80\") failed".to_owned());
        router.script.borrow_mut().status = Err(Refusal::new("x"));
        assert_eq!(
            daemon.brief("PUT", "/config", "{}").await,
            r#"500 {"error":"Failed to apply new configuration.","detail":"bind(\"*:80\") failed"}"#
        );
        for target in ["/", "/status", "/status/requests"] {
            let expected = r#"500 {"error":"Failed to get status."}"#;
            assert_eq!(daemon.brief("GET", target, "").await, expected);
        }
        router.script.borrow_mut().refusal = None;
        daemon.main.refusal.replace(Some("rename() failed".to_owned()));
        router.forget();
        assert_eq!(
            daemon.brief("DELETE", "/config", "").await,
            r#"500 {"error":"Failed to store configuration.","detail":"rename() failed"}"#
        );
        assert_eq!(router.heard(), ["prepare {}", "abort"]);
        assert_eq!(daemon.brief("GET", "/config", "").await, r#"200 {"routes":[]}"#);
        assert_eq!(daemon.main.stored(), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_request_is_answered_in_json() {
    with_api("{}", |daemon| async move {
        for (request, detail) in [
            ("get / HTTP/1.1\r\n\r\n", "The request line is malformed."),
            ("GET config HTTP/1.1\r\n\r\n", "The request target must begin with a slash (/)."),
            ("GET /%00 HTTP/1.1\r\n\r\n", "The request target has a zero byte."),
            ("GET /.. HTTP/1.1\r\n\r\n", "The request target leads above the root."),
        ] {
            let expected = format!(r#"400 {{"error":"Invalid request.","detail":"{detail}"}}"#);
            assert_eq!(daemon.send(request.as_bytes()).await.brief(), expected);
        }
        let head = b"PUT /config HTTP/1.1\r\nContent-Length: 268435457\r\n\r\n";
        assert_eq!(
            daemon.send(head).await.brief(),
            r#"413 {"error":"Request body is too large.","detail":"At most 268435456 bytes are accepted."}"#
        );
    })
    .await;
}

#[tokio::test]
async fn certificates_are_handed_to_main_whole_and_shown_without_keys() {
    const BUNDLE: &str = include_str!("../../certificate/tests/ec.pem");
    with_api("{}", |daemon| async move {
        let uploaded = r#"200 {"success":"Certificate chain uploaded."}"#;
        assert_eq!(daemon.brief("PUT", "/certificates/c", BUNDLE).await, uploaded);
        assert_eq!(
            daemon.brief("PUT", "/certificates/c", BUNDLE).await,
            r#"400 {"error":"Certificate already exists."}"#
        );
        assert_eq!(daemon.brief("PUT", "/certificates/c?replace", BUNDLE).await, uploaded);
        let contents: Vec<Vec<u8>> =
            daemon.main.uploads().into_iter().map(|upload| upload.content).collect();
        assert_eq!(contents, [BUNDLE.as_bytes(), BUNDLE.as_bytes()]);
        let shown = daemon.brief("GET", "/certificates", "").await;
        assert!(shown.starts_with(r#"200 {"c":{"key":"ECDH","chain":[{"subject":{"#), "{shown}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
        assert_eq!(daemon.brief("GET", "/certificates/c/key", "").await, r#"200 "ECDH""#);
        assert_eq!(
            daemon.brief("DELETE", "/certificates/c", "").await,
            r#"200 {"success":"Certificate deleted."}"#
        );
        assert_eq!(daemon.brief("GET", "/certificates", "").await, "200 {}");
        daemon.main.refusal.replace(Some("disk full".to_owned()));
        assert_eq!(
            daemon.brief("PUT", "/certificates/c", BUNDLE).await,
            r#"500 {"error":"Failed to store certificate.","detail":"disk full"}"#
        );
    })
    .await;
}
