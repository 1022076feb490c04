//! What main makes of packets that discovery may have sent.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unit_fuzz::message::<port_proto::DiscoveryToMain>(
    bytes
));
