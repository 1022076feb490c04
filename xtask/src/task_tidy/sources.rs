//! Source files: where unsafe code may be, headers, names of modules, and nothing left open.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::rust_text::{code_of, lines_with_word};
use crate::workspace::Workspace;

/// Names that say nothing of what is inside.
const NAMES_THAT_SAY_NOTHING: [&str; 5] = ["util", "common", "helpers", "misc", "core"];

/// Directories that hold nothing of ours.
const FOREIGN: [&str; 6] = [".git", ".unit", "node_modules", "corpus", "artifacts", "seeds"];

/// Text files in which an open end would be looked for in vain by its author.
const TEXT: [&str; 10] = ["rs", "md", "toml", "py", "sh", "json", "html", "css", "js", "yml"];

pub(crate) fn check(workspace: &Workspace, wrong: &mut Vec<String>) -> Result<()> {
    let mut files = Vec::new();
    list(&workspace.root, &mut files)?;
    for file in &files {
        let name = file.strip_prefix(&workspace.root).unwrap_or(file);
        let extension = file.extension().and_then(|extension| extension.to_str());
        if !extension.is_some_and(|extension| TEXT.contains(&extension)) {
            continue;
        }
        let text = fs::read(file).with_context(|| file.display().to_string())?;
        let text = String::from_utf8_lossy(&text);
        let mut found = open_ends(&text);
        if extension == Some("rs") {
            found.extend(judge_rust(name, &text));
        }
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", name.display())));
    }
    for package in workspace.members() {
        for root in ["src/lib.rs", "src/main.rs"] {
            let file = package.directory().join(root);
            let name = file.strip_prefix(&workspace.root).unwrap_or(&file);
            if let Ok(text) = fs::read_to_string(&file)
                && !may_allow_unsafe(name)
                && !code_of(&text).contains("#![forbid(unsafe_code)]")
            {
                wrong.push(format!("{}: does not forbid unsafe_code", name.display()));
            }
        }
    }
    Ok(())
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !FOREIGN.contains(&&*name) && name != "target" && !name.starts_with("target-") {
                list(&entry.path(), files)?;
            }
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The list of files that hold unsafe code: all of `sys`, and each language's `ffi` with what is
/// beneath it.
fn may_hold_unsafe(file: &Path) -> bool {
    let parts: Vec<_> = file.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["sys", "src", ..] => true,
        ["runtimes", language, "src", "ffi.rs" | "ffi", ..] => *language != "host",
        _ => false,
    }
}

/// The crates that hold such files cannot forbid it; `host` is a runtime of no language.
fn may_allow_unsafe(crate_root: &Path) -> bool {
    let parts: Vec<_> = crate_root.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["sys", ..] => true,
        ["runtimes", language, ..] => *language != "host",
        _ => false,
    }
}

fn judge_rust(file: &Path, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//!") {
        wrong.push("does not begin with what it is for (//!)".to_owned());
    }
    let code = code_of(text);
    if !may_hold_unsafe(file) {
        let lines = lines_with_word(&code, "unsafe");
        if let Some(first) = lines.first() {
            let count = lines.len();
            wrong.push(format!("not on the list of unsafe files: {count} lines, first {first}"));
        }
    }
    for name in NAMES_THAT_SAY_NOTHING {
        let is_file = file.file_stem().is_some_and(|stem| stem == name);
        let is_directory = file.parent().is_some_and(|path| path.iter().any(|part| part == name));
        let declares = [";", " {"].iter().any(|end| code.contains(&format!("mod {name}{end}")));
        if is_file || is_directory || declares {
            wrong.push(format!("a module named {name} says nothing of what it holds"));
        }
    }
    if file.file_name().is_some_and(|name| name == "mod.rs") {
        wrong.push("is a mod.rs; name it for the module, beside its directory".to_owned());
    }
    wrong
}

/// Marks of unfinished work. Spelt in two halves, as this file is searched too.
fn open_ends(text: &str) -> Vec<String> {
    let marks = [["TO", "DO"], ["FIX", "ME"], ["X", "XX"]].map(|halves| halves.concat());
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut wrong = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for mark in &marks {
            if line.split(|character| !is_word(character)).any(|word| word == mark) {
                wrong.push(format!("{mark} on line {}", index + 1));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::{judge_rust, may_allow_unsafe, may_hold_unsafe, open_ends};
    use std::path::Path;

    #[test]
    fn unsafe_is_confined_to_the_listed_files() {
        assert!(may_hold_unsafe(Path::new("sys/src/socket.rs")));
        assert!(may_hold_unsafe(Path::new("runtimes/python/src/ffi.rs")));
        assert!(may_hold_unsafe(Path::new("runtimes/python/src/ffi/object.rs")));
        assert!(!may_hold_unsafe(Path::new("runtimes/python/src/lib.rs")));
        assert!(!may_hold_unsafe(Path::new("runtimes/host/src/ffi.rs")));
        assert!(!may_hold_unsafe(Path::new("router-proc/src/ffi.rs")));
        let file = Path::new("router-proc/src/x.rs");
        assert_eq!(judge_rust(file, "//! X.\nfn f() { unsafe { g() } }\n").len(), 1);
        assert_eq!(judge_rust(file, "//! X.\n// unsafe\n"), [""; 0]);
    }

    #[test]
    fn only_crates_with_such_files_need_not_forbid_it() {
        assert!(may_allow_unsafe(Path::new("sys/src/lib.rs")));
        assert!(may_allow_unsafe(Path::new("runtimes/python/src/main.rs")));
        assert!(!may_allow_unsafe(Path::new("runtimes/host/src/lib.rs")));
        assert!(!may_allow_unsafe(Path::new("conf/src/lib.rs")));
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(judge_rust(Path::new("a/src/b.rs"), "use x;\n").len(), 1);
    }

    #[test]
    fn empty_names_are_refused_as_file_directory_and_module() {
        assert_eq!(judge_rust(Path::new("a/src/util.rs"), "//! X.\n").len(), 1);
        assert_eq!(judge_rust(Path::new("a/src/misc/b.rs"), "//! X.\n").len(), 1);
        assert_eq!(judge_rust(Path::new("a/src/b.rs"), "//! X.\nmod common;\n").len(), 1);
        assert_eq!(judge_rust(Path::new("a/src/b.rs"), "//! X.\nmod commonplace;\n"), [""; 0]);
    }

    #[test]
    fn unfinished_work_is_found() {
        let mark = ["TO", "DO"].concat();
        assert_eq!(open_ends(&format!("a\n// {mark}: b\n")).len(), 1);
        assert_eq!(open_ends(&format!("{mark}S\n")), [""; 0]);
    }
}
