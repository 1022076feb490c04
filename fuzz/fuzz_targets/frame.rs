//! Packets: what the decoder accepts encodes to itself.
#![no_main]

use port_proto::decode_packet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(packet) = decode_packet(bytes) {
        let mut again = Vec::new();
        packet.header.encode(&mut again);
        again.extend_from_slice(&packet.payload);
        assert_eq!(again, bytes);
    }
});
