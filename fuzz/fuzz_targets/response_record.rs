//! Response records as the router copies them out of a worker's memory.
#![no_main]

use app_proto::{RESPONSE_RECORD_LEN, ResponseHead, ResponseRecord};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((fixed, payload)) = bytes.split_first_chunk::<RESPONSE_RECORD_LEN>() else { return };
    if let Ok(record) = ResponseRecord::decode(fixed) {
        assert_eq!(&record.encode().expect("its length fits"), fixed);
        assert!(record.ring_len().is_multiple_of(8) && record.ring_len() >= RESPONSE_RECORD_LEN);
    }
    let Ok(head) = ResponseHead::decode(payload) else { return };
    let fields: Vec<(&[u8], &[u8])> = head.fields().collect();
    let mut again = Vec::new();
    ResponseHead::encode(&mut again, head.status, fields.iter().copied(), head.body)
        .expect("was small enough to arrive");
    let decoded = ResponseHead::decode(&again).expect("was encoded just now");
    assert_eq!((decoded.status, decoded.body), (head.status, head.body));
    assert_eq!(decoded.fields().collect::<Vec<_>>(), fields);
});
