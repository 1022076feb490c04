//! The path of a request target: decoded once, dot segments resolved, repeated slashes collapsed.
//! And the few flags its query may have.

use thiserror::Error;

/// Why a request target is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum TargetError {
    /// It does not begin with a slash.
    #[error("The request target must begin with a slash (/).")]
    NotAPath,
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("The request target has a malformed percent sequence.")]
    BadPercent,
    /// It has a zero byte.
    #[error("The request target has a zero byte.")]
    ZeroByte,
    /// Its dot segments lead above the root.
    #[error("The request target leads above the root.")]
    AboveRoot,
}

/// Normalises a target. The result begins with a slash and does not end with one, unless it is
/// nothing else. An encoded slash and an encoded percent sign stay encoded: they are for the
/// segments, which are decoded after splitting.
///
/// # Errors
/// [`TargetError`] when the target is not a path.
pub(crate) fn normalise(target: &[u8]) -> Result<Vec<u8>, TargetError> {
    if target.first() != Some(&b'/') {
        return Err(TargetError::NotAPath);
    }
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let decoded = decode_all_but_slash_and_percent(path)?;
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop().ok_or(TargetError::AboveRoot)?),
            name => segments.push(name),
        }
    }
    let mut normal = Vec::with_capacity(decoded.len());
    for segment in segments {
        normal.push(b'/');
        normal.extend_from_slice(segment);
    }
    if normal.is_empty() {
        normal.push(b'/');
    }
    Ok(normal)
}

/// The query of a target. What is not known in it is ignored, as all of it once was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a>(&'a [u8]);

/// A flag is neither on nor off.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("The query parameter \"{0}\" is neither on (1, true) nor off (0, false).")]
pub(crate) struct FlagError(&'static str);

impl<'a> Query<'a> {
    /// The query of a target, empty where there is none.
    pub(crate) fn of(target: &'a [u8]) -> Self {
        let target = target.split(|&byte| byte == b'#').next().unwrap_or_default();
        let start = target.iter().position(|&byte| byte == b'?').map_or(target.len(), |at| at + 1);
        Self(&target[start..])
    }

    /// Whether a flag is on: named alone, or as `1` or `true`. The last one counts.
    pub(crate) fn flag(self, name: &'static str) -> Result<bool, FlagError> {
        let mut values = self.0.split(|&byte| byte == b'&').filter_map(|parameter| {
            let rest = parameter.strip_prefix(name.as_bytes())?;
            match rest.split_first() {
                None => Some(&b"1"[..]),
                Some((b'=', value)) => Some(value),
                Some(_) => None,
            }
        });
        match values.next_back() {
            Some(b"1" | b"true") => Ok(true),
            None | Some(b"0" | b"false") => Ok(false),
            Some(_) => Err(FlagError(name)),
        }
    }
}

fn decode_all_but_slash_and_percent(path: &[u8]) -> Result<Vec<u8>, TargetError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == 0 {
            return Err(TargetError::ZeroByte);
        }
        if byte != b'%' {
            decoded.push(byte);
            rest = after;
            continue;
        }
        let Some((&[high, low], after)) = after.split_first_chunk() else {
            return Err(TargetError::BadPercent);
        };
        let digits = (hex(high), hex(low));
        let (Some(high_digit), Some(low_digit)) = digits else {
            return Err(TargetError::BadPercent);
        };
        match high_digit << 4 | low_digit {
            0 => return Err(TargetError::ZeroByte),
            b'/' | b'%' => decoded.extend_from_slice(&[b'%', high, low]),
            other => decoded.push(other),
        }
        rest = after;
    }
    Ok(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn targets_become_paths() {
        for (target, path) in [
            ("/", "/"),
            ("/config", "/config"),
            ("/config/", "/config"),
            ("//config///a//", "/config/a"),
            ("/./config/./a/.", "/config/a"),
            ("/x/../config/a/b/..", "/config/a"),
            ("/x/..", "/"),
            ("/%63onfig", "/config"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.../b", "/a/.../b"),
            ("/config/a%2Fb%2fc%25d", "/config/a%2Fb%2fc%25d"),
            ("/config/listeners/%2A%3A8080", "/config/listeners/*:8080"),
            ("/config/listeners/[::1]:80", "/config/listeners/[::1]:80"),
            ("/config?pretty=%zz", "/config"),
            ("/config#x%", "/config"),
            ("/config/%3Fx%23y", "/config/?x#y"),
            ("/a b", "/a b"),
            ("/a+b", "/a+b"),
        ] {
            let normal = normalise(target.as_bytes());
            assert_eq!(normal.as_deref(), Ok(path.as_bytes()), "{target}");
        }
    }

    #[test]
    fn what_is_not_a_path_is_named() {
        for (target, error) in [
            ("", TargetError::NotAPath),
            ("*", TargetError::NotAPath),
            ("http://host/config", TargetError::NotAPath),
            ("/%", TargetError::BadPercent),
            ("/%1", TargetError::BadPercent),
            ("/%zz", TargetError::BadPercent),
            ("/%+1", TargetError::BadPercent),
            ("/%00", TargetError::ZeroByte),
            ("/%0%00%", TargetError::BadPercent),
            ("/..", TargetError::AboveRoot),
            ("/../x", TargetError::AboveRoot),
            ("/a/%2e%2e/..", TargetError::AboveRoot),
        ] {
            assert_eq!(normalise(target.as_bytes()), Err(error), "{target}");
        }
    }

    #[test]
    fn flags_are_on_off_or_wrong() {
        for (target, expected) in [
            ("/config", Ok(false)),
            ("/config?", Ok(false)),
            ("/config?dry_run", Ok(true)),
            ("/config?dry_run=1", Ok(true)),
            ("/config?dry_run=true&x", Ok(true)),
            ("/config?x=y&dry_run#dry_run=2", Ok(true)),
            ("/config?dry_run=false", Ok(false)),
            ("/config?dry_run=1&dry_run=0", Ok(false)),
            ("/config?dry_runs", Ok(false)),
            ("/config#?dry_run", Ok(false)),
            ("/config?dry_run=", Err(FlagError("dry_run"))),
            ("/config?dry_run=yes", Err(FlagError("dry_run"))),
        ] {
            assert_eq!(Query::of(target.as_bytes()).flag("dry_run"), expected, "{target}");
        }
    }

    proptest! {
        #[test]
        fn any_target_is_normal_or_refused(target in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(path) = normalise(&target) {
                prop_assert_eq!(path[0], b'/');
                prop_assert!(path == b"/" || path.last() != Some(&b'/'));
                for segment in path[1..].split(|&byte| byte == b'/') {
                    prop_assert!(segment != b"." && segment != b"..");
                    prop_assert!(path == b"/" || !segment.is_empty());
                }
            }
        }

        #[test]
        fn normal_paths_without_special_octets_stay(path in "(/[a-z:*_-][a-z0-9.]{0,5}){1,5}") {
            let normal = normalise(path.as_bytes());
            prop_assert_eq!(normal.as_deref(), Ok(path.as_bytes()));
        }
    }
}
