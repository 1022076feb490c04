//! A directory of its own for one daemon: where it writes, and the command line that says so.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::log::Log;
use crate::ports::{Reservation, reserve};
use crate::requirements::{bin_dir, modules_dir, own_file};
use crate::unitd::Unitd;

/// The variable by which a process is known to come from a place, whoever its parent is now.
const MARK: &str = "UNIT_TEST_PLACE";

/// A file system in memory. The daemon waits until the disk has what it stores, and a disk under
/// load may take longer than any test waits.
const MEMORY: &str = "/dev/shm";

/// Where a daemon lives.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
    /// What `state` is a link to, where there is memory for it.
    _state: Option<TempDir>,
    bin_dir: PathBuf,
    modules_dir: PathBuf,
    options: Vec<String>,
    /// The most descriptors that each process may have.
    descriptor_limit: Option<usize>,
    ports: Mutex<Vec<Reservation>>,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// Makes the directory. Everybody may write there: the roles are another user than the tests.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let mut builder = tempfile::Builder::new();
        builder.prefix("unit-test-");
        let directory = builder.tempdir().unwrap();
        let state = builder.tempdir_in(MEMORY).ok();
        if let Some(state) = &state {
            open_to_all(state.path());
            symlink(state.path(), directory.path().join("state")).unwrap();
        }
        let place = Self {
            directory,
            _state: state,
            bin_dir: bin_dir(),
            modules_dir: modules_dir(),
            options: Vec::new(),
            descriptor_limit: None,
            ports: Mutex::new(Vec::new()),
        };
        open_to_all(place.directory());
        for name in ["state", "tmp", "www", "apps"] {
            let path = place.path(name);
            if !path.exists() {
                fs::create_dir(&path).unwrap();
                open_to_all(&path);
            }
        }
        fs::create_dir_all(&place.modules_dir).unwrap();
        place
    }

    /// Takes the executables from elsewhere.
    #[must_use]
    pub fn with_executables(mut self, bin_dir: &Path) -> Self {
        self.bin_dir = bin_dir.to_owned();
        self
    }

    /// Takes the language runtimes from elsewhere.
    #[must_use]
    pub fn with_modules(mut self, modules_dir: &Path) -> Self {
        self.modules_dir = modules_dir.to_owned();
        self
    }

    /// Takes the language runtimes from a directory of its own, where there is one for each of these
    /// languages and versions: copies of `runtime`, which can say what its name says and nothing
    /// else. That is enough to validate applications of languages that this machine does not have.
    ///
    /// # Panics
    /// When they cannot be made.
    #[must_use]
    pub fn with_pretended_modules(mut self, runtime: &Path, modules: &[(&str, &str)]) -> Self {
        self.modules_dir = self.path("modules");
        fs::create_dir(&self.modules_dir).unwrap();
        let mut source = runtime.to_owned();
        for (language, version) in modules {
            let file = self.modules_dir.join(format!("{language}{version}.unit"));
            if fs::hard_link(&source, &file).is_err() {
                // It is on another file system. Another process copies it: of a file that is open
                // for writing here, a thread that forks at this moment would hold a copy, and the
                // file could not be executed.
                let status = Command::new("cp").arg(&source).arg(&file).status().unwrap();
                assert!(status.success(), "{} is not copied", file.display());
                source = file;
            }
        }
        self
    }

    /// Where the language runtimes are.
    #[must_use]
    pub fn modules_dir(&self) -> &Path {
        &self.modules_dir
    }

    /// Adds words to the command line; of an option given twice the last one counts.
    #[must_use]
    pub fn with_options(mut self, words: &[&str]) -> Self {
        self.options.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Lets no process have more descriptors than this, whatever it asks for.
    #[must_use]
    pub fn with_descriptor_limit(mut self, count: usize) -> Self {
        self.descriptor_limit = Some(count);
        self
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory().join(name)
    }

    /// A path in it, as configurations name it.
    ///
    /// # Panics
    /// When it is no text.
    #[must_use]
    pub fn text_path(&self, name: impl AsRef<Path>) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    /// The pid file.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.path("unit.pid")
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> Log {
        Log::at(&self.path("unit.log"))
    }

    /// A port that is this place's while it lives.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn port(&self) -> u16 {
        let reservation = reserve();
        let port = reservation.port;
        self.ports.lock().unwrap().push(reservation);
        port
    }

    /// Writes a file and the directories above it, and returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Copies an application of this package, a file or a directory in `apps/`, to a directory of
    /// its own, and returns that directory.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn application(&self, name: &str) -> String {
        let source = own_file(format!("apps/{name}"));
        if source.is_dir() {
            copy_directory(&source, &self.path(format!("apps/{name}")));
        } else {
            let source = fs::read(source.with_extension("py")).unwrap();
            self.write(&format!("apps/{name}/{name}.py"), source);
        }
        self.text_path(format!("apps/{name}"))
    }

    /// The command line, in a process group of its own; standard error goes to the log file, as
    /// supervisors arrange it.
    ///
    /// # Panics
    /// When the log cannot be opened.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = self.bare_command();
        let log = OpenOptions::new().append(true).create(true).open(self.log().path()).unwrap();
        command.stderr(log);
        command
    }

    /// The command line, standard error going where ours goes.
    #[must_use]
    pub fn bare_command(&self) -> Command {
        let unitd = self.bin_dir.join("unitd");
        let mut command = match self.descriptor_limit {
            None => Command::new(unitd),
            Some(count) => {
                // The shell becomes unitd, so the process id is the same.
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit -n {count} && exec \"$0\" \"$@\"")).arg(unitd);
                shell
            }
        };
        command.arg("--no-daemon");
        command.arg("--control").arg(format!("unix:{}", self.control_socket().display()));
        command.arg("--pid").arg(self.pid_file());
        command.arg("--log").arg(self.log().path());
        command.arg("--statedir").arg(self.path("state"));
        command.arg("--tmpdir").arg(self.path("tmp"));
        command.arg("--modulesdir").arg(&self.modules_dir);
        command.arg("--libexecdir").arg(&self.bin_dir);
        command.args(&self.options);
        command.env(MARK, self.directory());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.process_group(0);
        command
    }

    /// The command-line client, told to talk to the daemon of this place.
    #[must_use]
    pub fn unitctl(&self, words: &[&str]) -> Command {
        let mut command = self.unitctl_finding_out(&["-s"]);
        command.arg(self.control_socket()).args(words);
        command
    }

    /// The command-line client, left to find a daemon by itself.
    #[must_use]
    pub fn unitctl_finding_out(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.bin_dir.join("unitctl"));
        command.args(words).env("TMPDIR", self.directory());
        command.stdin(Stdio::null()).env_remove("UNIT_CTRL").env_remove("VISUAL");
        command
    }

    /// What a process started here has in its environment.
    pub(crate) fn mark(&self) -> String {
        format!("{MARK}={}", self.directory().display())
    }

    /// Starts the daemon.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Unitd {
        Unitd::start_in(self)
    }

    /// Makes a file of that size without taking the space of one.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn sparse(&self, name: &str, size: u64) -> String {
        let path = self.path(name);
        File::create(&path).unwrap().set_len(size).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
}
