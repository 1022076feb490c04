//! Request targets: what comes out is a normal path that no rule about paths can misread.
#![no_main]

use router_proc::http::normalise_target;
use router_proc::http::target::TargetPath;

libfuzzer_sys::fuzz_target!(|raw: &[u8]| {
    let mut out = b"left over".to_vec();
    let Ok(target) = normalise_target(raw, &mut out) else { return };
    let path = match target.path {
        TargetPath::Raw(span) => {
            assert_eq!(span.start(), 0);
            span.of(raw)
        }
        TargetPath::Buffer => &out,
    };
    assert!(path.len() <= raw.len());
    assert!(path.starts_with(b"/") || !raw.starts_with(b"/"));
    let segments: Vec<&[u8]> = path.split(|&octet| octet == b'/').collect();
    assert!(!segments.iter().any(|segment| matches!(*segment, b"." | b"..")));
    let inner = segments.get(1..segments.len().saturating_sub(1)).unwrap_or_default();
    assert!(inner.iter().all(|segment| !segment.is_empty()));
    if let Some(query) = target.query {
        let query = query.of(raw);
        assert!(!query.contains(&b'#'));
        assert!(raw.windows(query.len() + 1).any(|part| part[0] == b'?' && &part[1..] == query));
    }
    // A normal path that has nothing to decode stays as it is.
    if !path.iter().any(|octet| b"%?#".contains(octet)) {
        let mut again = Vec::new();
        let target = normalise_target(path, &mut again).expect("is normal");
        assert_eq!(target.query, None);
        match target.path {
            TargetPath::Raw(span) => assert_eq!(span.of(path), path),
            TargetPath::Buffer => assert_eq!(again, path),
        }
    }
});
