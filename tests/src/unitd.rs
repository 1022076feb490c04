//! A running daemon, from its start to the proof that nothing of it is left.

use std::fmt::Display;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::client::{Connection, Response};
use crate::control::{self, Answer};
use crate::place::Place;
use crate::process::{Process, descendants, everything, process};
use crate::wait::{wait_for, wait_until};

/// How long a start may take: machines under test are busy.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long a stop may take. This one is a promise to supervisors.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// How long what was killed may take to be gone.
const GONE_LIMIT: Duration = Duration::from_secs(5);

/// A daemon.
#[derive(Debug)]
pub struct Unitd {
    place: Place,
    main: Option<Child>,
    pid: i32,
    announced: Mutex<Vec<String>>,
}

impl Deref for Unitd {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Unitd {
    /// Starts a daemon in a new place and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Place::new().start()
    }

    /// Starts a daemon with a configuration.
    ///
    /// # Panics
    /// When it does not come up or refuses the configuration.
    #[must_use]
    #[track_caller]
    pub fn with(config: impl FnOnce(&Place) -> Value) -> Self {
        let place = Place::new();
        let config = config(&place);
        let unitd = place.start();
        unitd.configure(&config);
        unitd
    }

    /// Starts a daemon whose only listener passes to the given routes, and returns its port too.
    ///
    /// # Panics
    /// When it does not come up or refuses the configuration.
    #[must_use]
    #[track_caller]
    pub fn with_routes(routes: &Value) -> (Self, u16) {
        let unitd = Self::start();
        let port = unitd.port();
        unitd.configure(&json!({
            "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
            "routes": routes,
        }));
        (unitd, port)
    }

    #[track_caller]
    pub(crate) fn start_in(place: Place) -> Self {
        let mut unitd = Self { place, main: None, pid: 0, announced: Mutex::new(Vec::new()) };
        unitd.start_again();
        unitd
    }

    /// Starts a daemon that was stopped, with everything it kept.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.main.is_none(), "it runs");
        let child = self.place.command().spawn().unwrap();
        self.pid = i32::try_from(child.id()).unwrap();
        self.main = Some(child);
        let control = self.control_socket();
        wait_until("the control socket answers", START_LIMIT, || {
            if let Some(status) = self.ended() {
                panic!("unitd ended at its start, {status}");
            }
            control::ask(&control, "GET", "/config", b"").is_ok_and(|answer| answer.status == 200)
        });
    }

    /// The id of the main process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// How main ended, when it did by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.main.as_mut()?.try_wait().unwrap()
    }

    /// Says that an alert with this text belongs to the test.
    pub fn expect_alert(&self, text: &str) {
        self.announced.lock().unwrap().push(text.to_owned());
    }

    // The control API.

    /// Asks the control API.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn control(&self, method: &str, target: &str, body: impl AsRef<[u8]>) -> Answer {
        match control::ask(&self.control_socket(), method, target, body.as_ref()) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {target}: {error:#}"),
        }
    }

    /// PUT.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn put(&self, target: &str, body: impl Display) -> Answer {
        self.control("PUT", target, body.to_string())
    }

    /// POST.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn post(&self, target: &str, body: impl Display) -> Answer {
        self.control("POST", target, body.to_string())
    }

    /// GET.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn get(&self, target: &str) -> Answer {
        self.control("GET", target, "")
    }

    /// DELETE.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn delete(&self, target: &str) -> Answer {
        self.control("DELETE", target, "")
    }

    /// The configuration, or a part of it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn config(&self, path: &str) -> Value {
        self.get(&format!("/config{path}")).expect_success().json()
    }

    /// The status, or a part of it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn status(&self, path: &str) -> Value {
        self.get(&format!("/status{path}")).expect_success().json()
    }

    /// Replaces the whole configuration.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn configure(&self, config: &Value) {
        self.put("/config", config).expect_success();
    }

    /// Takes everything out of the configuration.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn clear(&self) {
        self.configure(&json!({ "listeners": {}, "applications": {} }));
    }

    // Clients.

    /// Gets a target from a port, over a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn fetch(&self, port: u16, target: &str) -> Response {
        Connection::tcp(port).get(target)
    }

    // Processes.

    /// The main process.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    #[track_caller]
    pub fn main(&self) -> Process {
        process(self.pid).expect("main runs")
    }

    /// Every process below main.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        descendants(self.pid)
    }

    /// Those whose title is this, oldest first.
    #[must_use]
    pub fn titled(&self, title: &str) -> Vec<Process> {
        let mut found = self.processes();
        found.retain(|process| process.title == title && process.state != 'Z');
        found.sort_by_key(|process| (process.started, process.pid));
        found
    }

    /// Waits for the one process of a role, such as `router`.
    ///
    /// # Panics
    /// When it does not appear.
    #[must_use]
    #[track_caller]
    pub fn role(&self, name: &str) -> Process {
        let title = format!("unit: {name}");
        wait_for(&title, START_LIMIT, || {
            let found = self.titled(&title);
            (found.len() == 1).then(|| found[0].clone())
        })
    }

    /// The workers of an application.
    #[must_use]
    pub fn workers(&self, application: &str) -> Vec<Process> {
        self.titled(&format!("unit: \"{application}\" application"))
    }

    /// Waits for that many workers of an application.
    ///
    /// # Panics
    /// When there never are that many.
    #[must_use]
    #[track_caller]
    pub fn wait_for_workers(&self, application: &str, count: usize) -> Vec<Process> {
        let what = format!("{count} workers of {application}");
        wait_for(&what, START_LIMIT, || {
            let found = self.workers(application);
            (found.len() == count).then_some(found)
        })
    }

    /// Waits until nothing runs but main, controller and router.
    ///
    /// # Panics
    /// When something else goes on.
    #[track_caller]
    pub fn wait_for_rest(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut titles: Vec<String> =
                self.processes().into_iter().map(|process| process.title).collect();
            titles.sort();
            if titles == ["unit: controller", "unit: router"] {
                return;
            }
            assert!(Instant::now() < deadline, "not at rest: {titles:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends main a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.pid), signal).unwrap();
    }

    // The end.

    /// Tells the daemon to stop, and sees to it that it does so cleanly.
    ///
    /// # Panics
    /// When something is left or was not announced.
    #[track_caller]
    pub fn stop(&mut self) {
        self.stop_by(Signal::SIGTERM, STOP_LIMIT);
    }

    /// The same with another signal, or more patience.
    ///
    /// # Panics
    /// When something is left or was not announced.
    #[track_caller]
    pub fn stop_by(&mut self, signal: Signal, limit: Duration) {
        let before = self.processes();
        self.signal(signal);
        self.wait_for_stop(&before, limit);
    }

    /// Waits for a stop that was asked for already, of a daemon that had these processes.
    ///
    /// # Panics
    /// When something is left or was not announced.
    #[track_caller]
    pub fn wait_for_stop(&mut self, before: &[Process], limit: Duration) {
        let mut main = self.main.take().expect("it runs");
        let status = wait_for_exit(&mut main, limit);
        self.main = Some(main);
        let status = status.unwrap_or_else(|| {
            panic!("still running {} s after the signal to stop", limit.as_secs())
        });
        self.main = None;
        assert_eq!(status.code(), Some(0), "the exit status of main: {status}");
        let left = self.left_over(before);
        assert!(left.is_empty(), "left behind: {left:#?}");
        self.expect_no_files();
        self.expect_no_alerts();
    }

    /// Waits for the end of a daemon that was killed, and of everything it had started. Sockets and
    /// the pid file may stay: nobody could remove them.
    ///
    /// # Panics
    /// When a process survives.
    #[track_caller]
    pub fn wait_for_death(&mut self, before: &[Process]) {
        let mut main = self.main.take().expect("it runs");
        let status = wait_for_exit(&mut main, STOP_LIMIT).expect("main ends");
        assert!(!status.success(), "{status}");
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            let mut left = self.left_over(before);
            // Whoever adopted them waits for them, or not.
            left.retain(|process| process.state != 'Z');
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "survived main: {left:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = fs::remove_file(self.control_socket());
        let _ = fs::remove_file(self.pid_file());
        self.expect_no_alerts();
    }

    /// Processes of ours that still exist: those seen before, those in main's process group, and
    /// those that carry the mark of this place.
    fn left_over(&self, before: &[Process]) -> Vec<Process> {
        let mark = self.place.mark();
        let known = |process: &Process| before.contains(process);
        everything()
            .into_iter()
            .filter(|process| {
                process.pid != self.pid
                    && (known(process)
                        || process.group == self.pid
                        || process.has_environment(&mark))
            })
            .collect()
    }

    #[track_caller]
    fn expect_no_files(&self) {
        let left: Vec<PathBuf> = sockets_below(self.directory())
            .into_iter()
            .chain([self.pid_file()].into_iter().filter(|file| file.exists()))
            .chain(fs::read_dir(self.path("tmp")).unwrap().flatten().map(|entry| entry.path()))
            .collect();
        assert!(left.is_empty(), "files left behind: {left:?}");
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let directory = self.directory().to_str().unwrap();
        // Those of the tests themselves have this name.
        let left: Vec<&str> = mounts
            .lines()
            .filter(|line| line.contains(directory) && !line.starts_with("unit-test-state "))
            .collect();
        assert!(left.is_empty(), "mounts left behind: {left:?}");
    }

    /// Nothing was logged that someone would have to act on.
    ///
    /// # Panics
    /// When something was.
    #[track_caller]
    pub fn expect_no_alerts(&self) {
        let alerts = self.log().unexpected(&self.announced.lock().unwrap());
        assert!(alerts.is_empty(), "alerts nobody announced: {alerts:#?}");
    }

    fn kill_everything(&mut self) {
        let before = self.processes();
        if let Some(mut main) = self.main.take() {
            let _ = main.kill();
            let _ = main.wait();
        }
        let deadline = Instant::now() + GONE_LIMIT;
        loop {
            let left = self.left_over(&before);
            if left.is_empty() || Instant::now() > deadline {
                return;
            }
            for process in left {
                process.signal(Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Unitd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in self.processes() {
                eprintln!("{} {} {}", process.pid, process.state, process.title);
            }
            self.kill_everything();
            eprintln!("---- {}:\n{}----", self.log().path().display(), self.log().text());
            return;
        }
        if self.main.is_some() {
            // A stop that goes wrong panics; what still runs then must not stay.
            let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.stop()));
            if let Err(panic) = stopped {
                self.kill_everything();
                eprintln!("---- {}:\n{}----", self.log().path().display(), self.log().text());
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn wait_for_exit(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn sockets_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_socket() {
                found.push(entry.path());
            }
        }
    }
    found
}
