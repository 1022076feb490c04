//! The operations of the control API on a tree of values: paths, GET, PUT, POST and DELETE.
//!
//! A root is never changed in place: an edit returns a new one that shares what did not change.

use std::sync::Arc;

use crate::text::Text;
use crate::value::Value;

/// The longest segment of a path, before decoding.
pub const SEGMENT_LEN_MAX: usize = 256;

/// A path to a value, one segment for each step down from the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Text>);

/// Why a path cannot be followed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A segment is longer than [`SEGMENT_LEN_MAX`].
    #[error("path segment is too long")]
    SegmentTooLong,
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("malformed percent sequence in a path segment")]
    BadEncoding,
}

impl Path {
    /// Splits at slashes and decodes each segment. One slash before the first segment is ignored;
    /// nothing at all, or that slash alone, is the root.
    pub fn parse(path: &[u8]) -> Result<Self, PathError> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        if path.is_empty() {
            return Ok(Self::default());
        }
        let segment = |segment: &[u8]| {
            if segment.len() > SEGMENT_LEN_MAX {
                return Err(PathError::SegmentTooLong);
            }
            let decoded = crate::percent::decode(segment).ok_or(PathError::BadEncoding)?;
            Ok(Text::from(decoded))
        };
        path.split(|&byte| byte == b'/').map(segment).collect::<Result<_, _>>().map(Self)
    }

    /// The path of what a JSON Pointer (RFC 6901) names.
    pub fn from_pointer(pointer: &str) -> Self {
        let segments = pointer.split('/').skip(1);
        Self(segments.map(|name| name.replace("~1", "/").replace("~0", "~").into()).collect())
    }

    /// The JSON Pointer, of which what is not text becomes readable only.
    pub fn to_pointer(&self) -> String {
        let escape = |name: &Text| name.to_string().replace('~', "~0").replace('/', "~1");
        self.0.iter().map(|name| format!("/{}", escape(name))).collect()
    }

    /// The path of the first `count` steps; all of it if it has fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self(self.0.iter().take(count).cloned().collect())
    }

    /// The decoded segments.
    pub fn segments(&self) -> &[Text] {
        &self.0
    }

    /// Whether this is the path of the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why an edit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The value, or what it should become part of, does not exist.
    #[error("value does not exist")]
    NotFound,
    /// The value is there but the operation is not for its kind.
    #[error("operation is not for this kind of value")]
    MethodNotAllowed,
}

/// The value at `path`.
pub fn get<'a>(root: &'a Value, path: &Path) -> Option<&'a Value> {
    path.0.iter().try_fold(root, child)
}

/// Replaces the value at `path`, or adds it to an existing object or at the end of an existing
/// array.
pub fn put(root: &Value, path: &Path, value: Value) -> Result<Value, EditError> {
    edit(root, path, |parent, segment| {
        match parent {
            Value::Object(_) if segment.is_empty() => return Err(EditError::NotFound),
            Value::Object(object) => Arc::make_mut(object).insert(segment.clone(), value.clone()),
            Value::Array(array) => {
                let index = index(segment).ok_or(EditError::NotFound)?;
                if index > array.len() {
                    return Err(EditError::NotFound);
                }
                let array = Arc::make_mut(array);
                match array.get_mut(index) {
                    Some(element) => *element = value.clone(),
                    None => array.push(value.clone()),
                }
            }
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
                return Err(EditError::NotFound);
            }
        }
        Ok(())
    })
    .unwrap_or(Ok(value))
}

/// Appends a value to the array at `path`.
pub fn post(root: &Value, path: &Path, value: Value) -> Result<Value, EditError> {
    edit(root, path, |parent, segment| match child_mut(parent, segment) {
        Some(Value::Array(array)) => {
            Arc::make_mut(array).push(value);
            Ok(())
        }
        Some(
            Value::Null
            | Value::Boolean(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_),
        ) => Err(EditError::MethodNotAllowed),
        None => Err(EditError::NotFound),
    })
    // The root is the configuration itself, which nothing can be appended to.
    .unwrap_or(Err(EditError::MethodNotAllowed))
}

/// Removes the value at `path`; the root becomes an empty object.
pub fn delete(root: &Value, path: &Path) -> Result<Value, EditError> {
    edit(root, path, |parent, segment| match parent {
        Value::Object(_) if segment.is_empty() => Err(EditError::NotFound),
        Value::Object(object) => {
            Arc::make_mut(object).remove(segment).map(drop).ok_or(EditError::NotFound)
        }
        Value::Array(array) => {
            let index = index(segment).filter(|&index| index < array.len());
            let index = index.ok_or(EditError::NotFound)?;
            Arc::make_mut(array).remove(index);
            Ok(())
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
            Err(EditError::NotFound)
        }
    })
    .unwrap_or(Ok(Value::empty_object()))
}

/// Copies the nodes along `path` and lets `change` work on the parent of its last segment.
/// Nothing if the path is the root's.
fn edit(
    root: &Value,
    path: &Path,
    change: impl FnOnce(&mut Value, &Text) -> Result<(), EditError>,
) -> Option<Result<Value, EditError>> {
    let (last, parents) = path.0.split_last()?;
    let mut root = root.clone();
    let parent = parents.iter().try_fold(&mut root, child_mut);
    let changed = parent.ok_or(EditError::NotFound).and_then(|parent| change(parent, last));
    Some(changed.map(|()| root))
}

fn child<'a>(value: &'a Value, segment: &Text) -> Option<&'a Value> {
    match value {
        // A member without a name can be stored but not addressed.
        Value::Object(_) if segment.is_empty() => None,
        Value::Object(object) => object.get(segment),
        Value::Array(array) => array.get(index(segment)?),
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn child_mut<'a>(value: &'a mut Value, segment: &Text) -> Option<&'a mut Value> {
    match value {
        Value::Object(_) if segment.is_empty() => None,
        Value::Object(object) => {
            let position = object.position(segment)?;
            Arc::make_mut(object).value_mut(position)
        }
        Value::Array(array) => {
            let index = index(segment).filter(|&index| index < array.len())?;
            Arc::make_mut(array).get_mut(index)
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// An array index: decimal digits and nothing else.
fn index(segment: &[u8]) -> Option<usize> {
    if segment.is_empty() {
        return None;
    }
    segment.iter().try_fold(0_usize, |index, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        index.checked_mul(10)?.checked_add(digit as usize)
    })
}

#[cfg(test)]
mod tests;
