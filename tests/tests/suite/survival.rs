//! Processes that die: what goes on without them, and how they come back.

use std::fs;
use std::time::Duration;

use blackbox::{
    Connection, Load, Process, Unitd, need_python, process, request, wait_for, wait_until,
};
use nix::sys::signal::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// How often a role is killed.
const KILLS: usize = 20;

/// A daemon with two workers behind a port.
fn with_workers() -> (Unitd, u16) {
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

#[track_caller]
fn wait_for_another(unitd: &Unitd, role: &str, old: &Process) -> Process {
    let title = format!("unit: {role}");
    wait_for(&format!("another {role}"), LIMIT, || {
        let found = unitd.titled(&title);
        (found.len() == 1 && found[0] != *old).then(|| found[0].clone())
    })
}

/// The router is killed again and again under load. Connections that were served break; nobody is
/// refused, and nothing is forgotten.
#[test]
fn n8_a_killed_router_is_replaced_and_nobody_is_refused() {
    need_python!();
    let (unitd, port) = with_workers();
    unitd.expect_alert("exited on signal 9");
    let config = unitd.get("/config").text;
    unitd.clear();
    unitd.put("/config", &config).expect_success();
    let first = [unitd.main(), unitd.role("controller")];
    let before: Vec<usize> = first.iter().map(Process::descriptors).collect();
    let router_descriptors = unitd.role("router").descriptors();
    let load = Load::start(6, port, "/pid", |response| response.status == 200);
    load.wait_for_more(50);
    for _ in 0..KILLS {
        let router = unitd.role("router");
        router.signal(Signal::SIGKILL);
        let next = wait_for_another(&unitd, "router", &router);
        assert_eq!(next.parent, unitd.pid());
        load.wait_for_more(30);
        assert_eq!(unitd.get("/config").text, config);
    }
    let tally = load.stop();
    println!("the router was killed {KILLS} times: {tally:?}");
    assert_eq!(tally.refused, 0, "{tally:#?}");
    // 503 is an answer for a request whose worker was taken away; anything else is not.
    assert_eq!(tally.wrong, 0, "{tally:#?}");
    assert!(tally.broken <= u64::try_from(KILLS * 6 * 2).unwrap(), "{tally:#?}");
    assert_eq!([unitd.main(), unitd.role("controller")], first);
    // Every old prototype and worker ended with its router.
    wait_until("one prototype and two workers are left", LIMIT, || {
        unitd.titled("unit: \"app\" prototype").len() == 1 && unitd.workers("app").len() == 2
    });
    wait_until("the descriptors are as before", LIMIT, || {
        let now: Vec<usize> = first.iter().map(Process::descriptors).collect();
        let router = unitd.role("router").descriptors();
        now.iter().zip(&before).all(|(now, before)| now <= before) && router <= router_descriptors
    });
    // The status begins anew with the router, and the configuration can be changed.
    assert_eq!(unitd.fetch(port, "/pid").status, 200);
    unitd.put("/config/applications/app/processes", 1).expect_success();
    unitd.clear();
    unitd.wait_for_rest();
}

/// The controller is killed again and again: requests never notice.
#[test]
fn a_killed_controller_is_replaced_and_no_request_fails() {
    need_python!();
    let (unitd, port) = with_workers();
    unitd.expect_alert("exited on signal 9");
    let config = unitd.get("/config").text;
    let (main, router, workers) = (unitd.main(), unitd.role("router"), unitd.workers("app"));
    let before = [main.descriptors(), router.descriptors()];
    let load = Load::start(6, port, "/pid", |response| response.status == 200);
    load.wait_for_more(50);
    for _ in 0..KILLS {
        let controller = unitd.role("controller");
        controller.signal(Signal::SIGKILL);
        let _ = wait_for_another(&unitd, "controller", &controller);
        // Who asks meanwhile waits.
        assert_eq!(unitd.get("/config").text, config);
        load.wait_for_more(20);
    }
    let tally = load.stop();
    println!("the controller was killed {KILLS} times: {tally:?}");
    tally.expect_clean();
    assert_eq!(
        (unitd.main(), unitd.role("router"), unitd.workers("app")),
        (main.clone(), router.clone(), workers)
    );
    wait_until("the descriptors are as before", LIMIT, || {
        main.descriptors() <= before[0] && router.descriptors() <= before[1]
    });
    unitd.put("/config/applications/app/processes", 1).expect_success();
}

/// Both at once, in the middle of writes: what was acknowledged is there afterwards.
#[test]
fn n8_acknowledged_writes_survive_kills() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
    unitd.expect_alert("exited on signal 9");
    // A write that is cut off by a death gets no answer, or 500.
    let mut acknowledged = 200;
    for round in 0..30u64 {
        let roles = [unitd.role("controller"), unitd.role("router")];
        let code = 201 + round;
        let body = code.to_string();
        let answer = std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                // At another moment in each round.
                std::thread::sleep(Duration::from_micros(300 * round));
                if round % 3 != 1 {
                    roles[0].signal(Signal::SIGKILL);
                }
                if round % 3 != 0 {
                    roles[1].signal(Signal::SIGKILL);
                }
            });
            let bytes = request("PUT", "/config/routes/0/action/return", &[], body.as_bytes());
            let answer = Connection::try_unix(&unitd.control_socket())
                .ok()
                .and_then(|mut connection| connection.exchange(&bytes).ok());
            killer.join().unwrap();
            answer
        });
        let now = unitd.config("/routes/0/action/return").as_u64().unwrap();
        match answer {
            Some(answer) if answer.status == 200 => assert_eq!(now, code, "round {round}"),
            Some(answer) => {
                assert_eq!(answer.status, 500, "{}", answer.text());
                assert!([acknowledged, code].contains(&now), "round {round}");
            }
            None => assert!([acknowledged, code].contains(&now), "round {round}"),
        }
        acknowledged = now;
        let stored = fs::read_to_string(unitd.path("state/conf.json")).unwrap();
        assert!(stored.contains(&format!("\"return\":{now}}}")), "{stored}");
        wait_until("what is configured is served", LIMIT, || {
            Connection::try_tcp(port)
                .ok()
                .and_then(|mut client| client.exchange(&request("GET", "/", &[], b"")).ok())
                .is_some_and(|response| u64::from(response.status) == now)
        });
    }
}

#[test]
fn a_killed_worker_is_replaced() {
    need_python!();
    let (unitd, port) = with_workers();
    let mut kept = Connection::tcp(port);
    kept.get("/pid");
    let before = unitd.workers("app");
    unitd.expect_alert("exited on signal 9");
    let mark = unitd.log().len();
    before[0].signal(Signal::SIGKILL);
    let line = format!(r"\[alert\] .*app process {} exited on signal 9$", before[0].pid);
    unitd.log().wait_after(mark, &line);
    // Another one is started without any request, and said so.
    let new = unitd.log().wait_after(mark, r#"(\d+)#\d+ "app" application started"#);
    assert_ne!(new, before[0].pid.to_string());
    assert_eq!(unitd.wait_for_workers("app", 2).len(), 2);
    assert_eq!(unitd.log().count(&line), 1);
    // Connections of clients live on.
    assert_eq!(kept.get("/pid").status, 200);
}

/// Workers are killed under load: only what they were working on fails, and it is answered.
#[test]
fn n11_killed_workers_leave_nobody_waiting() {
    need_python!();
    let (unitd, port) = with_workers();
    unitd.expect_alert("exited on signal 9");
    let router = unitd.role("router");
    let before = router.descriptors();
    let load = Load::start(6, port, "/pid", |response| [200, 503].contains(&response.status));
    load.wait_for_more(50);
    for _ in 0..KILLS {
        for worker in unitd.workers("app") {
            worker.signal(Signal::SIGKILL);
        }
        load.wait_for_more(30);
    }
    let tally = load.stop();
    println!("all workers were killed {KILLS} times: {tally:?}");
    tally.expect_clean();
    assert_eq!(unitd.wait_for_workers("app", 2).len(), 2);
    wait_until("nothing is counted as active", LIMIT, || {
        unitd.status("/applications/app/requests/active") == 0
    });
    assert_eq!(unitd.role("router"), router);
    wait_until("the descriptors are as before", LIMIT, || router.descriptors() <= before);
}

#[test]
fn a_killed_prototype_takes_its_workers_along_and_comes_back() {
    need_python!();
    let (unitd, port) = with_workers();
    unitd.expect_alert("exited on signal 9");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let prototype = unitd.titled("unit: \"app\" prototype")[0].clone();
        let workers = unitd.workers("app");
        assert_eq!(workers.len(), 2);
        prototype.signal(signal);
        wait_until("they are all gone", LIMIT, || {
            !prototype.exists() && !workers.iter().any(Process::exists)
        });
        let next = wait_for("another prototype", LIMIT, || {
            unitd.titled("unit: \"app\" prototype").first().cloned()
        });
        assert_ne!(next, prototype);
        assert_eq!(unitd.wait_for_workers("app", 2).len(), 2);
        assert_eq!(unitd.fetch(port, "/pid").status, 200);
    }
}

/// Nothing lives on without main.
#[test]
fn a_killed_main_leaves_no_orphan() {
    need_python!();
    let (mut unitd, port) = with_workers();
    unitd.fetch(port, "/pid");
    unitd.expect_alert("the port to the main process was closed");
    let before = unitd.processes();
    assert_eq!(before.len(), 5);
    unitd.main().signal(Signal::SIGKILL);
    unitd.wait_for_death(&before);
    // And what it kept on disk is enough to start again.
    unitd.start_again();
    assert_eq!(unitd.fetch(port, "/pid").status, 200);
}

#[test]
fn a_worker_that_kills_itself_often_does_not_take_the_rest_along() {
    need_python!();
    let unitd = Unitd::start();
    let ports = [unitd.port(), unitd.port()];
    let directory = unitd.application("tools");
    let application =
        json!({ "type": "python", "module": "tools", "path": directory, "processes": 1 });
    unitd.configure(&json!({
        "listeners": {
            format!("127.0.0.1:{}", ports[0]): { "pass": "applications/good" },
            format!("127.0.0.1:{}", ports[1]): { "pass": "applications/bad" },
        },
        "applications": { "good": application, "bad": application },
    }));
    let roles = [unitd.role("controller"), unitd.role("router")];
    let load = Load::start(4, ports[0], "/pid", |response| response.status == 200);
    load.wait_for_more(20);
    for _ in 0..30 {
        assert_eq!(unitd.fetch(ports[1], "/exit?code=3").status, 503);
    }
    load.stop().expect_clean();
    assert_eq!([unitd.role("controller"), unitd.role("router")], roles);
    wait_until("it serves again", LIMIT, || unitd.fetch(ports[1], "/pid").status == 200);
}

/// A process with the same id later is another process: the suite must not be fooled either.
#[test]
fn processes_are_told_apart_by_their_start() {
    let unitd = Unitd::start();
    let router = unitd.role("router");
    assert!(router.exists());
    let mut other = router.clone();
    other.started += 1;
    assert!(!other.exists());
    assert_eq!(process(router.pid), Some(router));
}
