//! Clients that leave at every phase, and many sessions: afterwards everything is as before.

use blackbox::websocket::{WebSocket, frame, handshake};
use blackbox::{Connection, Load, Process, wait_until};
use serde_json::json;

use super::{LIMIT, start, start_with, state, wait_for_calm};

/// How many sessions are opened one after another; `UNIT_TEST_UPGRADES` sets another number.
fn upgrades() -> usize {
    std::env::var("UNIT_TEST_UPGRADES").map_or(2_000, |number| number.parse().unwrap())
}

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// It closes with everything read.
    Close,
    /// It says first that it will send nothing more, and waits.
    HalfClose,
    /// It closes with something unread, which resets the connection.
    Reset,
}

/// N7: a client leaves at each phase of a session; counters, sessions and descriptors are back.
#[test]
fn n7_a_client_that_leaves_at_any_phase_leaves_nothing() {
    let (unitd, port) = start();
    WebSocket::open(port, "/echo").echo("warm");
    wait_for_calm(&unitd, port);
    let processes = [unitd.role("router"), unitd.workers("app")[0].clone()];
    let descriptors = || processes.each_ref().map(Process::descriptors);
    let before = descriptors();
    let hello = handshake("/echo", &[]);
    let large = frame(0x82, &vec![7; 900_000]);
    let phases: [(&str, Vec<u8>, bool); 12] = [
        ("in the handshake", hello[..hello.len() - 5].to_vec(), false),
        ("while it is accepted", handshake("/slow", &[]), false),
        ("right behind the handshake", hello.clone(), true),
        ("in a header", [&hello[..], &large[..5]].concat(), true),
        ("in a mask", [&hello[..], &large[..12]].concat(), true),
        ("in a payload", [&hello[..], &large[..300_000]].concat(), true),
        ("behind a frame", [&hello[..], &large].concat(), true),
        ("in a control frame", [&hello[..], b"\x89\xfe\x00"].concat(), true),
        ("in a message", [&hello[..], &frame(0x01, b"part")].concat(), true),
        ("behind its close frame", [&hello[..], &frame(0x88, b"")].concat(), true),
        ("while it is sent much", [handshake("/flood", &[]), frame(0x81, b"x")].concat(), true),
        (
            "with an application that is deaf",
            [handshake("/deaf", &[]), large.clone()].concat(),
            true,
        ),
    ];
    for (phase, octets, is_accepted) in &phases {
        for way in [Way::Close, Way::HalfClose, Way::Reset] {
            for _ in 0..3 {
                let mut connection = Connection::tcp(port);
                // A server that does not read on because of the application is not waited for.
                let mut pieces = octets.chunks(200_000);
                connection.send(pieces.next().unwrap()).unwrap();
                if *is_accepted && !matches!(way, Way::Reset) {
                    assert_eq!(connection.read_head().unwrap().status, 101, "{phase}");
                }
                let mut connection = connection.within(std::time::Duration::from_millis(200));
                for piece in pieces {
                    if connection.send(piece).is_err() {
                        break;
                    }
                }
                if matches!(way, Way::HalfClose) {
                    let _ = connection.finish_sending();
                    let _ = connection.read_some(10);
                }
            }
        }
        wait_for_calm(&unitd, port);
        wait_until(&format!("descriptors are back after {phase}"), LIMIT, || {
            descriptors() == before
        });
    }
    assert_eq!(unitd.workers("app"), [processes[1].clone()], "the same worker all along");
}

/// N12: as many sessions as there are clients, one after another and side by side, and none costs
/// ordinary requests anything.
#[test]
fn n12_upgrades_without_end_leave_two_workers_as_they_were() {
    let (unitd, port) = start_with(&json!({}), |application| application["processes"] = json!(2));
    let _ = unitd.wait_for_workers("app", 2);
    let router = unitd.role("router");
    // Both workers and all loops are warm.
    drop((0..20).map(|_| WebSocket::open(port, "/echo")).collect::<Vec<_>>());
    wait_until("nothing is left", LIMIT, || unitd.status("/connections/active") == 0);
    let before = router.descriptors();
    let load = Load::start(1, port, "/any", |response| response.status == 200);
    // More than twice as many at once as a channel has slots, while ordinary requests are served.
    let live = 1_200.min(upgrades());
    let mut sessions: Vec<WebSocket> = (0..live).map(|_| WebSocket::open(port, "/echo")).collect();
    load.wait_for_more(20);
    for (number, session) in sessions.iter_mut().enumerate() {
        session.echo(&number.to_string());
    }
    wait_until("no request is active", LIMIT, || {
        // But perhaps the one of the load.
        unitd.status("/applications/app/requests/active").as_u64() <= Some(1)
    });
    drop(sessions);
    for number in live..upgrades() {
        let mut session = WebSocket::open(port, "/echo");
        session.echo(&number.to_string());
        if number % 2 == 0 {
            session.send(0x88, b"");
            session.expect_closed(1000, "");
        }
    }
    load.wait_for_more(20);
    load.stop().expect_clean();
    wait_until("everything is back", LIMIT, || {
        let application = unitd.status("/applications/app");
        application["requests"]["active"] == 0
            && application["processes"]["idle"] == 2
            && unitd.status("/connections/active") == 0
            && router.descriptors() <= before
    });
    assert_eq!(state(port).1, 0);
}

/// An application that never finishes what has ended keeps its own process busy and nothing else.
#[test]
fn an_application_that_forgets_its_sessions_harms_itself_alone() {
    let (unitd, port) = start();
    let before = unitd.role("router").descriptors();
    for _ in 0..50 {
        WebSocket::open(port, "/forget").echo("x");
    }
    wait_until("the connections are closed", LIMIT, || {
        unitd.role("router").descriptors() <= before + 1 && unitd.status("/connections/active") == 0
    });
    assert_eq!(unitd.status("/applications/app/processes/idle"), 0);
    assert_eq!(Connection::tcp(port).get("/any").status, 200);
    // It can be taken away all the same.
    unitd.clear();
    unitd.wait_for_rest();
}
