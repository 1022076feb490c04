//! Which interpreter to start, and its module search path.

use std::path::Path;

use conf::{Python, Text};

use crate::ffi::interpreter::{Start, start};
use crate::ffi::{Object, Raised};

/// The installation this runtime was built for. An embedded interpreter left to itself looks for
/// any `python3` in `PATH`, and takes the library of another version.
const EXECUTABLE: &str = env!("UNIT_PYTHON_EXECUTABLE");
const HOME: &str = env!("UNIT_PYTHON_HOME");

/// Starts the interpreter as the settings say.
///
/// # Errors
/// A sentence to log.
pub(crate) fn start_as_told(settings: &Python) -> Result<(), String> {
    let home_is_in_environment = std::env::var_os("PYTHONHOME").is_some();
    start(&plan(settings.home.as_ref(), home_is_in_environment)).map_err(|reason| {
        // The reason is not part of the text that people look for, so it follows it.
        format!("Failed to initialise config: {reason}")
    })?;
    if Object::of_sys(c"stderr").is_none() {
        return Err("Python failed to get \"sys.stderr\" object".to_owned());
    }
    extend_path(&settings.path)
}

fn plan(home: Option<&Text>, home_is_in_environment: bool) -> Start {
    match home {
        Some(home) if is_environment(home.as_path()) => {
            let program_name = [home, &b"/bin/python"[..]].concat();
            Start { program_name, home: None, isolated: true }
        }
        Some(home) => {
            Start { program_name: EXECUTABLE.into(), home: Some(home.to_vec()), isolated: true }
        }
        None => Start {
            program_name: EXECUTABLE.into(),
            home: (!home_is_in_environment).then(|| HOME.into()),
            isolated: false,
        },
    }
}

/// Whether a directory is a virtual environment.
fn is_environment(home: &Path) -> bool {
    std::fs::File::open(home.join("pyvenv.cfg")).is_ok()
}

fn extend_path(path: &[Text]) -> Result<(), String> {
    if path.is_empty() {
        return Ok(());
    }
    let list = Object::of_sys(c"path").filter(|list| list.list_len().is_some());
    let list = list.ok_or("Python failed to get \"sys.path\" list")?;
    for (index, directory) in path.iter().enumerate() {
        let inserted =
            Object::path(directory).and_then(|directory| list.list_insert(index, &directory));
        inserted.map_err(|raised: Raised| {
            raised.print();
            format!("Python failed to insert \"{directory}\" into \"sys.path\"")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_home_the_build_decides() {
        let start = plan(None, false);
        assert_eq!(start.program_name, EXECUTABLE.as_bytes());
        assert_eq!(start.home.as_deref(), Some(HOME.as_bytes()));
        assert!(!start.isolated);
        assert_eq!(plan(None, true).home, None);
    }

    #[test]
    fn a_virtual_environment_is_entered_by_its_program() {
        let directory = tempfile::tempdir().unwrap();
        let home = Text::from(directory.path().to_str().unwrap());
        let start = plan(Some(&home), true);
        assert_eq!(start.home.as_deref(), Some(home.as_bytes()));
        assert!(start.isolated);
        std::fs::write(directory.path().join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
        let start = plan(Some(&home), false);
        assert_eq!(start.program_name, [&home, &b"/bin/python"[..]].concat());
        assert_eq!((start.home, start.isolated), (None, true));
    }
}
