//! The targets of an application: several entry points under one roof.

use crate::node::{Node, Valid};
use crate::schema::{Map, Shape};

/// The most targets an application can have.
pub(crate) const TARGETS_MAX: usize = 254;

/// The `detail` for an option that belongs into each target.
pub(crate) const EXCLUSIVE_DETAIL: &str =
    "The \"<option>\" option is mutually exclusive with the \"targets\" object.";

/// Targets of this shape, by name.
pub(crate) const fn by_name(of: Shape) -> Map {
    Map::new("name", "front", of)
        .saying("The \"<name>\" target must be an object.")
        .up_to(TARGETS_MAX)
        .refuses(&[("", "The target name must not be empty.")])
}

/// Reads the targets, in order.
pub(crate) fn read<T>(node: &Node<'_>, read: fn(&Node<'_>) -> Valid<T>) -> Valid<Vec<T>> {
    if node.object(&[])?.len() > TARGETS_MAX {
        return Err(node.fault(format!(
            "The \"targets\" object must not contain more than {TARGETS_MAX} members."
        )));
    }
    let mut targets = Vec::new();
    for member in node.members() {
        if member.name().is_empty() {
            return Err(member.fault("The target name must not be empty."));
        }
        if member.value().as_object().is_none() {
            let label = member.label();
            return Err(member.fault(format!("The \"{label}\" target must be an object.")));
        }
        targets.push(read(&member)?);
    }
    Ok(targets)
}

/// The error for an option that belongs into each target.
pub(crate) fn exclusive(member: &Node<'_>) -> crate::ValidationError {
    let label = member.label();
    member
        .fault(format!("The \"{label}\" option is mutually exclusive with the \"targets\" object."))
}
