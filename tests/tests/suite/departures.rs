//! Clients that go away, in every way and at every moment: nothing of them is left.

use std::fmt;
use std::fs::File;
use std::time::Duration;

use blackbox::{Connection, Process, Unitd, need_python, request, wait_until};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);

/// How a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It closes its socket.
    Close,
    /// It closes its socket and what is on the way is thrown away: a reset.
    Reset,
    /// It says that it sends no more, and reads on.
    HalfClose,
}

/// What goes on when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connected,
    InHead,
    InBody,
    InSpooledBody,
    Queued,
    BeingProcessed,
    InAnswer,
    Idle,
    Pipelined,
}

/// What the request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Return,
    Static,
    Application,
}

const WAYS: [Way; 3] = [Way::Close, Way::Reset, Way::HalfClose];
const PHASES: [Phase; 9] = [
    Phase::Connected,
    Phase::InHead,
    Phase::InBody,
    Phase::InSpooledBody,
    Phase::Queued,
    Phase::BeingProcessed,
    Phase::InAnswer,
    Phase::Idle,
    Phase::Pipelined,
];
const KINDS: [Kind; 3] = [Kind::Return, Kind::Static, Kind::Application];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Return => "/return",
            Self::Static => "/static",
            Self::Application => "/pid",
        })
    }
}

struct Stage {
    unitd: Unitd,
    port: u16,
    router: Process,
    /// Whoever waits for it blocks a worker.
    gate: String,
}

impl Stage {
    fn new() -> Self {
        let unitd = Unitd::start();
        let port = unitd.port();
        let file = unitd.path("www/static");
        File::create(&file).unwrap().set_len(64 * 1024 * 1024).unwrap();
        let directory = unitd.application("tools");
        unitd.configure(&json!({
            "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
            "routes": [
                { "match": { "uri": "/return" }, "action": { "return": 200 } },
                { "match": { "uri": "/static" }, "action": { "share": file } },
                { "action": { "pass": "applications/app" } },
            ],
            "applications": { "app": {
                "type": "python", "module": "tools", "path": directory, "processes": 1
            } },
        }));
        let router = unitd.role("router");
        let gate = unitd.text_path("gate");
        Self { unitd, port, router, gate }
    }

    fn wait_request(&self) -> Vec<u8> {
        request("GET", &format!("/wait?file={}", self.gate), &[], b"")
    }

    fn active(&self) -> u64 {
        self.unitd.status("/applications/app/requests/active").as_u64().unwrap()
    }

    /// Clients that have got to this phase. `None`: there is no such thing.
    fn bring_to(&self, phase: Phase, kind: Kind, count: usize) -> Option<Vec<Connection>> {
        let target = kind.to_string();
        let connect = |bytes: &[u8]| {
            let mut connection = Connection::tcp(self.port);
            connection.send(bytes).unwrap();
            connection
        };
        let all = |bytes: &[u8]| Some((0..count).map(|_| connect(bytes)).collect());
        match phase {
            Phase::Connected => all(b""),
            Phase::InHead => all(format!("GET {target} HTTP/1.1\r\nX: ").as_bytes()),
            Phase::InBody => {
                all(format!("POST {target} HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc").as_bytes())
            }
            Phase::InSpooledBody => {
                let head = format!("POST {target} HTTP/1.1\r\nContent-Length: 400000\r\n\r\n");
                all(&[head.as_bytes(), &[b'x'; 200_000][..]].concat())
            }
            // Only an application lets anybody wait.
            Phase::Queued | Phase::BeingProcessed if kind != Kind::Application => None,
            Phase::Queued | Phase::BeingProcessed => {
                let before = self.active();
                let clients = all(&self.wait_request());
                wait_until("the requests have arrived", LIMIT, || {
                    self.active() >= before + u64::try_from(count).unwrap()
                });
                clients
            }
            Phase::InAnswer if kind == Kind::Return => None,
            Phase::InAnswer => {
                let large = if kind == Kind::Static { "/static" } else { "/stream?size=50000000" };
                let begin = |at: usize| {
                    let mut client = connect(&request("GET", large, &[], b""));
                    // The only worker is busy with the first of them.
                    if at == 0 || kind == Kind::Static {
                        client.read_exactly(1000).unwrap();
                    }
                    client
                };
                Some((0..count).map(begin).collect())
            }
            Phase::Idle => {
                let mut clients: Vec<Connection> =
                    (0..count).map(|_| Connection::tcp(self.port)).collect();
                for client in &mut clients {
                    // Not all of the large file.
                    let method = if kind == Kind::Static { "HEAD" } else { "GET" };
                    client.send(&request(method, &target, &[], b"")).unwrap();
                    let head = client.read_head().unwrap();
                    if method == "GET" {
                        client.read_body(&head).unwrap();
                    }
                }
                Some(clients)
            }
            Phase::Pipelined => all(&request("GET", &target, &[], b"").repeat(20)),
        }
    }

    /// Everything is as it was before any client came.
    fn expect_rest(&self, descriptors: usize, what: &str) {
        wait_until(&format!("{what}: the counters are back"), LIMIT, || {
            let status = self.unitd.status("/connections");
            status["idle"] == 0
                && status["active"] == 0
                && status["accepted"] == status["closed"]
                && self.active() == 0
        });
        wait_until(&format!("{what}: {descriptors} descriptors"), LIMIT, || {
            self.router.descriptors() <= descriptors
        });
    }
}

fn leave(mut client: Connection, way: Way) -> Option<Connection> {
    match way {
        Way::Close => drop(client),
        Way::Reset => client.reset(),
        Way::HalfClose => {
            let _ = client.finish_sending();
            return Some(client);
        }
    }
    None
}

/// N7: who leaves takes everything along, and nothing of others.
#[test]
fn n7_clients_that_leave_leave_nothing_behind() {
    need_python!();
    let stage = Stage::new();
    let warm_up = stage.bring_to(Phase::Idle, Kind::Application, 4);
    drop(warm_up);
    let spool = stage.bring_to(Phase::InSpooledBody, Kind::Return, 4);
    drop(spool);
    wait_until("nobody is connected", LIMIT, || {
        let status = stage.unitd.status("/connections");
        status["accepted"] == status["closed"]
    });
    let descriptors = stage.router.descriptors();
    let worker = stage.unitd.workers("app");
    let mut cells = 0;
    for phase in PHASES {
        for kind in KINDS {
            for way in WAYS {
                let what = format!("{way:?} {phase:?} {kind:?}");
                let _ = std::fs::remove_file(&stage.gate);
                // Somebody else holds the only worker while requests are to wait.
                let mut holder = None;
                if phase == Phase::Queued && kind == Kind::Application {
                    let mut connection = Connection::tcp(stage.port);
                    connection.send(&stage.wait_request()).unwrap();
                    wait_until("the worker is held", LIMIT, || stage.active() == 1);
                    holder = Some(connection);
                }
                let Some(clients) = stage.bring_to(phase, kind, 4) else { continue };
                cells += 1;
                let kept: Vec<Connection> =
                    clients.into_iter().filter_map(|client| leave(client, way)).collect();
                std::fs::write(&stage.gate, "").unwrap();
                if let Some(mut holder) = holder {
                    assert_eq!(holder.read_response().unwrap().status, 200, "{what}");
                }
                for mut client in kept {
                    expect_answers(&mut client, phase, kind, &what);
                }
                stage.expect_rest(descriptors, &what);
                // The next one is served as if nothing had been.
                let mut next = Connection::tcp(stage.port);
                assert_eq!(next.get("/pid").status, 200, "{what}");
                assert_eq!(next.get("/return").status, 200, "{what}");
            }
        }
    }
    println!("{cells} cells");
    // Waiting is for applications, and an answer that takes time is none of `return`.
    assert_eq!(cells, WAYS.len() * (6 * KINDS.len() + 2 + 2));
    assert_eq!(stage.unitd.workers("app"), worker);
}

/// A client that has closed its half only gets what it asked for.
fn expect_answers(client: &mut Connection, phase: Phase, kind: Kind, what: &str) {
    match phase {
        Phase::Queued | Phase::BeingProcessed => {
            assert_eq!(client.read_response().unwrap().status, 200, "{what}");
        }
        Phase::Pipelined => {
            // Twenty times the large file would take long.
            let count = if kind == Kind::Static { 1 } else { 20 };
            for _ in 0..count {
                assert_eq!(client.read_response().unwrap().status, 200, "{what}");
            }
            if kind == Kind::Static {
                return;
            }
        }
        Phase::InAnswer => return,
        Phase::Connected | Phase::InHead | Phase::InBody | Phase::InSpooledBody | Phase::Idle => {}
    }
    let rest = client.read_to_end().unwrap();
    assert!(rest.is_empty(), "{what}: {}", String::from_utf8_lossy(&rest));
}

/// How many sockets of a port the kernel has in this state.
fn sockets_in(state: &str, port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let is_it = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.len() > 3 && fields[1].ends_with(&local) && fields[3] == state
    };
    table.lines().skip(1).filter(|line| is_it(line)).count()
}

/// CLOSE-WAIT: the client has closed, and the server has not.
const CLOSE_WAIT: &str = "08";

/// N9: clients that connect to see whether anybody is there, in each way there is. Neither time nor
/// sockets are spent on them for long.
#[test]
fn n9_a_port_scan_costs_little() {
    let unitd = Unitd::start();
    let port = unitd.port();
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 200 } }],
    }));
    let router = unitd.role("router");
    let descriptors = router.descriptors();
    let mut held = Vec::new();
    let before = router.cpu_ticks();
    let count = 2000;
    for at in 0..count {
        let mut connection = Connection::tcp(port);
        match at % 5 {
            0 => drop(connection),
            1 => connection.reset(),
            2 => {
                // The first octets of a TLS handshake, and then nothing.
                connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
                connection.finish_sending().unwrap();
                held.push(connection);
            }
            3 => {
                connection.finish_sending().unwrap();
                held.push(connection);
            }
            _ => {
                connection.send(&request("GET", "/", &[], b"")).unwrap();
                connection.finish_sending().unwrap();
                held.push(connection);
            }
        }
    }
    for mut connection in held.drain(..) {
        let _ = connection.read_to_end();
    }
    wait_until("nobody is connected", LIMIT, || {
        let status = unitd.status("/connections");
        status["accepted"] == status["closed"]
    });
    wait_until("no socket waits to be closed", LIMIT, || sockets_in(CLOSE_WAIT, port) == 0);
    assert!(router.descriptors() <= descriptors);
    // A hundredth of a second is plenty for ten of them.
    let used = router.cpu_ticks() - before;
    assert!(used < count / 10, "{used} ticks for {count} connections");
    wait_until("the router rests", LIMIT, || {
        let ticks = router.cpu_ticks();
        std::thread::sleep(Duration::from_millis(500));
        router.cpu_ticks() - ticks < 5
    });
    assert_eq!(unitd.fetch(port, "/").status, 200);
}

/// A request that is read after its client has reset the connection still comes from that client:
/// the address was known when it was accepted.
#[test]
fn a_client_that_resets_its_connection_keeps_its_address() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let log = unitd.text_path("access.log");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "source": "unix" }, "action": { "return": 201 } },
            { "match": { "source": "!127.0.0.0/8" }, "action": { "return": 202 } },
            { "action": { "return": 200 } },
        ],
        "access_log": { "path": log, "format": "$uri $remote_addr $status" },
    }));
    for number in 0..200 {
        let mut client = Connection::tcp(port);
        client.send(&request("GET", &format!("/{number}"), &[], b"")).unwrap();
        client.reset();
    }
    // What came before the reset may be lost with it, but not all of it, and none is taken for
    // somebody else's.
    wait_until("some are logged", LIMIT, || {
        std::fs::read_to_string(&log).unwrap().lines().count() >= 20
    });
    let last = Connection::tcp(port).get("/last");
    assert_eq!(last.status, 200);
    let read = std::fs::read_to_string(&log).unwrap();
    for line in read.lines().filter(|line| !line.starts_with("- ")) {
        assert!(line.ends_with(" 127.0.0.1 200"), "{line}");
    }
}
