//! Section 7: when a write is answered, that it is whole or nothing, and who waits for whom.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use blackbox::{Connection, Unitd, need_python, request, wait_until};
use serde_json::{Value, json};

fn listener(port: u16, code: u16) -> Value {
    json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": code } }],
    })
}

#[test]
fn an_address_is_free_when_the_answer_is_there() {
    let unitd = Unitd::start();
    let (port, socket) = (unitd.port(), unitd.path("l.sock"));
    for _ in 0..20 {
        let mut config = listener(port, 200);
        config["listeners"][format!("unix:{}", socket.display())] = json!({ "pass": "routes" });
        unitd.configure(&config);
        // And it serves.
        assert_eq!(unitd.fetch(port, "/").status, 200);
        assert!(socket.exists());
        unitd.clear();
        drop(TcpListener::bind(("127.0.0.1", port)).expect("the port is free"));
        assert!(!socket.exists(), "the socket is unlinked");
        drop(UnixListener::bind(&socket).expect("the path is free"));
        fs::remove_file(&socket).unwrap();
    }
}

#[test]
fn the_new_configuration_is_served_and_stored_when_the_answer_is_there() {
    let unitd = Unitd::start();
    let port = unitd.port();
    for code in 200..230 {
        unitd.configure(&listener(port, code));
        assert_eq!(unitd.fetch(port, "/").status, code);
        assert_eq!(unitd.config(""), listener(port, code));
        let stored = fs::read(unitd.path("state/conf.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&stored).unwrap(), listener(port, code));
    }
}

#[test]
fn prestarted_processes_are_ready_when_the_answer_is_there() {
    need_python!();
    let unitd = Unitd::start();
    let directory = unitd.application("hello");
    for processes in 1..4 {
        unitd.configure(&json!({
            "applications": { "app": {
                "type": "python", "module": "hello", "path": directory, "processes": processes,
            } },
        }));
        assert_eq!(
            unitd.status("/applications/app/processes"),
            json!({ "running": processes, "starting": 0, "idle": processes })
        );
    }
}

#[test]
fn a_refused_configuration_leaves_everything_as_it_was() {
    let unitd = Unitd::start();
    let (port, other) = (unitd.port(), unitd.port());
    unitd.configure(&listener(port, 200));
    let mut kept = Connection::tcp(port);
    assert_eq!(kept.get("/").status, 200);
    let stored = fs::read(unitd.path("state/conf.json")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    unitd.expect_alert("failed to apply new conf");
    unitd.expect_alert(&format!(r#"bind(\"{address}\") failed (98"#));
    for _ in 0..10 {
        let mut config = listener(other, 404);
        config["listeners"][&address] = json!({ "pass": "routes" });
        let answer = unitd.put("/config", &config);
        assert_eq!(answer.status, 500, "{}", answer.text);
        assert_eq!(answer.json()["error"], "Failed to apply new configuration.");
        drop(TcpListener::bind(("127.0.0.1", other)).expect("what was opened is closed"));
        assert_eq!(kept.get("/").status, 200);
        assert_eq!(unitd.fetch(port, "/").status, 200);
        assert_eq!(unitd.config(""), listener(port, 200));
        assert_eq!(fs::read(unitd.path("state/conf.json")).unwrap(), stored);
    }
}

/// A listener that stays keeps its socket: nobody is turned away meanwhile.
#[test]
fn a_listener_that_stays_keeps_its_socket() {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&listener(port, 200));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut count = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let status = Connection::tcp(port).get("/").status;
                assert!((200..300).contains(&status), "{status}");
                count += 1;
            }
            count
        });
        for code in 200..260 {
            unitd.configure(&listener(port, code));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(client.join().unwrap() > 0);
    });
}

/// Writes that arrive together are done in the order in which they arrive, each against what the
/// ones before it made.
#[test]
fn writes_are_evaluated_in_the_order_of_arrival() {
    let unitd = Unitd::start();
    unitd.configure(&json!({ "routes": [] }));
    let mut waiting = Vec::new();
    for code in 0..50 {
        let body = json!({ "action": { "return": code } }).to_string();
        let mut connection = Connection::unix(&unitd.control_socket());
        let target = format!("/config/routes/{code}");
        connection.send(&request("PUT", &target, &[], body.as_bytes())).unwrap();
        waiting.push(connection);
        // Reads are answered meanwhile, and see nothing that is half done.
        let routes = unitd.config("/routes");
        let codes: Vec<u64> = routes
            .as_array()
            .unwrap()
            .iter()
            .map(|route| route["action"]["return"].as_u64().unwrap())
            .collect();
        assert_eq!(codes, (0..codes.len() as u64).collect::<Vec<_>>());
    }
    for mut connection in waiting {
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    assert_eq!(unitd.config("/routes").as_array().unwrap().len(), 50);
}

#[test]
fn a_client_that_leaves_does_not_cancel_its_update() {
    let unitd = Unitd::start();
    unitd.configure(&json!({ "routes": [] }));
    for code in 0..20 {
        let body = json!({ "action": { "return": code } }).to_string();
        let mut connection = Connection::unix(&unitd.control_socket());
        connection.send(&request("POST", "/config/routes", &[], body.as_bytes())).unwrap();
        drop(connection);
    }
    wait_until("all of them are done", Duration::from_secs(30), || {
        unitd.config("/routes").as_array().unwrap().len() == 20
    });
}

/// Status and restarts wait for their turn as well; the configuration is read at once.
#[test]
fn everything_that_needs_the_router_is_answered_in_turn() {
    let unitd = Unitd::start();
    unitd.configure(&json!({ "routes": [] }));
    let targets =
        ["/status", "/", "/control/applications/none/restart", "/status/requests/total", "/config"];
    let mut waiting = Vec::new();
    for round in 0..10 {
        let body = json!({ "routes": [{ "action": { "return": round } }] }).to_string();
        let mut connection = Connection::unix(&unitd.control_socket());
        connection.send(&request("PUT", "/config", &[], body.as_bytes())).unwrap();
        waiting.push((200, connection));
        for target in targets {
            let mut connection = Connection::unix(&unitd.control_socket());
            connection.send(&request("GET", target, &[], b"")).unwrap();
            waiting.push((if target.contains("none") { 404 } else { 200 }, connection));
        }
    }
    for (status, mut connection) in waiting {
        assert_eq!(connection.read_response().unwrap().status, status);
    }
}

/// Writing what is there already is an update like any other.
#[test]
fn an_update_that_changes_nothing_is_an_update() {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&listener(port, 200));
    let modified = || fs::metadata(unitd.path("state/conf.json")).unwrap();
    let before = modified().ino();
    unitd.put("/config", listener(port, 200)).expect_success();
    assert_ne!(modified().ino(), before, "it is stored anew");
    assert_eq!(unitd.fetch(port, "/").status, 200);
}
