//! Dates of conditional requests: what can be read can be written, and reads the same again.
#![no_main]

use router_proc::http::{http_date, parse_http_date};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(seconds) = parse_http_date(bytes) {
        // A leap second at the end of the last year there is would be in the year after it.
        let written = http_date(seconds);
        assert!(parse_http_date(&written).is_some_and(|again| again.abs_diff(seconds) <= 1));
    }
    if let Some(seconds) = bytes.first_chunk::<8>() {
        let seconds = u64::from_le_bytes(*seconds);
        let last = parse_http_date(b"Fri, 31 Dec 9999 23:59:59 GMT").expect("is a date");
        assert_eq!(parse_http_date(&http_date(seconds)), Some(seconds.min(last)));
    }
});
