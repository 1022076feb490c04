//! Stands in for main and for the router: starts a runtime, sets it up, has it fork workers, and
//! exchanges requests with them.
#![allow(dead_code, reason = "each test binary uses another part of it")]
#![allow(clippy::unwrap_used, reason = "part of tests, where a panic is a failed assertion")]

use std::ffi::CString;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use app_io::{ChannelError, LoopPage, OfferError, RouterChannel, WorkerHalf};
use app_proto::{
    RequestId, RequestParts, ResponseHead, ResponseKind, ResponseRecord, ToRouter, ToWorker,
    encode_request,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use port_io::{Receiver, RequestError, Sender};
use port_proto::{
    Credentials, Generation, Identity, MainToPrototype, Pid, PrototypeToMain, PrototypeToRouter,
    Quit, Role, RouterToPrototype, SetUpPrototype, SignalWorker, StartWorker, WithFds,
    WorkerExited, WorkerId, WorkerSignal,
};
use sys::poll::{PollFd, PollFlags};
use sys::spawn::SpawnPlan;

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

type Ends<Tx, Rx> = (Sender<Tx, Rx>, Receiver<Tx, Rx>);
type Main = Ends<MainToPrototype, PrototypeToMain>;
type Router = Ends<RouterToPrototype, PrototypeToRouter>;

/// A running prototype. Dropping it hangs up, and waits for its end.
pub(crate) struct Stage {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) prototype: i32,
    /// The prototype's process id, also after its end.
    pub(crate) last_pid: i32,
    runtime: tokio::runtime::Runtime,
    main: Option<Main>,
    router: Option<Router>,
    exited: Vec<WorkerExited>,
    workers: u32,
    me: i32,
}

/// What is asked of the prototype beside the application object.
#[derive(Clone, Debug, Default)]
pub(crate) struct SetUp {
    pub(crate) credentials: Option<Credentials>,
    pub(crate) working_directory: Option<String>,
    pub(crate) stdout: Option<String>,
    pub(crate) stderr: Option<String>,
    pub(crate) no_new_privs: bool,
}

impl Stage {
    /// Executes a runtime, with an empty directory as the place for its files.
    pub(crate) fn new(program: &Path) -> Self {
        Self::with_environment(program, &[])
    }

    pub(crate) fn with_environment(program: &Path, variables: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log =
            File::options().append(true).create(true).open(directory.path().join("log")).unwrap();
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        let executable = sys::fs::open_executable(program).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (near, far) = port_io::bootstrap::pair().unwrap();
        let title = CString::new("unit: \"app\" prototype          ").unwrap();
        let mut plan = SpawnPlan::new(executable.as_fd(), vec![title]);
        plan.descriptors = vec![null.as_fd(), null.as_fd(), log.as_fd(), far.as_fd()];
        let path = std::env::var("PATH").unwrap_or_default();
        plan.environment = [format!("PATH={path}")]
            .into_iter()
            .chain(variables.iter().map(|variable| (*variable).to_owned()))
            .map(|variable| CString::new(variable).unwrap())
            .collect();
        let prototype = sys::spawn::spawn(&plan).unwrap().as_raw();
        drop(far);
        let me = i32::try_from(std::process::id()).unwrap();
        let mut stage = Self {
            directory,
            prototype,
            last_pid: prototype,
            runtime,
            main: None,
            router: None,
            exited: Vec::new(),
            workers: 0,
            me,
        };
        let connect = port_io::connect(near, identity(Role::Main, me), stage.prototype_identity());
        let main = stage.runtime.block_on(async { tokio::time::timeout(DEADLINE, connect).await });
        stage.main = Some(main.unwrap().unwrap());
        stage
    }

    fn prototype_identity(&self) -> Identity {
        identity(Role::Prototype, self.prototype)
    }

    /// Waits for `future`, with both ports at work.
    fn drive<F: Future>(&mut self, future: F) -> F::Output {
        let (main, router) = (&mut self.main, &mut self.router);
        let exited = &mut self.exited;
        self.runtime.block_on(async {
            let ports = async {
                loop {
                    tokio::select! {
                        message = recv(main) => if message.is_none() { *main = None },
                        message = recv(router) => match message {
                            Some((_, PrototypeToRouter::WorkerExited(news))) => exited.push(news),
                            None => *router = None,
                        },
                    }
                }
            };
            tokio::select! {
                output = future => output,
                () = ports => unreachable!("the ports are served for ever"),
                () = tokio::time::sleep(DEADLINE) => panic!("not in time; log:\n"),
            }
        })
    }

    /// Passes the time, with both ports at work.
    fn rest(&mut self, time: Duration) {
        self.drive(async { tokio::time::sleep(time).await });
    }

    /// Sets the prototype up; the refusal's text otherwise.
    pub(crate) fn try_set_up(&mut self, application: &str, set_up: SetUp) -> Result<(), String> {
        let (near, far) = port_io::bootstrap::pair().unwrap();
        let router = identity(Role::Router, self.me);
        let request = WithFds {
            body: SetUpPrototype {
                name: "app".to_owned(),
                router,
                credentials: set_up.credentials,
                working_directory: set_up.working_directory,
                stdout: set_up.stdout,
                stderr: set_up.stderr,
                new_privs: !set_up.no_new_privs,
                application: application.as_bytes().to_vec(),
            },
            fds: [far],
        };
        let sender = self.main.as_ref().expect("main's port is open").0.clone();
        match self.drive(sender.request(request)) {
            Ok(()) => {}
            Err(RequestError::Refused(refusal)) => return Err(refusal.text),
            Err(error) => panic!("{error}; log:\n{}", self.log()),
        }
        let connect = port_io::connect(near, router, self.prototype_identity());
        self.router = Some(self.drive(connect).unwrap());
        Ok(())
    }

    pub(crate) fn set_up(&mut self, application: &str) {
        self.try_set_up(application, SetUp::default()).unwrap();
    }

    /// Has a worker forked that has one channel, and waits until it is ready.
    pub(crate) fn worker(&mut self) -> Worker {
        let mut worker = self.fork_worker(1);
        worker.wait_until_ready(self);
        worker
    }

    /// Has a worker forked.
    pub(crate) fn fork_worker(&mut self, channels: u32) -> Worker {
        let page = LoopPage::new().unwrap();
        let (channel, half) = RouterChannel::new().unwrap();
        self.workers += 1;
        let id = WorkerId(self.workers);
        let request = WithFds { body: StartWorker { worker: id, channels }, fds: fds(half, &page) };
        let sender = self.router.as_ref().expect("the router's port is open").0.clone();
        let started = self.drive(sender.request(request)).unwrap();
        Worker { id, pid: started.pid.0, page, channels: vec![channel] }
    }

    pub(crate) fn signal(&mut self, worker: &Worker, signal: WorkerSignal) {
        let message = RouterToPrototype::SignalWorker(SignalWorker { worker: worker.id, signal });
        self.router.as_ref().expect("the router's port is open").0.send(message).unwrap();
    }

    pub(crate) fn quit(&mut self, quit: Quit) {
        let main = &self.main.as_ref().expect("main's port is open").0;
        main.send(MainToPrototype::Quit(quit)).unwrap();
    }

    pub(crate) fn main(&self) -> &Sender<MainToPrototype, PrototypeToMain> {
        &self.main.as_ref().expect("main's port is open").0
    }

    /// Hangs up as a router that died would.
    pub(crate) fn drop_router(&mut self) {
        self.router = None;
    }

    pub(crate) fn drop_main(&mut self) {
        self.main = None;
    }

    /// Waits for the news of a worker's end.
    pub(crate) fn wait_for_exit(&mut self, worker: &Worker) -> WorkerExited {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(news) = self.exited.iter().find(|news| news.worker == worker.id) {
                return *news;
            }
            assert!(Instant::now() < deadline, "no news of the end; log:\n{}", self.log());
            self.rest(Duration::from_millis(5));
        }
    }

    /// Waits for the prototype's end.
    pub(crate) fn wait_for_end(&mut self) -> WaitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            // Tests run in one process each way: the prototype may not be the only child of it.
            if let Some(ending) = ending_of(self.prototype) {
                self.prototype = 0;
                return ending;
            }
            assert!(Instant::now() < deadline, "the prototype runs on; log:\n{}", self.log());
            self.rest(Duration::from_millis(5));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Waits until the log has a line with this text, and returns the line.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(line) = self.log().lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "no {text:?} in the log:\n{}", self.log());
            self.rest(Duration::from_millis(5));
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.main = None;
        self.router = None;
        if self.prototype == 0 {
            return;
        }
        let deadline = Instant::now() + DEADLINE;
        while ending_of(self.prototype).is_none() {
            if Instant::now() > deadline {
                let pid = sys::process::Pid::from_raw(self.prototype);
                let _ = sys::signal::send(pid, sys::signal::Signal::SIGKILL);
                assert!(std::thread::panicking(), "the prototype outlives its ports");
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

async fn recv<Tx, Rx>(port: &mut Option<Ends<Tx, Rx>>) -> Option<(port_proto::StreamId, Rx)>
where
    Tx: port_proto::Direction,
    Rx: port_proto::Direction,
{
    match port {
        Some((_, receiver)) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

fn identity(role: Role, pid: i32) -> Identity {
    Identity { role, pid: Pid(pid), generation: Generation(1) }
}

fn fds(half: WorkerHalf, page: &LoopPage) -> [OwnedFd; 3] {
    [half.memory, half.doorbell, page.fd().try_clone_to_owned().unwrap()]
}

/// Reaps one process and no other: tests of one binary run side by side.
fn ending_of(pid: i32) -> Option<WaitStatus> {
    let status = waitpid(sys::process::Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)).unwrap();
    (status != WaitStatus::StillAlive).then_some(status)
}

/// A worker, seen from the router.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) pid: i32,
    pub(crate) channels: Vec<RouterChannel>,
    page: LoopPage,
}

/// A request to offer.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) flags: u32,
    pub(crate) target_index: u32,
    pub(crate) minor_version: u32,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) remote: &'a str,
    pub(crate) local: (&'a str, &'a str),
    pub(crate) server_name: &'a str,
    pub(crate) fields: Vec<(&'a [u8], &'a [u8])>,
    pub(crate) body: &'a [u8],
    /// Whether the body travels in a file.
    pub(crate) in_file: bool,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self {
            flags: 0,
            target_index: 0,
            minor_version: 1,
            method: "GET",
            target: path,
            path,
            query: None,
            remote: "192.0.2.1",
            local: ("127.0.0.1", "8080"),
            server_name: "example.org",
            fields: vec![(b"Host", b"example.org")],
            body: b"",
            in_file: false,
        }
    }

    pub(crate) fn post(path: &'a str, body: &'a [u8]) -> Self {
        Self { method: "POST", body, ..Self::get(path) }
    }
}

/// An answer as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// Whether the application failed.
    pub(crate) failed: bool,
    pub(crate) records: usize,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }
}

impl Worker {
    /// Adds a further channel.
    pub(crate) fn attach(&mut self) {
        let (channel, half) = RouterChannel::new().unwrap();
        let fds = fds(half, &self.page);
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        assert!(self.channels[0].send(ToWorker::Attach, &fds).unwrap());
        self.channels.push(channel);
    }

    pub(crate) fn wait_until_ready(&mut self, stage: &mut Stage) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.channels[0].receive() {
                Ok(Some((ToRouter::Ready, None))) => return,
                Ok(Some(other)) => panic!("{other:?} instead of ready"),
                Ok(None) => {}
                Err(error) => panic!("{error} instead of ready; log:\n{}", stage.log()),
            }
            assert!(Instant::now() < deadline, "not ready; log:\n{}", stage.log());
            stage.rest(Duration::from_millis(1));
        }
    }

    pub(crate) fn offer(&mut self, channel: usize, ask: &Ask<'_>) -> RequestId {
        let mut record = Vec::new();
        let file = ask.in_file.then(|| {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, ask.body).unwrap();
            file
        });
        let body = if ask.in_file { &[] } else { ask.body };
        let flag = if ask.in_file { app_proto::REQUEST_BODY_FILE } else { 0 };
        let parts = RequestParts {
            flags: ask.flags | flag,
            target_index: ask.target_index,
            minor_version: ask.minor_version,
            method: ask.method.as_bytes(),
            target: ask.target.as_bytes(),
            path: ask.path.as_bytes(),
            query: ask.query.map(str::as_bytes),
            remote: ask.remote.as_bytes(),
            local_addr: ask.local.0.as_bytes(),
            local_port: ask.local.1.as_bytes(),
            server_name: ask.server_name.as_bytes(),
            body,
            body_len: ask.body.len() as u64,
        };
        encode_request(&mut record, &parts, ask.fields.iter().copied()).unwrap();
        match self.channels[channel].offer(&mut record, file.as_ref().map(AsFd::as_fd)) {
            Ok(id) => id,
            Err(OfferError::Full) => panic!("the channel is full"),
            Err(OfferError::Channel(error)) => panic!("{error}"),
        }
    }

    pub(crate) fn ring(&mut self) {
        for channel in &mut self.channels {
            channel.ring().unwrap();
        }
    }

    /// Asks and reads the whole answer.
    pub(crate) fn ask(&mut self, ask: &Ask<'_>) -> Answer {
        let id = self.offer(0, ask);
        self.ring();
        self.collect(0, id)
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask(&Ask::get(path))
    }

    /// Reads an answer to its end, giving credit for all of it.
    pub(crate) fn collect(&mut self, channel: usize, id: RequestId) -> Answer {
        let mut answer = Answer::default();
        while !self.read_record(channel, id, &mut answer) {}
        answer
    }

    /// Reads one record of an answer; true when it was the last.
    pub(crate) fn read_record(
        &mut self,
        channel: usize,
        id: RequestId,
        answer: &mut Answer,
    ) -> bool {
        let (record, payload) = self.next_record(channel, DEADLINE).expect("an answer in time");
        assert_eq!(record.id, id, "the answer to another request");
        answer.records += 1;
        let channel = &mut self.channels[channel];
        match record.kind {
            ResponseKind::Head => {
                assert_eq!(answer.status, None, "a second head");
                let head = ResponseHead::decode(&payload).unwrap();
                answer.status = Some(head.status);
                answer.fields = head
                    .fields()
                    .map(|(name, value)| {
                        (String::from_utf8(name.to_vec()).unwrap(), value.to_vec())
                    })
                    .collect();
                answer.body.extend_from_slice(head.body);
                channel.consume(id, head.body.len());
            }
            ResponseKind::Body => {
                assert!(answer.status.is_some(), "a body without a head");
                answer.body.extend_from_slice(&payload);
                channel.consume(id, payload.len());
            }
            ResponseKind::File => panic!("no file was expected"),
            ResponseKind::Failed => answer.failed = true,
            ResponseKind::Upgrade | ResponseKind::Taken => panic!("{record:?} to a request"),
        }
        if record.last {
            channel.finish(id);
        }
        channel.ring().unwrap();
        record.last
    }

    /// The next record, sleeping as a loop does.
    pub(crate) fn next_record(
        &mut self,
        channel: usize,
        patience: Duration,
    ) -> Option<(ResponseRecord, Vec<u8>)> {
        let deadline = Instant::now() + patience;
        loop {
            let list = &mut self.channels;
            if let Some(record) = list[channel].next_record().unwrap() {
                let mut payload = Vec::new();
                list[channel].read_payload(&record, &mut payload).unwrap();
                list[channel].advance(&record);
                list[channel].publish();
                list[channel].ring().unwrap();
                return Some((record, payload));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.page.fall_asleep();
            if !list[channel].has_records() {
                let doorbell = list[channel].doorbell();
                let _ = sys::poll::poll(&mut [PollFd::new(&doorbell, PollFlags::IN)], Some(left));
            }
            self.page.wake_up();
            loop {
                match list[channel].receive() {
                    Ok(Some((message, _))) => assert_eq!(message, ToRouter::Wake),
                    Ok(None) => break,
                    // Its last words may be in the ring.
                    Err(ChannelError::HungUp) if list[channel].has_records() => break,
                    Err(error) => panic!("{error} instead of an answer"),
                }
            }
        }
    }

    pub(crate) fn tell(&self, message: ToWorker, fds: &[BorrowedFd<'_>]) {
        assert!(self.channels[0].send(message, fds).unwrap());
    }
}

/// Reads a file from its start.
pub(crate) fn contents(file: &mut File) -> String {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
