//! Perl applications.

use crate::application::Common;
use crate::application::threads::read_stack_size;
use crate::node::{Node, Valid};
use crate::text::Text;

const MEMBERS: &[&str] = &["script", "threads", "thread_stack_size"];

/// What is particular to `perl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Perl {
    /// The PSGI script.
    pub script: Text,
    /// The threads of a process.
    pub threads: u32,
    /// The stack size of a thread; nothing is the system's.
    pub thread_stack_size: Option<u64>,
}

impl Perl {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["script"])?;
        let mut perl = Self { script: Text::default(), threads: 1, thread_stack_size: None };
        for member in node.members() {
            match member.name() {
                b"script" => perl.script = member.text()?.clone(),
                b"threads" => perl.threads = member.count()?,
                b"thread_stack_size" => perl.thread_stack_size = Some(read_stack_size(&member)?),
                _ => common.read(&member, MEMBERS)?,
            }
        }
        Ok(perl)
    }
}
