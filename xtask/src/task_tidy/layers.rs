//! Which crate may depend on which: an arrow may only point to a lower line of the table.

use anyhow::Result;

use crate::command;
use crate::workspace::Workspace;

/// From the ground up. Crates on the same line do not see each other.
const LAYERS: [&[&str]; 6] = [
    &["sys", "port-proto", "app-proto", "conf"],
    &["unit-log"],
    &["port-io", "app-io"],
    &["host"],
    &["main-proc", "controller-proc", "router-proc", "discovery-proc", "python-runtime", "unitctl"],
    &["blackbox", "xtask"],
];

/// What an application process must be free of: a forked child that drops a runtime of this kind
/// edits the epoll set it shares with its parent.
const NOT_IN_RUNTIMES: &str = "tokio";

pub(crate) fn check(workspace: &Workspace, wrong: &mut Vec<String>) -> Result<()> {
    for package in workspace.members() {
        if layer(&package.name).is_none() {
            wrong.push(format!("{}: has no line in the table of layers", package.name));
        }
        for dependency in &package.dependencies {
            wrong.extend(judge(&package.name, &dependency.name));
        }
    }
    for runtime in workspace.runtimes() {
        let mut cargo = workspace.cargo();
        cargo.args(["tree", "--package", &runtime.name, "--edges", "normal"]);
        let tree = command::output(cargo.args(["--prefix", "none"]))?;
        if tree.lines().any(|line| line.split(' ').next() == Some(NOT_IN_RUNTIMES)) {
            wrong.push(format!("{}: is linked with {NOT_IN_RUNTIMES}", runtime.name));
        }
    }
    Ok(())
}

fn layer(package: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&package))
}

/// What is wrong with one arrow; crates from elsewhere are no matter of layers.
fn judge(from: &str, to: &str) -> Option<String> {
    let (above, below) = (layer(from)?, layer(to)?);
    if below < above {
        return None;
    }
    Some(format!("{from}: depends on {to}, which is not on a lower line"))
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn an_arrow_points_down() {
        assert_eq!(judge("router-proc", "port-io"), None);
        assert_eq!(judge("unit-log", "sys"), None);
        assert_eq!(judge("conf", "serde"), None);
    }

    #[test]
    fn an_arrow_up_or_aside_is_wrong() {
        assert!(judge("conf", "port-io").is_some());
        assert!(judge("router-proc", "main-proc").is_some());
        assert!(judge("unit-log", "port-io").is_some());
        assert!(judge("sys", "port-proto").is_some());
    }
}
