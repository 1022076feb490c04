//! Doorbell packets, both ways.
#![no_main]

use app_proto::{ToRouter, ToWorker};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = ToWorker::decode(bytes) {
        assert!(message.fds() <= 3);
        // The padding is not looked at, and messages without an id ignore its place.
        assert_eq!(message.encode()[..2], bytes[..2]);
        assert_eq!(ToWorker::decode(&message.encode()), Some(message));
    }
    if let Some(message) = ToRouter::decode(bytes) {
        assert!(message.fds() <= 1);
        assert_eq!(message.encode()[..2], bytes[..2]);
        assert_eq!(ToRouter::decode(&message.encode()), Some(message));
    }
});
