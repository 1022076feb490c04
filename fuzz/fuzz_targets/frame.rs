//! Packets: the whole-packet decoder and the codec agree, and what they accept encodes to itself.
#![no_main]

use bytes::BytesMut;
use port_proto::{FrameCodec, decode_packet};
use tokio_util::codec::{Decoder, Encoder};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut stream = BytesMut::from(bytes);
    let streamed = FrameCodec.decode(&mut stream);
    if let Ok(packet) = decode_packet(bytes) {
        assert_eq!(streamed.expect("is a frame").expect("is whole"), packet);
        assert!(stream.is_empty());
        let mut again = BytesMut::new();
        FrameCodec.encode(&packet, &mut again).expect("encodes");
        assert_eq!(again, bytes);
    }
});
