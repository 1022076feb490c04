//! Octets as the tables of tests write them, and octets as text.

/// Octets as text, one character for each.
#[must_use]
pub fn latin_1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// Resolves `\r`, `\n`, `\t`, `\\`, `\xHH`, and `\(N*c)`, which is a character N times over.
///
/// # Panics
/// At an escape that is none of these.
#[must_use]
pub fn unescape(text: &str) -> Vec<u8> {
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
