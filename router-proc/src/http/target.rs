//! The request target taken apart: a normalised path and a raw query.

use thiserror::Error;

use super::Span;

/// The target has a bad percent sequence or leaves the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("bad percent sequence, or a path above the root")]
pub struct BadTarget;

/// A target taken apart by [`normalise_target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where the path is.
    pub path: TargetPath,
    /// The query in the raw target, without `?`; an empty one differs from none.
    pub query: Option<Span>,
}

/// Where the normalised path is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetPath {
    /// Normalisation changed nothing: in the raw target.
    Raw(Span),
    /// In the output buffer, which holds nothing else.
    Buffer,
}

/// Takes `raw` apart. `out` is written (and cleared before) only if the path is not normal yet.
///
/// Runs of `/` collapse, `.` and `..` segments go, `%HH` is decoded once and counts as if it had
/// been written literally, except that `%25`, `%23` and `%3F` have no special meaning. The query
/// is left raw, and all behind `#` is dropped. The target need not begin with `/` (a rewritten one
/// may not).
pub fn normalise_target(raw: &[u8], out: &mut Vec<u8>) -> Result<Target, BadTarget> {
    let rooted = usize::from(raw.first() == Some(&b'/'));
    let mut segment_begins = true;
    for (at, &octet) in raw.iter().enumerate().skip(rooted) {
        match octet {
            b'/' | b'.' if segment_begins => return normalise(raw, out),
            b'%' => return normalise(raw, out),
            b'/' => segment_begins = true,
            b'?' | b'#' => {
                let path = TargetPath::Raw(Span::new(0, at));
                return Ok(Target { path, query: query(raw, at) });
            }
            _ => segment_begins = false,
        }
    }
    Ok(Target { path: TargetPath::Raw(Span::new(0, raw.len())), query: None })
}

/// The query, given that the path ends at `at`.
fn query(raw: &[u8], at: usize) -> Option<Span> {
    let behind = raw.get(at..)?.strip_prefix(b"?")?;
    let len = memchr::memchr(b'#', behind).unwrap_or(behind.len());
    Some(Span::new(at + 1, at + 1 + len))
}

fn normalise(raw: &[u8], out: &mut Vec<u8>) -> Result<Target, BadTarget> {
    out.clear();
    out.reserve(raw.len());
    // Start of the last segment in `out`.
    let mut segment = 0;
    let mut at = 0;
    while let Some(&octet) = raw.get(at) {
        let octet = match octet {
            b'?' | b'#' => break,
            b'%' => {
                let digits = raw.get(at + 1..at + 3).ok_or(BadTarget)?;
                at += 3;
                decode(digits).filter(|&octet| octet != 0).ok_or(BadTarget)?
            }
            _ => {
                at += 1;
                octet
            }
        };
        if octet != b'/' {
            out.push(octet);
        } else if close_segment(out, &mut segment)? {
            out.push(b'/');
            segment = out.len();
        }
    }
    close_segment(out, &mut segment)?;
    Ok(Target { path: TargetPath::Buffer, query: query(raw, at) })
}

/// Resolves the last segment; whether it stays, and so needs the slash that ended it.
fn close_segment(out: &mut Vec<u8>, segment: &mut usize) -> Result<bool, BadTarget> {
    match out.get(*segment..).unwrap_or_default() {
        b"" => Ok(out.is_empty()),
        b"." => {
            out.truncate(*segment);
            Ok(false)
        }
        b".." => {
            let above = out.get(..segment.saturating_sub(1)).unwrap_or_default();
            if above.is_empty() {
                return Err(BadTarget);
            }
            *segment = memchr::memrchr(b'/', above).map_or(0, |slash| slash + 1);
            out.truncate(*segment);
            Ok(false)
        }
        _ => Ok(true),
    }
}

fn decode(digits: &[u8]) -> Option<u8> {
    let digit = |octet: &u8| char::from(*octet).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(raw: &str) -> Result<(Vec<u8>, Option<String>), BadTarget> {
        let mut out = b"left over".to_vec();
        let target = normalise_target(raw.as_bytes(), &mut out)?;
        let path = match target.path {
            TargetPath::Raw(span) => span.of(raw.as_bytes()).to_vec(),
            TargetPath::Buffer => out,
        };
        let query =
            target.query.map(|span| String::from_utf8(span.of(raw.as_bytes()).to_vec()).unwrap());
        Ok((path, query))
    }

    #[test]
    fn paths_are_normalised() {
        for (raw, path) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("//", "/"),
            ("///a//b///", "/a/b/"),
            ("/slash//.//", "/slash/"),
            ("/a/../", "/"),
            ("/.", "/"),
            ("/./", "/"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../", "/a/"),
            ("/a/b/../../c", "/c"),
            ("/a//../b", "/b"),
            ("/a/./../b", "/b"),
            ("/...", "/..."),
            ("/.../x", "/.../x"),
            ("/.a", "/.a"),
            ("/..a", "/..a"),
            ("/a.", "/a."),
            ("/a../b", "/a../b"),
            ("/%41%7a", "/Az"),
            ("/%2F%2fa", "/a"),
            ("/a%2Fb", "/a/b"),
            ("/%2E%2E/", ""),
            ("/a/%2e%2E", "/"),
            ("/a/.%2e/b", "/b"),
            ("/%25", "/%"),
            ("/%2541", "/%41"),
            ("/%23a%3Fb", "/#a?b"),
            ("/a+b", "/a+b"),
            ("/%20", "/ "),
            ("/%ff", "/\u{ff}"),
        ] {
            let expected: Vec<u8> = match raw {
                "/%ff" => b"/\xff".to_vec(),
                _ => path.as_bytes().to_vec(),
            };
            match (split(raw), expected.is_empty()) {
                (Ok(got), false) => assert_eq!(got, (expected, None), "{raw}"),
                (got, true) => assert_eq!(got, Err(BadTarget), "{raw}"),
                (got, false) => panic!("{raw}: {got:?}"),
            }
        }
    }

    #[test]
    fn bad_sequences_and_paths_above_the_root_are_refused() {
        for raw in [
            "/..",
            "/../",
            "/../x",
            "/a/../..",
            "/a/../../b",
            "/./..",
            "//..",
            "/%",
            "/%1",
            "/%1g",
            "/%g1",
            "/%00",
            "/a%",
            "/%+1",
            "/%2",
            "/a%0",
            "/%2?x=1",
            "..",
            "../a",
            "a/../..",
        ] {
            assert_eq!(split(raw), Err(BadTarget), "{raw}");
        }
    }

    #[test]
    fn queries_are_raw_and_end_at_the_fragment() {
        for (raw, path, query) in [
            ("/?", "/", Some("")),
            ("/?a", "/", Some("a")),
            ("/a?b?c", "/a", Some("b?c")),
            ("/a?%zz//../.", "/a", Some("%zz//../.")),
            ("/a?b#c", "/a", Some("b")),
            ("/a?#c", "/a", Some("")),
            ("/a#b?c", "/a", None),
            ("/a#", "/a", None),
            ("/#%", "/", None),
            ("/a//b?c%41#d", "/a/b", Some("c%41")),
            ("/a/.?b", "/a/", Some("b")),
            ("/a/..?b", "/", Some("b")),
            ("/a/..#b", "/", None),
            ("/%3F?b", "/?", Some("b")),
        ] {
            let expected = (path.as_bytes().to_vec(), query.map(str::to_owned));
            assert_eq!(split(raw), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn relative_targets_stay_relative() {
        for (raw, path) in
            [("", ""), ("a", "a"), ("./a", "a"), ("a/..", ""), ("a/../b", "b"), ("a//b", "a/b")]
        {
            assert_eq!(split(raw), Ok((path.as_bytes().to_vec(), None)), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn absolute_paths_stay_under_the_root(raw in "/[a/.%2EeFf?#]{0,24}") {
            if let Ok((path, _)) = split(&raw) {
                prop_assert!(path.starts_with(b"/"));
                prop_assert!(!path.windows(2).any(|pair| pair == b"//"));
                for segment in path.split(|&octet| octet == b'/') {
                    prop_assert!(segment != b"." && segment != b"..");
                }
            }
        }

        #[test]
        fn both_passes_agree(raw in "/[a/.?#b]{0,24}") {
            let mut out = Vec::new();
            let mut slow = Vec::new();
            let quick = normalise_target(raw.as_bytes(), &mut out);
            let full = normalise(raw.as_bytes(), &mut slow);
            prop_assert_eq!(quick.map(|target| target.query), full.map(|target| target.query));
            if let Ok(Target { path: TargetPath::Raw(span), .. }) = quick {
                prop_assert_eq!(span.of(raw.as_bytes()), &slow[..]);
            }
        }
    }
}
