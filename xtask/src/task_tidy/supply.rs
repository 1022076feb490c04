//! Crates from elsewhere: licences, sources and duplicate versions, held to `deny.toml`.
//!
//! This stands in for cargo-deny where that is not installed, and reads the same file. It knows
//! nothing of advisories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command;
use crate::workspace::{Package, Workspace};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// As much of `deny.toml` as is checked here.
#[derive(Debug, Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A version that may stand beside another, and why.
#[derive(Debug, Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    package: String,
    reason: String,
}

pub(crate) fn check(workspace: &Workspace, wrong: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(workspace.root.join("deny.toml")).context("deny.toml")?;
    let rules: Rules = toml::from_str(&text).context("deny.toml")?;
    let mut packages = BTreeMap::new();
    for target in &rules.graph.targets {
        let built = built_for(workspace, target)?;
        for package in Workspace::load_with_dependencies(target)?.metadata.packages {
            if built.contains(&format!("{} v{}", package.name, package.version)) {
                packages.insert(package.id.clone(), package);
            }
        }
    }
    let packages: Vec<&Package> = packages.values().collect();
    wrong.extend(packages.iter().filter_map(|package| judge_source(package)));
    wrong.extend(packages.iter().filter_map(|package| judge_license(package, &rules.licenses)));
    wrong.extend(duplicates(&packages, &rules.bans));
    Ok(())
}

/// The crates that are really built for a platform, as `name vVERSION`. Metadata names optional ones
/// as well that no feature turns on.
fn built_for(workspace: &Workspace, target: &str) -> Result<BTreeSet<String>> {
    let mut cargo = workspace.cargo();
    cargo.args(["tree", "--workspace", "--target", target, "--prefix", "none"]);
    let tree = command::output(cargo.args(["--edges", "normal,build,dev"]))?;
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(tree.lines().map(name).collect())
}

fn judge_source(package: &Package) -> Option<String> {
    match package.source.as_deref() {
        None | Some(CRATES_IO) => None,
        Some(source) => Some(format!("{} {}: comes from {source}", package.name, package.version)),
    }
}

fn judge_license(package: &Package, rules: &Licenses) -> Option<String> {
    let name = format!("{} {}", package.name, package.version);
    match &package.license {
        None => Some(format!("{name}: names no licence")),
        Some(expression) if is_allowed(expression, &rules.allow) => None,
        Some(expression) => Some(format!("{name}: licence {expression} is not on the list")),
    }
}

/// Several versions of one crate, but for those named with a reason; a name that is not needed
/// any more is reported as well.
fn duplicates(packages: &[&Package], rules: &Bans) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let mut wrong = Vec::new();
    for skip in &rules.skipped_without_reason() {
        wrong.push(format!("deny.toml: {skip} is skipped without a reason"));
    }
    for skip in &rules.skip {
        let (name, version) = skip.name_and_version();
        let listed = versions.get_mut(name);
        let before = listed.as_ref().map_or(0, |versions| versions.len());
        if let Some(versions) = listed {
            versions.retain(|listed| version.is_some_and(|version| version != *listed));
            if versions.len() < before {
                continue;
            }
        }
        wrong.push(format!("deny.toml: {} is skipped, but is no duplicate", skip.package));
    }
    for (name, versions) in versions {
        if versions.len() > 1 {
            wrong.push(format!("{name}: in several versions: {}", versions.join(", ")));
        }
    }
    wrong
}

impl Bans {
    fn skipped_without_reason(&self) -> Vec<&str> {
        let lacking = self.skip.iter().filter(|skip| skip.reason.trim().is_empty());
        lacking.map(|skip| skip.package.as_str()).collect()
    }
}

impl Skip {
    fn name_and_version(&self) -> (&str, Option<&str>) {
        match self.package.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (&self.package, None),
        }
    }
}

/// Decides an SPDX expression; `AND` binds more tightly than `OR`, and `/` is an old way to say
/// `OR`. What is malformed is not allowed.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let verdict = either(&mut rest, allowed);
    rest.is_empty() && verdict == Some(true)
}

fn either(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let mut verdict = both(rest, allowed)?;
    while let [word, after @ ..] = *rest
        && *word == "OR"
    {
        *rest = after;
        verdict |= both(rest, allowed)?;
    }
    Some(verdict)
}

fn both(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let mut verdict = single(rest, allowed)?;
    while let [word, after @ ..] = *rest
        && *word == "AND"
    {
        *rest = after;
        verdict &= single(rest, allowed)?;
    }
    Some(verdict)
}

fn single(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let (&first, after) = rest.split_first()?;
    *rest = after;
    if first == "(" {
        let verdict = either(rest, allowed)?;
        let (&last, after) = rest.split_first()?;
        *rest = after;
        return (last == ")").then_some(verdict);
    }
    let mut name = first.to_owned();
    if let ["WITH", exception, after @ ..] = *rest {
        name = format!("{first} WITH {exception}");
        *rest = after;
    }
    Some(allowed.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::{Bans, Skip, duplicates, is_allowed};
    use crate::workspace::Package;

    fn allowed(expression: &str) -> bool {
        let list = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        is_allowed(expression, &list.map(str::to_owned))
    }

    #[test]
    fn licence_expressions_are_decided() {
        assert!(allowed("MIT"));
        assert!(allowed("MIT/GPL-3.0"));
        assert!(allowed("GPL-3.0 OR (MIT AND Unicode-3.0)"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception"));
        assert!(!allowed("(MIT OR Apache-2.0) AND GPL-3.0"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(!allowed("MIT WITH odd-exception"));
        assert!(!allowed("(MIT"));
        assert!(!allowed(""));
    }

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            id: format!("{name}@{version}"),
            license: None,
            source: None,
            manifest_path: "/x/Cargo.toml".into(),
            dependencies: Vec::new(),
        }
    }

    fn skip(package: &str, reason: &str) -> Skip {
        Skip { package: package.to_owned(), reason: reason.to_owned() }
    }

    #[test]
    fn a_second_version_needs_a_name_and_a_reason() {
        let packages = [package("syn", "1.0.0"), package("syn", "2.0.0"), package("a", "1.0.0")];
        let packages: Vec<&Package> = packages.iter().collect();
        let judge = |skips| duplicates(&packages, &Bans { skip: skips });
        assert_eq!(judge(vec![]), ["syn: in several versions: 1.0.0, 2.0.0"]);
        assert_eq!(judge(vec![skip("syn@1.0.0", "old macro crates")]), [""; 0]);
        assert_eq!(judge(vec![skip("syn@1.0.0", "")]).len(), 1);
    }

    #[test]
    fn an_exception_nobody_needs_is_reported() {
        let packages = [package("a", "1.0.0")];
        let packages: Vec<&Package> = packages.iter().collect();
        assert_eq!(duplicates(&packages, &Bans { skip: vec![skip("a", "why")] }).len(), 1);
    }
}
