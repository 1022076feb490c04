//! The user's editor, and the file it is given: nothing that was typed is ever lost.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

/// What is tried when the environment names no editor.
const FALLBACKS: [&str; 5] = ["vim", "emacs", "nano", "vi", "pico"];

/// Why editing failed.
#[derive(Debug, Error)]
pub(crate) enum EditorError {
    /// There is no editor.
    #[error("no editor: set VISUAL or EDITOR (none of vim, emacs, nano, vi and pico is here)")]
    None,
    /// It could not be run.
    #[error("cannot run the editor \"{editor}\": {cause}\n  The text is in {}", .file.display())]
    Run { editor: String, file: PathBuf, cause: io::Error },
    /// It ended with a failure, by which editors say that the text is not to be used.
    #[error("the editor \"{editor}\" ended with {status}\n  The text is in {}", .file.display())]
    Failed { editor: String, file: PathBuf, status: ExitStatus },
    /// The file could not be made, read or written.
    #[error("{}: {cause}", .file.display())]
    File { file: PathBuf, cause: io::Error },
}

/// The command that edits, as a shell takes it.
pub(crate) fn choose() -> Result<String, EditorError> {
    for name in ["VISUAL", "EDITOR"] {
        if let Ok(editor) = std::env::var(name)
            && !editor.trim().is_empty()
        {
            return Ok(editor);
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| {
        std::env::split_paths(&path).any(|directory| is_executable(&directory.join(name)))
    };
    FALLBACKS
        .iter()
        .find(|name| is_there(name))
        .map(|name| (*name).to_owned())
        .ok_or(EditorError::None)
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A file that is being edited. It stays when this is dropped: only what was sent, or was never
/// changed, is removed, and that is said aloud by calling [`EditedFile::remove`].
#[derive(Debug)]
pub(crate) struct EditedFile {
    path: PathBuf,
    interrupts: Interrupts,
}

impl EditedFile {
    /// Makes a file that nobody else can read, with this text.
    pub(crate) fn new(text: &[u8], extension: &str) -> Result<Self, EditorError> {
        let directory = std::env::temp_dir();
        let failed = |cause| EditorError::File { file: directory.clone(), cause };
        let interrupts = Interrupts::new().map_err(failed)?;
        let mut file = tempfile::Builder::new()
            .prefix("unitctl-")
            .suffix(extension)
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&directory)
            .map_err(failed)?;
        file.write_all(text).map_err(failed)?;
        let (_, path) = file.keep().map_err(|error| failed(error.error))?;
        Ok(Self { path, interrupts })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the user edit it, and returns what it says then.
    pub(crate) fn edit(&self, editor: &str) -> Result<Vec<u8>, EditorError> {
        let status = self.interrupts.leave_to(|| run(editor, &self.path)).map_err(|cause| {
            EditorError::Run { editor: editor.to_owned(), file: self.path.clone(), cause }
        })?;
        if !status.success() {
            let editor = editor.to_owned();
            return Err(EditorError::Failed { editor, file: self.path.clone(), status });
        }
        self.read()
    }

    /// What it says.
    pub(crate) fn read(&self) -> Result<Vec<u8>, EditorError> {
        fs::read(&self.path).map_err(|cause| EditorError::File { file: self.path.clone(), cause })
    }

    /// Removes it. If that fails it stays, which loses nothing.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Runs an editor on a file. The command may have options, so a shell splits it.
fn run(editor: &str, file: &Path) -> io::Result<ExitStatus> {
    Command::new("/bin/sh").arg("-c").arg(format!("{editor} \"$1\"")).arg(editor).arg(file).status()
}

/// What the signals of the keyboard do: while an editor runs they are the editor's, though the
/// terminal sends them to us as well; at any other time they end this program. What it starts has
/// the usual reaction, as handlers do not survive the start of another program.
#[derive(Debug)]
struct Interrupts {
    /// Whether they end us now. There is one handler for the life of the program, as a second one
    /// would not know of the first.
    are_deadly: Arc<AtomicBool>,
}

impl Interrupts {
    fn new() -> io::Result<Self> {
        let are_deadly = Arc::new(AtomicBool::new(true));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGQUIT] {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&are_deadly))?;
        }
        Ok(Self { are_deadly })
    }

    /// Runs something during which they do nothing to us.
    fn leave_to<T>(&self, other: impl FnOnce() -> T) -> T {
        self.are_deadly.store(false, Ordering::Relaxed);
        let result = other();
        self.are_deadly.store(true, Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_and_stays_until_it_is_removed() {
        let file = EditedFile::new(b"text", ".json").unwrap();
        let path = file.path().to_owned();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"text");
        EditedFile { path: path.clone(), interrupts: Interrupts::new().unwrap() }.remove();
        assert!(!path.exists());
    }

    #[test]
    fn an_editor_may_have_options() {
        let file = EditedFile::new(b"a\n", ".json").unwrap();
        assert_eq!(file.edit("sed -i s/a/b/").unwrap(), b"b\n");
        let error = file.edit("false").unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
        assert_eq!(file.read().unwrap(), b"b\n");
        file.remove();
    }
}
