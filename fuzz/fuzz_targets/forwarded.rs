//! What trusted peers say about clients: an address comes out that somebody wrote there, or the
//! peer's own.
#![no_main]

use std::sync::LazyLock;

use conf::{Config, Environment, PeerAddress, parse};
use router_proc::http::{Limits, ParseStatus, RequestHead, parse_head};
use router_proc::routing::client_address::{Origin, apply};
use router_proc::routing::variables::push_address;

const CONFIG: &[u8] = br#"{"listeners": {
    "*:1": {"pass": "routes", "client_ip": {"header": "X", "source": ["10.0.0.0/8", "::1"]}},
    "*:2": {"pass": "routes", "forwarded": {"client_ip": "X", "protocol": "Y", "recursive": true,
                                            "source": ["10.0.0.0/8", "::1", "!10.9.9.9"]}},
    "*:3": {"pass": "routes", "forwarded": {"client_ip": "X", "source": "!*:80"},
                              "client_ip": {"header": "Z", "source": ["10.0.0.0/8"]}}
}, "routes": []}"#;

static LISTENERS: LazyLock<Config> = LazyLock::new(|| {
    let value = parse(CONFIG).expect("is JSON");
    Config::validate(&value, &Environment::default()).expect("is valid")
});

fn head(fields: &[u8]) -> Option<RequestHead> {
    let text = [b"GET / HTTP/1.1\r\n", fields, b"\r\n\r\n"].concat();
    let mut head = RequestHead::new();
    let status = parse_head(&text, &Limits::default(), &mut head);
    (status == ParseStatus::Complete { consumed: text.len() }).then_some(head)
}

fn origin(listener: usize, head: &RequestHead) -> Origin {
    let peer = PeerAddress::Inet("10.0.0.1:4000".parse().expect("is an address"));
    let mut origin = Origin { peer, is_tls: false };
    apply(&LISTENERS.listeners[listener], head, &mut origin);
    origin
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Short inputs that are nearly addresses are what counts: the value of one field, or a block.
    let value = [b"X: ", bytes].concat();
    for head in [head(&value), head(bytes)].into_iter().flatten() {
        for listener in 0..3 {
            let found = origin(listener, &head);
            let PeerAddress::Inet(address) = found.peer else { panic!("nobody says so") };
            assert!(!address.ip().is_unspecified());
            let mut text = Vec::new();
            push_address(&found.peer, &mut text);
            let text = String::from_utf8(text).expect("is ASCII");
            let again: std::net::IpAddr = text.parse().expect("is an address");
            assert_eq!(again, address.ip());
            if listener != 1 {
                assert!(!found.is_tls);
            }
        }
    }
    // What stands on the left of an address was written by somebody that nobody trusts.
    if !bytes.contains(&b'\n')
        && let (Some(alone), Some(behind)) =
            (head(b"X: 192.0.2.1"), head(&[&value[..], b", 192.0.2.1"].concat()))
    {
        assert_eq!(origin(0, &alone).peer, origin(0, &behind).peer);
        assert_eq!(origin(1, &alone).peer, origin(1, &behind).peer);
    }
});
