//! Percent-decoding of names in paths and of literal text in patterns.

/// Decodes every `%HH`. Nothing if a percent sign is not followed by two hexadecimal digits.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte == b'%' {
            decoded.push(hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// As [`decode`], with a plus sign for a blank as in queries.
pub(crate) fn decode_query(text: &[u8]) -> Option<Vec<u8>> {
    let blanks: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    decode(&blanks)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_each_sequence_once() {
        assert_eq!(decode(b"a%2Fb%2f%25%32%35+").as_deref(), Some(&b"a/b/%25+"[..]));
        assert_eq!(decode_query(b"a+b%2B").as_deref(), Some(&b"a b+"[..]));
    }

    #[test]
    fn refuses_broken_sequences() {
        for text in ["%", "a%", "%1", "%g0", "%0g", "%%20"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
            assert_eq!(decode_query(text.as_bytes()), None, "{text}");
        }
    }
}
