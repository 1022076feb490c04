//! What discovery makes of the words of a language runtime.
#![no_main]

use discovery_proc::description::read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(module) = read("/modules/x.unit", bytes) {
        assert_eq!(module.file, "/modules/x.unit");
        assert!(!module.language.is_empty());
    }
});
