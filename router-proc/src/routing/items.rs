//! Named items of a request, arguments or cookies, taken apart once and kept for the request.

use crate::http::Span;

/// Items in order, the names and values in one buffer. Clearing keeps the memory.
#[derive(Debug, Default)]
pub(super) struct NamedItems {
    is_parsed: bool,
    buf: Vec<u8>,
    items: Vec<(Span, Span)>,
}

impl NamedItems {
    pub(super) fn clear(&mut self) {
        self.is_parsed = false;
        self.buf.clear();
        self.items.clear();
    }

    /// Takes a query apart unless that was done: at `&`, then at the first `=` of each piece,
    /// before anything is decoded.
    pub(super) fn parse_query(&mut self, query: Option<&[u8]>) {
        if std::mem::replace(&mut self.is_parsed, true) {
            return;
        }
        for piece in query.unwrap_or_default().split(|&octet| octet == b'&') {
            let (name, value) = split_at_equals(piece).unwrap_or((piece, b""));
            if name.is_empty() && value.is_empty() {
                continue;
            }
            let name = self.push(|buf| decode_query(name, buf));
            let value = self.push(|buf| decode_query(value, buf));
            self.items.push((name, value));
        }
    }

    /// Takes cookies apart unless that was done; `fields` are the values of all `Cookie` fields.
    pub(super) fn parse_cookies<'a>(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        if std::mem::replace(&mut self.is_parsed, true) {
            return;
        }
        for piece in fields.flat_map(|field| field.split(|&octet| octet == b';')) {
            let Some((name, value)) = split_at_equals(piece) else { continue };
            let blanks = name.iter().take_while(|&&octet| octet == b' ').count();
            let name = name.get(blanks..).unwrap_or_default();
            let blanks = value.iter().rev().take_while(|&&octet| octet == b' ').count();
            let value = value.get(..value.len() - blanks).unwrap_or_default();
            let name = self.push(|buf| buf.extend_from_slice(name));
            let value = self.push(|buf| buf.extend_from_slice(value));
            self.items.push((name, value));
        }
    }

    /// The values of the items of that name, in order.
    pub(super) fn values<'a>(
        &'a self,
        name: &'a [u8],
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let named = self.items.iter().filter(move |(item, _)| item.of(&self.buf) == name);
        named.map(|(_, value)| value.of(&self.buf))
    }

    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.buf.len();
        write(&mut self.buf);
        Span::new(start, self.buf.len())
    }
}

fn split_at_equals(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'=', piece)?;
    Some((piece.get(..at)?, piece.get(at + 1..)?))
}

/// Appends `text` with `+` as a blank and `%HH` decoded; a percent sign that begins no such
/// sequence stands for itself.
pub(super) fn decode_query(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&octet, behind)) = rest.split_first() {
        let decoded = match (octet, behind) {
            (b'+', _) => Some((b' ', behind)),
            (b'%', [high, low, behind @ ..]) => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, behind))
            }
            _ => None,
        };
        let (octet, behind) = decoded.unwrap_or((octet, behind));
        out.push(octet);
        rest = behind;
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The decoded form of a whole query, made on first use and only if it differs.
#[derive(Debug, Default)]
pub(super) struct DecodedQuery {
    is_decoded: bool,
    text: Vec<u8>,
}

impl DecodedQuery {
    pub(super) fn clear(&mut self) {
        self.is_decoded = false;
        self.text.clear();
    }

    pub(super) fn of<'a>(&'a mut self, raw: &'a [u8]) -> &'a [u8] {
        if memchr::memchr2(b'+', b'%', raw).is_none() {
            return raw;
        }
        if !std::mem::replace(&mut self.is_decoded, true) {
            decode_query(raw, &mut self.text);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(items: &NamedItems) -> Vec<(String, String)> {
        let text = |span: &Span| String::from_utf8_lossy(span.of(&items.buf)).into_owned();
        items.items.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    fn check(items: &NamedItems, expected: &[(&str, &str)], input: &str) {
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(pairs(items), expected, "{input}");
    }

    #[test]
    fn queries_are_split_before_they_are_decoded() {
        for (query, expected) in [
            ("", &[][..]),
            ("&&", &[]),
            ("=", &[]),
            ("&=&", &[]),
            ("=x", &[("", "x")]),
            ("foo", &[("foo", "")]),
            ("foo=", &[("foo", "")]),
            ("a=1&a=2&b", &[("a", "1"), ("a", "2"), ("b", "")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a%26b%3D=c%26d", &[("a&b=", "c&d")]),
            ("a+b=c+d%2B", &[("a b", "c d+")]),
            ("%=%4&%zz=%4g", &[("%", "%4"), ("%zz", "%4g")]),
            ("a=%C3%a4", &[("a", "\u{e4}")]),
        ] {
            let mut items = NamedItems::default();
            items.parse_query(Some(query.as_bytes()));
            check(&items, expected, query);
        }
        let mut items = NamedItems::default();
        items.parse_query(None);
        check(&items, &[], "no query");
    }

    #[test]
    fn cookies_keep_all_but_the_outer_spaces() {
        for (fields, expected) in [
            (&[""][..], &[][..]),
            (&["a"], &[]),
            (&["="], &[("", "")]),
            (&["a=b"], &[("a", "b")]),
            (&["a=b; c=d;e=f"], &[("a", "b"), ("c", "d"), ("e", "f")]),
            (&["  a = b  "], &[("a ", " b")]),
            (&["\ta=b\t"], &[("\ta", "b\t")]),
            (&["a=b=c;x;y="], &[("a", "b=c"), ("y", "")]),
            (&["a=%41+"], &[("a", "%41+")]),
            (&["a=1", "a=2;b=3"], &[("a", "1"), ("a", "2"), ("b", "3")]),
        ] {
            let mut items = NamedItems::default();
            items.parse_cookies(fields.iter().map(|field| field.as_bytes()));
            check(&items, expected, &fields.join(" | "));
        }
    }

    #[test]
    fn what_was_parsed_stays_until_it_is_cleared() {
        let mut items = NamedItems::default();
        items.parse_query(Some(b"a=1&b=2&a=3"));
        items.parse_query(Some(b"c=4"));
        assert_eq!(items.values(b"a").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(items.values(b"c").count(), 0);
        items.clear();
        items.parse_query(Some(b"c=4"));
        assert_eq!(items.values(b"a").count(), 0);
        assert_eq!(items.values(b"c").next_back(), Some(&b"4"[..]));
    }

    #[test]
    fn whole_queries_are_decoded_once() {
        let mut query = DecodedQuery::default();
        assert_eq!(query.of(b"a=b&c"), b"a=b&c");
        assert_eq!(query.of(b"a+b%2B%"), b"a b+%");
        assert_eq!(query.of(b"a+b%2B%"), b"a b+%");
        query.clear();
        assert_eq!(query.of(b"%41"), b"A");
    }
}
