//! Applications that are programs of their own.

use crate::application::{Common, read_arguments};
use crate::node::{Node, Valid};
use crate::text::Text;

const MEMBERS: &[&str] = &["executable", "arguments"];

/// What is particular to `external` and `go`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The program.
    pub executable: Text,
    /// Its arguments, without its name.
    pub arguments: Vec<Text>,
}

impl External {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["executable"])?;
        let mut external = Self { executable: Text::default(), arguments: Vec::new() };
        for member in node.members() {
            match member.name() {
                b"executable" => external.executable = member.text()?.clone(),
                b"arguments" => external.arguments = read_arguments(&member)?,
                _ => common.read(&member, MEMBERS)?,
            }
        }
        Ok(external)
    }
}
