//! Regular expressions: a pattern is translated or refused, and a subject is matched, given up on,
//! or not, in bounded time.
#![no_main]

use conf::Regex;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|&byte| byte == 0xff).unwrap_or(bytes.len());
    let (source, subject) = bytes.split_at(at);
    let Ok(regex) = Regex::new(source) else { return };
    assert_eq!(regex.source(), source);
    let subject = subject.get(1..).unwrap_or_default();
    let matched = regex.is_match(subject);
    if let (Ok(true), Some(texts)) = (matched, regex.required_texts()) {
        // A subject without these texts is never tried.
        assert!(texts.any_of.iter().any(|text| match texts.at_start {
            true => subject.starts_with(text),
            false => subject.windows(text.len()).any(|window| window == text.as_bytes()),
        }));
    }
    let _ = regex.is_match(&subject.repeat(20));
});
