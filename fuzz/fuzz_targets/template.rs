//! Templates: constants stay what they were, and pieces are never empty.
#![no_main]

use conf::{Part, Template};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match Template::parse(bytes, None) {
        Ok(Template::Constant(text)) => {
            assert!(text.len() <= bytes.len());
            if !bytes.contains(&b'$') {
                assert_eq!(text, *bytes);
            }
        }
        Ok(Template::Parts(parts)) => {
            assert!(parts.iter().any(|part| matches!(part, Part::Variable(_))));
            let literal = |part: &Part| matches!(part, Part::Literal(text) if !text.is_empty());
            let empty = |part: &Part| matches!(part, Part::Literal(text) if text.is_empty());
            assert!(!parts.iter().any(empty));
            assert!(!parts.windows(2).any(|pair| pair.iter().all(literal)));
        }
        Ok(Template::Script(_)) => panic!("there is no engine to check scripts"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
