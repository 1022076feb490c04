//! What router makes of packets that main may have sent.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unit_fuzz::message::<port_proto::MainToRouter>(bytes));
