//! An application that turns against the server: it harms its own requests and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use blackbox::{Connection, Load, Place, Unitd, need_python, request, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);

/// A daemon with a good application and a hostile one; their ports.
fn with_both(processes: u32) -> (Unitd, u16, u16) {
    let place = Place::new();
    let (good, bad) = (place.port(), place.port());
    let unitd = place.start();
    let application = |name: &str| {
        let directory = unitd.application(name);
        json!({ "type": "python", "module": name, "path": directory, "processes": processes })
    };
    unitd.configure(&json!({
        "listeners": {
            format!("127.0.0.1:{good}"): { "pass": "applications/good" },
            format!("127.0.0.1:{bad}"): { "pass": "applications/bad" },
        },
        "applications": { "good": application("tools"), "bad": application("hostile") },
    }));
    (unitd, good, bad)
}

/// Whatever it does to the memory and the sockets it shares with the router.
#[test]
fn n18_what_an_application_does_to_its_channel_harms_only_itself() {
    need_python!();
    let (unitd, good, bad) = with_both(2);
    for text in ["broke the protocol", "exited on signal", "the channel to the router broke"] {
        unitd.expect_alert(text);
    }
    let roles = [unitd.main(), unitd.role("controller"), unitd.role("router")];
    let workers = unitd.workers("good");
    let before: Vec<usize> = roles.iter().map(blackbox::Process::descriptors).collect();
    let load = Load::start(3, good, "/pid", |response| response.status == 200);
    load.wait_for_more(20);
    for deed in [
        "fill-with-ones",
        "fill-with-zeros",
        "fill-with-noise",
        "fill-for-ever",
        "shrink",
        "send-garbage",
        "send-descriptors",
        "shut-down",
        "close-everything",
        "eat-descriptors",
        "abort",
    ] {
        println!("it does: {deed}");
        for _ in 0..3 {
            // Others of its requests wait or run meanwhile. All of them end, somehow.
            let mut clients: Vec<Connection> = (0..4).map(|_| Connection::tcp(bad)).collect();
            for (at, client) in clients.iter_mut().enumerate() {
                let target = if at == 1 { format!("/{deed}") } else { "/pid".to_owned() };
                client.send(&request("GET", &target, &[], b"")).unwrap();
            }
            for client in &mut clients {
                match client.read_head() {
                    Ok(_) => {}
                    Err(error) => assert!(!error.to_string().contains("timed out"), "{deed}"),
                }
            }
        }
        assert_eq!([unitd.main(), unitd.role("controller"), unitd.role("router")], roles, "{deed}");
        load.wait_for_more(20);
    }
    // The harmed ones are replaced, in the end.
    wait_until("the hostile application serves again", LIMIT, || {
        unitd.workers("bad").iter().for_each(|worker| worker.signal(Signal::SIGTERM));
        unitd.fetch(bad, "/pid").status == 200
    });
    let tally = load.stop();
    println!("{tally:?}");
    tally.expect_clean();
    assert_eq!(unitd.workers("good"), workers);
    unitd.clear();
    unitd.wait_for_rest();
    for (role, before) in roles.iter().zip(before) {
        wait_until(&format!("{} has {before} descriptors", role.title), LIMIT, || {
            role.descriptors() <= before
        });
    }
}

/// An application holds nothing but what is its own: its channels, its log, its standard streams.
#[test]
fn n18_an_application_inherits_no_descriptor_of_others() {
    need_python!();
    let (unitd, _, bad) = with_both(1);
    let text = unitd.fetch(bad, "/descriptors").text();
    let kinds: BTreeSet<&str> = text
        .lines()
        .map(|name| {
            let kind = name.split(['[', '(']).next().unwrap().trim_end_matches(':').trim();
            if kind.starts_with("/proc/") { "/proc" } else { kind }
        })
        .collect();
    let log = unitd.log().path().to_str().unwrap().to_owned();
    for kind in &kinds {
        let is_own = ["socket", "/dev/null", "/proc", "/memfd:unit-loop", "pipe"].contains(kind)
            || kind.starts_with("/memfd:unit")
            || *kind == log;
        assert!(is_own, "{kind} in {text}");
    }
    // The doorbells of its channels, one for each event loop, and no socket more.
    let loops = std::thread::available_parallelism().unwrap().get();
    assert!(text.matches("socket:").count() <= loops, "{text}");
}

/// It asks for no more memory than it is given, and a full one is told.
#[test]
fn n8_an_application_that_dies_in_mid_answer_cuts_only_that() {
    need_python!();
    let (unitd, good, _) = with_both(1);
    unitd.expect_alert("exited on signal 9");
    for _ in 0..5 {
        let worker = unitd.wait_for_workers("good", 1)[0].clone();
        let mut client = Connection::tcp(good);
        client.send(&request("GET", "/stream?size=1000000000", &[], b"")).unwrap();
        client.read_exactly(100_000).unwrap();
        worker.signal(Signal::SIGKILL);
        let end = client.within(LIMIT).read_to_end();
        assert!(end.is_ok(), "{end:?}");
        wait_until("another one serves", LIMIT, || unitd.fetch(good, "/pid").status == 200);
    }
}
