//! Conditions that a request makes: preconditions (RFC 9110, 13) and `If-Range` (13.1.5), tested
//! against what would be answered with.

use super::date::parse_http_date;
use super::request::Field;

/// What tells one version of a representation from another.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The entity tag with its quotes, and `W/` in front of them if it is weak.
    pub etag: &'a [u8],
    /// `Last-Modified` in seconds since 1970.
    pub last_modified: u64,
    /// Now, in seconds since 1970.
    pub now: u64,
}

/// What preconditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request is to be answered as if there were none.
    Proceed,
    /// 304: the client has this version.
    NotModified,
    /// 412: it is not the version that the client wants.
    Failed,
}

/// A field that must not occur twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Once<T> {
    #[default]
    Absent,
    Is(T),
    /// It occurs twice, or cannot be read.
    Bad,
}

impl<T> Once<T> {
    fn add(&mut self, value: Option<T>) {
        *self = match (&self, value) {
            (Once::Absent, Some(value)) => Once::Is(value),
            (Once::Absent, None) | (Once::Is(_) | Once::Bad, _) => Once::Bad,
        };
    }
}

/// The conditions of a request, tested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'f> {
    /// Whether the representation is among those of `If-Match`.
    if_match: Option<bool>,
    /// Whether it is among those of `If-None-Match`.
    if_none_match: Option<bool>,
    /// Whether it was changed after the date.
    is_modified: Once<bool>,
    /// The same of `If-Unmodified-Since`.
    is_modified_after_all: Once<bool>,
    /// Whether it is the one of `If-Range`.
    if_range: Once<bool>,
    range: Once<&'f [u8]>,
}

impl<'f> Conditions<'f> {
    /// Reads the conditions among the fields of a request. Lists may go on in further fields of
    /// the same name; a date or `Range` that occurs twice is not there at all.
    pub fn read(
        fields: impl Iterator<Item = Field<'f>>,
        validators: &Validators<'_>,
    ) -> Conditions<'f> {
        let Validators { etag, last_modified, .. } = *validators;
        let mut found = Conditions::default();
        for field in fields {
            let value = field.value;
            let is_modified = || parse_http_date(value).map(|date| last_modified > date);
            match field.name.len() {
                5 if field.is(b"range") => found.range.add(Some(value)),
                8 if field.is(b"if-match") => {
                    *found.if_match.get_or_insert(false) |= lists(value, etag, is_same_strong);
                }
                8 if field.is(b"if-range") => {
                    found.if_range.add(Some(is_current(value, validators)))
                }
                13 if field.is(b"if-none-match") => {
                    *found.if_none_match.get_or_insert(false) |= lists(value, etag, is_same_weak);
                }
                17 if field.is(b"if-modified-since") => found.is_modified.add(is_modified()),
                19 if field.is(b"if-unmodified-since") => {
                    found.is_modified_after_all.add(is_modified());
                }
                _ => {}
            }
        }
        found
    }

    /// What the preconditions come to, for GET and HEAD, in the order of RFC 9110, 13.2.2.
    pub fn verdict(&self) -> Verdict {
        let is_wanted = match (self.if_match, self.is_modified_after_all) {
            (Some(is_listed), _) => is_listed,
            (None, Once::Is(is_modified)) => !is_modified,
            (None, Once::Absent | Once::Bad) => true,
        };
        let is_known = match (self.if_none_match, self.is_modified) {
            (Some(is_listed), _) => is_listed,
            (None, Once::Is(is_modified)) => !is_modified,
            (None, Once::Absent | Once::Bad) => false,
        };
        match (is_wanted, is_known) {
            (false, _) => Verdict::Failed,
            (true, true) => Verdict::NotModified,
            (true, false) => Verdict::Proceed,
        }
    }

    /// The value of `Range`, unless `If-Range` rules it out.
    pub fn range(&self) -> Option<&'f [u8]> {
        match (self.range, self.if_range) {
            (Once::Is(range), Once::Absent | Once::Is(true)) => Some(range),
            (Once::Is(_), Once::Is(false) | Once::Bad) | (Once::Absent | Once::Bad, _) => None,
        }
    }
}

/// Whether an `If-Range` is for the representation as it is now. A date counts only when it is a
/// strong validator (RFC 9110, 8.8.2.2): within the second that it names the representation can
/// have changed again.
fn is_current(value: &[u8], validators: &Validators<'_>) -> bool {
    match read_tag(value) {
        Some((tag, rest)) => rest.is_empty() && is_same_strong(tag, validators.etag),
        None => parse_http_date(value).is_some_and(|date| {
            date == validators.last_modified && validators.last_modified < validators.now
        }),
    }
}

/// Whether `etag` is in a list of entity tags, or the list is `*`. What follows a mistake in the
/// list is not looked at.
fn lists(list: &[u8], etag: &[u8], is_same: fn(&[u8], &[u8]) -> bool) -> bool {
    if list == b"*" {
        return true;
    }
    let mut rest = without_blanks(list);
    loop {
        // Members may be missing.
        while let Some(behind) = rest.strip_prefix(b",") {
            rest = without_blanks(behind);
        }
        let Some((tag, behind)) = read_tag(rest) else { return false };
        rest = without_blanks(behind);
        if !rest.is_empty() && !rest.starts_with(b",") {
            return false;
        }
        if is_same(tag, etag) {
            return true;
        }
    }
}

/// The entity tag at the beginning, and what is behind it.
fn read_tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let prefix_len = if text.starts_with(b"W/") { 2 } else { 0 };
    let opaque = text.get(prefix_len..)?.strip_prefix(b"\"")?;
    let len = memchr::memchr(b'"', opaque)?;
    text.split_at_checked(prefix_len + len + 2)
}

fn is_same_strong(one: &[u8], other: &[u8]) -> bool {
    one == other && !one.starts_with(b"W/")
}

fn is_same_weak(one: &[u8], other: &[u8]) -> bool {
    let opaque = |tag| <[u8]>::strip_prefix(tag, b"W/").unwrap_or(tag);
    opaque(one) == opaque(other)
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
    text.get(blanks..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
