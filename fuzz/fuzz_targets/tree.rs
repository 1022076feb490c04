//! Paths of the control API, and edits along them: each does what it says or changes nothing.
#![no_main]

use conf::tree::{Path, delete, get, post, put};
use conf::{Value, parse};

const TREE: &[u8] = br#"{
    "listeners": {"*:80": {"pass": "routes"}, "": 1, "a/b": {}},
    "routes": [{"action": {"return": 200}}, [1, 2, [3]], "text", null, 7],
    "applications": {}
}"#;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(path) = Path::parse(bytes) else { return };
    let root = parse(TREE).expect("is JSON");
    let before = root.clone();
    let new = Value::from("new");

    if let Ok(edited) = put(&root, &path, new.clone()) {
        assert_eq!(get(&edited, &path), Some(&new));
        if get(&root, &path).is_none() && !path.is_root() {
            // What was added can be taken away again.
            assert_eq!(delete(&edited, &path).expect("is there"), root);
        }
    }
    if let Ok(edited) = post(&root, &path, new.clone()) {
        let old = get(&root, &path).and_then(Value::as_array).expect("is an array");
        let grown = get(&edited, &path).and_then(Value::as_array).expect("is an array");
        assert_eq!(grown.split_last(), Some((&new, old)));
    }
    let deleted = delete(&root, &path);
    assert_eq!(deleted.is_ok(), get(&root, &path).is_some());
    if let Ok(edited) = deleted {
        assert_ne!(edited, root);
    }
    assert_eq!(root, before);
});
