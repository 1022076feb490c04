//! The requests, read from their file.

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

/// Octets as the text that answers are shown as.
pub(super) fn latin_1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// Resolves `\r`, `\n`, `\t`, `\\`, `\xHH`, and `\(N*c)`, which is a character N times over.
fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let (kind, after) = rest[at + 1..].split_at(1);
        rest = after;
        match kind {
            "r" => octets.push(b'\r'),
            "n" => octets.push(b'\n'),
            "t" => octets.push(b'\t'),
            "\\" => octets.push(b'\\'),
            "x" => {
                octets.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            "(" => {
                let (inner, after) = rest.split_once(')').unwrap();
                let (count, octet) = inner.split_once('*').unwrap();
                octets.extend(octet.repeat(count.parse().unwrap()).bytes());
                rest = after;
            }
            _ => panic!("an escape in {text:?}"),
        }
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}
