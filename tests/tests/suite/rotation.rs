//! Rotating the log: all of it moves or nothing does, and no line is lost or written twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use blackbox::{Load, Log, Process, Unitd, need_python, run, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// A daemon with an application of two workers.
fn with_tools() -> (Unitd, u16) {
    let unitd = Unitd::start();
    let (port, directory) = (unitd.port(), unitd.application("tools"));
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": {
            "app": { "type": "python", "module": "tools", "path": directory, "processes": 2 },
        },
    }));
    (unitd, port)
}

fn stderr_of(process: &Process) -> PathBuf {
    fs::read_link(format!("/proc/{}/fd/2", process.pid)).unwrap_or_default()
}

/// Main, the other roles, prototypes and workers.
fn everybody(unitd: &Unitd) -> Vec<Process> {
    unitd.processes().into_iter().chain([unitd.main()]).collect()
}

/// Moves the log away and has it reopened; returns where the old one is now.
fn rotate(unitd: &Unitd, name: &str) -> PathBuf {
    let (path, old) = (unitd.log().path().to_owned(), unitd.path(name));
    fs::rename(&path, &old).unwrap();
    unitd.signal(Signal::SIGUSR1);
    wait_until("the new log", Duration::from_secs(5), || path.exists());
    old
}

fn all_write_to(unitd: &Unitd, path: &Path) -> bool {
    everybody(unitd).iter().all(|process| stderr_of(process) == path)
}

#[test]
fn many_rotations_under_load_lose_and_double_nothing() {
    need_python!();
    let (unitd, port) = with_tools();
    let load = Load::start(4, port, "/pid", |response| response.status == 200);
    let mut files = Vec::new();
    let mut words = Vec::new();
    for round in 0..20 {
        files.push(rotate(&unitd, &format!("unit.log.{round}")));
        for number in 0..5 {
            let word = format!("word-{round}-{number}-end");
            assert_eq!(unitd.fetch(port, &format!("/say?words={word}")).status, 200);
            words.push(word);
        }
        load.wait_for_more(5);
    }
    load.stop().expect_clean();
    wait_until("everybody writes to the last one", LIMIT, || {
        // Workers follow when they have something to do.
        unitd.fetch(port, "/pid");
        all_write_to(&unitd, unitd.log().path())
    });
    files.push(unitd.log().path().to_owned());
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for file in &files {
        assert_eq!(Log::at(file).unexpected(&[]), [""; 0]);
        for line in Log::at(file).text().lines() {
            *lines.entry(line.to_owned()).or_default() += 1;
        }
    }
    for word in &words {
        assert_eq!(lines.get(word), Some(&1), "{word}");
    }
}

/// The old file receives nothing more once everybody follows.
#[test]
fn nothing_more_reaches_the_old_file() {
    need_python!();
    let (unitd, port) = with_tools();
    let old = rotate(&unitd, "unit.log.1");
    wait_until("everybody follows", LIMIT, || {
        unitd.fetch(port, "/say?words=early");
        all_write_to(&unitd, unitd.log().path())
    });
    let length = Log::at(&old).len();
    for _ in 0..20 {
        unitd.fetch(port, "/say?words=late");
    }
    unitd.signal(Signal::SIGHUP);
    unitd.log().wait("SIGHUP");
    assert_eq!(unitd.log().count("^late$"), 20);
    assert_eq!(Log::at(&old).len(), length);
}

/// A router that is just being started belongs to everybody, too.
#[test]
fn a_role_that_starts_meanwhile_follows() {
    need_python!();
    let (unitd, port) = with_tools();
    unitd.expect_alert("exited on signal 9");
    for round in 0..10 {
        let role = if round % 3 == 2 { "controller" } else { "router" };
        let before = unitd.role(role);
        before.signal(Signal::SIGKILL);
        // At another moment of the start in each round.
        std::thread::sleep(Duration::from_millis(3 * round));
        let old = rotate(&unitd, &format!("unit.log.{round}"));
        wait_until("it is back", LIMIT, || {
            unitd.titled(&format!("unit: {role}")).iter().any(|process| *process != before)
        });
        wait_until("everybody writes to the new one", LIMIT, || {
            if let Ok(mut client) = blackbox::Connection::try_tcp(port) {
                // A router that is being replaced may break it off.
                let _ = client.exchange(&blackbox::request("GET", "/pid", &[], b""));
            }
            unitd.workers("app").len() == 2 && all_write_to(&unitd, unitd.log().path())
        });
        let alerts = Log::at(&old).unexpected(&["exited on signal 9".to_owned()]);
        assert_eq!(alerts, [""; 0]);
    }
}

/// Main has no descriptor left for one of those who would have to follow.
#[test]
fn without_descriptors_for_everybody_nobody_moves() {
    let Some(prlimit) = blackbox::program("prlimit") else {
        blackbox::skip!("no prlimit");
    };
    let unitd = Unitd::start();
    unitd.wait_for_rest();
    let limit = |soft: &str| {
        let mut command = Command::new(&prlimit);
        command.args(["--pid", &unitd.pid().to_string(), &format!("--nofile={soft}:")]);
        let output = run(command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let before = fs::read_to_string(format!("/proc/{}/limits", unitd.pid())).unwrap();
    let before = before.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let before = before.split_whitespace().next().unwrap();
    // Two are free: for the file and for one of the two who follow.
    let used: Vec<usize> = fs::read_dir(format!("/proc/{}/fd", unitd.pid()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    let end = (0..).filter(|number| !used.contains(number)).nth(2).unwrap();
    limit(&end.to_string());
    let path = unitd.log().path().to_owned();
    let old = unitd.path("unit.log.1");
    fs::rename(&path, &old).unwrap();
    unitd.signal(Signal::SIGUSR1);
    let old_log = Log::at(&old);
    old_log.wait(r"\[alert\] .*dup\(\) failed \(24: .*\), the log is not reopened$");
    assert!(all_write_to(&unitd, &old));
    unitd.signal(Signal::SIGHUP);
    old_log.wait("SIGHUP");
    // Later there are.
    limit(before);
    unitd.signal(Signal::SIGUSR1);
    wait_until("everybody follows", LIMIT, || all_write_to(&unitd, &path));
}
