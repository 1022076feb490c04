//! Which address and scheme a request ends up with.

use super::*;
use crate::routing::tests::{Request, address, configure};

/// The origin that a listener with these members makes of a peer and its fields.
fn origin(members: &str, peer: &str, fields: &[&str]) -> Origin {
    let config = configure(&format!(
        r#"{{"listeners":{{"*:80":{{"pass":"routes",{members}}}}},"routes":[]}}"#
    ));
    let request = Request::new("GET /", fields);
    let mut origin = Origin { peer: address(peer), is_tls: false };
    apply(&config.listeners[0], &request.head, &mut origin);
    origin
}

fn check_peer(members: &str, fields: &[&str], expected: &str) {
    let peer = origin(members, "10.0.0.1:4000", fields).peer;
    assert_eq!(peer, address(expected), "{members} {fields:?}");
}

#[test]
fn without_members_the_origin_is_the_connection() {
    check_peer(r#""backlog":5"#, &["X-Forwarded-For: 1.1.1.1"], "10.0.0.1:4000");
}

#[test]
fn only_trusted_peers_are_believed() {
    for (source, expected) in [
        (r#""10.0.0.0/8""#, "1.1.1.1:0"),
        (r#""11.0.0.0/8""#, "10.0.0.1:4000"),
        (r#"["!10.0.0.1"]"#, "10.0.0.1:4000"),
        (r#""*:4000""#, "1.1.1.1:0"),
        ("[]", "10.0.0.1:4000"),
    ] {
        for name in ["forwarded", "client_ip"] {
            let header = if name == "forwarded" { "client_ip" } else { "header" };
            let members = format!(r#""{name}":{{"{header}":"X-F","source":{source}}}"#);
            check_peer(&members, &["x-f: 1.1.1.1"], expected);
        }
    }
}

#[test]
fn the_rightmost_address_replaces_the_peer() {
    let members = r#""client_ip":{"header":"X-F","source":"10.0.0.1"}"#;
    for (fields, expected) in [
        (&[][..], "10.0.0.1:4000"),
        (&["X-F:"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.1"], "1.1.1.1:0"),
        (&["X-F: 1.1.1.1:99"], "1.1.1.1:99"),
        (&["X-F: ::1"], "[::1]:0"),
        (&["X-F: [::1]:99"], "[::1]:99"),
        (&["X-F: 2.2.2.2, 1.1.1.1"], "1.1.1.1:0"),
        (&["X-F: 2.2.2.2,1.1.1.1 , "], "1.1.1.1:0"),
        (&["X-F: , 1.1.1.1"], "1.1.1.1:0"),
        (&["X-F: 2.2.2.2", "x-f: 1.1.1.1"], "1.1.1.1:0"),
        (&["X-F: 1.1.1.1", "X-F:"], "1.1.1.1:0"),
        (&["Y-F: 2.2.2.2"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.1, bad"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.1, *"], "10.0.0.1:4000"),
        (&["X-F: *:80"], "10.0.0.1:4000"),
        (&["X-F: 0.0.0.0"], "10.0.0.1:4000"),
        (&["X-F: ::"], "10.0.0.1:4000"),
        (&["X-F: [::]:80"], "10.0.0.1:4000"),
        (&["X-F: unix:/a"], "10.0.0.1:4000"),
        (&["X-F: [::1]"], "10.0.0.1:4000"),
        (&["X-F: [::1]:0"], "10.0.0.1:4000"),
        (&["X-F: [fe80::1%1]:80"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.1:0"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.1:65536"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.1:"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.256"], "10.0.0.1:4000"),
        (&["X-F: 255.255.255.255"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.1;x"], "10.0.0.1:4000"),
    ] {
        check_peer(members, fields, expected);
    }
}

#[test]
fn recursively_the_first_address_that_is_not_trusted_is_taken() {
    let members = r#""client_ip":{"header":"X-F","source":["10.0.0.0/8"],"recursive":true}"#;
    for (fields, expected) in [
        (&["X-F: 1.1.1.1, 10.0.0.2"][..], "1.1.1.1:0"),
        (&["X-F: 2.2.2.2, 1.1.1.1, 10.0.0.2"], "1.1.1.1:0"),
        (&["X-F: 10.0.0.4", "X-F: 10.0.0.3, 10.0.0.2"], "10.0.0.4:0"),
        (&["X-F: 1.1.1.1", "X-F: 10.0.0.3, 10.0.0.2"], "1.1.1.1:0"),
        (&["X-F: 1.1.1.1, bad, 10.0.0.2"], "10.0.0.2:0"),
        (&["X-F: 1.1.1.1, bad"], "10.0.0.1:4000"),
        (&["X-F: 1.1.1.1, 10.0.0.3:5, 10.0.0.2"], "1.1.1.1:0"),
        (&["X-F: bad, 10.0.0.3:5, 10.0.0.2"], "10.0.0.3:5"),
        (&["X-F: ,10.0.0.3 10.0.0.2"], "10.0.0.3:0"),
    ] {
        check_peer(members, fields, expected);
    }
}

#[test]
fn the_port_of_an_address_counts_for_what_is_tested_next() {
    let members = r#""client_ip":{"header":"X-F","source":["*:4000","*:9"],"recursive":true}"#;
    check_peer(members, &["X-F: 1.1.1.1, 2.2.2.2:9"], "1.1.1.1:0");
    check_peer(members, &["X-F: 1.1.1.1, 2.2.2.2"], "2.2.2.2:0");
}

#[test]
fn the_older_member_sees_what_the_newer_one_made() {
    let members = r#""forwarded":{"client_ip":"A","source":"10.0.0.1"},
                     "client_ip":{"header":"B","source":"1.1.1.1"}"#;
    check_peer(members, &["A: 1.1.1.1", "B: 2.2.2.2"], "2.2.2.2:0");
    check_peer(members, &["A: 3.3.3.3", "B: 2.2.2.2"], "3.3.3.3:0");
    check_peer(members, &["B: 2.2.2.2"], "10.0.0.1:4000");
}

#[test]
fn schemes_are_whole_values_of_the_first_field() {
    let members = r#""forwarded":{"protocol":"X-P","source":"10.0.0.1"}"#;
    for (fields, is_tls) in [
        (&[][..], false),
        (&["X-P: https"], true),
        (&["x-p: HTTPS"], true),
        (&["X-P: On"], true),
        (&["X-P: http"], false),
        (&["X-P: https, http"], false),
        (&["X-P: off"], false),
        (&["X-P:", "X-P: https"], true),
        (&["X-P: http", "X-P: https"], false),
        (&["X-P: bad", "X-P: https"], false),
    ] {
        let origin = origin(members, "10.0.0.1:4000", fields);
        assert_eq!(origin.is_tls, is_tls, "{fields:?}");
        assert_eq!(origin.peer, address("10.0.0.1:4000"));
    }
    assert!(!origin(members, "10.0.0.2:4000", &["X-P: https"]).is_tls);
    let config = configure(&format!(
        r#"{{"listeners":{{"*:80":{{"pass":"routes",{members}}}}},"routes":[]}}"#
    ));
    for (value, is_tls) in [("http", false), ("bad", true)] {
        let request = Request::new("GET /", &[&format!("X-P: {value}")]);
        let mut origin = Origin { peer: address("10.0.0.1:4000"), is_tls: true };
        apply(&config.listeners[0], &request.head, &mut origin);
        assert_eq!(origin.is_tls, is_tls, "{value}");
    }
}

#[test]
fn address_and_scheme_are_replaced_by_the_trust_in_the_same_peer() {
    let members = r#""forwarded":{"client_ip":"X-F","protocol":"X-P","source":"10.0.0.1"}"#;
    let origin = origin(members, "10.0.0.1:4000", &["X-F: 1.1.1.1", "X-P: https"]);
    assert_eq!(origin, Origin { peer: address("1.1.1.1:0"), is_tls: true });
}

#[test]
fn unix_peers_can_be_trusted() {
    let members = r#""client_ip":{"header":"X-F","source":"unix"}"#;
    assert_eq!(origin(members, "unix", &["X-F: 1.1.1.1"]).peer, address("1.1.1.1:0"));
}
