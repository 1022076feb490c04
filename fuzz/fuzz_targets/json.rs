//! JSON texts: what is read and printed, either way, reads as the same again.
#![no_main]

use conf::{DEPTH_MAX, parse, print_compact, print_pretty};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = parse(bytes) else { return };
    assert!(value.is_within_depth(DEPTH_MAX));
    let compact = print_compact(&value);
    assert_eq!(parse(&compact).expect("was printed just now"), value);
    assert_eq!(print_compact(&parse(&compact).expect("is the same")), compact);
    assert_eq!(parse(&print_pretty(&value)).expect("was printed just now"), value);
});
