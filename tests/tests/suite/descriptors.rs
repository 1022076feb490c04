//! A router that runs out of descriptors: it says so once, serves as they come free, and can still be
//! given another configuration.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use blackbox::{Connection, Place, Process, Unitd, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// What the log says at the beginning of a shortage.
const PAUSE: &str = "new connections are not accepted within 100ms";

/// A daemon whose processes may have few descriptors.
struct Few {
    unitd: Unitd,
    port: u16,
    router: Process,
    limit: usize,
}

fn with_few(routes: &Value) -> Few {
    // A router starts with a loop for each processor; a loop takes five descriptors.
    let limit = 100 + 5 * std::thread::available_parallelism().unwrap().get();
    let unitd = Place::new().with_descriptor_limit(limit).start();
    for text in [PAUSE, "all descriptors but the last are in use", "accept4() failed (24: "] {
        unitd.expect_alert(text);
    }
    let port = unitd.port();
    unitd.configure(&config(port, routes));
    let router = unitd.role("router");
    // Loops that were not needed any more have ended.
    wait_until("two loops are left", LIMIT, || router.threads() == 3);
    Few { unitd, port, router, limit }
}

fn config(port: u16, routes: &Value) -> Value {
    json!({
        "settings": { "listen_threads": 2, "http": { "header_read_timeout": 300 } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": routes,
    })
}

fn expect_balance(unitd: &Unitd) {
    wait_until("accepted = idle + active + closed", LIMIT, || {
        let status = unitd.status("/connections");
        let count = |name: &str| status[name].as_u64().unwrap();
        count("accepted") == count("idle") + count("active") + count("closed")
    });
}

/// Clients that stay connected for nothing make room for those that ask something, and a new
/// configuration finds descriptors, for sockets and processes of applications too.
#[test]
fn idle_connections_make_room_at_the_limit() {
    let Few { unitd, port, router, limit } = with_few(&json!([{ "action": { "return": 200 } }]));
    let mut idle = Vec::new();
    for _ in 0..2 * limit {
        let mut connection = Connection::tcp(port).within(LIMIT);
        assert_eq!(connection.get("/").status, 200);
        idle.push(connection);
    }
    expect_balance(&unitd);
    wait_until("some are left", LIMIT, || router.descriptors() <= limit - 10);
    let log = unitd.log();
    assert_eq!(log.count(PAUSE), 1, "{}", log.text());

    let second = unitd.port();
    let mut next = config(port, &json!([{ "action": { "return": 201 } }]));
    next["listeners"][format!("127.0.0.1:{second}")] = json!({ "pass": "routes" });
    let has_python = !blackbox::pythons().is_empty();
    if has_python {
        let directory = unitd.application("tools");
        next["applications"] = json!({ "app": {
            "type": "python", "module": "tools", "path": directory, "processes": 1
        } });
    }
    unitd.configure(&next);
    for port in [port, second] {
        let mut connection = Connection::tcp(port).within(LIMIT);
        assert_eq!(connection.get("/").status, 201);
        idle.push(connection);
    }
    expect_balance(&unitd);
    assert_eq!(unitd.role("router"), router);
    assert!(log.text().lines().count() < 30, "{}", log.text());
    drop(idle);
    wait_until("all are closed", LIMIT, || unitd.status("/connections/idle") == 0);
    log.wait("new connections are accepted again");
    expect_balance(&unitd);
    assert_eq!(log.count(PAUSE), 1, "{}", log.text());
}

/// Clients in the middle of a request are not sent away; the others wait, and are served when one of
/// those leaves.
#[test]
fn busy_connections_are_kept_at_the_limit_and_others_wait() {
    let Few { unitd, port, router, limit } = with_few(&json!([{ "action": { "return": 200 } }]));
    let mut busy: Vec<Connection> = (0..2 * limit)
        .map(|_| {
            let mut connection = Connection::tcp(port).within(LIMIT);
            connection.send(b"GET / HTTP/1.1\r\nX: ").unwrap();
            connection
        })
        .collect();
    let log = unitd.log();
    log.wait(PAUSE);
    let before = unitd.status("/requests/total").as_u64().unwrap();
    assert!(usize::try_from(before).unwrap() < limit, "{before} were accepted");
    // A configuration gets through meanwhile.
    unitd.put("/config/routes", json!([{ "action": { "return": 202 } }])).expect_success();
    for (at, connection) in busy.drain(..).enumerate() {
        let mut connection = connection;
        // Every other one leaves without a word.
        if at % 2 == 0 {
            let status = connection.ask(b"y\r\n\r\n").status;
            assert!([200, 202].contains(&status), "{status}");
        }
    }
    assert_eq!(Connection::tcp(port).within(LIMIT).get("/").status, 202);
    expect_balance(&unitd);
    log.wait("new connections are accepted again");
    assert_eq!(log.count(PAUSE), 1, "{}", log.text());
    assert_eq!(unitd.role("router"), router);
}

/// Files for bodies and files to be sent are refused before the last descriptors are gone; that is
/// told once in a while.
#[test]
fn files_are_refused_at_the_limit_without_a_flood_of_lines() {
    let routes = json!([
        { "match": { "uri": "/hostname" }, "action": { "share": "/etc$uri" } },
        { "action": { "return": 200 } },
    ]);
    let Few { unitd, port, router, limit } = with_few(&routes);
    unitd.expect_alert("req-XXXXXXXX) failed (24: Too many open files)");
    unitd.expect_alert("failed (24: Too many open files)");
    // Each of them takes two descriptors: itself and its body.
    let half = format!("POST / HTTP/1.1\r\nContent-Length: 40000\r\n\r\n{}", "x".repeat(30_000));
    let mut uploads: Vec<Connection> = Vec::new();
    for _ in 0..limit {
        let mut connection = Connection::tcp(port).within(LIMIT);
        // One that was refused is closed while it still sends.
        let _ = connection.send(half.as_bytes());
        uploads.push(connection);
    }
    let log = unitd.log();
    log.wait(PAUSE);
    unitd.put("/config/settings/http/max_body_size", 1_000_000).expect_success();
    let mut statuses = Vec::new();
    for mut connection in uploads {
        let _ = connection.send("x".repeat(10_000).as_bytes());
        statuses.push(connection.read_response().unwrap().status);
        statuses.push(Connection::tcp(port).within(LIMIT).get("/hostname").status);
    }
    assert!(statuses.iter().all(|status| [200, 500, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200));
    let told = log.count("failed \\(24: Too many open files\\)");
    assert!(told <= 6, "{told} lines: {}", log.text());
    assert_eq!(log.count(PAUSE), 1, "{}", log.text());
    // With the descriptors everything is back.
    assert_eq!(unitd.fetch(port, "/hostname").status, 200);
    expect_balance(&unitd);
    assert_eq!(unitd.role("router"), router);
}

/// However many listeners there are, and however often descriptors come free, connections take no
/// more than one of those that are kept for changes of configuration.
#[test]
fn connections_of_many_listeners_leave_the_reserve_alone() {
    let Few { unitd, port, router, limit } = with_few(&json!([{ "action": { "return": 200 } }]));
    let mut many = config(port, &json!([{ "action": { "return": 200 } }]));
    let path = |number: usize| unitd.text_path(format!("{number}.sock"));
    for number in 0..20 {
        many["listeners"][format!("unix:{}", path(number))] = json!({ "pass": "routes" });
    }
    unitd.configure(&many);
    let begin = |number: usize| {
        let mut connection = Connection::unix(Path::new(&path(number % 20))).within(LIMIT);
        connection.send(b"GET / HTTP/1.1\r\nX: ").unwrap();
        connection
    };
    let mut busy = VecDeque::new();
    for number in 0..limit {
        busy.push_back(begin(number));
        // The first ones are those that are served.
        wait_until("it is accepted", LIMIT, || {
            number >= 40 || unitd.status("/connections/accepted") == number + 1
        });
    }
    unitd.log().wait(PAUSE);
    // The one that waits for a better place, and the look whether there is one.
    let most = limit - 16 + 2;
    for round in 0..20 {
        // Two that are served leave, and others come.
        for number in [2 * round, 2 * round + 1] {
            let mut served = busy.pop_front().unwrap();
            assert_eq!(served.ask(b"y\r\n\r\n").status, 200);
            drop(served);
            busy.push_back(begin(number));
        }
        let routes = json!([{ "action": { "return": 200 } }]);
        unitd.put("/config/routes", routes).expect_success();
        let descriptors = router.descriptors();
        let names = || router.descriptor_names();
        assert!(descriptors <= most, "{descriptors} of {limit} in round {round}: {:?}", names());
    }
    wait_until("all places are taken again", LIMIT, || router.descriptors() >= limit - 16);
    assert!(router.descriptors() <= most);
    drop(busy);
    expect_balance(&unitd);
}

/// Connections that hold more than what is theirs leave the very last descriptors, if channels and
/// listeners have taken most.
#[test]
fn a_few_connections_leave_the_very_last_descriptors_alone() {
    let Few { unitd, port, router, limit } = with_few(&json!([{ "action": { "return": 200 } }]));
    let mut many = config(port, &json!([{ "action": { "return": 200 } }]));
    let spare = limit - router.descriptors();
    for number in 0..spare - 20 {
        let address = format!("unix:{}", unitd.text_path(format!("{number}.sock")));
        many["listeners"][address] = json!({ "pass": "routes" });
    }
    unitd.configure(&many);
    let mut busy: Vec<Connection> = (0..20)
        .map(|_| {
            let mut connection = Connection::tcp(port).within(LIMIT);
            connection.send(b"GET / HTTP/1.1\r\nX: ").unwrap();
            connection
        })
        .collect();
    unitd.log().wait(PAUSE);
    for _ in 0..5 {
        // One leaves, and the next takes its place.
        assert_eq!(busy.remove(0).ask(b"y\r\n\r\n").status, 200);
        unitd.put("/config/routes/0/action/return", 200).expect_success();
        let descriptors = router.descriptors();
        assert!(descriptors <= limit - 8 + 2, "{descriptors} of {limit}");
    }
    drop(busy);
    expect_balance(&unitd);
}

/// What leaves no descriptor for a connection is refused, and what ran goes on.
#[test]
fn a_configuration_that_leaves_no_descriptors_is_refused() {
    let Few { unitd, port, router, limit } = with_few(&json!([{ "action": { "return": 200 } }]));
    let text = format!("of the {limit} descriptors that the router may have");
    unitd.expect_alert(&text);
    unitd.expect_alert("failed to apply new conf");
    let answer = unitd.put("/config/settings/listen_threads", limit / 5);
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert_eq!(unitd.log().count(&text), 1);
    assert_eq!(unitd.fetch(port, "/").status, 200);
    assert_eq!((router.threads(), unitd.role("router")), (3, router.clone()));
    // What fits barely is said to.
    let barely = (limit - 9 - 17) / 6;
    unitd.put("/config/settings/listen_threads", barely).expect_success();
    let told = unitd.log().find_all(&format!(".*{text}"));
    assert!(told.len() == 2 && told[1].contains("[warn]"), "{told:?}");
    assert_eq!(unitd.fetch(port, "/").status, 200);
}
