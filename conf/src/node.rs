//! A value under validation: what it is called, where it stands, and the checks all objects share.

use std::fmt;
use std::ops::BitOr;

use crate::environment::Environment;
use crate::error::ValidationError;
use crate::schema;
use crate::text::Text;
use crate::value::{Kind, Number, Object, Value};

/// The largest number of things that are counted.
pub(crate) const COUNT_MAX: u32 = 0x7fff_ffff;

/// The outcome of a check.
pub(crate) type Valid<T> = Result<T, ValidationError>;

/// What every check can look at: the whole configuration and its surroundings.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) root: &'a Value,
    pub(crate) env: &'a Environment,
}

/// A value under validation.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    cx: &'a Context<'a>,
    value: &'a Value,
    /// What messages call the value: its member name, or that of the array it is in.
    name: &'a [u8],
    place: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Member(&'a Node<'a>, &'a Text),
    Element(&'a Node<'a>, usize),
}

impl<'a> Node<'a> {
    /// The whole configuration.
    pub(crate) fn root(cx: &'a Context<'a>) -> Self {
        Self { cx, value: cx.root, name: b"", place: Place::Root }
    }

    pub(crate) fn env(&self) -> &'a Environment {
        self.cx.env
    }

    /// The same value, called in messages what `other` is called.
    pub(crate) fn labelled(&self, other: &Node<'a>) -> Self {
        Self { name: other.name, ..*self }
    }

    /// The whole configuration that this value is part of.
    pub(crate) fn root_value(&self) -> &'a Value {
        self.cx.root
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// The member name, as bytes to match on.
    pub(crate) fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The member name, to keep.
    pub(crate) fn name_text(&self) -> Text {
        Text::from(self.name)
    }

    /// The member name, for messages.
    pub(crate) fn label(&self) -> impl fmt::Display + use<'a> {
        String::from_utf8_lossy(self.name)
    }

    /// An error at this value.
    pub(crate) fn fault(&self, detail: impl Into<String>) -> ValidationError {
        ValidationError { detail: detail.into(), path: self.pointer(), suggestion: None, log: None }
    }

    fn pointer(&self) -> String {
        match self.place {
            Place::Root => String::new(),
            Place::Element(parent, index) => format!("{}/{index}", parent.pointer()),
            Place::Member(parent, name) => {
                let name = name.to_string().replace('~', "~0").replace('/', "~1");
                format!("{}/{name}", parent.pointer())
            }
        }
    }

    /// The error for a member that `object` does not have.
    pub(crate) fn unknown(&self, object: &schema::Object) -> ValidationError {
        let suggestion = nearest(self.name, object.names(self.env()));
        ValidationError {
            suggestion: suggestion.map(str::to_owned),
            ..self.fault(format!("Unknown parameter \"{}\".", self.label()))
        }
    }

    /// The error for a member whose feature is not in this build.
    pub(crate) fn not_built(&self) -> ValidationError {
        let label = self.label();
        self.fault(format!("Unit is built without the \"{label}\" option support."))
    }

    /// The error for a member that is not there.
    pub(crate) fn missing(&self, member: &str) -> ValidationError {
        let error = self.fault(format!("Required parameter \"{member}\" is missing."));
        ValidationError { path: format!("{}/{member}", error.path), ..error }
    }

    /// Checks the kind of the value.
    pub(crate) fn expect(&self, kinds: Kinds) -> Valid<()> {
        let kind = self.value.kind();
        if kinds.contains(kind) {
            return Ok(());
        }
        Err(match self.place {
            Place::Root => {
                self.fault(format!("The configuration must be {kinds}, but not {kind}."))
            }
            Place::Member(..) | Place::Element(..) => {
                let label = self.label();
                self.fault(format!("The \"{label}\" value must be {kinds}, but not {kind}."))
            }
        })
    }

    /// The value, which must be a string.
    pub(crate) fn text(&self) -> Valid<&'a Text> {
        self.expect(Kinds::STRING)?;
        Ok(self.value.as_text().expect("the kind is checked"))
    }

    /// The value, which must be a boolean.
    pub(crate) fn boolean(&self) -> Valid<bool> {
        self.expect(Kinds::BOOLEAN)?;
        Ok(*self.value == Value::Boolean(true))
    }

    /// The value, which must be a whole number.
    pub(crate) fn integer(&self) -> Valid<i64> {
        self.expect(Kinds::INTEGER)?;
        Ok(self.as_integer().expect("the kind is checked"))
    }

    /// The value, which must be a whole number from 1 to 2147483647.
    pub(crate) fn count(&self) -> Valid<u32> {
        let count = self.integer()?;
        self.checked_count(count)
    }

    /// A number of this value's name, which must be from 1 to 2147483647.
    pub(crate) fn checked_count(&self, count: i64) -> Valid<u32> {
        let label = self.label();
        if count < 1 {
            return Err(
                self.fault(format!("The \"{label}\" number must be equal to or greater than 1."))
            );
        }
        u32::try_from(count).ok().filter(|&count| count <= COUNT_MAX).ok_or_else(|| {
            self.fault(format!("The \"{label}\" number must not exceed {COUNT_MAX}."))
        })
    }

    /// The value, if it is a whole number.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        self.as_number()?.integer()
    }

    /// The value, which must be a number.
    pub(crate) fn number(&self) -> Valid<f64> {
        self.expect(Kinds::NUMBER)?;
        Ok(self.as_number().expect("the kind is checked").value())
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.value {
            Value::Number(number) => Some(number),
            Value::Null
            | Value::Boolean(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        }
    }

    /// The value, which must be an object that has the required members.
    pub(crate) fn object(&self, required: &[&str]) -> Valid<&'a Object> {
        self.expect(Kinds::OBJECT)?;
        let object = self.value.as_object().expect("the kind is checked");
        for member in required {
            if !object.contains(member.as_bytes()) {
                return Err(self.missing(member));
            }
        }
        Ok(object)
    }

    /// The members of an object, in stored order. None if the value is something else.
    pub(crate) fn members(&'a self) -> impl Iterator<Item = Node<'a>> {
        let members = self.value.as_object().map(Object::iter).unwrap_or_default();
        members.map(|(name, value)| Node {
            cx: self.cx,
            value,
            name,
            place: Place::Member(self, name),
        })
    }

    /// The elements of an array. None if the value is something else.
    pub(crate) fn elements(&'a self) -> impl Iterator<Item = Node<'a>> {
        let elements = self.value.as_array().unwrap_or_default().iter();
        elements.enumerate().map(|(index, value)| Node {
            cx: self.cx,
            value,
            name: self.name,
            place: Place::Element(self, index),
        })
    }

    /// A string or an array of strings; `detail` is the message for other elements.
    pub(crate) fn texts(&'a self, detail: &str) -> Valid<Vec<Text>> {
        self.expect(Kinds::STRING | Kinds::ARRAY)?;
        if let Some(text) = self.value.as_text() {
            return Ok(vec![text.clone()]);
        }
        self.element_texts(detail)
    }

    /// An array of strings; `detail` is the message for other elements.
    pub(crate) fn element_texts(&'a self, detail: &str) -> Valid<Vec<Text>> {
        self.elements()
            .map(|element| element.value.as_text().cloned().ok_or_else(|| element.fault(detail)))
            .collect()
    }
}

/// A set of kinds a value may be of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const BOOLEAN: Self = Self::of(Kind::Boolean);
    pub(crate) const INTEGER: Self = Self::of(Kind::Integer);
    pub(crate) const NUMBER: Self = Self(Self::of(Kind::Integer).0 | Self::of(Kind::Fractional).0);
    pub(crate) const STRING: Self = Self::of(Kind::String);
    pub(crate) const ARRAY: Self = Self::of(Kind::Array);
    pub(crate) const OBJECT: Self = Self::of(Kind::Object);

    const fn of(kind: Kind) -> Self {
        Self(1 << kind as u8)
    }

    fn contains(self, kind: Kind) -> bool {
        self.0 & Self::of(kind).0 != 0
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `a string`, `either a string or an array`, `either a boolean, a string, or an array`.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            Kind::Null,
            Kind::Boolean,
            Kind::Integer,
            Kind::Fractional,
            Kind::String,
            Kind::Array,
            Kind::Object,
        ];
        let mut kinds = all.into_iter().filter(|&kind| self.contains(kind));
        let count = self.0.count_ones();
        for i in 1..=count {
            let Some(kind) = kinds.next() else { break };
            match (i, count) {
                (1, 1) => write!(f, "{kind}")?,
                (1, _) => write!(f, "either {kind}")?,
                (2, 2) => write!(f, " or {kind}")?,
                _ if i == count => write!(f, ", or {kind}")?,
                _ => write!(f, ", {kind}")?,
            }
        }
        Ok(())
    }
}

/// The member that differs from `name` in at most a third of its letters.
fn nearest<'m>(name: &[u8], members: impl Iterator<Item = &'m str>) -> Option<&'m str> {
    const LEN_MAX: usize = 40;
    if name.len() > LEN_MAX {
        return None;
    }
    let distances = members.map(|member| (distance(name, member.as_bytes()), member));
    let (distance, member) = distances.min_by_key(|&(distance, _)| distance)?;
    (distance <= member.len().max(3) / 3).then_some(member)
}

/// The number of letters to insert, delete or replace, cases not counting.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(y));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_joined_in_a_fixed_order() {
        assert_eq!(Kinds::OBJECT.to_string(), "an object");
        assert_eq!((Kinds::ARRAY | Kinds::STRING).to_string(), "either a string or an array");
        assert_eq!(
            (Kinds::ARRAY | Kinds::STRING | Kinds::BOOLEAN).to_string(),
            "either a boolean, a string, or an array"
        );
        assert_eq!(Kinds::NUMBER.to_string(), "either an integer number or a fractional number");
    }

    #[test]
    fn suggests_the_nearest_member_and_nothing_far_off() {
        let members = ["listeners", "routes", "applications", "settings"];
        for (name, suggestion) in [
            ("listners", Some("listeners")),
            ("Routes", Some("routes")),
            ("aplication", Some("applications")),
            ("settings", Some("settings")),
            ("upstreams", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name.as_bytes(), members.into_iter()), suggestion, "{name}");
        }
        assert_eq!(nearest(b"pss", ["pass"].into_iter()), Some("pass"));
    }
}
