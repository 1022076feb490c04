//! The targets of an application: several entry points under one roof.

use crate::node::{Node, Valid};

/// The most targets an application can have.
const TARGETS_MAX: usize = 254;

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
