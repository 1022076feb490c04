//! A `unitd` in a directory of its own, and the stand-ins that have come up under it.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::role::DIRECTORY;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}

/// A stand-in that has said who it is.
pub(crate) struct Actor {
    pub(crate) pid: i32,
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Actor {
    /// The next line it says.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line within the limit");
        assert!(line.ends_with('\n'), "{} has ended", self.pid);
        line.trim_end().to_owned()
    }

    /// Has it do something, and returns what it says next.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    /// Has it do something.
    pub(crate) fn tell(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Whether the process is there, and no zombie.
    pub(crate) fn is_alive(&self) -> bool {
        is_alive(self.pid)
    }
}

/// Whether a process is there, and no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z")
}

pub(crate) struct World {
    pub(crate) directory: TempDir,
    listener: UnixListener,
    unitd: Option<Child>,
}

impl World {
    /// A directory with everything `unitd` needs; nothing runs yet.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The roles run as another user.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let program = std::env::current_exe().unwrap();
        for name in ["libexec", "modules", "state"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        for role in ["unit-discovery", "unit-controller", "unit-router"] {
            symlink(&program, directory.path().join("libexec").join(role)).unwrap();
        }
        symlink(&program, directory.path().join("modules/fake.unit")).unwrap();
        let socket = directory.path().join("test.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { directory, listener, unitd: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The command that runs `unitd` here.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unitd"));
        for (option, name) in [
            ("--control", "control.sock"),
            ("--pid", "unit.pid"),
            ("--log", "unit.log"),
            ("--modulesdir", "modules"),
            ("--statedir", "state"),
            ("--libexecdir", "libexec"),
        ] {
            let prefix = if option == "--control" { "unix:" } else { "" };
            command.arg(option).arg(format!("{prefix}{}", self.text(name)));
        }
        command.args(["--tmpdir", "/somewhere"]).env(DIRECTORY, self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(self.path("stderr")).unwrap());
        command
    }

    /// Runs `unitd` in the foreground until controller and router have come up.
    pub(crate) fn running() -> (Self, Actor, Actor) {
        let mut world = Self::new();
        let mut command = world.command();
        command.arg("--no-daemon");
        world.unitd = Some(command.spawn().unwrap());
        let (mut controller, mut router) = world.core_roles();
        assert_eq!(controller.hear(), "set-up Absent 3.9");
        assert_eq!(router.hear(), "set-up /somewhere");
        assert_eq!(controller.hear(), format!("new-peer {}", router.pid));
        assert_eq!(router.hear(), format!("new-peer {}", controller.pid));
        (world, controller, router)
    }

    /// Controller and router, in whatever order they come up.
    pub(crate) fn core_roles(&self) -> (Actor, Actor) {
        let (first, second) = (self.meet(), self.meet());
        match (first.0.as_str(), second.0.as_str()) {
            ("controller", "router") => (first.1, second.1),
            ("router", "controller") => (second.1, first.1),
            other => panic!("{other:?}"),
        }
    }

    /// The next stand-in that comes up.
    pub(crate) fn meet(&self) -> (String, Actor) {
        let stream = wait_for("a role", || match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let writer = stream.try_clone().unwrap();
        let mut actor = Actor { pid: 0, reader: BufReader::new(stream), writer };
        let greeting = actor.hear();
        let (role, pid) = greeting.split_once(' ').unwrap();
        actor.pid = pid.parse().unwrap();
        (role.to_owned(), actor)
    }

    /// A stand-in of this role.
    pub(crate) fn meet_role(&self, role: &str) -> Actor {
        let (met, actor) = self.meet();
        assert_eq!(met, role);
        actor
    }

    pub(crate) fn main(&self) -> i32 {
        i32::try_from(self.unitd.as_ref().unwrap().id()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("unit.log")).unwrap_or_default()
    }

    /// Waits until the log has this in it.
    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_for(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    pub(crate) fn signal(&self, pid: i32, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for `unitd` to end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut unitd = self.unitd.take().unwrap();
        wait_for("unitd to end", || unitd.try_wait().unwrap())
    }

    /// Stops `unitd` and checks that nothing is left of it.
    pub(crate) fn stop(&mut self, signal: &str) {
        self.signal(self.main(), signal);
        assert_eq!(self.end().code(), Some(0));
        for name in ["control.sock", "control.sock.tmp", "unit.pid", "unit.pid.tmp"] {
            assert!(!self.path(name).exists(), "{name} is left");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut unitd) = self.unitd.take() {
            let _ = unitd.kill();
            let _ = unitd.wait();
        }
        if std::thread::panicking() {
            let text = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
            println!("--- stderr\n{}--- log\n{}---", text("stderr"), text("unit.log"));
        }
    }
}

/// The lines of a process's command line, as `ps` shows it.
pub(crate) fn title(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_owned()
}

/// The open descriptors of a process.
pub(crate) fn descriptors(pid: i32) -> usize {
    fs::read_dir(Path::new(&format!("/proc/{pid}/fd"))).unwrap().count()
}
