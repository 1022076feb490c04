//! What controller makes of packets that router may have sent.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unit_fuzz::message::<port_proto::RouterToController>(
    bytes
));
