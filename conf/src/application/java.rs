//! Java applications.

use crate::application::threads::read_stack_size;
use crate::application::{Common, read_arguments};
use crate::node::{Node, Valid};
use crate::text::Text;

const MEMBERS: &[&str] =
    &["webapp", "classpath", "options", "unit_jars", "threads", "thread_stack_size"];

/// What is particular to `java`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    /// The directory or archive of the application.
    pub webapp: Text,
    /// What is searched for classes before the application's own.
    pub classpath: Vec<Text>,
    /// Arguments of the virtual machine.
    pub options: Vec<Text>,
    /// The directory of the container's jars.
    pub unit_jars: Option<Text>,
    /// The threads of a process.
    pub threads: u32,
    /// The stack size of a thread; nothing is the system's.
    pub thread_stack_size: Option<u64>,
}

impl Java {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["webapp"])?;
        let mut java = Self {
            webapp: Text::default(),
            classpath: Vec::new(),
            options: Vec::new(),
            unit_jars: None,
            threads: 1,
            thread_stack_size: None,
        };
        for member in node.members() {
            match member.name() {
                b"webapp" => java.webapp = member.text()?.clone(),
                b"classpath" => java.classpath = read_arguments(&member)?,
                b"options" => java.options = read_arguments(&member)?,
                b"unit_jars" => java.unit_jars = Some(member.text()?.clone()),
                b"threads" => java.threads = member.count()?,
                b"thread_stack_size" => java.thread_stack_size = Some(read_stack_size(&member)?),
                _ => common.read(&member, MEMBERS)?,
            }
        }
        Ok(java)
    }
}
