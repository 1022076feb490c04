//! Whether a path lies under a directory, by its text.

/// What is left of `path` below `dir`: nothing unless all components of `dir` are the first of
/// `path`, and at least one more follows. Runs of slashes count as one, and a slash at the end of
/// `dir` does not count.
pub(super) fn path_under<'p>(path: &'p [u8], dir: &[u8]) -> Option<&'p [u8]> {
    if path.starts_with(b"/") != dir.starts_with(b"/") {
        return None;
    }
    let mut rest = without_slashes(path);
    for component in dir.split(|&octet| octet == b'/').filter(|component| !component.is_empty()) {
        let behind = rest.strip_prefix(component)?;
        // `/srv/app2` begins with `/srv/app` but does not lie under it.
        if !behind.starts_with(b"/") {
            return None;
        }
        rest = without_slashes(behind);
    }
    (!rest.is_empty()).then_some(rest)
}

fn without_slashes(path: &[u8]) -> &[u8] {
    let slashes = path.iter().take_while(|&&octet| octet == b'/').count();
    path.get(slashes..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn under(path: &str, dir: &str) -> Option<String> {
        path_under(path.as_bytes(), dir.as_bytes())
            .map(|rest| String::from_utf8(rest.to_vec()).unwrap())
    }

    #[test]
    fn only_whole_components_count() {
        for (path, dir, rest) in [
            ("/srv/app/a", "/srv/app", Some("a")),
            ("/srv/app/a", "/srv/app/", Some("a")),
            ("//srv///app//a//b", "/srv//app//", Some("a//b")),
            ("/srv/app2", "/srv/app", None),
            ("/srv/app2/a", "/srv/app", None),
            ("/srv/app", "/srv/app", None),
            ("/srv/app/", "/srv/app", None),
            ("/srv/ap", "/srv/app", None),
            ("/a", "/", Some("a")),
            ("/", "/", None),
            ("./a", ".", Some("a")),
            ("./a", "./", Some("a")),
            ("a", ".", None),
            (".a/b", ".", None),
            ("srv/a", "srv", Some("a")),
            ("/srv/a", "srv", None),
            ("srv/a", "/srv", None),
            ("/srv/./a", "/srv/.", Some("a")),
            ("/srv/../srv/a", "/srv", Some("../srv/a")),
        ] {
            assert_eq!(under(path, dir).as_deref(), rest, "{path} under {dir}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_components(
            path in "/?([ab.]{1,2}/{1,2}){0,4}[ab]?",
            dir in "/?([ab.]{1,2}/{1,2}){0,3}[ab]?",
        ) {
            prop_assume!(!dir.is_empty());
            let split = |text: &str| -> Vec<String> {
                text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
            };
            let (whole, above) = (split(&path), split(&dir));
            let is_under = path.starts_with('/') == dir.starts_with('/')
                && whole.len() > above.len()
                && whole[..above.len()] == above[..];
            prop_assert_eq!(under(&path, &dir).is_some(), is_under);
            if let Some(rest) = under(&path, &dir) {
                prop_assert_eq!(&split(&rest)[..], &whole[above.len()..]);
            }
        }
    }
}
