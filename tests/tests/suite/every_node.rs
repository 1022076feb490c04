//! Edits at every node of a configuration with every member of the schema: always an answer, always
//! JSON, and the controller and the router are those they were.

use std::path::Path;

use blackbox::{Place, Unitd};
use serde_json::Value;

/// Every member. `%DIR`, `%PORT` and `%KEY` stand for the directory of the daemon, a free port and
/// a key for session tickets.
const EVERYTHING: &str = r#"{
    "settings": {
        "listen_threads": 2,
        "telemetry": {"endpoint": "http://127.0.0.1:1", "protocol": "http", "batch_size": 1, "sampling_ratio": 0.5},
        "http": {
            "header_read_timeout": 1, "body_read_timeout": 2, "send_timeout": 3, "idle_timeout": 4,
            "large_header_buffer_size": 5000, "large_header_buffers": 6, "body_buffer_size": 7,
            "max_body_size": 8, "body_temp_path": "%DIR/tmp", "discard_unsafe_fields": true,
            "log_route": false, "server_version": true, "chunked_transform": false,
            "websocket": {"read_timeout": 1, "keepalive_interval": 2, "max_frame_size": 3},
            "static": {"mime_types": {"text/x": [".x", ".y"], "text/z": ".z"}},
            "compression": {"types": ["text/*"], "compressors": [{"encoding": "gzip", "level": 6, "min_length": 7}]}
        }
    },
    "listeners": {
        "127.0.0.1:%PORT": {
            "pass": "routes/main", "backlog": 128,
            "forwarded": {"client_ip": "A", "protocol": "B", "source": ["10.0.0.0/8", "!10.0.0.1"], "recursive": true},
            "client_ip": {"header": "C", "source": "unix", "recursive": false},
            "tls": {"conf_commands": {"MinProtocol": "TLSv1.2"},
                    "session": {"cache_size": 1, "timeout": 2, "tickets": ["%KEY"]},
                    "certificate": ["c"]}
        },
        "unix:%DIR/l.sock": {"application": "python"}
    },
    "routes": {"main": [
        {"match": {"method": ["GET", "!PUT"], "scheme": "https", "host": "a*", "uri": ["/a%20b", "~^/[a-z]+$"],
                   "query": "a+b", "arguments": {"a": ["b", "!c"]}, "headers": [{"d": "e*"}, {"f": "~g"}],
                   "cookies": {"h": "i"}, "source": ["127.0.0.1", "::/0"], "destination": "*:80-90", "if": "!$arg_x"},
         "action": {"return": 301, "location": "/$uri", "rewrite": "/a", "response_headers": {"J": "$host", "K": null}}},
        {"action": {"share": ["%DIR$uri", "%DIR/b"], "index": "i", "types": ["a/*"], "chroot": "%DIR",
                    "follow_symlinks": false, "traverse_mounts": false, "fallback": {"pass": "routes/other"}}},
        {"action": {"proxy": "http://127.0.0.1:1"}}
    ], "other": []},
    "upstreams": {"up": {"servers": {"127.0.0.1:1": {"weight": 0.5}, "unix:/a": {}}}},
    "access_log": {"path": "%DIR/access.log", "format": {"uri": "$uri", "x": "y"}, "if": "$arg_y"},
    "applications": {
        "python": {"type": "python 3", "module": "m", "callable": "c", "factory": true, "prefix": "/p", "home": "/h",
                   "path": ["/a", "/b"], "protocol": "wsgi", "threads": 1, "thread_stack_size": 65536,
                   "limits": {"timeout": 1, "requests": 2, "shm": 3}, "processes": {"max": 2, "spare": 0, "idle_timeout": 3},
                   "user": "nobody", "group": "nogroup", "working_directory": "/", "environment": {"A": "b"},
                   "stdout": "/dev/null", "stderr": "/dev/null",
                   "isolation": {"namespaces": {"credential": false, "pid": false, "network": false, "mount": false, "uname": false, "cgroup": false},
                                 "uidmap": [{"container": 0, "host": 1, "size": 2}], "gidmap": [{"container": 0, "host": 1, "size": 2}],
                                 "rootfs": "/r", "automount": {"language_deps": true, "tmpfs": true, "procfs": true}, "new_privs": true, "cgroup": {"path": "a"}}},
        "targets": {"type": "python", "targets": {"a": {"module": "m", "callable": "c", "factory": false, "prefix": "/p"}}, "processes": {"spare": 0}},
        "php": {"type": "php", "root": "/", "script": "s", "index": "i", "options": {"file": "f", "admin": {"a": "b"}, "user": {"c": "d"}}},
        "phps": {"type": "php", "targets": {"a": {"root": "/", "script": "s", "index": "i"}}},
        "go": {"type": "go", "executable": "/e", "arguments": ["a", "b"]},
        "perl": {"type": "perl", "script": "/s", "threads": 2, "thread_stack_size": 65536},
        "ruby": {"type": "ruby", "script": "/s", "threads": 2, "hooks": "/h"},
        "java": {"type": "java", "webapp": "/w", "classpath": ["/a"], "options": ["-x"], "unit_jars": "/j", "threads": 2, "thread_stack_size": 65536},
        "wasm": {"type": "wasm", "module": "/m", "request_handler": "a", "malloc_handler": "b", "free_handler": "c",
                 "module_init_handler": "d", "module_end_handler": "e", "request_init_handler": "f", "request_end_handler": "g",
                 "response_end_handler": "h", "access": {"filesystem": ["/a"]}},
        "component": {"type": "wasm-wasi-component", "component": "/c", "access": {"filesystem": []}}
    }
}"#;

/// What this release lacks, as it cannot be part of what is applied.
const NOT_BUILT: [&str; 17] = [
    "/settings/telemetry",
    "/listeners/127.0.0.1:%PORT/tls",
    "/routes/main/2",
    "/applications/python/isolation/namespaces",
    "/applications/python/isolation/uidmap",
    "/applications/python/isolation/gidmap",
    "/applications/python/isolation/rootfs",
    "/applications/python/isolation/automount",
    "/applications/python/isolation/cgroup",
    "/applications/php",
    "/applications/phps",
    "/applications/go",
    "/applications/perl",
    "/applications/ruby",
    "/applications/java",
    "/applications/wasm",
    "/applications/component",
];

/// What is put at every node.
const VALUES: [&str; 12] = [
    "null", "true", "-1", "1.5", "9e18", "\"\"", "\"!~(\"", "\"$\"", "[]", "[[]]", "{}", "{\"\":1}",
];

const MODULES: [(&str, &str); 7] = [
    ("python", "3.11"),
    ("php", "8.2"),
    ("perl", "5.36"),
    ("ruby", "3.1"),
    ("java", "17"),
    ("wasm", "0.1"),
    ("wasm-wasi-component", "0.1"),
];

fn start() -> (Unitd, String) {
    let runtime = Path::new(env!("CARGO_BIN_EXE_pretended-runtime"));
    let unitd = Place::new().with_pretended_modules(runtime, &MODULES).start();
    // The runtimes cannot run anything, and much else fails on purpose.
    unitd.expect_alert("[alert]");
    let port = unitd.port().to_string();
    let directory = unitd.text_path("");
    let everything = EVERYTHING
        .replace("%PORT", &port)
        .replace("%KEY", &"A".repeat(64))
        .replace("%DIR", directory.trim_end_matches('/'));
    (unitd, everything)
}

fn pids(unitd: &Unitd) -> (i32, i32) {
    (unitd.role("controller").pid, unitd.role("router").pid)
}

/// JSON Pointers of all nodes.
fn pointers(value: &Value, pointer: &str, all: &mut Vec<String>) {
    all.push(pointer.to_owned());
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                pointers(element, &format!("{pointer}/{index}"), all);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(member, &format!("{pointer}/{name}"), all);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Takes a node out of a value.
fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(members) => {
            assert!(members.remove(&name.replace("~1", "/")).is_some(), "{pointer}");
        }
        Value::Array(elements) => drop(elements.remove(name.parse().unwrap())),
        _ => panic!("{pointer}"),
    }
}

/// The target for a JSON Pointer.
fn target(pointer: &str) -> String {
    format!("/config{}", pointer.replace('%', "%25").replace("~1", "%2F").replace("~0", "~"))
}

#[test]
fn every_value_can_be_replaced_in_what_is_sent() {
    let (unitd, everything) = start();
    let before = pids(&unitd);
    let everything: Value = serde_json::from_str(&everything).unwrap();
    let mut all = Vec::new();
    pointers(&everything, "", &mut all);
    assert!(all.len() > 250, "{}", all.len());
    let mut tally = [0; 3];
    let mut put = |config: &Value, what: &str| {
        let answer = unitd.put("/config", config);
        let said = answer.json();
        let kind = match answer.status {
            200 => 0,
            400 => 1,
            500 => 2,
            other => panic!("{what}: {other} {said}"),
        };
        tally[kind] += 1;
        let member = if kind == 0 { "success" } else { "error" };
        assert!(said[member].is_string(), "{what}: {said}");
        if kind == 1 {
            assert_eq!(said["error"], "Invalid configuration.", "{what}");
            assert!(said["detail"].as_str().unwrap().len() > 10, "{what}: {said}");
        }
    };
    // Where there is no such certificate nothing behind it is looked at.
    let mut without_tls = everything.clone();
    remove(&mut without_tls, all.iter().find(|pointer| pointer.ends_with("/tls")).unwrap());
    for pointer in &all {
        let everything = if pointer.contains("/tls") { &everything } else { &without_tls };
        for value in VALUES {
            let mut config = everything.clone();
            *config.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
            put(&config, &format!("{value} at {pointer:?}"));
        }
        if !pointer.is_empty() {
            let mut config = everything.clone();
            remove(&mut config, pointer);
            put(&config, &format!("without {pointer:?}"));
        }
    }
    println!("{} nodes; accepted, invalid, not applied: {tally:?}", all.len());
    assert_eq!(pids(&unitd), before);
}

#[test]
fn every_node_can_be_edited_in_place() {
    let (unitd, everything) = start();
    let mut config: Value = serde_json::from_str(&everything).unwrap();
    let port = everything.split("\"127.0.0.1:").nth(1).unwrap().split('"').next().unwrap();
    for pointer in NOT_BUILT {
        remove(&mut config, &pointer.replace("%PORT", port));
    }
    unitd.configure(&config);
    let before = pids(&unitd);
    let mut all = Vec::new();
    pointers(&config, "", &mut all);
    assert!(all.len() > 100, "{}", all.len());
    let mut count = 0;
    for pointer in &all {
        let target = target(pointer);
        let value = config.pointer(pointer).unwrap();
        assert_eq!(unitd.get(&target).expect_success().json(), *value, "{target}");
        let bodies = VALUES.map(|value| ("PUT", value)).into_iter();
        let bodies =
            bodies.chain([("POST", "null"), ("POST", "\"x\""), ("POST", "{}"), ("DELETE", "")]);
        for (method, body) in bodies {
            let answer = unitd.control(method, &target, body);
            let said = answer.json();
            count += 1;
            match answer.status {
                200 => {
                    assert_eq!(
                        said["success"], "Reconfiguration done.",
                        "{method} {target} {body}"
                    );
                    unitd.configure(&config);
                }
                400 | 404 | 405 | 500 => {
                    assert!(said["error"].is_string(), "{method} {target} {body}: {said}");
                    // What is there can only be refused for what it would become.
                    assert_ne!(answer.status, 404, "{method} {target} {body}");
                }
                other => panic!("{method} {target} {body}: {other} {said}"),
            }
            // Names that nothing has, below the node.
            if method == "DELETE" {
                let below = format!("{target}/no-such-member/at-all");
                for method in ["GET", "PUT", "POST", "DELETE"] {
                    assert_eq!(unitd.control(method, &below, "1").status, 404, "{method} {below}");
                }
            }
        }
    }
    println!("{count} edits at {} nodes", all.len());
    assert_eq!(unitd.config(""), config);
    assert_eq!(pids(&unitd), before);
}
