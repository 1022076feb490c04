//! Changing the configuration while it is in use.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use blackbox::{Connection, Load, Process, Unitd, need_python, pythons, request, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// A generator that gives the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn tools(unitd: &Unitd) -> Value {
    let directory = unitd.application("tools");
    json!({ "type": "python", "module": "tools", "path": directory, "processes": 1 })
}

/// A valid configuration in which `port` always answers 200, and everything else is anyhow.
fn anyhow_configured(random: &mut Random, unitd: &Unitd, port: u16, others: &[u16]) -> Value {
    let mut routes = Vec::new();
    for at in 0..random.below(20) {
        routes.push(match random.below(5) {
            0 => json!({ "match": { "uri": format!("/{at}*") }, "action": { "return": 404 } }),
            1 => json!({ "match": { "host": ["*.example", format!("!x{at}.example")] },
                         "action": { "pass": "routes/other" } }),
            2 => json!({ "match": { "arguments": { "a": "~^[0-9]+$" }, "method": "POST" },
                         "action": { "share": "/no/such$uri" } }),
            3 => json!({ "match": { "headers": { "X-Random": format!("{at}") } },
                         "action": { "return": 301, "location": "$request_uri" } }),
            _ => json!({ "match": { "source": "10.0.0.0/8" }, "action": { "return": at } }),
        });
    }
    routes.push(json!({ "action": { "return": 200 } }));
    let mut listeners = json!({ format!("127.0.0.1:{port}"): { "pass": "routes/main" } });
    for other in others {
        if random.below(2) == 0 {
            listeners[format!("127.0.0.1:{other}")] = json!({ "pass": "routes/other" });
        }
    }
    if random.below(4) == 0 {
        listeners[format!("unix:{}", unitd.text_path("random.sock"))] =
            json!({ "pass": "routes/main" });
    }
    let mut config = json!({
        "listeners": listeners,
        "routes": { "main": routes, "other": [] },
        "applications": {},
    });
    if random.below(2) == 0 {
        config["settings"] = json!({ "http": {
            "log_route": false,
            "server_version": random.below(2) == 0,
            "max_body_size": 1 + random.below(1000),
            "static": { "mime_types": { "text/x": [".x", format!(".{}", random.below(100))] } },
        } });
    }
    config
}

/// Two thousand configurations, one after the other, under load: no request fails.
#[test]
fn n6_two_thousand_random_configurations_fail_no_request() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let others = [unitd.port(), unitd.port(), unitd.port()];
    // Another one to repeat a failure with: it is in the output.
    let seed = std::env::var("UNIT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(20_261_121);
    println!("UNIT_TEST_SEED={seed}");
    let mut random = Random(seed);
    unitd.configure(&anyhow_configured(&mut random, &unitd, port, &others));
    unitd.wait_for_rest();
    let roles = [unitd.main(), unitd.role("controller"), unitd.role("router")];
    let wrk = start_wrk(port);
    let load = Load::start(4, port, "/page", |response| response.status == 200);
    load.wait_for_more(100);
    for _ in 0..2000 {
        let config = anyhow_configured(&mut random, &unitd, port, &others);
        let answer = unitd.put("/config", &config);
        assert_eq!(answer.status, 200, "{}\n{config:#}", answer.text);
    }
    load.wait_for_more(100);
    let tally = load.stop();
    println!("{tally:?}");
    tally.expect_clean();
    expect_clean_wrk(wrk);
    // The same processes served it all, and kept nothing of it.
    assert_eq!([unitd.main(), unitd.role("controller"), unitd.role("router")], roles);
    unitd.clear();
    assert!(!unitd.path("random.sock").exists());
}

/// Another load generator, where there is one, for as long as the test lasts.
fn start_wrk(port: u16) -> Option<std::process::Child> {
    let wrk = blackbox::program("wrk")?;
    let mut command = Command::new(wrk);
    command.args(["-t1", "-c8", "-d600", "--timeout", "30"]);
    command.arg(format!("http://127.0.0.1:{port}/wrk"));
    Some(command.stdout(Stdio::piped()).spawn().unwrap())
}

fn expect_clean_wrk(wrk: Option<std::process::Child>) {
    let Some(child) = wrk else {
        println!("no wrk here: the clients of the suite were the only load");
        return;
    };
    // It prints its sum when it is interrupted.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text}");
    assert!(text.contains("requests in"), "{text}");
    for failure in ["Socket errors", "Non-2xx"] {
        assert!(!text.contains(failure), "{text}");
    }
}

/// The configuration is edited member by member, anywhere in the tree.
#[test]
fn n6_edits_at_every_node_leave_a_working_daemon() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
    unitd
        .put(
            "/config/settings",
            json!({ "http": { "max_body_size": 1000, "static": { "mime_types": { "a/b": [".c"] } } } }),
        )
        .expect_success();
    unitd
        .put(
            "/config/routes",
            json!([
                { "match": { "uri": ["/a", "!/b"], "arguments": { "x": "1" } },
                  "action": { "share": ["/no/such"], "fallback": { "return": 404 } } },
                { "action": { "return": 200 } },
            ]),
        )
        .expect_success();
    let config = unitd.config("");
    let mut paths = Vec::new();
    collect_paths(&config, String::new(), &mut paths);
    let before = unitd.role("controller");
    for path in &paths {
        let target = format!("/config{path}");
        for (method, body) in [
            ("GET", ""),
            ("PUT", "{}"),
            ("PUT", "[]"),
            ("PUT", "\"/x\""),
            ("PUT", "1"),
            ("PUT", "null"),
            ("POST", "{}"),
            ("POST", "\"/x\""),
            ("DELETE", ""),
        ] {
            let answer = unitd.control(method, &target, body);
            assert!([200, 400, 404, 405].contains(&answer.status), "{method} {target} {body}");
            let _ = answer.json();
            if method != "GET" && answer.status == 200 {
                unitd.configure(&config);
            }
        }
    }
    assert!(paths.len() > 20, "{paths:?}");
    assert_eq!(unitd.fetch(port, "/").status, 200);
    assert_eq!(unitd.role("controller"), before);
}

fn collect_paths(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let segment = name.replace('%', "%25").replace('/', "%2F");
                collect_paths(member, format!("{path}/{segment}"), paths);
            }
        }
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                collect_paths(element, format!("{path}/{at}"), paths);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    paths.push(path);
}

#[test]
fn a_removed_address_is_free_when_the_answer_arrives() {
    let unitd = Unitd::start();
    let (kept, moved) = (unitd.port(), unitd.port());
    let with = |port: Option<u16>| {
        let mut config = json!({
            "listeners": { format!("127.0.0.1:{kept}"): { "pass": "routes" } },
            "routes": [{ "action": { "return": 200 } }],
        });
        if let Some(port) = port {
            config["listeners"][format!("127.0.0.1:{port}")] = json!({ "pass": "routes" });
        }
        config
    };
    for _ in 0..50 {
        unitd.configure(&with(Some(moved)));
        assert_eq!(unitd.fetch(moved, "/").status, 200);
        unitd.configure(&with(None));
        // Without SO_REUSEADDR this would also fail for what lingers; std sets it.
        let taken = TcpListener::bind(("127.0.0.1", moved)).unwrap();
        assert_eq!(unitd.fetch(kept, "/").status, 200);
        drop(taken);
    }
}

#[test]
fn a_connection_moves_to_the_new_configuration_between_requests() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 201 } }]));
    let mut connection = Connection::tcp(port);
    assert_eq!(connection.get("/").status, 201);
    // A request that has begun keeps what was current then.
    connection.send(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    wait_until("the request has begun", LIMIT, || unitd.status("/requests/total") == 2);
    unitd.put("/config/routes/0/action/return", 202).expect_success();
    assert_eq!(connection.ask(b"localhost\r\n\r\n").status, 201);
    assert_eq!(connection.get("/").status, 202);
}

#[test]
fn a_removed_listener_lets_requests_finish_and_closes_idle_connections() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 201 } }]));
    let mut begun = Connection::tcp(port);
    begun.send(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let mut idle = Connection::tcp(port);
    idle.get("/");
    wait_until("the request has begun", LIMIT, || unitd.status("/requests/total") == 2);
    unitd.clear();
    assert!(Connection::try_tcp(port).is_err());
    assert_eq!(begun.ask(b"localhost\r\n\r\n").status, 201);
    for connection in [&mut begun, &mut idle] {
        let _ = connection.send(&request("GET", "/", &[], b""));
        let end = String::from_utf8(connection.read_to_end().unwrap()).unwrap();
        assert!(
            end.starts_with("HTTP/1.1 408 Request Timeout\r\nServer: Unit/2.0.0\r\n")
                && end.contains("Content-Length: 0\r\n"),
            "{end:?}"
        );
    }
}

#[test]
fn an_unchanged_application_keeps_its_processes() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let config = json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/kept" } },
        "routes": [],
        "applications": { "kept": tools(&unitd), "changed": tools(&unitd) },
    });
    unitd.configure(&config);
    let (kept, changed) = (unitd.workers("kept"), unitd.workers("changed"));
    unitd.put("/config/routes", json!([{ "action": { "return": 200 } }])).expect_success();
    unitd.put("/config", &config).expect_success();
    unitd.put("/config/applications/changed/processes", 2).expect_success();
    assert_eq!(unitd.workers("kept"), kept);
    assert_eq!(unitd.fetch(port, "/pid").text(), kept[0].pid.to_string());
    wait_until("the changed one has two new workers", LIMIT, || {
        let now = unitd.workers("changed");
        now.len() == 2 && !now.contains(&changed[0])
    });
}

#[test]
fn a_changed_application_finishes_what_it_began() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": { "app": tools(&unitd) },
    }));
    let old = unitd.workers("app")[0].clone();
    let file = unitd.text_path("go");
    let mut slow = Connection::tcp(port);
    slow.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    wait_until("the old one is busy", LIMIT, || fs::exists(format!("{file}.{}", old.pid)).unwrap());
    unitd.put("/config/applications/app/environment", json!({ "NEW": "yes" })).expect_success();
    // New requests go to the new process at once.
    let new = unitd.fetch(port, "/pid").text();
    assert_ne!(new, old.pid.to_string());
    assert_eq!(unitd.fetch(port, "/environment?name=NEW").text(), "yes");
    assert!(old.exists());
    fs::write(&file, "").unwrap();
    assert_eq!(slow.read_response().unwrap().text(), old.pid.to_string());
    wait_until("the old one ends", LIMIT, || !old.exists());
}

#[test]
fn a_removed_application_is_gone_at_once() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": { "app": tools(&unitd) },
    }));
    let mut kept = Connection::tcp(port);
    kept.get("/pid");
    let processes = unitd.processes();
    assert_eq!(processes.len(), 4);
    unitd.clear();
    wait_until("prototype and worker are gone", Duration::from_secs(5), || {
        unitd.processes().len() == 2
    });
}

/// New definitions of an application under load: every request is answered, by one or the other.
#[test]
fn applications_are_exchanged_under_load() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let mut application = tools(&unitd);
    application["processes"] = json!(2);
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": { "app": application },
    }));
    let load = Load::start(6, port, "/pid", |response| response.status == 200);
    load.wait_for_more(100);
    for round in 0..20 {
        let environment = json!({ "ROUND": round.to_string() });
        unitd.put("/config/applications/app/environment", environment).expect_success();
        load.wait_for_more(20);
    }
    for _ in 0..10 {
        unitd.get("/control/applications/app/restart").expect_success();
        load.wait_for_more(50);
    }
    let tally = load.stop();
    println!("{tally:?}");
    tally.expect_clean();
    let workers = unitd.wait_for_workers("app", 2);
    let prototypes = unitd.titled("unit: \"app\" prototype");
    wait_until("one prototype is left", LIMIT, || {
        unitd.titled("unit: \"app\" prototype").len() == 1
    });
    assert!(!prototypes.is_empty() && workers.len() == 2);
}

/// Descriptors and memory after a thousand changes are those after a few.
#[test]
fn n5_a_thousand_changes_leave_no_descriptor() {
    let unitd = Unitd::start();
    let ports = [unitd.port(), unitd.port()];
    let config = |round: usize| {
        json!({
            "listeners": {
                format!("127.0.0.1:{}", ports[round % 2]): { "pass": "routes" },
                format!("unix:{}", unitd.text_path(format!("{}.sock", round % 3))): {
                    "pass": "routes"
                },
            },
            "routes": [{ "action": { "return": 200 + round % 5 } }],
        })
    };
    let roles = [unitd.main(), unitd.role("controller"), unitd.role("router")];
    let settle = || {
        unitd.clear();
        roles.iter().map(Process::descriptors).collect::<Vec<_>>()
    };
    for round in 0..10 {
        unitd.configure(&config(round));
    }
    let before = settle();
    let memory: Vec<u64> = roles.iter().map(Process::resident_kib).collect();
    for round in 0..1000 {
        unitd.configure(&config(round));
        if round % 100 == 0 {
            assert_eq!(
                unitd.fetch(ports[round % 2], "/").status,
                u16::try_from(200 + round % 5).unwrap()
            );
        }
    }
    wait_until("the descriptors are as before", LIMIT, || settle() <= before);
    for (role, before) in roles.iter().zip(memory) {
        let now = role.resident_kib();
        assert!(now < before + 8 * 1024, "{}: {before} KiB, then {now}", role.title);
    }
}

/// More threads, then fewer: what they had open is closed again.
#[test]
fn n5_fewer_threads_leave_no_descriptor() {
    let unitd = Unitd::start();
    unitd.clear();
    let router = unitd.role("router");
    let before = router.descriptors();
    unitd.put("/config/settings", json!({ "listen_threads": 16 })).expect_success();
    unitd.clear();
    wait_until("the descriptors are as before", LIMIT, || router.descriptors() <= before);
}

#[test]
fn threads_are_added_and_taken_away_under_load() {
    let mut routes = json!([{ "action": { "return": 200 } }]);
    if !pythons().is_empty() {
        routes = json!([{ "action": { "pass": "applications/app" } }]);
    }
    let unitd = Unitd::start();
    let port = unitd.port();
    let mut config = json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": routes,
    });
    if !pythons().is_empty() {
        config["applications"] = json!({ "app": tools(&unitd) });
    }
    unitd.configure(&config);
    let load = Load::start(6, port, "/pid", |response| response.status == 200);
    load.wait_for_more(50);
    for threads in [1, 4, 2, 8, 1, 3] {
        unitd.put("/config/settings", json!({ "listen_threads": threads })).expect_success();
        load.wait_for_more(50);
        // New connections are served by whatever there is now.
        for _ in 0..8 {
            assert_eq!(unitd.fetch(port, "/pid").status, 200, "{threads} threads");
        }
    }
    load.stop().expect_clean();
}

/// Loops come and go a thousand times: no request is lost, and neither the router nor a worker keeps
/// anything of them. What the ended ones counted stays counted.
#[test]
fn n5_a_thousand_changes_of_threads_lose_no_request() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let mut config = json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 200 } }],
        "settings": { "listen_threads": 1 },
    });
    if !pythons().is_empty() {
        config["routes"] = json!([
            { "match": { "uri": "/pid" }, "action": { "pass": "applications/app" } },
            { "action": { "return": 200 } },
        ]);
        config["applications"] = json!({ "app": tools(&unitd) });
    }
    unitd.configure(&config);
    let router = unitd.role("router");
    let mut watched = vec![router.clone()];
    watched.extend(unitd.workers("app"));
    let threads = |count: u32| {
        unitd.put("/config/settings", json!({ "listen_threads": count })).expect_success();
    };
    // What a loop leaves in the allocator is there from the first time on.
    for count in [8, 1] {
        threads(count);
    }
    wait_until("the loops have ended", LIMIT, || router.threads() == 2);
    let before: Vec<usize> = watched.iter().map(Process::descriptors).collect();
    let memory: Vec<u64> = watched.iter().map(Process::resident_kib).collect();

    let mut idle: Vec<Connection> = (0..20).map(|_| Connection::tcp(port)).collect();
    let loads = [
        Load::start(3, port, "/pid", |response| response.status == 200),
        Load::start(3, port, "/", |response| response.status == 200),
    ];
    let mut random = Random(7);
    for round in 0..1000 {
        let count = 1 + u32::try_from(random.below(8)).unwrap();
        threads(count);
        if round % 20 == 0 {
            let count = usize::try_from(count).unwrap();
            wait_until("there are as many loops as configured", LIMIT, || {
                router.threads_named("loop-") == count
            });
        }
        if round % 100 == 0 {
            loads.iter().for_each(|load| load.wait_for_more(20));
            for connection in &mut idle {
                assert_eq!(connection.get("/pid").status, 200);
            }
        }
    }
    let mut answered = 0;
    for load in loads {
        let tally = load.stop();
        println!("{tally:?}");
        tally.expect_clean();
        answered += tally.right;
    }
    drop(idle);
    threads(1);
    wait_until("the loops have ended", LIMIT, || router.threads() == 2);
    for ((process, before), memory) in watched.iter().zip(before).zip(memory) {
        wait_until(&format!("{} has {before} descriptors", process.title), LIMIT, || {
            process.descriptors() <= before
        });
        let now = process.resident_kib();
        assert!(now < memory + 16 * 1024, "{}: {memory} KiB, then {now}", process.title);
    }
    // Every connection that was accepted is accounted for, and every request counted.
    wait_until("all are closed", LIMIT, || {
        let status = unitd.status("/connections");
        status["accepted"] == status["closed"] && status["idle"] == 0 && status["active"] == 0
    });
    assert_eq!(unitd.status("/requests/total"), answered + 200);
    if !pythons().is_empty() {
        assert_eq!(unitd.workers("app"), watched[1..]);
    }
}

/// A loop that is about to end when it is needed again goes on, however late that is noticed.
#[test]
fn loops_that_are_needed_again_are_there() {
    let unitd = Unitd::start();
    let router = unitd.role("router");
    for round in 0..300 {
        for count in [1, 4] {
            unitd.put("/config/settings", json!({ "listen_threads": count })).expect_success();
        }
        wait_until(&format!("there are four loops in round {round}"), LIMIT, || {
            router.threads_named("loop-") == 4
        });
    }
}

/// With more loops than a worker's doorbell holds channels for: processes are started with the
/// configuration, at a restart and after a death.
#[test]
fn applications_start_beside_many_loops() {
    need_python!();
    let unitd = Unitd::start();
    unitd.expect_alert("exited on signal 9");
    let port = unitd.port();
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": { "app": tools(&unitd) },
        "settings": { "listen_threads": 300 },
    }));
    let router = unitd.role("router");
    wait_until("the loops are there", LIMIT, || router.threads_named("loop-") == 300);
    let first = unitd.workers("app").remove(0);
    assert_eq!(unitd.fetch(port, "/pid").text(), first.pid.to_string());
    let wait_for_another = |before: &Process| {
        wait_until("another worker has taken its place", LIMIT, || {
            let now = unitd.workers("app");
            now.len() == 1 && now[0] != *before && !before.exists()
        });
        unitd.workers("app").remove(0)
    };
    unitd.get("/control/applications/app/restart").expect_success();
    let second = wait_for_another(&first);
    assert_eq!(unitd.fetch(port, "/pid").text(), second.pid.to_string());
    second.signal(Signal::SIGKILL);
    let third = wait_for_another(&second);
    assert_eq!(unitd.fetch(port, "/pid").text(), third.pid.to_string());
    // It has a channel to each of them: memory is not kept open, the doorbell is.
    wait_until("every channel has arrived", LIMIT, || third.descriptors() > 300);
    let log = unitd.log();
    assert_eq!(log.count("failed to start"), 0, "{}", log.text());
}

/// A worker that does not read its doorbell for a while keeps its place, whatever becomes of the
/// loops meanwhile; and what it is not told of any more is not kept for it.
#[test]
fn a_busy_worker_outlives_many_loops() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let threads = |count: u32| {
        unitd.put("/config/settings", json!({ "listen_threads": count })).expect_success();
    };
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/app" } },
        "applications": { "app": tools(&unitd) },
        "settings": { "listen_threads": 2 },
    }));
    let router = unitd.role("router");
    wait_until("two loops are left", LIMIT, || router.threads_named("loop-") == 2);
    let worker = unitd.workers("app").remove(0);
    let file = unitd.text_path("go");
    // The client will be one.
    let descriptors = [router.descriptors() + 1, worker.descriptors()];
    let mut slow = Connection::tcp(port);
    slow.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
    let begun = format!("{file}.{}", worker.pid);
    wait_until("it has begun", LIMIT, || fs::exists(&begun).unwrap());
    for _ in 0..5 {
        for count in [100, 2] {
            threads(count);
            let count = usize::try_from(count).unwrap();
            wait_until("the loops are there", LIMIT, || router.threads_named("loop-") == count);
        }
        assert_eq!(unitd.status("/applications/app/processes/running"), 1);
        assert_eq!(unitd.workers("app"), std::slice::from_ref(&worker));
    }
    wait_until("the router keeps nothing for loops that are gone", LIMIT, || {
        router.descriptors() <= descriptors[0]
    });
    threads(100);
    fs::write(&file, "").unwrap();
    assert_eq!(slow.read_response().unwrap().text(), worker.pid.to_string());
    wait_until("it hears of the loops there are now", LIMIT, || worker.descriptors() > 100);
    for _ in 0..20 {
        assert_eq!(unitd.fetch(port, "/pid").text(), worker.pid.to_string());
    }
    threads(2);
    drop(slow);
    wait_until("nothing is left of them", LIMIT, || {
        router.descriptors() <= descriptors[0] && worker.descriptors() <= descriptors[1]
    });
}

/// A loop that is not needed any more ends when the last request on it does; what came meanwhile is
/// served elsewhere.
#[test]
fn a_surplus_loop_lets_its_requests_finish() {
    need_python!();
    let unitd = Unitd::start();
    let port = unitd.port();
    let mut application = tools(&unitd);
    application["processes"] = json!(2);
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/wait" }, "action": { "pass": "applications/app" } },
            { "action": { "return": 200 } },
        ],
        "applications": { "app": application },
        "settings": { "listen_threads": 1 },
    }));
    let router = unitd.role("router");
    wait_until("one loop is left", LIMIT, || router.threads() == 2);
    let descriptors = router.descriptors();
    // Which loop has a connection is up to the load, and shows when its loop does not end.
    let was_on_surplus_loop = (0..20).any(|round| {
        unitd.put("/config/settings", json!({ "listen_threads": 4 })).expect_success();
        // Enough at once that the first loop gives some away.
        let load = Load::start(16, port, "/", |response| response.status == 200);
        load.wait_for_more(2_000);
        let file = unitd.text_path(format!("go{round}"));
        let mut waiting: Vec<Connection> = (0..8).map(|_| Connection::tcp(port)).collect();
        for connection in &mut waiting {
            for _ in 0..20 {
                assert_eq!(connection.get("/").status, 200);
            }
            connection.send(&request("GET", &format!("/wait?file={file}"), &[], b"")).unwrap();
        }
        wait_until("all have begun", LIMIT, || {
            unitd.status("/applications/app/requests/active") == 8
        });
        unitd.put("/config/settings", json!({ "listen_threads": 1 })).expect_success();
        load.stop().expect_clean();
        let ends = Instant::now() + Duration::from_secs(1);
        while router.threads_named("loop-") > 1 && Instant::now() < ends {
            std::thread::sleep(Duration::from_millis(10));
        }
        let are_all_on_first = router.threads_named("loop-") == 1;
        fs::write(&file, "").unwrap();
        for connection in &mut waiting {
            assert_eq!(connection.read_response().unwrap().status, 200);
            assert_eq!(connection.get("/").status, 200);
        }
        !are_all_on_first
    });
    assert!(was_on_surplus_loop, "no loop but the first was given anything");
    wait_until("one loop is left", LIMIT, || router.threads() == 2);
    wait_until("the descriptors are as before", LIMIT, || router.descriptors() <= descriptors);
}
