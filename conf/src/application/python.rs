//! Python applications.

use crate::application::threads::read_stack_size;
use crate::application::{Common, targets};
use crate::node::{Node, Valid};
use crate::text::Text;

const MEMBERS: &[&str] = &[
    "module",
    "callable",
    "factory",
    "prefix",
    "targets",
    "home",
    "path",
    "protocol",
    "threads",
    "thread_stack_size",
];
const TARGET_MEMBERS: &[&str] = &["module", "callable", "factory", "prefix"];

/// What is particular to `python`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// The entry points, in order. Without `targets` there is one, without a name.
    pub targets: Vec<PythonTarget>,
    /// The virtual environment or installation.
    pub home: Option<Text>,
    /// What is put in front of the module search path, in order.
    pub path: Vec<Text>,
    /// The protocol; nothing is to be found out.
    pub protocol: Option<PythonProtocol>,
    /// The threads of a process.
    pub threads: u32,
    /// The stack size of a thread; nothing is the system's.
    pub thread_stack_size: Option<u64>,
}

/// An entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonTarget {
    /// The name; empty if there are no `targets`.
    pub name: Text,
    /// The module.
    pub module: Text,
    /// The callable in the module.
    pub callable: Text,
    /// Whether the callable makes the application.
    pub factory: bool,
    /// The path that the application is under.
    pub prefix: Option<Text>,
}

/// How a Python application is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PythonProtocol {
    /// WSGI (PEP 3333).
    Wsgi,
    /// ASGI.
    Asgi,
}

impl Python {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        let has_targets = node.object(&[])?.contains(b"targets");
        node.object(if has_targets { &[] } else { &["module"] })?;
        let mut python = Self {
            targets: Vec::new(),
            home: None,
            path: Vec::new(),
            protocol: None,
            threads: 1,
            thread_stack_size: None,
        };
        let mut single = PythonTarget::unnamed();
        for member in node.members() {
            match member.name() {
                b"factory" if has_targets => {
                    member.boolean()?;
                    return Err(targets::exclusive(&member));
                }
                b"module" | b"callable" | b"prefix" if has_targets => {
                    member.text()?;
                    return Err(targets::exclusive(&member));
                }
                b"module" | b"callable" | b"factory" | b"prefix" => single.read_member(&member)?,
                b"targets" => python.targets = targets::read(&member, PythonTarget::read)?,
                b"home" => python.home = Some(member.text()?.clone()),
                b"path" => {
                    let detail = "The \"path\" array must contain only string values.";
                    python.path = member.texts(detail)?;
                }
                b"protocol" => python.protocol = Some(PythonProtocol::read(&member)?),
                b"threads" => python.threads = member.count()?,
                b"thread_stack_size" => python.thread_stack_size = Some(read_stack_size(&member)?),
                _ => common.read(&member, MEMBERS)?,
            }
        }
        if !has_targets {
            python.targets.push(single);
        }
        Ok(python)
    }
}

impl PythonTarget {
    fn unnamed() -> Self {
        Self {
            name: Text::default(),
            module: Text::default(),
            callable: "application".into(),
            factory: false,
            prefix: None,
        }
    }

    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&["module"])?;
        let mut target = Self { name: node.name_text(), ..Self::unnamed() };
        for member in node.members() {
            target.read_member(&member)?;
        }
        Ok(target)
    }

    fn read_member(&mut self, member: &Node<'_>) -> Valid<()> {
        match member.name() {
            b"module" => self.module = member.text()?.clone(),
            b"callable" => self.callable = member.text()?.clone(),
            b"factory" => self.factory = member.boolean()?,
            b"prefix" => self.prefix = read_prefix(member)?,
            _ => return Err(member.unknown(TARGET_MEMBERS)),
        }
        Ok(())
    }
}

/// A path without a slash at its end; the root, or nothing, is no prefix.
fn read_prefix(node: &Node<'_>) -> Valid<Option<Text>> {
    let prefix = node.text()?;
    if !prefix.is_empty() && prefix.first() != Some(&b'/') {
        return Err(node.fault("The \"prefix\" must be a string beginning with \"/\"."));
    }
    let trimmed = prefix.strip_suffix(b"/").unwrap_or(prefix);
    Ok((!trimmed.is_empty()).then(|| trimmed.into()))
}

impl PythonProtocol {
    fn read(node: &Node<'_>) -> Valid<Self> {
        match node.text()?.as_bytes() {
            b"wsgi" => Ok(Self::Wsgi),
            b"asgi" => Ok(Self::Asgi),
            _ => Err(node.fault("The \"protocol\" can either be \"wsgi\" or \"asgi\".")),
        }
    }
}
