//! Ranges: the parts of a file that are sent are those asked for, lie in it and do not touch.
#![no_main]

use router_proc::http::range::{Multipart, Part, RANGES_MAX, Selection, select};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&len, range)) = bytes.split_first_chunk::<8>() else { return };
    // No file is longer than a signed number tells.
    let len = u64::from_le_bytes(len) >> 1;
    // A short file is met by more of the ranges.
    for len in [len, len % 1000, 0] {
        let end = |part: &Part| part.offset.checked_add(part.len).expect("lies in the file");
        match select(range, len) {
            Selection::Whole => {}
            Selection::Unsatisfiable => assert!(range.len() > 6),
            Selection::One(part) => assert!(part.len > 0 && end(&part) <= len),
            Selection::Several(parts) => {
                assert!((2..=RANGES_MAX).contains(&parts.len()));
                assert!(parts.iter().all(|part| part.len > 0 && end(part) <= len));
                let mut sorted = parts.clone();
                sorted.sort_by_key(|part| part.offset);
                assert!(sorted.windows(2).all(|pair| end(&pair[0]) < pair[1].offset));
                let multipart = Multipart::new(parts.clone(), len, Some(range), [7; 16]);
                let mut total = multipart.end().len() as u64;
                for ((text, part), expected) in multipart.parts().zip(&parts) {
                    assert_eq!(part, *expected);
                    // One empty line, at the end, whatever the type is.
                    assert_eq!(text.windows(4).filter(|window| *window == b"\r\n\r\n").count(), 1);
                    assert!(text.ends_with(b"\r\n\r\n"));
                    total += text.len() as u64 + part.len;
                }
                assert_eq!(multipart.body_len(), total);
            }
        }
    }
});
