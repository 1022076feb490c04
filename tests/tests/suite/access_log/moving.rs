//! The log under reconfigurations and rotations: no entry is lost, doubled or torn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use blackbox::{Connection, need_python, request, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{LIMIT, Logging};

/// Clients whose every request has a number of its own.
struct Numbered {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    threads: Vec<JoinHandle<u64>>,
}

impl Numbered {
    fn start(port: u16, clients: usize) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..clients)
            .map(|client| {
                let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
                thread::spawn(move || {
                    let mut sent = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let mut connection = Connection::tcp(port);
                        for _ in 0..100 {
                            let response = connection.get(&format!("/?n={client}-{sent}-end"));
                            assert_eq!(response.status, 200);
                            sent += 1;
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    sent
                })
            })
            .collect();
        Self { stop, count, threads }
    }

    fn wait_for_more(&self, count: u64) {
        let goal = self.count.load(Ordering::Relaxed) + count;
        wait_until("requests", LIMIT, || self.count.load(Ordering::Relaxed) >= goal);
    }

    /// The names of all requests.
    fn stop(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut names = Vec::new();
        for (client, thread) in self.threads.drain(..).enumerate() {
            let sent = thread.join().unwrap();
            names.extend((0..sent).map(|number| format!("{client}-{number}-end")));
        }
        names
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Each request is in one of the files, once, in an entry that is whole.
#[track_caller]
fn expect_each_once(names: &[String], files: &[PathBuf], start: fn(&str) -> Option<&str>) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{} is torn", file.display());
        for line in text.lines() {
            let name = start(line).unwrap_or_else(|| panic!("{line}"));
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    for name in names {
        assert_eq!(counts.get(name), Some(&1), "{name}");
    }
    assert_eq!(counts.len(), names.len());
}

fn total_lines(files: &[PathBuf]) -> usize {
    let read = |file: &PathBuf| fs::read_to_string(file).unwrap_or_default();
    files.iter().map(|file| read(file).lines().count()).sum()
}

#[test]
fn rotations_under_load_lose_and_double_nothing() {
    let logging = Logging::with(
        &json!({ "format": "$arg_n $status" }),
        &json!({ "settings": { "listen_threads": 3 } }),
    );
    let load = Numbered::start(logging.port, 6);
    let mut files = Vec::new();
    for round in 0..20 {
        let old = logging.unitd.path(format!("access.log.{round}"));
        fs::rename(&logging.path, &old).unwrap();
        files.push(old);
        logging.unitd.signal(Signal::SIGUSR1);
        wait_until("the new log is in use", LIMIT, || {
            fs::metadata(&logging.path).is_ok_and(|metadata| metadata.len() > 0)
        });
        load.wait_for_more(200);
    }
    let names = load.stop();
    files.push(logging.path.clone());
    wait_until("all entries", LIMIT, || total_lines(&files) >= names.len());
    expect_each_once(&names, &files, |line| line.strip_suffix(" 200"));
    // Nobody holds an old file.
    wait_until("old files are closed", LIMIT, || {
        let open = logging.unitd.role("router").descriptor_names();
        let logs = open.iter().filter(|name| name.contains("access.log")).count();
        logs == 1
    });
}

#[test]
fn reconfigurations_under_load_lose_and_double_nothing() {
    let logging = Logging::with(
        &json!({ "format": "$arg_n" }),
        &json!({ "settings": { "listen_threads": 3 } }),
    );
    let load = Numbered::start(logging.port, 6);
    let files: Vec<PathBuf> =
        (0..3).map(|number| logging.unitd.path(format!("log.{number}"))).collect();
    logging.unitd.put("/config/access_log/path", json!(files[0])).expect_success();
    for round in 0..30 {
        let log = json!({
            "path": files[round % 3],
            "format": if round % 2 == 0 { json!("$arg_n") } else { json!({ "n": "$arg_n" }) },
        });
        logging.unitd.put("/config/access_log", log).expect_success();
        load.wait_for_more(50);
    }
    let names = load.stop();
    let files: Vec<PathBuf> = files.into_iter().chain([logging.path.clone()]).collect();
    wait_until("all entries", LIMIT, || total_lines(&files) >= names.len());
    expect_each_once(&names, &files, |line| {
        Some(line.trim_start_matches(r#"{"n":""#).trim_end_matches(r#""}"#))
    });
}

/// Nobody opens it again unless asked to: what was renamed is still written to.
#[test]
fn a_path_that_stays_keeps_its_descriptor() {
    let logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
    let mut connection = Connection::tcp(logging.port);
    let renamed = logging.unitd.path("renamed.log");
    fs::rename(&logging.path, &renamed).unwrap();
    logging.unitd.put("/config/access_log/format", json!("<$uri>")).expect_success();
    connection.get("/1");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    wait_until("the entry", LIMIT, || read(&renamed) == "</1>\n");
    assert!(!logging.path.exists());
    logging.unitd.signal(Signal::SIGUSR1);
    wait_until("the new log", LIMIT, || logging.path.exists());
    wait_until("entries go to the new log", LIMIT, || {
        connection.get("/2");
        logging.text().contains("</2>")
    });
    // Without a log there is none.
    logging.unitd.delete("/config/access_log").expect_success();
    let before = logging.text();
    connection.ask(&request("GET", "/3", &["Connection: close"], b""));
    connection.expect_close();
    assert_eq!(logging.text(), before);
    wait_until("it is closed", LIMIT, || {
        let open = logging.unitd.role("router").descriptor_names();
        !open.iter().any(|name| name.ends_with("access.log"))
    });
}

#[test]
fn a_request_is_logged_by_the_configuration_it_began_with() {
    need_python!();
    let logging = Logging::with_everything(&json!("old $uri"), &json!({}));
    let (file, other) = (logging.unitd.text_path("go"), logging.unitd.path("other.log"));
    let mut waiting = Connection::tcp(logging.port);
    waiting.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    let mut half = Connection::tcp(logging.port);
    half.send(b"GET /ok HTTP/1.1\r\nHost: h").unwrap();
    wait_until("both began", LIMIT, || logging.unitd.status("/connections/active") == 2);
    let log = json!({ "path": other, "format": "new $uri" });
    logging.unitd.put("/config/access_log", log).expect_success();
    // In between, the first file is renamed: it is the one of requests in progress.
    let renamed = logging.unitd.path("renamed.log");
    fs::rename(&logging.path, &renamed).unwrap();
    logging.unitd.signal(Signal::SIGUSR1);
    wait_until("both are reopened", LIMIT, || logging.path.exists());
    half.send(b"\r\n\r\n").unwrap();
    assert_eq!(half.read_response().unwrap().status, 200);
    assert_eq!(logging.entries(1), ["old /ok"]);
    half.get("/ok");
    wait_until("the new log", LIMIT, || fs::read_to_string(&other).unwrap() == "new /ok\n");
    fs::write(&file, "").unwrap();
    waiting.read_response().unwrap();
    assert_eq!(logging.entries(2), ["old /ok", "old /wait"]);
    waiting.get("/ok");
    wait_until("the new log", LIMIT, || {
        fs::read_to_string(&other).unwrap() == "new /ok\nnew /ok\n"
    });
}

/// However many configurations ago a request began.
#[test]
fn a_rotation_reaches_requests_that_began_long_ago() {
    let logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
    let mut half = Connection::tcp(logging.port);
    half.send(b"GET /half HTTP/1.1\r\nHost: h").unwrap();
    wait_until("it began", LIMIT, || logging.unitd.status("/connections/active") == 1);
    for name in ["1.log", "2.log", "3.log"] {
        let path = logging.unitd.path(name);
        logging.unitd.put("/config/access_log/path", json!(path)).expect_success();
        let routes = json!([{ "action": { "return": 204 } }, { "action": { "return": 404 } }]);
        logging.unitd.put("/config/routes", routes).expect_success();
        logging.unitd.delete("/config/routes/1").expect_success();
    }
    let renamed = logging.unitd.path("renamed.log");
    fs::rename(&logging.path, &renamed).unwrap();
    logging.unitd.signal(Signal::SIGUSR1);
    wait_until("it is reopened", LIMIT, || logging.path.exists());
    // The new file is made before it is handed over.
    wait_until("nobody holds the old file", LIMIT, || {
        let open = logging.unitd.role("router").descriptor_names();
        !open.iter().any(|name| name.ends_with("renamed.log"))
    });
    half.send(b"\r\n\r\n").unwrap();
    assert_eq!(half.read_response().unwrap().status, 200);
    assert_eq!(logging.entries(1), ["/half"]);
    assert_eq!(fs::read_to_string(&renamed).unwrap(), "");
}

/// The router that follows one that was killed goes on with the log.
#[test]
fn a_new_router_goes_on_with_the_log() {
    let logging = Logging::with(&json!({ "format": "$uri" }), &json!({}));
    Connection::tcp(logging.port).get("/1");
    logging.entries(1);
    logging.unitd.expect_alert("exited on signal 9");
    let before = logging.unitd.role("router");
    before.signal(Signal::SIGKILL);
    wait_until("another router", LIMIT, || {
        logging.unitd.titled("unit: router").iter().any(|process| *process != before)
    });
    assert_eq!(logging.unitd.fetch(logging.port, "/2").status, 200);
    assert_eq!(logging.entries(2), ["/1", "/2"]);
}
