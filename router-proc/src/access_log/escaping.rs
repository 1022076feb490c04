//! Values as they stand in an entry: whatever a client sends, an entry stays one line, its quotes
//! stay where the format has them, and a terminal that shows it obeys nobody.

/// How values are kept from ending an entry or a string in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// As web servers do: quotes, backslashes, what controls a line or a terminal, what is invisible,
    /// and what is not UTF-8 become `\xHH`, octet by octet.
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

/// Whether a character ends lines somewhere, controls a terminal, or has no look of its own but
/// changes that of others: a few of them turn the rest of a line around, or hide in a name.
fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || is_format(c)
}

/// Whether it is of Unicode's general category Cf, or among such and kept for more of them.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
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
    if is_unseen(c) || matches!(c, '"' | '\\') {
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
        _ if is_unseen(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let digit = |shift: u32| HEX_LOWER[usize::from(*unit >> shift & 0xF)];
                out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            }
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
            // What is not seen: turned-around text, a byte order mark, a tag.
            ("a\u{202e}b".as_bytes(), r"a\xE2\x80\xAEb", r"a\u202eb"),
            ("\u{feff}\u{ad}".as_bytes(), r"\xEF\xBB\xBF\xC2\xAD", r"\ufeff\u00ad"),
            ("\u{e0041}".as_bytes(), r"\xF3\xA0\x81\x81", r"\udb40\udc41"),
            // What is not UTF-8: single octets, a cut sequence, an overlong slash.
            (b"a\xffb\xe6\x97", r"a\xFFb\xE6\x97", "a\u{fffd}b\u{fffd}"),
            (b"\xc0\xaf", r"\xC0\xAF", "\u{fffd}\u{fffd}"),
            (b"\x9b", r"\x9B", "\u{fffd}"),
        ] {
            assert_eq!(escaped(Escaping::Text, value), text);
            assert_eq!(escaped(Escaping::Json, value), json);
        }
    }

    /// Ends of the ranges, and what is beside them.
    #[test]
    fn invisible_characters_are_escaped_and_others_are_not() {
        let unseen = concat!(
            "\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200f}\u{202a}\u{202e}\u{2060}\u{2064}\u{2066}\u{206f}",
            "\u{feff}\u{fff9}\u{fffb}\u{110bd}\u{1d173}\u{1d17a}\u{e0001}\u{e0020}\u{e007f}",
        );
        for c in unseen.chars() {
            let value = c.to_string();
            let octets = value.bytes().map(|octet| format!("\\x{octet:02X}")).collect::<String>();
            assert_eq!(escaped(Escaping::Text, value.as_bytes()), octets);
            let shown = escaped(Escaping::Json, value.as_bytes());
            assert!(shown.is_ascii(), "{shown}");
            let parsed = conf::parse(format!("\"{shown}\"").as_bytes()).unwrap();
            assert_eq!(parsed.as_text().unwrap().as_bytes(), value.as_bytes());
        }
        let seen =
            "\u{ac}\u{ae}\u{200a}\u{2010}\u{2027}\u{202f}\u{205f}\u{2070}\u{fffd}\u{e0100}\u{5d0}";
        assert_eq!(escaped(Escaping::Text, seen.as_bytes()), seen);
        assert_eq!(escaped(Escaping::Json, seen.as_bytes()), seen);
    }
}
