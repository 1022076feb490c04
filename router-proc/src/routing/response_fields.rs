//! The fields of a response: edited by `response_headers`, shown by variables.

use std::mem;

use super::context::RequestContext;
use super::evaluate::EvaluationError;
use super::table::{ActionRef, RouteTable};
use super::variables::{self, push_decimal};
use crate::http::{Delivery, Framing, ResponseHead, Span};

/// The fields of a response that is still to be written, in order. Clearing keeps the memory.
#[derive(Debug, Default)]
pub struct ResponseFields {
    buf: Vec<u8>,
    fields: Vec<(Span, Span)>,
}

impl ResponseFields {
    /// Removes all fields.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.fields.clear();
    }

    /// Appends a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let name = self.store(name);
        let value = self.store(value);
        self.fields.push((name, value));
    }

    /// The value of the first field of that name, whatever the letter case.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.position(name).and_then(|at| self.fields.get(at)).map(|(_, value)| value.of(&self.buf))
    }

    /// The fields in order, names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (name.of(&self.buf), value.of(&self.buf)))
    }

    /// Writes the fields.
    pub fn write_to(&self, head: &mut ResponseHead<'_>) {
        for (name, value) in self.iter() {
            head.field(name, value);
        }
    }

    /// Gives the first field of that name another value, or appends a field.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        match self.position(name) {
            None => self.push(name, value),
            Some(at) => {
                let value = self.store(value);
                if let Some(field) = self.fields.get_mut(at) {
                    field.1 = value;
                }
            }
        }
    }

    /// Removes the first field of that name.
    fn remove(&mut self, name: &[u8]) {
        if let Some(at) = self.position(name) {
            self.fields.remove(at);
        }
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.fields.iter().position(|(field, _)| field.of(&self.buf).eq_ignore_ascii_case(name))
    }

    fn store(&mut self, octets: &[u8]) -> Span {
        let start = self.buf.len();
        self.buf.extend_from_slice(octets);
        Span::new(start, self.buf.len())
    }
}

/// The fields of a response, as far as there are any yet.
#[derive(Clone, Copy, Debug, Default)]
pub enum ResponseFieldsView<'a> {
    /// None.
    #[default]
    None,
    /// Those that will be written.
    Listed(&'a ResponseFields),
    /// Those in a response head as it was sent, status line included.
    Sent(&'a [u8]),
}

impl<'a> ResponseFieldsView<'a> {
    fn get(self, name: &[u8]) -> Option<&'a [u8]> {
        match self {
            ResponseFieldsView::None => None,
            ResponseFieldsView::Listed(fields) => fields.get(name),
            ResponseFieldsView::Sent(head) => {
                let mut lines = head.split(|&octet| octet == b'\n').skip(1);
                lines.find_map(|line| {
                    let colon = memchr::memchr(b':', line)?;
                    let (field, value) = line.split_at(colon);
                    let value = value.strip_prefix(b":")?.trim_ascii();
                    field.eq_ignore_ascii_case(name).then_some(value)
                })
            }
        }
    }
}

/// What variables about the response are taken from.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseFacts<'a> {
    /// The status; 0 if there is none.
    pub status: u16,
    /// Octets sent after the head.
    pub body_bytes_sent: u64,
    /// How the response is delivered, once that is decided.
    pub delivery: Option<Delivery>,
    /// Its fields.
    pub fields: ResponseFieldsView<'a>,
}

impl ResponseFacts<'_> {
    /// Appends the value of a field, of the delivery where the field is ours to write; `false` if
    /// there is none.
    pub(super) fn push_field(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let delivered = match (name, &self.delivery) {
            (b"connection", Some(_)) if self.status == 101 => Some("Upgrade"),
            (b"connection", Some(delivery)) => delivery.connection(),
            (b"transfer-encoding", Some(delivery)) => {
                (delivery.framing == Framing::Chunked).then_some("chunked")
            }
            (b"content-length", Some(Delivery { framing: Framing::Length(length), .. })) => {
                push_decimal(*length, out);
                return true;
            }
            _ => {
                let value = self.fields.get(name);
                return value.map(|value| out.extend_from_slice(value)).is_some();
            }
        };
        delivered.map(|value| out.extend_from_slice(value.as_bytes())).is_some()
    }
}

/// Applies the `response_headers` of the selected action to the fields that a response has so far,
/// before `Server`, `Date` and framing. Only statuses from 200 to 399 are changed; on an error the
/// answer is 500.
pub fn apply_response_headers(
    table: &RouteTable,
    action: Option<ActionRef>,
    ctx: &mut RequestContext<'_>,
    status: u16,
    delivery: Delivery,
    fields: &mut ResponseFields,
) -> Result<(), EvaluationError> {
    let edits = table.response_headers(action, status);
    if edits.is_empty() {
        return Ok(());
    }
    let mut text = mem::take(&mut ctx.cache.text);
    let mut ends = mem::take(&mut ctx.cache.ends);
    text.clear();
    ends.clear();
    let facts = ResponseFacts {
        status,
        body_bytes_sent: 0,
        delivery: Some(delivery),
        fields: ResponseFieldsView::Listed(fields),
    };
    // All values are made before any field changes.
    let values = edits.iter().flat_map(|(_, value)| value);
    let result = values.into_iter().try_for_each(|value| {
        variables::expand(value, ctx, &facts, b"", &mut text)?;
        ends.push(text.len());
        Ok(())
    });
    if result.is_ok() {
        let mut start = 0;
        let mut ends = ends.iter();
        for (name, value) in edits {
            match (value, value.as_ref().and_then(|_| ends.next())) {
                (Some(_), Some(&end)) => {
                    fields.set(name, text.get(start..end).unwrap_or_default());
                    start = end;
                }
                (Some(_) | None, _) => fields.remove(name),
            }
        }
    }
    ctx.cache.text = text;
    ctx.cache.ends = ends;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_set_and_removed_by_the_first_of_their_name() {
        let mut fields = ResponseFields::default();
        fields.push(b"A", b"1");
        fields.push(b"a", b"2");
        fields.set(b"a", b"3");
        fields.set(b"B", b"4");
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [(&b"A"[..], &b"3"[..]), (b"a", b"2"), (b"B", b"4")]);
        fields.remove(b"A");
        fields.remove(b"x");
        assert_eq!(fields.get(b"A"), Some(&b"2"[..]));
        fields.clear();
        assert_eq!(fields.get(b"A"), None);
    }

    #[test]
    fn fields_are_found_in_a_head_as_sent() {
        let head = b"HTTP/1.1 200 OK\r\nA: 1\r\nServer: Unit\r\nB:\r\na: 2\r\n\r\n";
        let view = ResponseFieldsView::Sent(head);
        for (name, value) in [
            ("a", Some("1")),
            ("SERVER", Some("Unit")),
            ("b", Some("")),
            ("c", None),
            ("", None),
            ("http/1.1 200 ok", None),
        ] {
            assert_eq!(view.get(name.as_bytes()), value.map(str::as_bytes), "{name}");
        }
    }
}
