//! What connections cost the router in memory: those that wait, and those that take too slowly.

use std::fs::File;
use std::net::TcpStream;
use std::time::Duration;

use blackbox::{
    Connection, Unitd, allow_descriptors, amount, need_python, request, skip, wait_until,
};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);

fn with_python(routes_to_app: bool) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let file = unitd.path("www/large");
    File::create(&file).unwrap().set_len(512 * 1024 * 1024).unwrap();
    let mut config = json!({
        "settings": { "listen_threads": 2 },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/large" }, "action": { "share": file } },
            { "match": { "uri": "/return" }, "action": { "return": 200 } },
        ],
    });
    if routes_to_app {
        let directory = unitd.application("tools");
        let rest = json!({ "action": { "pass": "applications/app" } });
        config["routes"].as_array_mut().unwrap().push(rest);
        config["applications"] = json!({ "app": {
            "type": "python", "module": "tools", "path": directory, "processes": 4
        } });
    }
    unitd.configure(&config);
    (unitd, port)
}

fn expect_all_closed(unitd: &Unitd) {
    wait_until("all connections are closed", LIMIT, || {
        let status = unitd.status("/connections");
        status["idle"] == 0 && status["active"] == 0 && status["accepted"] == status["closed"]
    });
}

/// A connection that waits for its next request costs no more than a page of memory.
#[test]
fn n10_idle_connections_take_four_kibibytes_at_most() {
    let count = amount("UNIT_IDLE_CONNECTIONS", 2000);
    if !allow_descriptors(count + 500) {
        skip!("this process may not have {count} connections");
    }
    let (unitd, port) = with_python(false);
    let router = unitd.role("router");
    let small = request("GET", "/return", &[], b"");
    // What was read with the head, and what came later, is in the hands of nobody afterwards.
    let large = request("POST", "/return", &[], &[b'x'; 12_000]);
    let connect = |count: usize| -> Vec<Connection> {
        let each = |at| {
            let mut connection = Connection::tcp(port);
            let bytes = if at % 2 == 0 { &small } else { &large };
            assert_eq!(connection.ask(bytes).status, 200);
            connection
        };
        (0..count).map(each).collect()
    };
    // What is there for all of them together is there after the first.
    let some = connect(50);
    let before = router.resident_kib();
    let all = connect(count);
    let after = router.resident_kib();
    assert_eq!(unitd.status("/connections/idle"), count + 50);
    let each = after.saturating_sub(before) * 1024 / u64::try_from(count).unwrap();
    println!("{each} bytes for each of {count} idle connections");
    assert!(each <= 4096, "{each} bytes each: {before} KiB, then {after} KiB");
    drop((some, all));
    expect_all_closed(&unitd);
}

/// Clients that ask for far more than they take: the router holds little of it, the application has
/// to wait, and what was held goes with the client.
#[test]
fn n10_slow_readers_do_not_fill_the_memory() {
    need_python!();
    let (unitd, port) = with_python(true);
    let router = unitd.role("router");
    let targets = ["/stream?size=1000000000", "/large"];
    let begin = |target: &str, count: usize| -> Vec<Connection> {
        let each = |_| {
            let mut connection = Connection::tcp(port);
            connection.send(&request("GET", target, &[], b"")).unwrap();
            connection
        };
        (0..count).map(each).collect()
    };
    let before = router.resident_kib();
    for target in targets {
        let count = if target == "/large" { 100 } else { 4 };
        let mut clients = begin(target, count);
        for client in &mut clients {
            client.read_exactly(10_000).unwrap();
        }
        // The answers do not move any more, though nothing near all of them was read.
        let mut used = 0;
        wait_until("the application waits", LIMIT, || {
            let workers: u64 = unitd.workers("app").iter().map(|worker| worker.cpu_ticks()).sum();
            let sum = workers + router.cpu_ticks();
            std::thread::sleep(Duration::from_millis(300));
            std::mem::replace(&mut used, sum) == sum
        });
        let held = router.resident_kib().saturating_sub(before);
        println!("{held} KiB for {count} of {target}");
        assert!(held < 16 * 1024, "{held} KiB for {count} of {target}");
        drop(clients);
        expect_all_closed(&unitd);
        wait_until("no request is left", LIMIT, || {
            unitd.status("/applications/app/requests/active") == 0
        });
    }
    let mut client = Connection::tcp(port);
    assert_eq!(client.get("/pid").status, 200);
}

/// A client that sends requests and takes no answer is not read from any further.
#[test]
fn n10_pipelining_without_reading_is_held_back() {
    let (unitd, port) = with_python(false);
    let router = unitd.role("router");
    let before = router.resident_kib();
    let many = request("GET", "/return", &[], b"").repeat(1000);
    let mut sent = 0_usize;
    let clients: Vec<TcpStream> = (0..8)
        .map(|_| {
            let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            client.set_nonblocking(true).unwrap();
            client
        })
        .collect();
    let mut idle_rounds = 0;
    // Until no client can send anything for a while.
    while idle_rounds < 20 {
        let mut any = false;
        for client in &clients {
            while let Ok(count) = std::io::Write::write(&mut &*client, &many) {
                sent += count;
                any = true;
                assert!(sent < 2_000_000_000, "it reads on and on");
            }
        }
        idle_rounds = if any { 0 } else { idle_rounds + 1 };
        std::thread::sleep(Duration::from_millis(20));
    }
    let held = router.resident_kib().saturating_sub(before);
    println!("{held} KiB after {sent} bytes of requests");
    assert!(held < 16 * 1024, "{held} KiB");
    // Nothing spins once what was read is answered.
    wait_until("the router rests", LIMIT, || {
        let ticks = router.cpu_ticks();
        std::thread::sleep(Duration::from_millis(500));
        router.cpu_ticks() - ticks < 10
    });
    drop(clients);
    expect_all_closed(&unitd);
}

/// N5: requests of every kind, many of each: what the first ones left is all that is left.
#[test]
fn n5_many_requests_of_every_kind_keep_nothing() {
    need_python!();
    let count = amount("UNIT_REQUESTS_OF_EACH_KIND", 600);
    let (unitd, port) = with_python(true);
    let small = unitd.write("www/small", "The file.\n");
    let share = json!({ "match": { "uri": "/small" }, "action": { "share": small } });
    let mut routes = unitd.config("/routes");
    routes.as_array_mut().unwrap().insert(0, share);
    unitd.put("/config/routes", routes).expect_success();
    let large = vec![b'x'; 40_000];
    let kinds = [
        request("GET", "/return", &[], b""),
        request("GET", "/small", &[], b""),
        request("HEAD", "/large", &[], b""),
        request("GET", "/small", &["Range: bytes=0-3"], b""),
        request("GET", "/pid", &[], b""),
        request("POST", "/sum", &[], b"small"),
        request("POST", "/sum", &[], &large),
        request("GET", "/stream?size=50000", &[], b""),
        request("GET", "/nothing", &[], b""),
        request("GET", "/%", &[], b""),
    ];
    let router = unitd.role("router");
    let ask = |bytes: &[u8], count: usize| {
        let mut open: Option<Connection> = None;
        for _ in 0..count {
            let mut connection = open.take().unwrap_or_else(|| Connection::tcp(port));
            connection.send(bytes).unwrap();
            let head = connection.read_head().unwrap();
            if !bytes.starts_with(b"HEAD") {
                connection.read_body(&head).unwrap();
            }
            open = head.field("Connection").is_none().then_some(connection);
        }
    };
    let settle = || {
        expect_all_closed(&unitd);
        let mut lowest = usize::MAX;
        // Files stay open for a while.
        wait_until("the descriptors do not get fewer", LIMIT, || {
            std::thread::sleep(Duration::from_millis(300));
            let now = router.descriptors();
            let are_fewer = now < lowest;
            lowest = lowest.min(now);
            !are_fewer
        });
        lowest
    };
    for bytes in &kinds {
        ask(bytes, 200);
    }
    let (descriptors, memory) = (settle(), router.private_kib());
    for bytes in &kinds {
        ask(bytes, count);
    }
    wait_until("the descriptors are as before", LIMIT, || router.descriptors() <= descriptors);
    let now = router.private_kib();
    println!("{memory} KiB, then {now} KiB");
    assert!(now < memory + 1024, "{memory} KiB, then {now} KiB");
}
