//! Python applications: what they are given, what becomes of what they return, and of them.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use blackbox::{
    Connection, Place, Process, Unitd, need_python, need_root, pythons_in, request, wait_until,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// A daemon with an application of this package behind a port, configured further by `more`.
fn serving(module: &str, more: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&configuration(&unitd, port, module, more));
    (unitd, port)
}

fn configuration(unitd: &Unitd, port: u16, module: &str, more: &Value) -> Value {
    let directory = unitd.application(module);
    let mut application = json!({ "type": "python", "module": module, "path": directory });
    application.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "settings": { "http": { "max_body_size": 100 << 20 } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": { "app": application },
    })
}

/// What the streaming tool sends from `start` on.
fn pattern(start: usize, length: usize) -> Vec<u8> {
    let (first, skip) = (start / 8, start % 8);
    let numbers: String =
        (0..(skip + length).div_ceil(8)).map(|at| format!("{:08x}", first + at)).collect();
    numbers.as_bytes()[skip..skip + length].to_vec()
}

#[test]
fn hello_is_served() {
    need_python!();
    let (unitd, port) = serving("hello", &json!({}));
    let response = unitd.fetch(port, "/");
    assert_eq!(response.status_line(), "HTTP/1.1 200 OK");
    let names: Vec<&str> = response.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Content-Type", "Content-Length", "Server", "Date"]);
    assert_eq!(response.text(), "Hello, world!");
    // Once started, told once, each with its own pid.
    let prototype = unitd.log().wait(r#"(\d+)#\d+ "app" prototype started"#);
    let worker = unitd.log().wait(r#"(\d+)#\d+ "app" application started"#);
    assert_eq!(unitd.workers("app")[0].pid.to_string(), worker);
    assert_eq!(unitd.workers("app")[0].parent.to_string(), prototype);
}

#[test]
fn the_environ_holds_what_the_table_says() {
    need_python!();
    let (_unitd, port) = serving("record", &json!({}));
    let bytes = b"POST /p%20q/r?s=%41 HTTP/1.1\r\nHost: Name.Example:80\r\nX-Twice: 1\r\n\
                  Content-Type: text/odd\r\nx-twice: 2\r\nX-Byte: \xe9\r\nContent-Length: 4\r\n\r\n\
                  body";
    let record = Connection::tcp(port).ask(bytes).json();
    let expected = json!({
        "SERVER_SOFTWARE": "Unit/2.0.0",
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/p%20q/r?s=%41",
        "QUERY_STRING": "s=%41",
        "PATH_INFO": "/p q/r",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_PORT": port.to_string(),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "name.example",
        "CONTENT_LENGTH": "4",
        "CONTENT_TYPE": "text/odd",
        "HTTP_HOST": "Name.Example:80",
        "HTTP_X_TWICE": "1, 2",
        "HTTP_X_BYTE": "é",
        "HTTP_CONTENT_LENGTH": "4",
        "HTTP_CONTENT_TYPE": "text/odd",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.multithread": false,
        "wsgi.multiprocess": true,
        "wsgi.run_once": false,
        "wsgi.input": "<class 'unit._input'>",
        "wsgi.errors": "<class '_io.TextIOWrapper'>",
        "body": "body",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(record.get(name), Some(value), "{name}");
    }
    for absent in ["SCRIPT_NAME", "REMOTE_PORT", "HTTPS"] {
        assert_eq!(record.get(absent), None, "{absent}");
    }
    // Without a query and a body.
    let record = Connection::tcp(port).ask(b"GET / HTTP/1.0\r\n\r\n").json();
    assert_eq!(record["QUERY_STRING"], "");
    assert_eq!(record["SERVER_PROTOCOL"], "HTTP/1.0");
    assert_eq!(record["SERVER_NAME"], "localhost");
    for absent in ["CONTENT_LENGTH", "CONTENT_TYPE"] {
        assert_eq!(record.get(absent), None, "{absent}");
    }
    let order: Vec<&str> =
        record["order"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!((order.first(), order.last()), (Some(&"SERVER_SOFTWARE"), Some(&"wsgi.input")));
}

#[test]
fn a_prefix_goes_into_script_name() {
    need_python!();
    for prefix in ["/api/rest", "/api/rest/"] {
        let target = json!({ "prefix": prefix });
        let (unitd, port) = serving("record", &target);
        for (path, script_name, path_info) in [
            ("/api/rest", Some("/api/rest"), ""),
            ("/api/rest/", Some("/api/rest"), "/"),
            ("/api/rest/get/x", Some("/api/rest"), "/get/x"),
            ("/api/restful", None, "/api/restful"),
            ("/api/res", None, "/api/res"),
            ("/api", None, "/api"),
        ] {
            let record = unitd.fetch(port, path).json();
            assert_eq!(record.get("SCRIPT_NAME").and_then(Value::as_str), script_name, "{path}");
            assert_eq!(record["PATH_INFO"], path_info, "{path}");
        }
    }
}

#[test]
fn forms_are_posted() {
    need_python!();
    let (_unitd, port) = serving("tools", &json!({}));
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let bytes = request("POST", "/form", &[kind], b"name=J%C3%BCrgen&tag=a+b&tag=c%26d");
    assert_eq!(
        Connection::tcp(port).ask(&bytes).json(),
        json!({ "type": "application/x-www-form-urlencoded",
                "form": { "name": ["Jürgen"], "tag": ["a b", "c&d"] } })
    );
}

#[test]
fn curl_posts_a_form_of_files() {
    need_python!();
    let Some(curl) = blackbox::program("curl") else {
        blackbox::skip!("no curl");
    };
    let (unitd, port) = serving("record", &json!({}));
    let file = unitd.write("upload.txt", "the content of a file");
    let output = std::process::Command::new(curl)
        .args(["--silent", "--fail", "--max-time", "30", "-F", "field=value", "-F"])
        .arg(format!("file=@{file}"))
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()
        .unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let body = record["body"].as_str().unwrap();
    assert!(body.contains("name=\"field\"\r\n\r\nvalue\r\n"), "{body}");
    assert!(body.contains("the content of a file"), "{body}");
    assert!(record["CONTENT_TYPE"].as_str().unwrap().starts_with("multipart/form-data"));
}

/// Around the size from which a body goes through a file, and far beyond it.
#[test]
fn bodies_of_every_size_arrive_whole() {
    need_python!();
    let (_unitd, port) = serving("tools", &json!({}));
    let content = pattern(0, 20 << 20);
    let mut connection = Connection::tcp(port);
    for (size, sha256) in digests(&content, &[1, 4095, 16_383, 16_384, 16_385, 1 << 20, 20 << 20]) {
        let record = connection.ask(&request("POST", "/sum", &[], &content[..size])).json();
        assert_eq!(record, json!({ "length": size, "sha256": sha256 }), "{size}");
    }
}

/// The SHA-256 of the first bytes, by the program of the system.
fn digests(content: &[u8], sizes: &[usize]) -> Vec<(usize, String)> {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let digest = |size: &usize| {
        let mut child =
            Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&content[..*size]).unwrap();
        let output = child.wait_with_output().unwrap();
        (*size, String::from_utf8(output.stdout).unwrap()[..64].to_owned())
    };
    sizes.iter().map(digest).collect()
}

#[test]
fn a_request_has_no_place_for_its_body() {
    need_python!();
    need_root!();
    // The router cannot write there, and says so.
    let (unitd, port) = serving("tools", &json!({}));
    let closed = unitd.path("closed");
    fs::create_dir(&closed).unwrap();
    unitd
        .put("/config/settings/http/body_temp_path", json!(closed.to_str().unwrap()))
        .expect_success();
    unitd.expect_alert("mkstemp(");
    let response = Connection::tcp(port).ask(&request("POST", "/sum", &[], &[b'x'; 100_000]));
    assert_eq!(response.status, 500);
    let line = r"\[alert\] .*mkstemp\(\S*closed/req-\S*\) failed \(13: Permission denied\)";
    unitd.log().wait(line);
    assert_eq!(Connection::tcp(port).ask(&request("POST", "/sum", &[], b"x")).status, 200);
}

#[test]
fn the_input_reads_as_its_table_says() {
    need_python!();
    let (_unitd, port) = serving("tools", &json!({}));
    let body = b"a\nbc\n\ndef";
    for (calls, results) in [
        ("read", json!(["a\nbc\n\ndef"])),
        ("read:-1;read", json!(["a\nbc\n\ndef", ""])),
        ("read:3;read:100;read:1", json!(["a\nb", "c\n\ndef", ""])),
        ("read:0;read:1", json!(["", "a"])),
        ("readline;readline;readline;readline;readline", json!(["a\n", "bc\n", "\n", "def", ""])),
        ("readline:1;readline:1;readline:0;readline:-1", json!(["a", "\n", "", "bc\n"])),
        ("readlines", json!([["a\n", "bc\n", "\n", "def"]])),
        ("readline;readlines:1", json!(["a\n", ["bc\n", "\n", "def"]])),
        ("iterate;iterate", json!([["a\n", "bc\n", "\n", "def"], []])),
        ("read:-2", json!(["ValueError: the read body size cannot be zero or less"])),
        ("readline:-2", json!(["ValueError: the read line size cannot be zero or less"])),
        ("read:1,2", json!(["TypeError: invalid number of arguments"])),
    ] {
        let bytes = request("POST", &format!("/input?{calls}"), &[], body);
        assert_eq!(Connection::tcp(port).ask(&bytes).json(), results, "{calls}");
    }
}

#[test]
fn lines_cross_the_borders_of_buffers() {
    need_python!();
    let (_unitd, port) = serving("tools", &json!({}));
    let lines: Vec<String> = (0..2000).map(|at| format!("{}\n", "x".repeat(at % 97))).collect();
    let bytes = request("POST", "/input?iterate", &[], lines.concat().as_bytes());
    assert_eq!(Connection::tcp(port).ask(&bytes).json(), json!([lines]));
}

#[test]
fn answers_become_what_wsgi_says() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({}));
    let mut connection = Connection::tcp(port);
    let nothing = connection.get("/nothing");
    assert_eq!((nothing.status, nothing.text().as_str()), (200, ""));
    assert_eq!(connection.get("/bytes").text(), "bytes at once");
    let written = connection.get("/write");
    assert_eq!(written.text(), "written, then returned");
    assert_eq!(written.field("Transfer-Encoding"), Some("chunked"));
    let second = connection.get("/twice");
    assert_eq!(second.status_line(), "HTTP/1.1 201 Created");
    assert_eq!(second.field("X-First"), None);
    assert_eq!(second.all("X-Second"), ["2", "3"]);
    // Of unknown length over HTTP/1.0: up to the close.
    let mut old = Connection::tcp(port);
    let response = old.ask(b"GET /write HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(response.field("Transfer-Encoding"), None);
    assert_eq!(response.text(), "written, then returned");
    unitd.expect_no_alerts();
}

#[test]
fn start_response_complains_in_its_words() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({}));
    for (call, message) in [
        ("few", "TypeError: invalid number of arguments"),
        ("status", "TypeError: failed to write first argument (not a string?)"),
        ("code", "TypeError: failed to parse status code"),
        ("list", "TypeError: the second argument is not a response headers list"),
        ("tuples", "TypeError: the response headers must be a list of tuples"),
        ("pair", "TypeError: each header must be a tuple of two items"),
        ("name", "TypeError: header #0 name is not a string"),
        ("value", "TypeError: header #1 value is not a string"),
    ] {
        assert_eq!(unitd.fetch(port, &format!("/start-error?call={call}")).text(), message);
    }
}

/// Line breaks in a field would make two of one.
#[test]
fn n13_an_application_cannot_break_the_head() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({}));
    for query in
        ["value=a%0D%0AX-Split:+1", "value=a%0A", "value=a%00b", "name=X%0D%0AY", "name=X:%20Y"]
    {
        let mut connection = Connection::tcp(port);
        let response = connection.get(&format!("/bad-field?{query}"));
        assert_eq!(response.status, 503, "{query}: {}", response.head);
        assert_eq!(response.field("X-Split"), None, "{query}");
    }
    assert_eq!(unitd.fetch(port, "/bad-field?value=fine").field("X-Bad"), Some("fine"));
}

#[test]
fn an_exception_is_503_and_one_traceback() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 1 }));
    let worker = unitd.workers("app")[0].pid;
    let mut connection = Connection::tcp(port);
    for (target, line) in [
        ("/raise", "Python failed to call the application"),
        ("/raise-after-start", "Python failed to call the application"),
        ("/raise-in-iteration", "Python failed to iterate over the application response object"),
        ("/none", "the application returned not an iterable object"),
        ("/str-chunk", "the application returned not a bytestring object"),
        ("/no-such-tool", "Python failed to call the application"),
    ] {
        let mark = unitd.log().len();
        let response = connection.get(target);
        assert_eq!(response.status, 503, "{target}");
        assert_eq!(response.field("X-Lost"), None, "{target}");
        assert_eq!(response.body.len(), 54, "{target}");
        let written = unitd.log().text_after(mark);
        // What was not raised by a line of Python has no line to show.
        let has_traceback = usize::from(!["/str-chunk", "/none"].contains(&target));
        assert_eq!(written.matches("Traceback (most recent").count(), has_traceback, "{written}");
        assert_eq!(written.matches(line).count(), 1, "{target}: {written}");
        let at_error = regex::Regex::new(&format!(r"\[error\] .*{}", regex::escape(line)));
        assert!(at_error.unwrap().is_match(&written), "{target}: {written}");
        if target.starts_with("/raise") {
            assert_eq!(written.matches("raised on purpose").count(), 2, "{written}");
        }
    }
    assert_eq!(connection.get("/pid").text(), worker.to_string());
}

/// What was sent already cannot be taken back: the client sees that something is missing.
#[test]
fn an_exception_in_the_middle_cuts_the_answer() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 1 }));
    let mut connection = Connection::tcp(port);
    connection.send(&request("GET", "/raise-after-body", &[], b"")).unwrap();
    let response = connection.read_response();
    assert!(response.is_err(), "{response:?}");
    let mut connection = Connection::tcp(port);
    connection.send(&request("GET", "/too-short", &[], b"")).unwrap();
    let response = connection.read_response();
    assert!(response.is_err(), "{response:?}");
    assert_eq!(unitd.fetch(port, "/pid").status, 200);
}

#[test]
fn more_than_announced_is_not_sent() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({}));
    assert_eq!(unitd.fetch(port, "/too-long").status, 503);
    unitd.log().wait(r"\[error\] .*content length 3 exceeded");
    unitd.expect_alert("write: response not initialized yet");
    assert_eq!(unitd.fetch(port, "/body-first").status, 503);
}

#[test]
fn what_an_application_says_is_in_the_log_at_once() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({}));
    unitd.fetch(port, "/say?words=first+words");
    assert_eq!(unitd.log().count("^first words$"), 1);
}

#[test]
fn sys_exit_ends_the_worker_with_its_code() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 1 }));
    let before = unitd.workers("app")[0].pid;
    assert_eq!(unitd.fetch(port, "/exit?code=7").status, 503);
    unitd.log().wait(&format!("app process {before} exited with code 7"));
    let after = unitd.wait_for_workers("app", 1)[0].pid;
    assert_ne!(after, before);
    assert_eq!(unitd.fetch(port, "/pid").text(), after.to_string());
}

#[test]
fn targets_and_factories_are_called() {
    need_python!();
    let unitd = Unitd::start();
    let (ports, directory) = ([unitd.port(), unitd.port()], unitd.application("targets"));
    unitd.configure(&json!({
        "listeners": {
            format!("127.0.0.1:{}", ports[0]): { "pass": "applications/app/one" },
            format!("127.0.0.1:{}", ports[1]): { "pass": "applications/$arg_app/$arg_target" },
        },
        "applications": {
            "app": {
                "type": "python",
                "path": directory,
                "targets": {
                    "one": { "module": "targets", "callable": "first" },
                    "two": { "module": "targets", "callable": "second", "prefix": "/two" },
                    "made": { "module": "targets", "callable": "factory", "factory": true },
                },
            },
        },
    }));
    assert_eq!(unitd.fetch(ports[0], "/").text(), "first absent /");
    for (target, text) in [
        ("/?app=app&target=one", "first absent /"),
        ("/two/x?app=app&target=two", "second /two /x"),
        ("/?app=app&target=made", "made absent /"),
    ] {
        assert_eq!(unitd.fetch(ports[1], target).text(), text);
    }
    for target in ["/?app=app&target=none", "/?app=none&target=one"] {
        assert_eq!(unitd.fetch(ports[1], target).status, 404, "{target}");
    }
    assert_eq!(unitd.workers("app").len(), 1);
}

#[test]
fn the_interpreter_is_set_up_as_configured() {
    need_python!();
    need_root!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let directory = unitd.text_path("apps");
    let user = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    let mut config = configuration(
        &unitd,
        port,
        "tools",
        &json!({
            "user": "daemon",
            "working_directory": directory,
            "environment": { "GREETING": "hello there" },
        }),
    );
    let path = config["applications"]["app"]["path"].take();
    config["applications"]["app"]["path"] = json!(["/first", "/second", path]);
    unitd.configure(&config);
    let facts = unitd.fetch(port, "/facts").json();
    assert_eq!(facts["argv"], json!(["unit"]));
    let paths = facts["path"].as_array().unwrap();
    assert_eq!(paths[..3], [json!("/first"), json!("/second"), path]);
    assert_eq!(facts["directory"], directory);
    assert_eq!(facts["uid"], user.uid.as_raw());
    assert_eq!(facts["gid"], user.gid.as_raw());
    assert_eq!(unitd.fetch(port, "/environment?name=GREETING").text(), "hello there");
}

/// `UNIT_ALL_MODULES_DIR` may name more runtimes than every user can load: those are run as root.
#[test]
fn several_versions_run_side_by_side() {
    let everything = std::env::var_os("UNIT_ALL_MODULES_DIR").map(PathBuf::from);
    let place = match everything.filter(|_| blackbox::is_root()) {
        Some(directory) => Place::new().with_modules(&directory).with_options(&["--user", "root"]),
        None => Place::new(),
    };
    let versions = pythons_in(place.modules_dir());
    if versions.len() < 2 {
        // No fault of the machine: it may have one version only.
        println!("runtimes of Python here: {versions:?}");
        return;
    }
    let unitd = place.start();
    let directory = unitd.application("tools");
    let mut config = json!({ "listeners": {}, "applications": {} });
    let ports: Vec<u16> = versions.iter().map(|_| unitd.port()).collect();
    for (version, port) in versions.iter().zip(&ports) {
        let name = format!("python {version}");
        config["listeners"][format!("127.0.0.1:{port}")] =
            json!({ "pass": format!("applications/{}", name.replace(' ', "%20")) });
        config["applications"][&name] =
            json!({ "type": name, "module": "tools", "path": directory });
    }
    unitd.configure(&config);
    for (version, port) in versions.iter().zip(&ports) {
        let facts = unitd.fetch(*port, "/facts").json();
        assert_eq!(facts["version"], *version);
    }
}

/// As many requests at once as there are processes: one each.
#[test]
fn requests_at_the_same_time_go_to_different_workers() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 3 }));
    let file = unitd.text_path("tmp/go");
    let target = format!("/wait?file={file}");
    let mut clients: Vec<Connection> = (0..3)
        .map(|_| {
            let mut connection = Connection::tcp(port);
            connection.send(&request("GET", &target, &[], b"")).unwrap();
            connection
        })
        .collect();
    // Each says that it began, long before any of them ends.
    wait_until("three workers have begun", LIMIT, || {
        let begun = |worker: &Process| fs::exists(format!("{file}.{}", worker.pid)).unwrap();
        unitd.workers("app").iter().filter(|worker| begun(worker)).count() == 3
    });
    assert_eq!(unitd.status("/applications/app/requests/active"), 3);
    assert_eq!(unitd.status("/applications/app/processes/idle"), 0);
    fs::write(&file, "").unwrap();
    let mut pids: Vec<String> =
        clients.iter_mut().map(|client| client.read_response().unwrap().text()).collect();
    pids.sort();
    let mut workers: Vec<String> =
        unitd.workers("app").iter().map(|worker| worker.pid.to_string()).collect();
    workers.sort();
    assert_eq!(pids, workers);
    fs::remove_dir_all(unitd.path("tmp")).unwrap();
    fs::create_dir(unitd.path("tmp")).unwrap();
}

/// A request must not wait behind a busy worker while another one is idle.
#[test]
fn n11_nobody_waits_behind_a_busy_worker() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 2 }));
    let file = unitd.text_path("go");
    // Quick ones first: they teach the scheduler that it may hand out far ahead.
    let mut quick = Connection::tcp(port);
    for _ in 0..200 {
        quick.get("/pid");
    }
    let mut busy = Connection::tcp(port);
    busy.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    wait_until("one worker is busy", LIMIT, || {
        unitd.status("/applications/app/processes/idle") == 1
    });
    let mut clients: Vec<Connection> = (0..8).map(|_| Connection::tcp(port)).collect();
    for _ in 0..20 {
        for client in &mut clients {
            client.send(&request("GET", "/pid", &[], b"")).unwrap();
        }
        for client in &mut clients {
            assert_eq!(client.read_response().unwrap().status, 200);
        }
    }
    fs::write(&file, "").unwrap();
    assert_eq!(busy.read_response().unwrap().status, 200);
}

#[test]
fn workers_start_on_demand_and_stop_when_idle() {
    need_python!();
    let processes = json!({ "max": 3, "spare": 0, "idle_timeout": 1 });
    let (unitd, port) = serving("tools", &json!({ "processes": processes }));
    assert_eq!(unitd.workers("app").len(), 0);
    let file = unitd.text_path("go");
    let mut clients: Vec<Connection> = (0..6)
        .map(|_| {
            let mut connection = Connection::tcp(port);
            let target = format!("/wait?file={file}");
            connection.send(&request("GET", &target, &[], b"")).unwrap();
            connection
        })
        .collect();
    assert_eq!(unitd.wait_for_workers("app", 3).len(), 3);
    fs::write(&file, "").unwrap();
    for client in &mut clients {
        assert_eq!(client.read_response().unwrap().status, 200);
    }
    assert_eq!(unitd.wait_for_workers("app", 0), []);
    assert_eq!(unitd.fetch(port, "/pid").status, 200);
}

#[test]
fn a_worker_is_replaced_after_its_requests() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 1, "limits": { "requests": 5 } }));
    let mut pids: Vec<String> = (0..20).map(|_| unitd.fetch(port, "/pid").text()).collect();
    let served = pids.clone();
    pids.dedup();
    assert_eq!(pids.len(), 4, "{served:?}");
}

#[test]
fn n24_a_worker_that_takes_too_long_is_replaced() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 2, "limits": { "timeout": 1 } }));
    let before = unitd.workers("app");
    unitd.expect_alert("does not end a request whose time is over, killed");
    unitd.expect_alert("exited on signal 9");
    let began = Instant::now();
    assert_eq!(unitd.fetch(port, "/sleep?seconds=600").status, 503);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // It gets a minute to come back by itself.
    wait_until("two workers are idle again", LIMIT * 4, || {
        let processes = unitd.status("/applications/app/processes");
        processes == json!({ "running": 2, "starting": 0, "idle": 2 })
    });
    let after = unitd.workers("app");
    assert_eq!(after.iter().filter(|worker| before.contains(worker)).count(), 1);
}

/// Nobody's memory grows with what a client does not read.
#[test]
fn n10_a_slow_reader_is_waited_for() {
    need_python!();
    const SIZE: usize = 100 << 20;
    const GROWTH_KIB: u64 = 24 << 10;
    let (unitd, port) = serving("tools", &json!({ "processes": 1 }));
    unitd.fetch(port, "/stream?size=1000");
    let (router, worker) = (unitd.role("router"), unitd.workers("app")[0].clone());
    let before = [router.resident_kib(), worker.resident_kib()];
    let highest = || {
        let now = [router.resident_kib(), worker.resident_kib()];
        [now[0].saturating_sub(before[0]), now[1].saturating_sub(before[1])]
    };
    let mut connection = Connection::tcp(port);
    connection.send(&request("GET", &format!("/stream?size={SIZE}"), &[], b"")).unwrap();
    let head = connection.read_head().unwrap();
    assert_eq!(head.field("Transfer-Encoding"), Some("chunked"));
    // Nothing is read until nothing moves any more.
    let mut still = (highest(), Instant::now());
    wait_until("the application waits for its reader", LIMIT, || {
        let now = highest();
        if now != still.0 {
            still = (now, Instant::now());
        }
        still.1.elapsed() > Duration::from_millis(500)
    });
    assert!(still.0.iter().all(|growth| *growth < GROWTH_KIB), "KiB while waiting: {:?}", still.0);
    let mut at = 0;
    let mut peak = still.0;
    loop {
        let size = connection.read_chunk_size().unwrap();
        if size == 0 {
            break;
        }
        let chunk = connection.read_exactly(size + 2).unwrap();
        assert!(chunk[..size] == pattern(at, size), "chunk at {at}");
        at += size;
        let now = highest();
        peak = [peak[0].max(now[0]), peak[1].max(now[1])];
    }
    assert_eq!(at, SIZE);
    assert!(peak.iter().all(|growth| *growth < GROWTH_KIB), "KiB while reading: {peak:?}");
}

#[test]
fn streams_of_known_length_arrive_whole() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 2 }));
    let mut connection = Connection::tcp(port);
    for (size, block) in
        [(1, 1), (3000, 7), (100_000, 1000), (5 << 20, 1 << 20), (8 << 20, 8 << 20)]
    {
        for fields in [&["X-Length: yes"][..], &[]] {
            let target = format!("/stream?size={size}&block={block}");
            let response = connection.ask(&request("GET", &target, fields, b""));
            assert!(response.body == pattern(0, size), "{size} by {block}");
        }
    }
    unitd.log().wait("stream closed");
}

/// Clients that leave, in each phase of a request: every slot comes back.
#[test]
fn n7_clients_that_leave_cost_no_worker() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 2 }));
    let workers = unitd.workers("app");
    let file = unitd.text_path("go");
    unitd.fetch(port, "/pid");
    let router = unitd.role("router");
    let before = router.descriptors();
    let get = |target: &str| request("GET", target, &[], b"");
    let phases: [(&str, Vec<u8>, usize); 6] = [
        ("in the head", b"GET /pid HT".to_vec(), 0),
        ("in the body", b"POST /sum HTTP/1.1\r\nContent-Length: 9\r\n\r\n123".to_vec(), 0),
        ("before the answer", get("/pid"), 0),
        ("while it waits", get(&format!("/wait?file={file}")), 0),
        ("after the head", get("/stream?size=1000000000"), 1),
        ("in the answer", get("/stream?size=1000000000"), 1_000_000),
    ];
    for (phase, bytes, read) in &phases {
        println!("clients leave {phase}");
        let seen = unitd.status("/requests/total").as_u64().unwrap();
        for _ in 0..5 {
            let mut connection = Connection::tcp(port);
            connection.send(bytes).unwrap();
            if *read > 0 {
                connection.read_exactly(*read).unwrap();
            }
        }
        // A request may be read long after its client has left.
        wait_until("all requests have begun", LIMIT, || {
            unitd.status("/requests/total").as_u64().unwrap() == seen + 5
        });
        fs::write(&file, "").unwrap();
        wait_until("both workers are idle again", LIMIT, || {
            let application = unitd.status("/applications/app");
            application["processes"]["idle"] == 2 && application["requests"]["active"] == 0
        });
        fs::remove_file(&file).unwrap();
    }
    // Both serve, at the same time, and they are the same as before.
    let mut pair = [Connection::tcp(port), Connection::tcp(port)];
    for connection in &mut pair {
        connection.send(&get("/sleep?seconds=0.2")).unwrap();
    }
    for connection in &mut pair {
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    drop(pair);
    assert_eq!(unitd.workers("app"), workers);
    wait_until("every connection is closed", LIMIT, || {
        unitd.status("/connections/active") == 0 && unitd.status("/connections/idle") == 0
    });
    wait_until("the descriptors are as before", LIMIT, || router.descriptors() <= before);
}

/// Large heads from several workers at once: each answer is its own, in its order.
#[test]
fn n15_answers_at_the_same_time_stay_apart() {
    need_python!();
    let (_unitd, port) = serving("tools", &json!({ "processes": 3 }));
    thread::scope(|scope| {
        for client in 0..9 {
            scope.spawn(move || {
                let mut connection = Connection::tcp(port);
                for round in 0..20 {
                    let mark = format!("mark-{client}-{round}");
                    let (count, size) = (1 + (client * 7 + round) % 20, 1 + (round * 211) % 3000);
                    let target = format!("/fields?count={count}&size={size}");
                    let field = format!("X-Mark: {mark}");
                    let response = connection.ask(&request("GET", &target, &[&field], b""));
                    for at in 0..count {
                        let wanted = format!("{mark}-{at}-").repeat(size)[..size].to_owned();
                        let name = format!("X-Field-{at}");
                        assert_eq!(response.all(&name), [wanted], "{target}");
                    }
                    assert_eq!(response.text(), format!("{mark}|{}", mark.repeat(2000)));
                }
            });
        }
    });
}

/// An application that cannot start refuses the configuration; what runs is not touched.
#[test]
fn n23_an_application_that_does_not_start_harms_no_other() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 2 }));
    let other = unitd.port();
    let directory = unitd.application("targets");
    unitd.write("apps/targets/broken.py", "def application(:\n");
    let before = (unitd.get("/config").text, unitd.workers("app"));
    let stored = fs::read(unitd.path("state/conf.json")).unwrap();
    for (more, alert) in [
        (json!({ "module": "no_such" }), r#"Python failed to import module "no_such""#),
        (json!({ "module": "broken" }), r#"Python failed to import module "broken""#),
        (
            json!({ "module": "targets", "callable": "none" }),
            r#"Python failed to get "none" from module "targets""#,
        ),
        (
            json!({ "module": "targets", "callable": "not_callable" }),
            r#""not_callable" in module "targets" is not a callable object"#,
        ),
        (
            json!({ "module": "targets", "user": "no-such-user" }),
            r#"getpwnam("no-such-user") failed, user "no-such-user" not found"#,
        ),
    ] {
        let mark = unitd.log().len();
        unitd.expect_alert(alert);
        unitd.expect_alert("failed to apply new conf");
        let mut config = unitd.config("");
        let mut broken = json!({ "type": "python", "path": directory, "processes": 1 });
        broken.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config["applications"]["broken"] = broken;
        config["listeners"][format!("127.0.0.1:{other}")] =
            json!({ "pass": "applications/broken" });
        let began = Instant::now();
        let answer = unitd.put("/config", &config);
        assert_eq!(answer.status, 500, "{more}: {}", answer.text);
        assert_eq!(answer.json()["error"], "Failed to apply new configuration.");
        assert!(began.elapsed() < Duration::from_secs(15), "{more}: {:?}", began.elapsed());
        let written = unitd.log().text_after(mark);
        assert_eq!(written.matches(alert).count(), 1, "{more}: {written}");
        assert_eq!(written.matches("failed to apply new conf").count(), 1, "{more}: {written}");
        assert_eq!((unitd.get("/config").text, unitd.workers("app")), before, "{more}");
        assert_eq!(fs::read(unitd.path("state/conf.json")).unwrap(), stored, "{more}");
        assert_eq!(unitd.fetch(port, "/pid").status, 200);
        assert!(Connection::try_tcp(other).is_err(), "{more}");
        wait_until("nothing of it is left", LIMIT, || {
            unitd.titled("unit: \"broken\" prototype").is_empty()
                && unitd.workers("broken").is_empty()
        });
    }
}

/// Without processes started ahead, the failure shows when a request comes, and only there.
#[test]
fn n11_requests_to_what_does_not_start_are_answered() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({}));
    let other = unitd.port();
    unitd.expect_alert("Python failed to import module \"no_such\"");
    unitd
        .put(
            "/config/applications/late",
            json!({ "type": "python", "module": "no_such", "processes": { "spare": 0 } }),
        )
        .expect_success();
    unitd
        .put(
            &format!("/config/listeners/127.0.0.1:{other}"),
            json!({ "pass": "applications/late" }),
        )
        .expect_success();
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(unitd.fetch(other, "/").status, 503));
        }
    });
    assert_eq!(unitd.fetch(port, "/pid").status, 200);
    assert_eq!(unitd.status("/applications/late/requests/active"), 0);
    unitd.log().wait(r#"\[warn\] .*failed to start (application|prototype) "late""#);
}

/// Processes start beside each other, not one after the other.
#[test]
fn n25_many_slow_workers_start_at_the_same_time() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let config = configuration(&unitd, port, "hello", &json!({ "processes": 12 }));
    let source = fs::read_to_string(unitd.path("apps/hello/hello.py")).unwrap();
    unitd.write("apps/hello/hello.py", format!("import time\ntime.sleep(1)\n{source}"));
    let began = Instant::now();
    unitd.configure(&config);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?} for twelve that take a second each");
    assert_eq!(unitd.workers("app").len(), 12);
    assert_eq!(unitd.status("/applications/app/processes/running"), 12);
}

#[test]
fn a_killed_worker_in_the_middle_of_a_request_is_503() {
    need_python!();
    let (unitd, port) = serving("tools", &json!({ "processes": 1 }));
    unitd.expect_alert("exited on signal 9");
    let worker = unitd.workers("app")[0].clone();
    let file = unitd.text_path("go");
    let mut connection = Connection::tcp(port);
    connection.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    wait_until("the worker has begun", LIMIT, || {
        fs::exists(format!("{file}.{}", worker.pid)).unwrap()
    });
    worker.signal(Signal::SIGKILL);
    assert_eq!(connection.read_response().unwrap().status, 503);
    // The connection lives on, and another worker serves.
    assert_eq!(connection.get("/pid").status, 200);
}
