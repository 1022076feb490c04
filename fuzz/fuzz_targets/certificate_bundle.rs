//! Certificate bundles: whatever a bundle has in it, what is shown of one that is taken is an
//! object with its two members.
#![no_main]

use controller_proc::fuzzing::bundle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(shown) = bundle(bytes) else { return };
    let value = conf::parse(&shown).expect("was printed just now");
    let object = value.as_object().expect("a bundle is shown as an object");
    let names: Vec<String> = object.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["key", "chain"]);
    let chain = value.member(b"chain").and_then(conf::Value::as_array);
    assert!(chain.is_some_and(|chain| !chain.is_empty()));
});
