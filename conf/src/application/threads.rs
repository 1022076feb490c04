//! The threads of an application process.

use crate::node::{Node, Valid};
use crate::schema::{COUNT, INTEGER, Member};

/// The `threads` of an application.
pub(crate) const THREADS: Member = Member::new("threads", COUNT)
    .about("The threads of a process.")
    .default("1")
    .example("1")
    .refuses(&[
        ("0", r#"The "threads" number must be equal to or greater than 1."#),
        ("2147483648", r#"The "threads" number must not exceed 2147483647."#),
    ]);

/// The `thread_stack_size` of an application. Its bounds are those of the system.
pub(crate) const THREAD_STACK_SIZE: Member = Member::new("thread_stack_size", INTEGER)
    .bytes()
    .about("The stack of each further thread: a multiple of the page size, from 16 KiB mostly.")
    .default_is("the system's")
    .example("1048576")
    .refuses(&[
        ("8192", r#"The "thread_stack_size" number must be equal to or greater than 16384."#),
        (
            "20000",
            r#"The "thread_stack_size" number must be a multiple of the system page size (4096)."#,
        ),
    ]);

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
