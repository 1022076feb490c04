//! Virtual environments with the frameworks the suite serves and the programs it checks with, each
//! made once and shared by all tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::requirements::{own_file, program, pythons};

/// An environment a Python application can name as its `home`.
#[derive(Clone, Debug)]
pub struct Venv {
    home: PathBuf,
    version: String,
}

impl Venv {
    /// The one with the frameworks that are served, made if there is none yet.
    ///
    /// # Errors
    /// What is missing, in words: a runtime, its interpreter, or what is to be installed.
    pub fn shared() -> Result<Self, String> {
        let found = interpreter().ok_or("no python with a runtime here")?;
        Self::with("test-venv", "apps/requirements.txt", found)
    }

    /// The one with the programs that check what is served, made if there is none yet. Any Python 3
    /// will do.
    ///
    /// # Errors
    /// What is missing, in words: an interpreter, or what is to be installed.
    pub fn of_checkers() -> Result<Self, String> {
        let interpreter = program("python3").ok_or("no python3 here")?;
        Self::with("test-venv-checkers", "checkers/requirements.txt", ("3".to_owned(), interpreter))
    }

    fn with(
        name: &str,
        requirements: &str,
        (version, interpreter): (String, PathBuf),
    ) -> Result<Self, String> {
        // Beside what cargo built, which everybody can read who runs it.
        let executable = std::env::current_exe().map_err(|error| error.to_string())?;
        let target = executable.ancestors().nth(3).ok_or("the tests are in no target directory")?;
        let home = target.join(format!("{name}-{version}"));
        let lock = File::create(target.join(format!("{name}-{version}.lock")))
            .map_err(|error| error.to_string())?;
        // Other tests, and other runs of the suite, wait here until it is complete.
        lock.lock().map_err(|error| error.to_string())?;
        let wanted = fs::read_to_string(own_file(requirements)).unwrap();
        let marker = home.join("complete");
        if fs::read_to_string(&marker).ok().as_deref() != Some(&wanted) {
            make(&interpreter, &home, requirements)?;
            fs::write(&marker, wanted).map_err(|error| error.to_string())?;
        }
        Ok(Self { home, version })
    }

    /// Its directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The type of applications that run in it, such as `python 3.11`.
    #[must_use]
    pub fn application_type(&self) -> String {
        format!("python {}", self.version)
    }

    /// A command for one of its programs.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.home.join("bin").join(name));
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
        command
    }

    /// A file of this package that its interpreter runs.
    #[must_use]
    pub fn script(&self, path: &str) -> Command {
        let mut command = self.program("python");
        command.arg(own_file(path));
        command
    }

    /// Runs its interpreter in a directory and waits for success.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, directory: &Path, words: &[&str], environment: &[(&str, &str)]) {
        let mut command = Command::new(self.home.join("bin/python"));
        command.args(words).current_dir(directory).envs(environment.iter().copied());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        run(&mut command).unwrap();
    }
}

/// The newest version with a runtime whose interpreter is installed for everybody.
fn interpreter() -> Option<(String, PathBuf)> {
    pythons().into_iter().rev().find_map(|version| {
        let name = format!("python{version}");
        let system = Path::new("/usr/bin").join(&name);
        let found = if system.is_file() { Some(system) } else { program(&name) };
        found.map(|file| (version, file))
    })
}

fn make(interpreter: &Path, home: &Path, requirements: &str) -> Result<(), String> {
    run(Command::new(interpreter).args(["-m", "venv", "--clear"]).arg(home))?;
    let mut pip = Command::new(home.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run(pip.arg(own_file(requirements)))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said)))
}
