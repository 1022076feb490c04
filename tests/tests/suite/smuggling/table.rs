//! The requests, read from their file.

use blackbox::{latin_1, unescape};

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Case {
    /// What it is about.
    pub(super) name: String,
    /// What is sent, without the probe.
    pub(super) bytes: Vec<u8>,
    /// Our reading.
    pub(super) unitd: String,
    /// The readings of others, where they differ from ours in more than the number of a status.
    pub(super) nginx: Option<String>,
    pub(super) haproxy: Option<String>,
    /// The row of `docs/compatibility.md` that tells of the difference.
    pub(super) row: Option<String>,
}

const FILE: &str = include_str!("requests.txt");

/// All requests, in the order of the file.
pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in FILE.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
        let (mark, text) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        if mark == "#" {
            assert!(cases.iter().all(|case| case.name != text), "{text:?} is there twice");
            cases.push(Case { name: text.to_owned(), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{line:?} belongs to no request"));
        match mark {
            ">" => case.bytes = unescape(text),
            "unitd:" => case.unitd = latin_1(&unescape(text)),
            "nginx:" => case.nginx = Some(latin_1(&unescape(text))),
            "haproxy:" => case.haproxy = Some(latin_1(&unescape(text))),
            "row:" => case.row = Some(text.to_owned()),
            _ => panic!("{line:?}"),
        }
    }
    for case in &cases {
        assert!(!case.bytes.is_empty() && !case.unitd.is_empty(), "{case:?}");
        let differs = case.nginx.is_some() || case.haproxy.is_some();
        assert_eq!(differs, case.row.is_some(), "{case:?}");
    }
    cases
}
