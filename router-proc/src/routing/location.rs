//! Percent-encoding of `Location` values.

/// Appends `text` as a `Location`: as it is if it is a correctly encoded URI reference, else with
/// every octet encoded that needs it, percent signs included.
pub(super) fn push_location(text: &[u8], out: &mut Vec<u8>) {
    if is_encoded(text) {
        out.extend_from_slice(text);
        return;
    }
    let mut allowed = Delimiters::default();
    for &octet in text {
        push_encoded(octet, needs_encoding(octet) && !allowed.permit(octet), out);
    }
}

/// Appends a path with every octet encoded that needs it, delimiters included.
pub fn encode_path(path: &[u8], out: &mut Vec<u8>) {
    for &octet in path {
        push_encoded(octet, needs_encoding(octet), out);
    }
}

/// The first `?` and the first `#` may stand as they are, but no `?` behind that `#`.
#[derive(Default)]
struct Delimiters {
    query_seen: bool,
    fragment_seen: bool,
}

impl Delimiters {
    fn permit(&mut self, octet: u8) -> bool {
        match octet {
            b'?' => !self.fragment_seen && !std::mem::replace(&mut self.query_seen, true),
            b'#' => !std::mem::replace(&mut self.fragment_seen, true),
            _ => false,
        }
    }
}

fn is_encoded(text: &[u8]) -> bool {
    let mut allowed = Delimiters::default();
    let mut rest = text;
    while let Some((&octet, behind)) = rest.split_first() {
        rest = match (octet, behind) {
            (b'%', [high, low, behind @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                behind
            }
            _ if needs_encoding(octet) && !allowed.permit(octet) => return false,
            _ => behind,
        };
    }
    true
}

fn needs_encoding(octet: u8) -> bool {
    matches!(
        octet,
        0..=b' '
            | 0x7F..=0xFF
            | b'"'
            | b'#'
            | b'%'
            | b'<'
            | b'>'
            | b'?'
            | b'\\'
            | b'^'
            | b'`'
            | b'{'
            | b'|'
            | b'}'
    )
}

fn push_encoded(octet: u8, needs_encoding: bool, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if needs_encoding {
        let digit = |value: u8| DIGITS[usize::from(value & 0xF)];
        out.extend_from_slice(&[b'%', digit(octet >> 4), digit(octet)]);
    } else {
        out.push(octet);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn location(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_location(text, &mut out);
        out
    }

    #[test]
    fn what_is_encoded_stays_and_the_rest_is_encoded_whole() {
        for (text, expected) in [
            ("", ""),
            ("/", "/"),
            ("https://a.b:8/c?d=e&f#g", "https://a.b:8/c?d=e&f#g"),
            ("???", "?%3F%3F"),
            ("/#:/?#", "/#:/%3F%23"),
            ("##", "#%23"),
            ("#?", "#%3F"),
            ("?#", "?#"),
            ("%20", "%20"),
            ("%2g", "%252g"),
            ("%", "%25"),
            ("%2", "%252"),
            (" %20", "%20%2520"),
            ("/a b", "/a%20b"),
            ("\"<>\\^`{|}", "%22%3C%3E%5C%5E%60%7B%7C%7D"),
            ("\0\t\u{7f}\u{e4}", "%00%09%7F%C3%A4"),
            ("!$&'()*+,-./:;=@[]_~", "!$&'()*+,-./:;=@[]_~"),
        ] {
            assert_eq!(location(text.as_bytes()), expected.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn paths_have_no_delimiters() {
        let mut out = Vec::new();
        encode_path(b"/a?b#c%20\xff", &mut out);
        assert_eq!(out, b"/a%3Fb%23c%2520%FF");
    }

    proptest! {
        #[test]
        fn locations_are_encoded_for_good(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let once = location(&text);
            prop_assert_eq!(location(&once), once.clone());
            prop_assert!(once.iter().all(|octet| (0x21..0x7F).contains(octet)));
        }
    }
}
