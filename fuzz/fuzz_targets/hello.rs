//! The first frame, before anything is known of the peer.
#![no_main]

use port_proto::Hello;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(frame) = unit_fuzz::frame(bytes) else { return };
    if let Ok(hello) = Hello::from_frame(frame) {
        let again = hello.clone().into_frame().expect("encodes");
        assert_eq!(Hello::from_frame(again).expect("decodes"), hello);
    }
});
