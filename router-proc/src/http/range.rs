//! Ranges of octets (RFC 9110, 14): what a `Range` asks for, and the body that carries several.

use super::scan::push_decimal;

/// The most ranges that one request may ask for; one that asks for more is answered whole. Players
/// and readers of documents ask for a few.
pub const RANGES_MAX: usize = 64;

/// A stretch of a representation, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first octet.
    pub offset: u64,
    /// How many there are.
    pub len: u64,
}

impl Part {
    /// The place behind its last octet.
    fn end(self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// Appends the value of its `Content-Range`, in a representation of `total` octets.
    pub fn push_content_range(self, total: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"bytes ");
        push_decimal(out, self.offset);
        out.push(b'-');
        push_decimal(out, self.end().saturating_sub(1));
        out.push(b'/');
        push_decimal(out, total);
    }
}

/// Appends the value of the `Content-Range` that says that a representation of `total` octets has
/// none of those asked for.
pub fn push_unsatisfied(total: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bytes */");
    push_decimal(out, total);
}

/// What a `Range` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The field does not count: all of it.
    Whole,
    /// One part.
    One(Part),
    /// Several parts, none of which has octets of another, in the order they were asked for.
    Several(Vec<Part>),
    /// 416: it has none of the octets that were asked for.
    Unsatisfiable,
}

/// Cuts what `range`, the value of the field, asks for out of a representation of `len` octets.
///
/// What overlaps or adjoins is put together, so that no octet is sent twice however often it is
/// asked for. A field that is not understood is as good as none, and so is one that asks for the
/// end of nothing: there is no way to write that it was sent.
pub fn select(range: &[u8], len: u64) -> Selection {
    let Some(specs) = range
        .split_at_checked(6)
        .filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes="))
        .map(|(_, specs)| specs)
    else {
        return Selection::Whole;
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut count = 0;
    for spec in specs.split(|&octet| octet == b',') {
        let spec = trim_blanks(spec);
        if spec.is_empty() {
            continue;
        }
        count += 1;
        let Some(spec) = Spec::read(spec).filter(|_| count <= RANGES_MAX) else {
            return Selection::Whole;
        };
        match spec.resolve(len) {
            Resolved::Part(part) => add(&mut parts, part),
            Resolved::Outside => {}
            Resolved::EndOfNothing => return Selection::Whole,
        }
    }
    match (count, &parts[..]) {
        (0, _) => Selection::Whole,
        (_, []) => Selection::Unsatisfiable,
        (_, &[part]) => Selection::One(part),
        (_, _) => Selection::Several(parts),
    }
}

/// One range as it is asked for.
#[derive(Clone, Copy, Debug)]
enum Spec {
    From { first: u64, last: Option<u64> },
    Last(u64),
}

/// Where a range is in a representation.
enum Resolved {
    Part(Part),
    Outside,
    /// The last octets of a representation that has none.
    EndOfNothing,
}

impl Spec {
    fn read(text: &[u8]) -> Option<Spec> {
        let dash = memchr::memchr(b'-', text)?;
        let (first, last) = (text.get(..dash)?, text.get(dash + 1..)?);
        match (first, last) {
            (b"", last) => Some(Spec::Last(number(last)?)),
            (first, b"") => Some(Spec::From { first: number(first)?, last: None }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Spec::From { first, last: Some(last) })
            }
        }
    }

    fn resolve(self, total: u64) -> Resolved {
        let (offset, end) = match self {
            Spec::Last(0) => return Resolved::Outside,
            Spec::Last(_) if total == 0 => return Resolved::EndOfNothing,
            Spec::Last(len) => (total.saturating_sub(len), total),
            Spec::From { first, last: None } => (first, total),
            Spec::From { first, last: Some(last) } => (first, last.saturating_add(1).min(total)),
        };
        match end.checked_sub(offset) {
            None | Some(0) => Resolved::Outside,
            Some(len) => Resolved::Part(Part { offset, len }),
        }
    }
}

/// Adds a part to others, together with all that it overlaps or adjoins, in the place of the first
/// of them.
fn add(parts: &mut Vec<Part>, mut part: Part) {
    let mut place = None;
    let mut at = 0;
    // What it grows to may touch parts that were looked at before.
    while let Some(&other) = parts.get(at) {
        if other.offset <= part.end() && part.offset <= other.end() {
            let end = part.end().max(other.end());
            part.offset = part.offset.min(other.offset);
            part.len = end.saturating_sub(part.offset);
            parts.remove(at);
            place = Some(place.map_or(at, |place: usize| place.min(at)));
            at = 0;
        } else {
            at += 1;
        }
    }
    parts.insert(place.unwrap_or(parts.len()).min(parts.len()), part);
}

/// A number of any size; one that is too large is larger than every file.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// What separates the parts of a body; nobody must be able to guess it, or a file could be made
/// that seems to end early.
pub type Boundary = [u8; 16];

/// A body of media type `multipart/byteranges`: what stands before each part, and behind the last.
#[derive(Debug)]
pub struct Multipart {
    boundary: [u8; 32],
    parts: Vec<Part>,
    /// What stands before the parts and behind the last, one text behind the other.
    texts: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Multipart {
    /// A body of these parts of a representation of `total` octets.
    pub fn new(
        parts: Vec<Part>,
        total: u64,
        content_type: Option<&[u8]>,
        boundary: Boundary,
    ) -> Multipart {
        let boundary = hexadecimal(boundary);
        let mut texts = Vec::new();
        let mut ends = Vec::new();
        for part in &parts {
            let line_end: &[u8] = if ends.is_empty() { b"" } else { b"\r\n" };
            texts.extend_from_slice(line_end);
            texts.extend_from_slice(b"--");
            texts.extend_from_slice(&boundary);
            texts.extend_from_slice(b"\r\n");
            if let Some(content_type) = content_type {
                texts.extend_from_slice(b"Content-Type: ");
                // No value may begin another line.
                texts.extend(content_type.iter().map(|&octet| match octet {
                    b'\r' | b'\n' | 0 => b' ',
                    octet => octet,
                }));
                texts.extend_from_slice(b"\r\n");
            }
            texts.extend_from_slice(b"Content-Range: ");
            part.push_content_range(total, &mut texts);
            texts.extend_from_slice(b"\r\n\r\n");
            ends.push(texts.len());
        }
        texts.extend_from_slice(b"\r\n--");
        texts.extend_from_slice(&boundary);
        texts.extend_from_slice(b"--\r\n");
        Multipart { boundary, parts, texts, ends }
    }

    /// The same parts with another type.
    #[must_use]
    pub fn with_content_type(
        self,
        total: u64,
        content_type: Option<&[u8]>,
        boundary: Boundary,
    ) -> Multipart {
        Multipart::new(self.parts, total, content_type, boundary)
    }

    /// The value of the response's `Content-Type`.
    pub fn content_type(&self) -> Vec<u8> {
        [&b"multipart/byteranges; boundary="[..], &self.boundary].concat()
    }

    /// The length of the body.
    pub fn body_len(&self) -> u64 {
        let octets = self.parts.iter().map(|part| part.len);
        octets.fold(self.texts.len() as u64, u64::saturating_add)
    }

    /// Each part and the text before it, in order.
    pub fn parts(&self) -> impl Iterator<Item = (&[u8], Part)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let texts = starts.zip(&self.ends).map(|(start, &end)| self.texts.get(start..end));
        texts.map(Option::unwrap_or_default).zip(self.parts.iter().copied())
    }

    /// What stands behind the last part.
    pub fn end(&self) -> &[u8] {
        let start = self.ends.last().copied().unwrap_or(0);
        self.texts.get(start..).unwrap_or_default()
    }
}

fn hexadecimal(octets: Boundary) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 0xF]);
    for (place, digit) in text.iter_mut().zip(digits) {
        *place = DIGITS[usize::from(digit)];
    }
    text
}

#[cfg(test)]
mod tests;
