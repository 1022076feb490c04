//! Session records as a worker copies them out of its ring.
#![no_main]

use app_proto::{SESSION_RECORD_LEN, SessionRecord, decode_total};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((fixed, payload)) = bytes.split_first_chunk::<SESSION_RECORD_LEN>() else { return };
    if let Ok(record) = SessionRecord::decode(fixed) {
        assert_eq!(&record.encode().expect("its length fits"), fixed);
        assert!(record.ring_len().is_multiple_of(8) && record.ring_len() >= SESSION_RECORD_LEN);
    }
    assert_eq!(decode_total(payload).is_ok(), payload.len() == 8);
});
