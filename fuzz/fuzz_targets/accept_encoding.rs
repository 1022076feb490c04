//! `Accept-Encoding`, whatever a client makes of it.
#![no_main]

use conf::ContentEncoding::{Brotli, Deflate, Gzip, Identity, Zstd};
use router_proc::compression::{Negotiated, negotiate};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let offered = [Zstd, Gzip, Identity, Brotli, Deflate];
    for count in 0..=offered.len() {
        let offered = &offered[..count];
        let negotiated = negotiate(Some(bytes), offered);
        if let Negotiated::Encoded { encoding, .. } = negotiated {
            assert!(offered.contains(&encoding) && encoding != Identity);
        }
        // Neither spaces nor what nobody knows change anything.
        let mut spaced = b"lzma;q=1 , ".to_vec();
        for &octet in bytes {
            spaced.extend_from_slice(&[b' ', octet]);
        }
        assert_eq!(negotiate(Some(&spaced), offered), negotiated);
    }
});
