//! The threads of an application process.

use crate::node::{Node, Valid};

/// The stack size of a thread, in bytes.
pub(crate) fn read_stack_size(node: &Node<'_>) -> Valid<u64> {
    let size = node.integer()?;
    let (min, page) = (node.env().thread_stack_size_min, node.env().page_size);
    let size = u64::try_from(size).ok().filter(|&size| size >= min).ok_or_else(|| {
        node.fault(format!(
            "The \"thread_stack_size\" number must be equal to or greater than {min}."
        ))
    })?;
    if !size.is_multiple_of(page) {
        return Err(node.fault(format!(
            "The \"thread_stack_size\" number must be a multiple of the system page size ({page})."
        )));
    }
    Ok(size)
}
