//! Preconditions: whatever the fields say, the outcome is one that the standard has.
#![no_main]

use router_proc::http::precondition::{Conditions, Validators, Verdict};
use router_proc::http::{Field, http_date};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[seconds, age], text)) = bytes.split_first_chunk::<2>() else { return };
    let last_modified = 784_111_777 + u64::from(seconds);
    let now = last_modified + u64::from(age);
    let validators = Validators { etag: b"\"2ebc98a1-3\"", last_modified, now };
    // `%` stands for the current date, as a fuzzer would not find it.
    let date = http_date(last_modified);
    let lines: Vec<(Vec<u8>, Vec<u8>)> = text
        .split(|&octet| octet == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|&octet| octet == b':')?;
            let value = match &line[colon + 1..] {
                b"%" => date.to_vec(),
                value => value.trim_ascii().to_vec(),
            };
            Some((line[..colon].to_vec(), value))
        })
        .collect();
    let fields = || lines.iter().map(|(name, value)| Field { name, value });
    let has = |name: &[u8]| fields().any(|field| field.is(name));
    let conditions = Conditions::read(fields(), &validators);
    match conditions.verdict() {
        Verdict::Proceed => {}
        Verdict::NotModified => assert!(has(b"if-none-match") || has(b"if-modified-since")),
        Verdict::Failed => assert!(has(b"if-match") || has(b"if-unmodified-since")),
    }
    if let Some(range) = conditions.range() {
        assert!(fields().any(|field| field.is(b"range") && field.value == range));
    }
    // The order of fields of different names says nothing.
    let mut others: Vec<_> = fields().collect();
    others.sort_by_key(|field| field.name.to_ascii_lowercase());
    let sorted = Conditions::read(others.into_iter(), &validators);
    assert_eq!(sorted.verdict(), conditions.verdict());
    assert_eq!(sorted.range(), conditions.range());
});
