//! The executable itself, started as main starts it: by descriptor, with its port at 3.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use port_io::{Receiver, Sender, bootstrap, connect};
use port_proto::{
    CommitConfig, ControllerToMain, ControllerToRouter, DeleteUpload, Generation, GetStatus,
    Identity, MainToController, NewPeer, PermitConfig, Pid, PrepareConfig, Quit, Role,
    RouterToController, SetUpController, Status, StoreConfig, StoreUpload, StoredConfig, WithFds,
};
use sys::signal::{Ending, Signal, try_wait};
use sys::spawn::{SpawnPlan, spawn};
use tempfile::TempDir;
use tokio::task::{LocalSet, spawn_local};

const DEADLINE: Duration = Duration::from_secs(20);

/// The executable at work.
struct Running {
    dir: TempDir,
    pid: sys::spawn::Pid,
    main: Sender<MainToController, ControllerToMain>,
}

fn identity(role: Role, pid: i32) -> Identity {
    Identity { role, pid: Pid(pid), generation: Generation(1) }
}

/// Starts the executable with these descriptors after its standard input and output.
fn start(dir: &TempDir, more: &[&OwnedFd]) -> sys::spawn::Pid {
    let executable = File::open(env!("CARGO_BIN_EXE_unit-controller")).unwrap();
    let null = File::open("/dev/null").unwrap();
    let log = File::create(dir.path().join("log")).unwrap();
    let title = CString::new("unit: controller").unwrap();
    let mut plan = SpawnPlan::new(executable.as_fd(), vec![title]);
    plan.descriptors = vec![null.as_fd(), log.as_fd(), log.as_fd()];
    plan.descriptors.extend(more.iter().map(|fd| fd.as_fd()));
    spawn(&plan).unwrap()
}

fn log(dir: &TempDir) -> String {
    std::fs::read_to_string(dir.path().join("log")).unwrap()
}

/// Waits for the end of a child.
async fn ending(child: sys::spawn::Pid) -> Ending {
    let started = Instant::now();
    loop {
        if let Some(ending) = try_wait(child).unwrap() {
            return ending;
        }
        assert!(started.elapsed() < DEADLINE, "process {child} does not end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Drives main's end of the port; stores whatever comes.
async fn store_all(
    sender: Sender<MainToController, ControllerToMain>,
    mut receiver: Receiver<MainToController, ControllerToMain>,
) {
    while let Some((stream, message)) = receiver.recv().await {
        match message {
            ControllerToMain::PermitConfig(_) => {
                sender.answer::<PermitConfig>(stream, Ok(())).unwrap();
            }
            ControllerToMain::StoreConfig(_) => {
                sender.answer::<StoreConfig>(stream, Ok(())).unwrap();
            }
            ControllerToMain::StoreUpload(_) => {
                sender.answer::<StoreUpload>(stream, Ok(())).unwrap();
            }
            ControllerToMain::DeleteUpload(_) => {
                sender.answer::<DeleteUpload>(stream, Ok(())).unwrap();
            }
        }
    }
}

/// Drives a router that agrees with everything.
async fn agree(
    sender: Sender<RouterToController, ControllerToRouter>,
    mut receiver: Receiver<RouterToController, ControllerToRouter>,
) {
    while let Some((stream, message)) = receiver.recv().await {
        match message {
            ControllerToRouter::GetStatus(_) => {
                sender.answer::<GetStatus>(stream, Ok(Status::default()))
            }
            ControllerToRouter::PrepareConfig(_) => sender.answer::<PrepareConfig>(stream, Ok(())),
            ControllerToRouter::CommitConfig(_)
            | ControllerToRouter::AbortConfig(_)
            | ControllerToRouter::RestartApplication(_) => {
                sender.answer::<CommitConfig>(stream, Ok(()))
            }
        }
        .unwrap();
    }
}

async fn run() -> Running {
    let own_pid = i32::try_from(std::process::id()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("control")).unwrap();
    let (ours, theirs) = bootstrap::pair().unwrap();
    let pid = start(&dir, &[&theirs]);
    drop(theirs);
    let me = identity(Role::Controller, pid.as_raw());
    let (main, from_controller) = connect(ours, identity(Role::Main, own_pid), me).await.unwrap();
    spawn_local(store_all(main.clone(), from_controller));
    let body =
        SetUpController { stored: StoredConfig::Absent, modules: Vec::new(), uploads: Vec::new() };
    main.send(MainToController::SetUp(WithFds { body, fds: [listener.into()] })).unwrap();
    let peer = identity(Role::Router, own_pid);
    let (ours, theirs) = bootstrap::pair().unwrap();
    main.send(MainToController::NewPeer(WithFds { body: NewPeer { peer }, fds: [theirs] }))
        .unwrap();
    let (router, from_controller) = connect(ours, peer, me).await.unwrap();
    spawn_local(agree(router, from_controller));
    Running { dir, pid, main }
}

impl Running {
    /// Asks in a thread of its own, so that main and router can go on here.
    async fn ask(&self, request: &'static str) -> String {
        let path = self.dir.path().join("control");
        tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
        .await
        .unwrap()
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid)).unwrap().count()
    }
}

async fn in_time(test: impl Future<Output = ()>) {
    let all = LocalSet::new();
    tokio::time::timeout(DEADLINE, all.run_until(test)).await.expect("the test is over in time");
}

const PUT: &str = "PUT /config HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn it_serves_until_main_says_to_stop() {
    in_time(async {
        let running = run().await;
        assert!(
            running.ask(PUT).await.ends_with("\"success\": \"Reconfiguration done.\"\r\n}\r\n")
        );
        running.main.send(MainToController::Quit(Quit::Graceful)).unwrap();
        assert_eq!(ending(running.pid).await, Ending::Code(0));
        assert_eq!(log(&running.dir), "");
    })
    .await;
}

#[tokio::test]
async fn descriptors_are_flat_however_many_requests_come() {
    in_time(async {
        let running = run().await;
        running.ask(PUT).await;
        let before = running.descriptors();
        for _ in 0..100 {
            running.ask(PUT).await;
            running.ask("GET /status HTTP/1.1\r\n\r\n").await;
            running.ask("no request\r\n\r\n").await;
        }
        let started = Instant::now();
        while running.descriptors() > before {
            assert!(started.elapsed() < DEADLINE);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(log(&running.dir).contains(" [error] "), "{}", log(&running.dir));
        assert!(log(&running.dir).lines().all(|line| line.ends_with(" parsing error")));
        running.main.send(MainToController::Quit(Quit::Fast)).unwrap();
        assert_eq!(ending(running.pid).await, Ending::Code(0));
    })
    .await;
}

#[tokio::test]
async fn signals_meant_for_main_are_ignored_and_the_others_end_it() {
    in_time(async {
        let running = run().await;
        for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
            sys::signal::send(running.pid, signal).unwrap();
            let line = format!(
                " [notice] {pid}#{pid} signal signo:{} ({signal}) received, ignored",
                signal as i32,
                pid = running.pid
            );
            while !log(&running.dir).contains(&line) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        assert!(running.ask(PUT).await.starts_with("HTTP/1.1 200 OK\r\n"));
        sys::signal::send(running.pid, Signal::SIGTERM).unwrap();
        assert_eq!(ending(running.pid).await, Ending::Code(0));
    })
    .await;
}

#[tokio::test]
async fn it_ends_with_main() {
    in_time(async {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = bootstrap::pair().unwrap();
        let child = start(&dir, &[&theirs]);
        drop((ours, theirs));
        assert_eq!(ending(child).await, Ending::Code(1));
    })
    .await;
}

#[tokio::test]
async fn started_by_hand_it_says_how_it_is_started() {
    in_time(async {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ending(start(&dir, &[])).await, Ending::Code(1));
        let log = log(&dir);
        assert!(
            log.contains("[alert]") && log.contains("this program is started by unitd"),
            "{log}"
        );
    })
    .await;
}
