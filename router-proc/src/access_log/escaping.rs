//! Values as they stand in an entry: whatever a client sends, an entry stays one line, its quotes
//! stay where the format has them, and a terminal that shows it obeys nobody.

/// How values are kept from ending an entry or a string in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// As web servers do: quotes, backslashes, what controls a line or a terminal, and what is not
    /// UTF-8 become `\xHH`, octet by octet.
    Text,
    /// As in a JSON string; what is not UTF-8 becomes U+FFFD.
    Json,
}

const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";
const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";

/// Whether an octet stands for itself in every entry.
fn is_plain(octet: u8) -> bool {
    matches!(octet, b' '..=b'~') && octet != b'"' && octet != b'\\'
}

/// Whether a character ends lines somewhere or controls a terminal.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

impl Escaping {
    /// Escapes what was appended to `out` from `start` on; `scratch` is room to work in.
    pub(super) fn escape_from(self, start: usize, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        let value = out.get(start..).unwrap_or_default();
        let Some(first) = value.iter().position(|&octet| !is_plain(octet)) else { return };
        scratch.clear();
        scratch.extend_from_slice(value.get(first..).unwrap_or_default());
        out.truncate(start + first);
        self.push(scratch, out);
    }

    /// Appends `octets`, escaped.
    pub fn push(self, octets: &[u8], out: &mut Vec<u8>) {
        for chunk in octets.utf8_chunks() {
            for c in chunk.valid().chars() {
                match self {
                    Self::Text => push_text(c, out),
                    Self::Json => push_json(c, out),
                }
            }
            match self {
                Self::Text => chunk.invalid().iter().for_each(|&octet| push_octet(octet, out)),
                Self::Json if chunk.invalid().is_empty() => {}
                Self::Json => out.extend_from_slice("\u{fffd}".as_bytes()),
            }
        }
    }
}

fn push_text(c: char, out: &mut Vec<u8>) {
    let mut room = [0; 4];
    let encoded = c.encode_utf8(&mut room).as_bytes();
    if is_control(c) || matches!(c, '"' | '\\') {
        encoded.iter().for_each(|&octet| push_octet(octet, out));
    } else {
        out.extend_from_slice(encoded);
    }
}

fn push_octet(octet: u8, out: &mut Vec<u8>) {
    let digit = |nibble: u8| HEX_UPPER[usize::from(nibble & 0xF)];
    out.extend_from_slice(&[b'\\', b'x', digit(octet >> 4), digit(octet)]);
}

fn push_json(c: char, out: &mut Vec<u8>) {
    let short = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        _ if is_control(c) => {
            let code = u32::from(c);
            let digit = |shift: u32| HEX_LOWER[(code >> shift & 0xF) as usize];
            out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            return;
        }
        _ => {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(short);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(escaping: Escaping, value: &[u8]) -> String {
        let mut whole = Vec::new();
        escaping.push(value, &mut whole);
        let mut out = b"before\n".to_vec();
        out.extend_from_slice(value);
        escaping.escape_from(7, &mut out, &mut b"left over".to_vec());
        assert_eq!(out.strip_prefix(b"before\n"), Some(&whole[..]));
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn plain_values_stay_what_they_are() {
        for value in ["", "/a?b=c", "~!#$%&'()*+,-./:;<=>?@[]^_`{|}", "größe", "日本", "\u{1F600}"]
        {
            assert_eq!(escaped(Escaping::Text, value.as_bytes()), value);
            assert_eq!(escaped(Escaping::Json, value.as_bytes()), value);
        }
    }

    #[test]
    fn what_ends_lines_and_strings_is_escaped() {
        for (value, text, json) in [
            (&b"a\r\nb"[..], r"a\x0D\x0Ab", r"a\r\nb"),
            (b"\0\x1b[2J\x7f\t", r"\x00\x1B[2J\x7F\x09", r"\u0000\u001b[2J\u007f\t"),
            (b"\" 200 \"", r"\x22 200 \x22", r#"\" 200 \""#),
            (b"\\x0A", r"\x5Cx0A", r"\\x0A"),
            // Next line and the start of a terminal's sequences, each in two octets.
            ("\u{85}\u{9b}".as_bytes(), r"\xC2\x85\xC2\x9B", r"\u0085\u009b"),
            ("\u{2028}\u{2029}".as_bytes(), r"\xE2\x80\xA8\xE2\x80\xA9", r"\u2028\u2029"),
            // What is not UTF-8: single octets, a cut sequence, an overlong slash.
            (b"a\xffb\xe6\x97", r"a\xFFb\xE6\x97", "a\u{fffd}b\u{fffd}"),
            (b"\xc0\xaf", r"\xC0\xAF", "\u{fffd}\u{fffd}"),
            (b"\x9b", r"\x9B", "\u{fffd}"),
        ] {
            assert_eq!(escaped(Escaping::Text, value), text);
            assert_eq!(escaped(Escaping::Json, value), json);
        }
    }
}
