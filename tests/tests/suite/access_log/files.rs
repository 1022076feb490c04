//! The file: who opens it, what happens when it cannot be, and when it takes nothing.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use blackbox::{Connection, Place, request, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{LIMIT, Logging};

#[test]
fn the_file_is_private_and_appended_to() {
    let logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
    assert_eq!(fs::metadata(&logging.path).unwrap().mode() & 0o7777, 0o600);
    let other = logging.unitd.write("other.log", "before\n");
    logging.unitd.put("/config/access_log/path", json!(other)).expect_success();
    logging.visit("/x");
    assert_eq!(fs::read_to_string(other).unwrap(), "before\n/x\n");
    assert_eq!(logging.text(), "");
}

#[test]
fn a_file_that_cannot_be_opened_refuses_the_configuration() {
    let logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
    let before = logging.unitd.config("");
    let nowhere = logging.unitd.text_path("nowhere/access.log");
    let directory = logging.unitd.text_path("");
    for (path, error) in [
        (nowhere.as_str(), "2: No such file or directory"),
        (directory.as_str(), "21: Is a directory"),
    ] {
        let text = format!("open(\"{path}\") failed ({error})");
        logging.unitd.expect_alert("failed to apply new conf");
        for body in [json!(path), json!({ "path": path })] {
            let answer = logging.unitd.put("/config/access_log", body);
            assert_eq!(answer.status, 500, "{}", answer.text);
            assert_eq!(answer.json()["error"], "Failed to apply new configuration.");
            assert_eq!(answer.detail(), text);
        }
        let line = format!(r"\[error\] .*{}$", regex::escape(&text));
        assert_eq!(logging.unitd.log().count(&line), 2, "{line}");
    }
    assert_eq!(logging.unitd.config(""), before);
    Connection::tcp(logging.port).get("/x");
    assert_eq!(logging.entries(1), ["/x"]);
}

/// It is found out whether it could be opened, and with the same outcome.
#[test]
fn a_dry_run_makes_no_file() {
    let logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
    let path = logging.unitd.path("new.log");
    let tried = logging.unitd.put("/config/access_log?dry_run", json!(path)).expect_success();
    assert_eq!(tried.json(), json!({ "success": "Configuration is valid." }));
    assert!(!path.exists());
    for name in ["nowhere/access.log", "access.log/x", ""] {
        let path = logging.unitd.path(name);
        logging.unitd.expect_alert("failed to apply new conf");
        let tried = logging.unitd.put("/config/access_log?dry_run", json!(path));
        let real = logging.unitd.put("/config/access_log", json!(path));
        assert_eq!((tried.status, real.status), (500, 500), "{name}");
        assert_eq!(tried.detail(), real.detail());
    }
    // One that is there is not written to either.
    let other = logging.unitd.write("other.log", "");
    logging.unitd.put("/config/access_log?dry_run", json!(other)).expect_success();
    logging.visit("/x");
    assert_eq!(logging.entries(1), ["/x"]);
    assert_eq!(fs::read(other).unwrap(), b"");
    logging.unitd.put("/config/access_log/path", json!(path)).expect_success();
    logging.visit("/y");
    assert_eq!(fs::read(&path).unwrap(), b"/y\n");
}

/// A daemon whose stored configuration names a log in the missing directory `logs`.
fn start_without_the_directory() -> Logging {
    let place = Place::new();
    let port = place.port();
    let path = place.path("logs/access.log");
    let config = json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 200 } }],
        "access_log": { "path": path, "format": "$uri" },
    });
    place.write("state/conf.json", config.to_string());
    place.write("state/version", "20000");
    let unitd = place.start();
    let text = format!(
        "the previous configuration is served in part: requests are not logged: open(\"{}\") \
         failed (2: No such file or directory)",
        path.display()
    );
    unitd.expect_alert(&text);
    unitd.log().wait(&regex::escape(&text));
    Logging { unitd, port, path }
}

/// It is said, and put right by a rotation.
#[test]
fn a_stored_configuration_is_served_without_its_log() {
    let logging = start_without_the_directory();
    let Logging { unitd, port, path } = &logging;
    assert_eq!(unitd.fetch(*port, "/1").status, 200);
    unitd.expect_alert("is not reopened: open(");
    unitd.signal(Signal::SIGUSR1);
    unitd.log().wait(&format!(
        r#"\[alert\] .*access log "{}" is not reopened: open\("{0}"\) failed \(2: No such file or directory\)$"#,
        path.display()
    ));
    fs::create_dir(unitd.path("logs")).unwrap();
    unitd.signal(Signal::SIGUSR1);
    wait_until("the log", LIMIT, || path.exists());
    wait_until("an entry", LIMIT, || {
        unitd.fetch(*port, "/2");
        logging.text().contains("/2\n")
    });
    assert!(!logging.text().contains("/1"));
}

/// A change is refused for as long as it cannot be, and then opens it.
#[test]
fn a_log_that_was_missing_at_the_start_is_opened_by_a_change() {
    let logging = start_without_the_directory();
    let log = json!({ "path": logging.path, "format": "new $uri" });
    logging.unitd.expect_alert("failed to apply new conf");
    let answer = logging.unitd.put("/config/access_log", &log);
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert_eq!(
        answer.detail(),
        format!("open(\"{}\") failed (2: No such file or directory)", logging.path.display())
    );
    fs::create_dir(logging.unitd.path("logs")).unwrap();
    logging.unitd.put("/config/access_log", &log).expect_success();
    logging.visit("/x");
    assert_eq!(logging.entries(1), ["new /x"]);
    // It is a file like others from now on.
    let renamed = logging.unitd.path("logs/renamed");
    fs::rename(&logging.path, &renamed).unwrap();
    logging.unitd.signal(Signal::SIGUSR1);
    wait_until("the new file", LIMIT, || logging.path.exists());
    wait_until("an entry in it", LIMIT, || {
        logging.visit("/y");
        logging.text().contains("new /y\n")
    });
}

/// A disk that is full, for ever.
#[test]
fn a_full_disk_fails_no_request_and_is_told_once() {
    let logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
    logging.unitd.put("/config/access_log/path", json!("/dev/full")).expect_success();
    logging.unitd.expect_alert("write(\"/dev/full\") failed (28: No space left on device)");
    let mut connection = Connection::tcp(logging.port);
    for _ in 0..500 {
        assert_eq!(connection.get("/x").status, 200);
    }
    for _ in 0..20 {
        let closing = request("GET", "/y", &["Connection: close"], b"");
        assert_eq!(Connection::tcp(logging.port).ask(&closing).status, 200);
    }
    assert_eq!(logging.unitd.log().count("write\\(\"/dev/full\"\\) failed"), 1);
    // Elsewhere there is room.
    logging.unitd.expect_alert("access log \"/dev/full\" takes no more, entries are lost");
    logging.unitd.put("/config/access_log/path", json!(logging.path)).expect_success();
    connection.get("/z");
    wait_until("the entry", LIMIT, || logging.text() == "/z\n");
    // What is left behind is tried for a while longer.
    let lost = r#"\[notice\] .*access log "/dev/full" is closed, 520 entries were lost$"#;
    logging.unitd.log().wait(lost);
}

#[test]
fn a_pipe_is_written_to_as_far_as_it_takes_and_nobody_waits_for_its_reader() {
    // Each loop has entries of its own, which wait for themselves.
    let one_loop = json!({ "settings": { "listen_threads": 1 } });
    let logging = Logging::with(&json!({ "format": "$request_uri" }), &one_loop);
    let pipe = logging.unitd.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Nobody reads it: that is a mistake like any other.
    logging.unitd.expect_alert("failed to apply new conf");
    let answer = logging.unitd.put("/config/access_log/path", json!(pipe));
    assert_eq!(
        answer.detail(),
        format!("open(\"{}\") failed (6: No such device or address)", pipe.display())
    );
    let open = || File::options().read(true).write(true).open(&pipe).unwrap();
    let reader = open();
    logging.unitd.put("/config/access_log/path", json!(pipe)).expect_success();
    // A megabyte, of which a pipe takes 64 KiB.
    logging.unitd.expect_alert("takes no more, entries are lost");
    let mut connection = Connection::tcp(logging.port);
    for number in 0..2000 {
        let target = format!("/{number:04}/{}", "x".repeat(500));
        assert_eq!(connection.get(&target).status, 200);
    }
    assert_eq!(logging.unitd.log().count("takes no more, entries are lost"), 1);
    let mut lines = BufReader::new(reader).lines();
    let mut seen = Vec::new();
    loop {
        let line = lines.next().unwrap().unwrap();
        assert_eq!(line.len(), 506, "{line}");
        let number: u32 = line[1..5].parse().unwrap();
        if number == 9999 {
            break;
        }
        seen.push(number);
        if seen.len() == 100 {
            // There is room again.
            let target = format!("/9999/{}", "x".repeat(500));
            connection.get(&target);
        }
    }
    assert!(seen.is_sorted() && seen.len() >= 500 && seen[0] == 0, "{}", seen.len());
    drop(lines);
    // It has gone, and another one comes.
    logging.unitd.expect_alert("failed (32: Broken pipe)");
    for _ in 0..10 {
        assert_eq!(connection.get("/gone").status, 200);
    }
    let mut lines = BufReader::new(open()).lines();
    connection.get("/again");
    wait_until("the entry", LIMIT, || lines.next().unwrap().unwrap() == "/again");
}

/// A pipe with a name that the test can read, when it likes.
struct Pipe {
    path: PathBuf,
    reader: File,
}

impl Pipe {
    fn new(path: PathBuf) -> Self {
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut options = File::options();
        let reader = options.read(true).write(true).custom_flags(nix::libc::O_NONBLOCK);
        let reader = reader.open(&path).unwrap();
        Self { path, reader }
    }

    /// All lines, once there are so many.
    #[track_caller]
    fn lines(&mut self, count: usize) -> Vec<String> {
        let mut content = Vec::new();
        wait_until(&format!("{count} lines"), LIMIT, || {
            // Empty for now is no end, but an error.
            let _ = self.reader.read_to_end(&mut content);
            content.iter().filter(|octet| **octet == b'\n').count() >= count
        });
        let lines: Vec<String> =
            String::from_utf8(content).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count);
        lines
    }
}

/// What waits for a slow reader is not lost because later entries go elsewhere, be they of requests
/// that began before or after the change.
#[test]
fn a_slow_pipe_that_is_left_gets_what_waits_for_it() {
    let logging = Logging::with(&json!({ "format": "$request_uri" }), &json!({}));
    let mut pipe = Pipe::new(logging.unitd.path("pipe"));
    logging.unitd.put("/config/access_log/path", json!(pipe.path)).expect_success();
    let mut connection = Connection::tcp(logging.port);
    for number in 0..300 {
        let target = format!("/{number:04}/{}", "x".repeat(500));
        assert_eq!(connection.get(&target).status, 200);
    }
    // One that begins before the change and ends after it, between others.
    let mut before = Connection::tcp(logging.port);
    before.send(b"GET /0300 HTTP/1.1\r\nHost: h").unwrap();
    wait_until("it began", LIMIT, || logging.unitd.status("/connections/active") == 1);
    logging.unitd.put("/config/access_log/path", json!(logging.path)).expect_success();
    connection.get("/1");
    before.send(b"\r\n\r\n").unwrap();
    assert_eq!(before.read_response().unwrap().status, 200);
    connection.get("/2");
    assert_eq!(logging.entries(2), ["/1", "/2"]);
    let lines = pipe.lines(301);
    let mut seen: Vec<u32> = lines.iter().map(|line| line[1..5].parse().unwrap()).collect();
    // Each loop has entries of its own.
    seen.sort_unstable();
    assert_eq!(seen, (0..=300).collect::<Vec<_>>());
    assert_eq!(logging.unitd.log().count("entries (are|were) lost"), 0);
    wait_until("the pipe is closed", LIMIT, || {
        let open = logging.unitd.role("router").descriptor_names();
        !open.iter().any(|name| name.ends_with("/pipe"))
    });
}

/// A client that leaves in the middle of an answer waits for no log, nor does anybody else, and its
/// entry is there once somebody reads.
#[test]
fn an_answer_that_is_cut_short_is_logged_to_a_pipe_that_nobody_reads_yet() {
    let logging = Logging::with(
        &json!({ "format": "$request_uri $status $body_bytes_sent" }),
        &json!({ "settings": { "listen_threads": 1 } }),
    );
    let large = logging.unitd.sparse("www/large.bin", 200_000_000);
    let routes = json!([
        { "match": { "uri": "/large" }, "action": { "share": large } },
        { "action": { "return": 200 } },
    ]);
    logging.unitd.put("/config/routes", routes).expect_success();
    let mut pipe = Pipe::new(logging.unitd.path("pipe"));
    logging.unitd.put("/config/access_log/path", json!(pipe.path)).expect_success();
    // More than the pipe takes.
    let mut connection = Connection::tcp(logging.port);
    for number in 0..200 {
        let target = format!("/{number}/{}", "x".repeat(500));
        assert_eq!(connection.get(&target).status, 200);
    }
    for _ in 0..3 {
        let mut leaving = Connection::tcp(logging.port);
        leaving.send(&request("GET", "/large", &[], b"")).unwrap();
        assert_eq!(leaving.read_head().unwrap().status, 200);
        drop(leaving);
        assert_eq!(connection.get("/after").status, 200);
    }
    wait_until("the requests have ended", LIMIT, || {
        logging.unitd.status("/connections/active") == 0
    });
    let router = logging.unitd.role("router");
    wait_until("the router rests", LIMIT, || {
        let ticks = router.cpu_ticks();
        std::thread::sleep(Duration::from_millis(500));
        router.cpu_ticks() - ticks < 5
    });
    let lines = pipe.lines(206);
    let cut: Vec<u64> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("/large 200 "))
        .map(|octets| octets.parse().unwrap())
        .collect();
    assert!(cut.len() == 3 && cut.iter().all(|octets| *octets < 200_000_000), "{cut:?}");
    assert_eq!(lines.iter().filter(|line| *line == "/after 200 0").count(), 3);
    assert_eq!(logging.unitd.log().count("entries (are|were) lost"), 0);
}
