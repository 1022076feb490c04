//! Addresses of listeners, address patterns, and what the text of a `pass` names.
#![no_main]

use conf::{AddressPattern, PeerAddress, SocketAddress, Target};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(address) = SocketAddress::parse(bytes) {
        let inet = address.as_inet();
        if let (Ok(pattern), Some(inet)) = (AddressPattern::parse(bytes), inet) {
            let peer = PeerAddress::Inet(inet);
            if !inet.ip().is_unspecified() {
                assert_eq!(pattern.matches(&peer), !pattern.is_negated());
            }
        }
    }
    if let Ok(pattern) = AddressPattern::parse(bytes) {
        for text in ["127.0.0.1:80", "[::1]:80", "[::ffff:10.0.0.1]:65535"] {
            let peer = PeerAddress::Inet(text.parse().expect("is an address"));
            let matched = pattern.matches(&peer);
            let mut opposite = b"!".to_vec();
            opposite.extend_from_slice(bytes);
            if let Ok(opposite) = AddressPattern::parse(&opposite) {
                assert_ne!(opposite.matches(&peer), matched);
            }
        }
    }
    let _ = Target::parse(bytes);
});
