//! Ruby applications.

use crate::application::Common;
use crate::node::{Node, Valid};
use crate::text::Text;

const MEMBERS: &[&str] = &["script", "threads", "hooks"];

/// What is particular to `ruby`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruby {
    /// The Rack script.
    pub script: Text,
    /// The threads of a process.
    pub threads: u32,
    /// The file of hooks.
    pub hooks: Option<Text>,
}

impl Ruby {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["script"])?;
        let mut ruby = Self { script: Text::default(), threads: 1, hooks: None };
        for member in node.members() {
            match member.name() {
                b"script" => ruby.script = member.text()?.clone(),
                b"threads" => ruby.threads = member.count()?,
                b"hooks" => ruby.hooks = Some(member.text()?.clone()),
                _ => common.read(&member, MEMBERS)?,
            }
        }
        Ok(ruby)
    }
}
