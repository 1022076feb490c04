//! The four attacks of slowhttptest. Other clients are served all the while.
//!
//! Each runs for some seconds; `UNIT_ATTACK_SECONDS=60` makes it a measurement, in which the slowest
//! hundredth of the other clients' requests may take twice as long as in calm.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use blackbox::{Connection, Load, Unitd, allow_descriptors, amount, program, skip, wait_until};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(90);

/// How long a measurement in calm takes.
const CALM: Duration = Duration::from_secs(15);

/// How many connections an attack holds.
const CONNECTIONS: usize = 400;

fn with_file() -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let file = unitd.path("www/large");
    File::create(&file).unwrap().set_len(16 * 1024 * 1024).unwrap();
    unitd.configure(&json!({
        // So that what is held is let go within the test.
        "settings": { "http": {
            "header_read_timeout": 3, "body_read_timeout": 3, "send_timeout": 3, "idle_timeout": 3
        } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/large" }, "action": { "share": file } },
            { "action": { "return": 200 } },
        ],
    }));
    (unitd, port)
}

/// The time that 99 of 100 requests take at most, over some seconds.
fn p99(port: u16, span: Duration) -> Duration {
    let mut connection = Connection::tcp(port);
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < span {
        let asked = Instant::now();
        assert_eq!(connection.get("/").status, 200);
        times.push(asked.elapsed());
        // As a person who clicks, and not as a load that fills a processor by itself.
        std::thread::sleep(Duration::from_millis(1));
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

fn attack(mode: &[&str]) {
    let Some(slowhttptest) = program("slowhttptest") else {
        skip!("no slowhttptest here");
    };
    if !allow_descriptors(CONNECTIONS * 2) {
        skip!("this process may not have {CONNECTIONS} connections");
    }
    let seconds = amount("UNIT_ATTACK_SECONDS", 8);
    let is_measured = seconds >= 30;
    let (unitd, port) = with_file();
    let router = unitd.role("router");
    let calm = is_measured.then(|| p99(port, CALM));
    let load = (!is_measured).then(|| Load::start(2, port, "/", |response| response.status == 200));
    let mut command = Command::new(slowhttptest);
    command.args(mode).args(["-c", &CONNECTIONS.to_string(), "-r", "200", "-p", "3", "-v", "1"]);
    command.args(["-l", &seconds.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let target = format!("http://127.0.0.1:{port}/large");
    let began = Instant::now();
    let mut attacker = command.args(["-u", &target]).spawn().unwrap();
    wait_until("the attack is on", LIMIT, || {
        unitd.status("/connections/accepted").as_u64().unwrap() > CONNECTIONS as u64 / 2
    });
    let attacked = is_measured
        .then(|| p99(port, Duration::from_secs(seconds as u64).saturating_sub(began.elapsed())));
    // It ends when its time is over, or when nothing is left of its connections.
    let deadline = Instant::now() + LIMIT;
    while attacker.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            attacker.kill().unwrap();
            attacker.wait().unwrap();
            panic!("{mode:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    if let Some(load) = load {
        load.wait_for_more(20);
        let tally = load.stop();
        println!("{mode:?}: {tally:?}");
        tally.expect_clean();
    }
    if let (Some(before), Some(attacked)) = (calm, attacked) {
        // A machine that is busy with other things is so before or after as well.
        let calm = before.max(p99(port, CALM));
        println!("{mode:?}: p99 {calm:?} in calm, {attacked:?} under attack");
        assert!(attacked <= calm * 2, "{mode:?}: {calm:?} in calm, {attacked:?} under attack");
    }
    assert_eq!(unitd.fetch(port, "/").status, 200);
    assert_eq!(unitd.role("router"), router);
    wait_until("all connections are closed", LIMIT, || {
        let status = unitd.status("/connections");
        status["accepted"] == status["closed"] && status["idle"] == 0 && status["active"] == 0
    });
}

#[test]
fn n20_slow_heads_harm_nobody_else() {
    attack(&["-H", "-i", "1", "-x", "24", "-t", "GET"]);
}

#[test]
fn n20_slow_bodies_harm_nobody_else() {
    attack(&["-B", "-i", "1", "-s", "8192", "-x", "10"]);
}

#[test]
fn n20_many_ranges_harm_nobody_else() {
    attack(&["-R", "-a", "10", "-b", "3000", "-t", "HEAD"]);
}

#[test]
fn n20_slow_reads_harm_nobody_else() {
    attack(&["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "3"]);
}
