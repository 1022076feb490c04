//! Random bytes, and requests with random faults, to the control socket: nothing but JSON comes
//! back, and the controller goes on.

use std::time::Duration;

use blackbox::{Connection, Random, Unitd, request};

/// How many connections are made.
const CONNECTIONS: usize = 3000;

/// Requests to put faults into.
fn templates() -> Vec<Vec<u8>> {
    let chunked = b"PUT /config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                    7\r\n{\"route\r\n6\r\ns\":[]}\r\n0\r\n\r\n";
    vec![
        request("GET", "/", &[], b""),
        request("GET", "/config/routes/0/action?x=y", &["Accept: */*"], b""),
        request("GET", "/status/connections/idle", &[], b""),
        request("GET", "/control/applications/a/restart", &[], b""),
        request(
            "PUT",
            "/config",
            &["Expect: 100-continue"],
            br#"{"routes":[{"action":{"return":200}}]}"#,
        ),
        request("PUT", "/config/settings", &[], br#"{"http":{"idle_timeout":1e1,/* a */}}"#),
        request(
            "POST",
            "/config/routes",
            &[],
            br#"{"action":{"return":204,"location":"\u00e9$uri"}}"#,
        ),
        request("DELETE", "/config/routes/%30", &[], b""),
        request("PUT", "/config/routes/a%2Fb%25", &["Content-Type: application/json"], b"[]"),
        request(
            "PUT",
            "/certificates/a",
            &[],
            b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        ),
        chunked.to_vec(),
    ]
}

/// Puts a fault into a request: a byte changed, put in or taken out, a part doubled or cut off.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>) {
    const TELLING: &[u8] = b"\0\r\n /%?#:;,.\"\\{}[]01-+eE\x7f\x80\xff";
    let at = random.below(bytes.len() + 1);
    let byte = if random.once_in(2) { *random.choose(TELLING) } else { random.byte() };
    match random.below(6) {
        0 | 1 if at < bytes.len() => bytes[at] = byte,
        2 if at < bytes.len() => drop(bytes.remove(at)),
        3 => {
            let end = (at + random.below(40)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        4 => bytes.truncate(at),
        _ => bytes.insert(at, byte),
    }
}

/// Sends bytes in pieces, says that there are no more, and takes what comes.
fn exchange(unitd: &Unitd, random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let connection = Connection::unix(&unitd.control_socket());
    let mut connection = connection.within(Duration::from_secs(30));
    let piece = 1 + random.below(bytes.len() + 1);
    for piece in bytes.chunks(piece) {
        // It may have been refused already.
        if connection.send(piece).is_err() {
            break;
        }
    }
    let _ = connection.finish_sending();
    connection.read_to_end().unwrap_or_else(|error| panic!("{random}: {error}: {bytes:?}"))
}

/// What came is nothing, or one answer with JSON in it, perhaps after the word to go on.
fn expect_json(random: &Random, sent: &[u8], came: &[u8]) -> bool {
    let came = came.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(came);
    if came.is_empty() {
        return false;
    }
    let shown = || {
        format!(
            "{random}: {:?} for {:?}",
            String::from_utf8_lossy(came),
            String::from_utf8_lossy(sent)
        )
    };
    assert!(came.starts_with(b"HTTP/1.1 "), "{}", shown());
    let end = came.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = came.split_at(end.unwrap_or_else(|| panic!("{}", shown())) + 4);
    let head = String::from_utf8_lossy(head);
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{}", shown());
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{}", shown());
    // Names and strings keep bytes that are no UTF-8, as the reference does.
    let body = String::from_utf8_lossy(body);
    assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{}", shown());
    true
}

#[test]
fn nothing_but_json_comes_back() {
    let unitd = Unitd::start();
    // Whether what is left of a request can be applied is not the subject.
    unitd.expect_alert("failed to apply new conf");
    unitd.expect_alert("failed (");
    unitd.expect_alert(" in certificate \"");
    let pids = || (unitd.role("controller").pid, unitd.role("router").pid);
    let before = pids();
    let (mut random, templates) = (Random::new(), templates());
    let mut answered = 0;
    for _ in 0..CONNECTIONS {
        let bytes = if random.once_in(5) {
            let len = random.below(200);
            (0..len).map(|_| random.byte()).collect()
        } else {
            let mut bytes = random.choose(&templates).clone();
            for _ in 0..1 + random.below(4) {
                spoil(&mut random, &mut bytes);
            }
            bytes
        };
        let came = exchange(&unitd, &mut random, &bytes);
        answered += usize::from(expect_json(&random, &bytes, &came));
    }
    println!("{answered} of {CONNECTIONS} were answered");
    assert!(answered > CONNECTIONS / 3, "{random}");
    assert_eq!(pids(), before, "{random}");
    unitd.put("/config", "{}").expect_success();
    assert_eq!(unitd.get("/config").text, "{}\r\n");
}
