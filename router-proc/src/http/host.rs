//! The `Host` field turned into the host that routes are matched by.

use super::{Span, scan::contains_ignore_case};

/// The part of a `Host` value (offsets within it) that names the host: no port, no final dot.
/// `None` if the value must be refused. Letter case is left to the caller.
pub fn host_span(value: &[u8]) -> Option<Span> {
    if value.contains(&b'/') || contains_ignore_case(value, b"..") {
        return None;
    }
    let end = match value.first() {
        // A colon inside the brackets belongs to the address; whatever follows them goes.
        Some(b'[') => {
            value.iter().position(|&octet| octet == b']').map_or(value.len(), |at| at + 1)
        }
        _ => value.iter().position(|&octet| octet == b':').unwrap_or(value.len()),
    };
    let dotted = end > 0 && value.get(end - 1) == Some(&b'.');
    Some(Span::new(0, end - usize::from(dotted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_and_final_dot_go() {
        for (value, host) in [
            ("", ""),
            ("a", "a"),
            ("a:", "a"),
            ("a:80", "a"),
            ("a:b:c", "a"),
            ("a.", "a"),
            ("a.:80", "a"),
            (".", ""),
            (":80", ""),
            ("A.b", "A.b"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("[::1]x:9", "[::1]"),
            ("[::1", "[::1"),
            ("a b\"<", "a b\"<"),
            ("1.2.3.4:5", "1.2.3.4"),
        ] {
            assert_eq!(
                host_span(value.as_bytes()).unwrap().of(value.as_bytes()),
                host.as_bytes(),
                "{value}"
            );
        }
    }

    #[test]
    fn slashes_and_double_dots_are_refused() {
        for value in ["/", "a/b", "a..b", "..", "a:80/", "a:..", "[::1]/"] {
            assert_eq!(host_span(value.as_bytes()), None, "{value}");
        }
    }
}
