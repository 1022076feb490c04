//! The lines of the log that tools and tests look for, each with its level and the process that
//! writes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use blackbox::{Place, Unitd, need_python, need_root, pythons, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// A line as it stands in the log: stamp, level, pid, thread, text.
fn line(level: &str, pid: &str, text: &str) -> String {
    format!(r"^\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[{level}\] {pid}#\d+ {text}$")
}

/// That there is exactly so often such a line.
#[track_caller]
fn expect(unitd: &Unitd, count: usize, level: &str, pid: &str, text: &str) {
    let pattern = line(level, pid, text);
    // A line of a process that is ending may come a little later.
    wait_until(&format!("{count} of {pattern}"), LIMIT, || unitd.log().count(&pattern) >= count);
    assert_eq!(unitd.log().count(&pattern), count, "{pattern}\n{}", unitd.log().text());
}

#[test]
fn the_life_of_a_daemon_is_told_in_the_words_that_tools_know() {
    need_python!();
    let unitd = Unitd::start();
    let (directory, port) = (unitd.application("hello"), unitd.port());
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/the app" } },
        "applications": {
            "the app": { "type": "python", "module": "hello", "path": directory, "processes": 1 },
        },
    }));
    unitd.expect_alert("exited on signal 9");
    let main = unitd.pid().to_string();
    let router = unitd.role("router");
    let discovery = unitd.log().wait(r"(\d+)#\d+ discovery started");
    let runtime = regex::escape(unitd.modules_dir().to_str().unwrap());
    let prototype = unitd.titled("unit: \"the app\" prototype")[0].clone();
    let worker = unitd.workers("the app")[0].clone();
    worker.signal(Signal::SIGKILL);
    let prototype_pid = prototype.pid.to_string();
    let table = [
        (1, "info", main.as_str(), r"unit 2\.0\.0 started".to_owned()),
        (1, "info", &discovery, "discovery started".to_owned()),
        (
            pythons().len(),
            "notice",
            &discovery,
            format!(r#"module: python 3\.\d+\.\d+\S* "{runtime}/python3\.\d+\.unit""#),
        ),
        (1, "notice", &main, format!("process {discovery} exited with code 0")),
        (1, "info", &main, "controller started".to_owned()),
        (1, "info", &router.pid.to_string(), "router started".to_owned()),
        (1, "info", &prototype_pid, r#""the app" prototype started"#.to_owned()),
        (1, "info", &worker.pid.to_string(), r#""the app" application started"#.to_owned()),
        (1, "alert", &prototype_pid, format!("app process {} exited on signal 9", worker.pid)),
        (2, "info", r"\d+", r#""the app" application started"#.to_owned()),
    ];
    for (count, level, pid, text) in &table {
        expect(&unitd, *count, level, pid, text);
    }
    // A router that dies is started again, and says so again.
    router.signal(Signal::SIGKILL);
    expect(&unitd, 1, "alert", &main, &format!("process {} exited on signal 9", router.pid));
    expect(&unitd, 2, "info", r"\d+", "router started");
    expect(&unitd, 1, "notice", &main, &format!("process {} exited with code 0", prototype.pid));
    // A worker that ends as it was told to is none that died.
    unitd.get("/control/applications/the%20app/restart").expect_success();
    expect(&unitd, 1, "notice", r"\d+", r"app process \d+ exited with code 0");
    // Signals that mean nothing.
    for (signal, number, name) in [(Signal::SIGHUP, 1, "SIGHUP"), (Signal::SIGUSR2, 12, "SIGUSR2")]
    {
        unitd.signal(signal);
        let text = format!(r"signal signo:{number} \({name}\) received, ignored");
        expect(&unitd, 1, "notice", &main, &text);
    }
    unitd.signal(Signal::SIGUSR1);
    // The file is where it was, so it is the same one.
    expect(&unitd, 1, "notice", &main, r"signal 10 \(SIGUSR1\) received, log files rotation");
}

#[test]
fn refused_configurations_are_told_in_the_words_that_tools_know() {
    need_python!();
    need_root!();
    let unitd = Unitd::start();
    let directory = unitd.application("hello");
    let (main, router) = (unitd.pid().to_string(), unitd.role("router").pid.to_string());
    let listen = |address: &str| {
        json!({ "listeners": { address: { "pass": "routes" } }, "routes": [] }).to_string()
    };
    let application = |members: serde_json::Value| {
        let mut app =
            json!({ "type": "python", "module": "hello", "path": directory, "processes": 1 });
        app.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({ "applications": { "app": app } }).to_string()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    // The backslashes are in the file.
    let bind = |address: &str, why: &str| {
        format!(r#"bind\(\\"{}\\"\) failed \({why}\)"#, regex::escape(address))
    };
    unitd.expect_alert("failed to apply new conf");
    let missing = unitd.text_path("none/socket");
    let table = [
        (
            listen(&address.to_string()),
            "alert",
            main.as_str(),
            bind(&address.to_string(), "98: Address already in use"),
        ),
        (
            listen("192.0.2.1:80"),
            "alert",
            &main,
            bind("192.0.2.1:80", "99: Cannot assign requested address"),
        ),
        (
            listen(&format!("unix:{missing}")),
            "alert",
            &main,
            bind(&format!("unix:{missing}"), "2: No such file or directory"),
        ),
        (
            application(json!({ "module": "no_such" })),
            "alert",
            r"\d+",
            r#"(?:\[unit\] )?Python failed to import module "no_such""#.to_owned(),
        ),
        (
            application(json!({ "user": "no-such-user" })),
            "alert",
            &main,
            r#"getpwnam\("no-such-user"\) failed, user "no-such-user" not found"#.to_owned(),
        ),
        (
            application(json!({ "group": "no-such-group" })),
            "alert",
            &main,
            r#"getgrnam\("no-such-group"\) failed, group "no-such-group" not found"#.to_owned(),
        ),
    ];
    for (done, (config, level, pid, text)) in (1..).zip(&table) {
        unitd.expect_alert("bind(");
        unitd.expect_alert("no-such");
        unitd.expect_alert("no_such");
        assert_eq!(unitd.put("/config", config).status, 500, "{config}");
        expect(&unitd, 1, level, pid, text);
        expect(&unitd, done, "alert", &router, "failed to apply new conf");
    }
    for text in [r#"failed to start prototype "app""#, r#"failed to start application "app""#] {
        wait_until(text, LIMIT, || unitd.log().count(&line("warn", &router, text)) > 0);
    }
}

#[test]
fn a_store_that_fails_is_told_in_the_words_that_tools_know() {
    let unitd = Unitd::start();
    fs::create_dir_all(unitd.path("state/conf.json.tmp/x")).unwrap();
    unitd.expect_alert("conf.json.tmp");
    unitd.expect_alert("failed to store current configuration");
    assert_eq!(unitd.put("/config", json!({ "listeners": {} })).status, 500);
    let main = unitd.pid().to_string();
    expect(&unitd, 1, "alert", &main, "failed to store current configuration");
    fs::remove_dir_all(unitd.path("state/conf.json.tmp")).unwrap();
}

/// Two runtimes of one version: the second is superfluous.
#[test]
fn modules_that_are_not_used_are_told() {
    need_python!();
    let place = Place::new();
    let runtime =
        fs::read(blackbox::modules_dir().join(format!("python{}.unit", blackbox::pythons()[0])))
            .unwrap();
    for name in ["a", "b"] {
        let file = place.write(&format!("modules/{name}.unit"), &runtime);
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let directory = place.path("modules");
    let text = directory.display().to_string();
    let unitd = place.with_modules(&directory).start();
    let main = unitd.pid().to_string();
    expect(
        &unitd,
        1,
        "notice",
        &main,
        &format!(
            r"ignoring {text}/b\.unit module with the same application language version python \S+ as in {text}/a\.unit"
        ),
    );
}

#[test]
fn a_daemon_that_may_not_choose_users_says_so() {
    need_root!();
    let Some(setpriv) = blackbox::program("setpriv") else {
        blackbox::skip!("no setpriv");
    };
    let place = Place::new();
    let unitd = place.bare_command();
    let mut command = std::process::Command::new(setpriv);
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]);
    command.arg(unitd.get_program()).args(unitd.get_args());
    // It fails after having said so.
    command.args(["--log", "/nonexistent/unit.log"]);
    let output = blackbox::run(command);
    let said = String::from_utf8(output.stderr).unwrap();
    let line = regex::Regex::new(&format!(
        "(?m){}",
        line(
            "warn",
            r"\d+",
            r"Unit is running unprivileged, then it cannot use arbitrary user and group\."
        )
    ))
    .unwrap();
    assert!(line.is_match(&said), "{said}");
    assert_eq!(output.status.code(), Some(1));
}
