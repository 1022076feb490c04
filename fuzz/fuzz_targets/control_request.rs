//! Requests to the control API: however the octets arrive, the outcome is the same, and a path
//! that comes out is a normal one.
#![no_main]

use conf::tree::{Path, PathError};
use controller_proc::fuzzing::{Reading, read};

const BODY_LEN_MAX: usize = 200;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[piece, count], input)) = bytes.split_first_chunk::<2>() else { return };
    // A repeated input reaches the size limits, which a fuzzer would not by itself.
    let input = input.repeat(1 + usize::from(count) / 16);
    let whole = read(&input, input.len(), BODY_LEN_MAX);
    assert_eq!(read(&input, 1 + usize::from(piece), BODY_LEN_MAX), whole);
    let Reading::Request { method, path, body } = whole else { return };
    assert!(!method.is_empty() && !method.bytes().any(|byte| byte.is_ascii_lowercase()));
    assert!(body.is_none_or(|body| body.len() <= BODY_LEN_MAX));
    let Some(path) = path else { return };
    assert!(path.starts_with(b"/") && !path.contains(&0));
    assert!(path == b"/" || !path.ends_with(b"/"));
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        assert!(segment != b"." && segment != b"..");
        assert!(path == b"/" || !segment.is_empty());
    }
    // What is still encoded can be decoded.
    assert!(matches!(Path::parse(&path), Ok(_) | Err(PathError::SegmentTooLong)));
});
