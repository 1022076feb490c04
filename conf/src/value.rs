//! JSON values: members keep their order, numbers keep their exact text.

use std::fmt;
use std::sync::Arc;

use crate::Text;

/// The deepest nesting of arrays and objects that is taken.
///
/// Everything that walks a value recurses; the cap keeps that within any thread's stack.
pub const DEPTH_MAX: usize = 256;

/// A JSON value. Values are immutable; cloning shares arrays, objects and strings.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number with the text it was written as.
    Number(Number),
    /// A string, decoded.
    String(Text),
    /// An array.
    Array(Arc<Vec<Value>>),
    /// An object, in the order of its members.
    Object(Arc<Object>),
}

impl Value {
    /// The kind of the value, as messages name it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Boolean(_) => Kind::Boolean,
            Self::Number(number) if number.integer().is_some() => Kind::Integer,
            Self::Number(_) => Kind::Fractional,
            Self::String(_) => Kind::String,
            Self::Array(_) => Kind::Array,
            Self::Object(_) => Kind::Object,
        }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => {
                None
            }
        }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(array) => Some(array),
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::String(_) | Self::Object(_) => {
                None
            }
        }
    }

    /// The string, if this is one.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => {
                None
            }
        }
    }

    /// The member of this name, if this is an object that has it.
    pub fn member(&self, name: &[u8]) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    /// Whether arrays and objects are nested within each other at most `depth` times.
    pub fn is_within_depth(&self, depth: usize) -> bool {
        let inner = |value: &Value| depth > 0 && value.is_within_depth(depth - 1);
        match self {
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::String(_) => true,
            Self::Array(array) => depth > 0 && array.iter().all(inner),
            Self::Object(object) => depth > 0 && object.iter().all(|(_, value)| inner(value)),
        }
    }

    /// An object without members.
    pub fn empty_object() -> Self {
        Self::Object(Arc::default())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value.into())
    }
}

impl From<Text> for Value {
    fn from(value: Text) -> Self {
        Self::String(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Number(value.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::Array(Arc::new(value))
    }
}

impl From<Object> for Value {
    fn from(value: Object) -> Self {
        Self::Object(Arc::new(value))
    }
}

/// Members by name; a name that occurs twice keeps its first place and its last value.
impl<N: Into<Text>> FromIterator<(N, Value)> for Value {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(members: I) -> Self {
        let mut object = Object::default();
        for (name, value) in members {
            object.insert(name.into(), value);
        }
        object.into()
    }
}

/// What a value is, in the words of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number whose value is whole, however it is spelled.
    Integer,
    /// Any other number.
    Fractional,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "a null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer number",
            Self::Fractional => "a fractional number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// A number: its exact text and what it amounts to.
///
/// The text is in the value itself: most numbers are short, and an allocation would take more.
#[derive(Clone)]
pub struct Number {
    len: u8,
    text: [u8; TEXT_LEN_MAX],
}

/// The longest text of a number: one digit more than those of the largest that is counted.
const TEXT_LEN_MAX: usize = 21;

impl Number {
    /// A number from text that the JSON grammar allows. Nothing if it is too long.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let mut number = Self { len: u8::try_from(text.len()).ok()?, text: [0; TEXT_LEN_MAX] };
        number.text.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(number)
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// The value.
    pub fn value(&self) -> f64 {
        self.as_str().parse().unwrap_or_default()
    }

    /// The value, if it is whole: `1e4`, `1.0` and `-0` are.
    ///
    /// The one magnitude that is allowed but does not fit, 2 to the 63rd, is clamped.
    pub fn integer(&self) -> Option<i64> {
        let value = self.value();
        #[expect(clippy::cast_possible_truncation, reason = "whole, and clamped at the ends")]
        (value.fract() == 0.0).then_some(value as i64)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Number").field(&self.as_str()).finish()
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::from_text(&value.to_string()).expect("it has at most 20 digits")
    }
}

/// Objects with more members than this keep an index of their names.
const INDEX_FROM: usize = 12;

/// The members of an object, in order, with unique names.
#[derive(Clone, Debug, Default)]
pub struct Object {
    members: Vec<(Text, Value)>,
    /// Positions in `members`, sorted by name; nothing while the object is small. Sorted rather than
    /// hashed: nobody can choose names that make it slow.
    #[expect(clippy::box_collection, reason = "nearly all objects are small and have none")]
    index: Option<Box<Vec<usize>>>,
}

impl Object {
    /// The number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Text, Value)> {
        self.members.iter()
    }

    /// The member of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Value> {
        self.position(name).map(|position| &self.members[position].1)
    }

    /// Whether there is a member of this name.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.position(name).is_some()
    }

    /// The place of the member of this name in the order of members.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        let Some(index) = &self.index else {
            return self.members.iter().position(|(member, _)| member.as_bytes() == name);
        };
        let found = search(&self.members, index, name).ok()?;
        Some(index[found])
    }

    /// Replaces the member of this name where it stands, or appends it.
    pub fn insert(&mut self, name: Text, value: Value) {
        match self.position(&name) {
            Some(position) => self.members[position].1 = value,
            None => self.append(name, value),
        }
    }

    /// Removes the member of this name; later ones move up.
    pub fn remove(&mut self, name: &[u8]) -> Option<Value> {
        let position = self.position(name)?;
        let (_, value) = self.members.remove(position);
        self.reindex();
        Some(value)
    }

    /// An object from members whose names are known to differ.
    pub(crate) fn from_unique(mut members: Vec<(Text, Value)>) -> Self {
        members.shrink_to_fit();
        let mut object = Self { members, index: None };
        object.reindex();
        object
    }

    /// The value to replace of the member at `position`.
    pub(crate) fn value_mut(&mut self, position: usize) -> Option<&mut Value> {
        self.members.get_mut(position).map(|(_, value)| value)
    }

    fn append(&mut self, name: Text, value: Value) {
        let Some(index) = &mut self.index else {
            self.members.push((name, value));
            self.reindex();
            return;
        };
        if let Err(place) = search(&self.members, index, &name) {
            index.insert(place, self.members.len());
            self.members.push((name, value));
        }
    }

    fn reindex(&mut self) {
        self.index = (self.members.len() > INDEX_FROM).then(|| {
            let mut index: Vec<usize> = (0..self.members.len()).collect();
            let members = &self.members;
            index.sort_unstable_by(|&a, &b| members[a].0.cmp(&members[b].0));
            Box::new(index)
        });
    }
}

/// The place of a name in an index, or where it would have to be.
fn search(members: &[(Text, Value)], index: &[usize], name: &[u8]) -> Result<usize, usize> {
    index.binary_search_by(|&position| members[position].0.as_bytes().cmp(name))
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl<'a> IntoIterator for &'a Object {
    type Item = &'a (Text, Value);
    type IntoIter = std::slice::Iter<'a, (Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: usize) -> Object {
        let mut object = Object::default();
        for i in 0..count {
            object.insert(format!("m{}", i * 7 % count).into(), Value::from(i as u64));
        }
        object
    }

    #[test]
    fn lookup_works_below_and_above_the_index_size() {
        for count in [1, 5, 12, 13, 14, 100] {
            let object = numbered(count);
            for (position, (name, value)) in object.iter().enumerate() {
                assert_eq!(object.position(name), Some(position), "{count} {name}");
                assert_eq!(object.get(name), Some(value));
            }
            assert_eq!(object.get(b"absent"), None);
        }
    }

    #[test]
    fn replacing_keeps_the_place_and_removing_moves_later_members_up() {
        let mut object = numbered(20);
        let name = object.iter().nth(3).map(|(name, _)| name.clone()).expect("has twenty members");
        object.insert(name.clone(), Value::Null);
        assert_eq!(object.position(&name), Some(3));
        assert_eq!(object.remove(&name), Some(Value::Null));
        assert_eq!(object.len(), 19);
        for (position, (name, _)) in object.iter().enumerate() {
            assert_eq!(object.position(name), Some(position));
        }
        assert_eq!(object.remove(b"absent"), None);
    }

    #[test]
    fn kinds_follow_the_value_of_a_number_not_its_spelling() {
        let number = |text| Number::from_text(text).expect("is short");
        for (text, kind) in [
            ("1e4", Kind::Integer),
            ("1.0", Kind::Integer),
            ("-0", Kind::Integer),
            ("0.5", Kind::Fractional),
        ] {
            assert_eq!(Value::Number(number(text)).kind(), kind, "{text}");
        }
        assert_eq!(number("9.3e18").integer(), Some(i64::MAX));
        assert_eq!(Number::from(u64::MAX).as_str(), "18446744073709551615");
        assert_eq!(Number::from_text(&"1".repeat(TEXT_LEN_MAX + 1)), None);
    }

    /// A configuration is many of these.
    #[test]
    fn values_are_small() {
        assert_eq!(size_of::<Value>(), 24);
        assert_eq!(size_of::<(Text, Value)>(), 40);
    }

    #[test]
    fn depth_counts_arrays_and_objects() {
        let nested = Value::from(vec![Value::from_iter([("a", Value::Null)])]);
        assert!(nested.is_within_depth(2));
        assert!(!nested.is_within_depth(1));
        assert!(Value::Null.is_within_depth(0));
        assert!(!Value::empty_object().is_within_depth(0));
    }
}
