//! The root object, the order of checks, and everything at once.

use super::*;
use crate::testing::{accepts, config, environment, refusal, refuses, validate, value};
use crate::{Listener, Pass, SocketAddress, parse, print_compact};

#[test]
fn members_are_accepted_or_refused() {
    accepts(
        "@",
        &["{}", r#"{"settings":{},"listeners":{},"routes":[],"applications":{},"upstreams":{}}"#],
    );
    refuses(
        "@",
        &[
            ("null", "The configuration must be an object, but not a null."),
            ("[]", "The configuration must be an object, but not an array."),
            ("1.5", "The configuration must be an object, but not a fractional number."),
            (r#"{"certificates":{}}"#, r#"Unknown parameter "certificates"."#),
            (r#"{"Routes":[]}"#, r#"Unknown parameter "Routes"."#),
            (r#"{"":1}"#, r#"Unknown parameter ""."#),
        ],
    );
    for member in ["settings", "listeners", "applications", "upstreams"] {
        let detail = format!(r#"The "{member}" value must be an object, but not a string."#);
        refuses("{@}", &[(&format!(r#""{member}":"""#), &detail)]);
    }
}

#[test]
fn the_initial_configuration_is_valid() {
    let initial = Config::initial();
    assert_eq!(print_compact(&initial), br#"{"listeners":{},"routes":[],"applications":{}}"#);
    assert!(Config::validate(&initial, &Environment::default()).is_ok());
}

#[test]
fn the_first_fault_in_stored_order_is_reported() {
    // Required members come before the kinds of others, references where they stand.
    refuses(
        "@",
        &[
            (
                r#"{"listeners":{"*:80":{"pass":"routes/a"}},"routes":[1]}"#,
                r#"Request "pass" points to invalid location "routes/a"."#,
            ),
            (
                r#"{"routes":[1],"listeners":{"*:80":{"pass":"routes/a"}}}"#,
                r#"The "routes" array must contain only object values."#,
            ),
            (r#"{"listeners":{"x":1},"bad":1}"#, r#"The listener address "x" is invalid."#),
            (r#"{"bad":1,"listeners":{"x":1}}"#, r#"Unknown parameter "bad"."#),
            (
                r#"{"applications":{"a":{"type":"perl","threads":"x"}}}"#,
                r#"Required parameter "script" is missing."#,
            ),
            (
                r#"{"applications":{"a":{"type":"perl","threads":"x","script":1}}}"#,
                r#"The "threads" value must be an integer number, but not a string."#,
            ),
        ],
    );
}

#[test]
fn what_is_named_may_come_later_but_must_not_go() {
    let text = r#"{"listeners":{"*:1":{"pass":"applications/a/t"},"*:2":{"pass":"upstreams/u%2fv"},
                    "*:3":{"pass":"routes/r"}},
                   "routes":{"r":[]},"upstreams":{"u/v":{"servers":{}}},
                   "applications":{"a":{"type":"python","targets":{"s":{"module":"m"},
                                                                "t":{"module":"m"}}}}}"#;
    let targets: Vec<_> =
        config(text).listeners.into_iter().map(|Listener { target, .. }| target).collect();
    assert_eq!(
        targets,
        [
            Pass::Application { name: "a".into(), target: Some(1) },
            Pass::Upstream("u/v".into()),
            Pass::Route(Some("r".into())),
        ]
    );
    for (part, replacement, location) in [
        (r#""t":{"module":"m"}"#, "", "applications/a/t"),
        (r#""u/v":{"servers":{}}"#, "", "upstreams/u%2fv"),
        (r#""r":[]"#, "", "routes/r"),
    ] {
        let error = refusal(&text.replace(part, replacement));
        assert_eq!(
            error.detail,
            format!("Request \"pass\" points to invalid location \"{location}\".")
        );
    }
}

#[test]
fn a_long_chain_of_fallbacks_is_valid_up_to_the_limit_of_nesting() {
    let chain = |actions: usize| {
        let open = r#"{"share":"/a","fallback":"#;
        let action = open.repeat(actions - 1) + r#"{"return":404}"# + &"}".repeat(actions - 1);
        format!(r#"{{"routes":[{{"action":{action}}}]}}"#)
    };
    // The root, the routes and the step are levels, too.
    assert!(validate(&chain(DEPTH_MAX - 3), &environment()).is_ok());
    assert!(parse(chain(DEPTH_MAX - 2).as_bytes()).is_err());
    let path = crate::tree::Path::parse(b"routes/0/action/fallback").expect("is a path");
    let deepest = value(&chain(DEPTH_MAX - 3));
    let action = crate::tree::Path::parse(b"routes/0/action").expect("is a path");
    let action = crate::tree::get(&deepest, &action).expect("is there").clone();
    let deeper = crate::tree::put(&deepest, &path, action).expect("is edited");
    assert_eq!(
        Config::validate(&deeper, &environment()).map_err(|error| error.detail).err().as_deref(),
        Some("The configuration is nested too deeply.")
    );
}

#[test]
fn names_that_are_not_utf8_work() {
    let text =
        [&b"{\"listeners\":{\"unix:/\xff\":{\"pass\":\"routes/\xfe\"}},\"routes\":{\"\xfe\":[]}}"
            [..]]
        .concat();
    let root = parse(&text).expect("is JSON");
    let config = Config::validate(&root, &environment()).expect("is valid");
    assert_eq!(config.listeners[0].address, SocketAddress::UnixPath(Text::from(&b"/\xff"[..])));
    assert_eq!(config.listeners[0].target, Pass::Route(Some(Text::from(&b"\xfe"[..]))));
    let root = parse(b"{\"\xff\":1}").expect("is JSON");
    let error = Config::validate(&root, &environment()).expect_err("is unknown");
    assert_eq!(error.detail, "Unknown parameter \"\u{fffd}\".");
}

#[test]
fn everything_at_once_is_valid() {
    let config = config(EVERYTHING);
    assert_eq!(config.listeners.len(), 3);
    assert_eq!(config.applications.len(), 3);
    assert_eq!(config.routes.get(Some(&"main".into())).map(<[_]>::len), Some(3));
}

#[test]
fn any_node_can_be_changed_without_harm() {
    let root = value(EVERYTHING);
    let mut all = Vec::new();
    paths(&root, String::new(), &mut all);
    assert!(all.len() > 100);
    let env = environment();
    let replacements = [
        "null", "true", "-1", "1.5", "9e18", "\"\"", "\"!~(\"", "\"$\"", "[]", "[[]]", "{}",
        "{\"\":1}",
    ];
    for path in all {
        let path = crate::tree::Path::parse(path.as_bytes()).expect("is a path");
        let replaced = replacements.map(|text| crate::tree::put(&root, &path, value(text)));
        let edited = [
            crate::tree::delete(&root, &path),
            crate::tree::post(&root, &path, Value::Null),
            crate::tree::post(&root, &path, Value::from("x")),
        ];
        for root in replaced.into_iter().chain(edited).flatten() {
            if let Err(error) = Config::validate(&root, &env) {
                assert!(error.detail.len() > 10, "{error:?}");
                let pointer = crate::tree::Path::parse(
                    error
                        .path
                        .replace('%', "%25")
                        .replace("~1", "%2F")
                        .replace("~0", "~")
                        .as_bytes(),
                );
                // What is at fault is there, or what it is missing from.
                let pointer = pointer.expect("is a path");
                let found = crate::tree::get(&root, &pointer).is_some();
                assert!(
                    found || error.detail.contains("missing") || error.path.ends_with('/'),
                    "{error:?}"
                );
            }
        }
    }
}

/// All paths below `prefix`, encoded.
fn paths(value: &Value, prefix: String, all: &mut Vec<String>) {
    match value {
        Value::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                paths(element, format!("{prefix}/{index}"), all);
            }
        }
        Value::Object(object) => {
            for (name, member) in &**object {
                paths(member, format!("{prefix}/{}", name.to_string().replace('/', "%2F")), all);
            }
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => (),
    }
    all.push(prefix);
}

const EVERYTHING: &str = r#"{
        "settings": {"listen_threads": 2, "js_module": ["script"], "telemetry": {"endpoint": "e",
            "protocol": "http", "batch_size": 1, "sampling_ratio": 0.5}, "http": {"max_body_size": 1048576, "static":
            {"mime_types": {"text/x": [".x"]}}, "compression": {"types": ["text/*"],
            "compressors": [{"encoding": "gzip", "level": 6}]}}},
        "listeners": {
            "127.0.0.1:8080": {"pass": "routes/main", "forwarded": {"client_ip": "X-Forwarded-For",
                "protocol": "X-Forwarded-Proto", "source": ["10.0.0.0/8"], "recursive": true}},
            "[::1]:8443": {"pass": "applications/py", "tls": {"certificate": ["cert"],
                "conf_commands": {"MinProtocol": "TLSv1.2"}, "session": {"tickets": true}}},
            "unix:@abstract": {"pass": "upstreams/pool", "backlog": 128}
        },
        "routes": {"main": [
            {"match": {"uri": ["/static/*", "!*.php"], "method": "GET"},
             "action": {"share": "/www$uri", "fallback": {"pass": "applications/py"}}},
            {"match": {"if": "$arg_x", "headers": [{"accept": "~json"}]},
             "action": {"return": 302, "location": "/y", "response_headers": {"A": null}}},
            {"action": {"proxy": "http://127.0.0.1:9000", "rewrite": "/z$uri"}}
        ]},
        "applications": {
            "py": {"type": "python 3", "module": "wsgi", "processes": {"max": 8, "spare": 2}},
            "go": {"type": "go", "executable": "/bin/app", "isolation": {"namespaces":
                {"pid": true}, "uidmap": [{"container": 0, "host": 1, "size": 1}], "cgroup":
                {"path": "a"}}, "environment": {"A": "b"}, "stderr": "/log", "arguments": ["x"]},
            "php": {"type": "php", "targets": {"a": {"root": "/a"}}, "options": {"admin":
                {"memory_limit": "1G"}}, "limits": {"timeout": 3, "requests": 4, "shm": 5}}
        },
        "upstreams": {"pool": {"servers": {"127.0.0.1:1": {"weight": 0.5}, "127.0.0.1:2": {}}}},
        "access_log": {"path": "/log", "format": {"uri": "$uri"}, "if": "!$arg_quiet"}
        }"#;
