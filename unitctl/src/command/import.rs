//! `unitctl import`: uploads what is in a directory, first what the configuration may refer to.

use std::fs;
use std::path::{Path, PathBuf};

use crate::client::{Client, Method, Request};
use crate::command_line::ImportArgs;
use crate::document::{Document, read_bytes};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::target;
use crate::visible::visible;

/// What a file is, by its name, in the order of uploading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Certificate,
    Script,
    Configuration,
}

impl Kind {
    fn of(file: &Path) -> Option<Self> {
        let extension = file.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "pem" => Some(Self::Certificate),
            "js" => Some(Self::Script),
            "json" | "cjson" | "yaml" | "yml" => Some(Self::Configuration),
            _ => None,
        }
    }
}

pub(super) fn run(session: &Session, arguments: &ImportArgs) -> Result<(), Failure> {
    let mut files = Vec::new();
    list(Path::new(&arguments.directory), &mut files)?;
    files.sort();
    for (_, file) in files.iter().filter(|(kind, _)| kind.is_none()) {
        session
            .console
            .warn(&format!("{} is left out: its name does not say what it is", shown(file)));
    }
    let files: Vec<(Kind, PathBuf)> =
        files.into_iter().filter_map(|(kind, file)| Some((kind?, file))).collect();
    if files.is_empty() {
        let what = format!("nothing to import in {}", visible(&arguments.directory));
        return Err(Failure::Usage(what));
    }
    session.each(|client| import(session, client, &files, arguments.replace))
}

/// Uploads one after the other. The configuration is not sent when something that it may refer to
/// is missing.
fn import(
    session: &Session,
    client: &Client,
    files: &[(Kind, PathBuf)],
    replace: bool,
) -> Result<(), Failure> {
    let mut failed: Vec<String> = Vec::new();
    for (kind, file) in files {
        if *kind == Kind::Configuration && !failed.is_empty() {
            break;
        }
        match upload(client, *kind, file, replace) {
            Ok(target) => session.console.print_line(&format!("{} -> {target}", shown(file)))?,
            Err(failure) => {
                session.console.say(&format!("{}:", shown(file)));
                session.report(&failure);
                failed.push(shown(file));
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let what = format!("not everything was imported; mend {} first", failed.join(", "));
    Err(Failure::Reported { what, exit: Exit::Refused })
}

fn upload(client: &Client, kind: Kind, file: &Path, replace: bool) -> Result<String, Failure> {
    let name = file.to_str().ok_or_else(|| {
        Failure::Usage(format!("{}: the name of the file is not UTF-8", shown(file)))
    })?;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let (target, body, document) = match kind {
        Kind::Certificate => {
            let target = target::certificate(&format!("{stem}.pem"));
            (target, read_bytes(name)?, None)
        }
        Kind::Script => (target::script(&format!("{stem}.js")), read_bytes(name)?, None),
        Kind::Configuration => {
            let document = Document::read(name, None)?;
            let body = conf::print_compact(&document.value()?);
            ("/config".to_owned(), body, Some(document))
        }
    };
    let query = if replace && kind == Kind::Certificate { "?replace" } else { "" };
    let request = Request::new(Method::Put, format!("{target}{query}")).with_body(body);
    session::ask(client, &request, document.as_ref())?;
    Ok(target)
}

fn shown(file: &Path) -> String {
    visible(&file.display().to_string()).into_owned()
}

/// Every file below a directory. Links to directories are not followed: they may go round.
fn list(directory: &Path, files: &mut Vec<(Option<Kind>, PathBuf)>) -> Result<(), Failure> {
    let failed = |cause| Failure::System { what: shown(directory), cause };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            list(&path, files)?;
        } else if path.is_file() {
            files.push((Kind::of(&path), path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_referred_to_comes_first() {
        let mut kinds: Vec<Option<Kind>> = ["a.json", "b.PEM", "c.js", "d.yml", "e.txt"]
            .map(|name| Kind::of(Path::new(name)))
            .into();
        kinds.sort();
        assert_eq!(
            kinds,
            [
                None,
                Some(Kind::Certificate),
                Some(Kind::Script),
                Some(Kind::Configuration),
                Some(Kind::Configuration)
            ]
        );
    }
}
