//! Manifests: versions are declared once, at the root, and every crate follows the lint table.

use std::fs;

use anyhow::{Context, Result};
use toml::Table;
use toml::Value;

use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace, wrong: &mut Vec<String>) -> Result<()> {
    for package in workspace.members() {
        let path = &package.manifest_path;
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let manifest: Table = text.parse().with_context(|| path.display().to_string())?;
        wrong.extend(judge(&manifest).map(|what| format!("{}: {what}", package.name)));
    }
    Ok(())
}

fn judge(manifest: &Table) -> impl Iterator<Item = String> {
    let inherits = |value: Option<&Value>| {
        let member = value.and_then(|value| value.get("workspace"));
        member.and_then(Value::as_bool) == Some(true)
    };
    let mut wrong = Vec::new();
    if !inherits(manifest.get("lints")) {
        wrong.push("does not take the lint table of the workspace".to_owned());
    }
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    for table in std::iter::once(manifest).chain(targets) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let lines = table.get(kind).and_then(Value::as_table);
            for (name, value) in lines.into_iter().flatten() {
                if !inherits(Some(value)) {
                    wrong.push(format!("declares {name} by itself, not in the root manifest"));
                }
            }
        }
    }
    wrong.into_iter()
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn a_manifest_that_inherits_everything_is_tidy() {
        let text = "[lints]\nworkspace = true\n[dependencies]\na = { workspace = true }\n\
                    b.workspace = true\n";
        assert_eq!(judge(&text.parse().unwrap()).count(), 0);
    }

    #[test]
    fn own_versions_and_own_lints_are_wrong() {
        let text = "[dependencies]\na = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\n\
                    b = { version = \"1\" }\n";
        assert_eq!(judge(&text.parse().unwrap()).count(), 3);
    }
}
