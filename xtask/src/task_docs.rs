//! `cargo xtask docs`: the documents that are made from what the code itself works with.

mod reference;

use std::fs;

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::workspace::Workspace;

/// What the reference of the configuration is made from, beside the schema.
const TEMPLATE: &str = "docs/configuration.in.md";

pub(crate) fn main(arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    let workspace = Workspace::load()?;
    for (name, text) in documents(&workspace)? {
        let path = workspace.root.join(name);
        if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            fs::write(&path, text).with_context(|| format!("cannot write {name}"))?;
            println!("{name} is written anew");
        }
    }
    Ok(())
}

/// Reports every document that is not what would be made today.
pub(crate) fn check(workspace: &Workspace, wrong: &mut Vec<String>) -> Result<()> {
    for (name, text) in documents(workspace)? {
        if fs::read(workspace.root.join(name)).ok().as_deref() != Some(text.as_bytes()) {
            wrong.push(format!("{name}: is not fresh; `cargo xtask docs` makes it"));
        }
    }
    Ok(())
}

/// Each generated document, by its name.
fn documents(workspace: &Workspace) -> Result<Vec<(&'static str, String)>> {
    let template = fs::read_to_string(workspace.root.join(TEMPLATE))
        .with_context(|| format!("cannot read {TEMPLATE}"))?;
    let schema = conf::print_pretty(&conf::schema::json_schema());
    Ok(vec![
        ("docs/configuration.md", reference::fill_in(&template)?),
        ("docs/configuration.schema.json", json(schema)?),
        ("docs/openapi.json", json(controller_proc::description())?),
    ])
}

/// JSON as it is answered, with the line ends of files.
fn json(text: Vec<u8>) -> Result<String> {
    Ok(String::from_utf8(text).context("JSON is not UTF-8")?.replace("\r\n", "\n"))
}
