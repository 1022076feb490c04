//! The running daemon: reports to the supervisor what happened, and does what it says.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use port_io::{ConnectError, Receiver};
use port_proto::{
    ControllerToMain, DeleteUpload, Direction, DiscoveryToMain, Identity, Kind, ListenerErrorClass,
    ListenerOpened, ListenerRefusal, MainToController, MainToDiscovery, MainToRouter, Module,
    OpenAccessLog, OpenListener, OpenUpload, PermitConfig, Pid, ProbeModules, PrototypeStarted,
    Quit, Refusal, RouterToMain, SetUpController, SetUpRouter, StartPrototype, StoreConfig,
    StoreUpload, StreamId, WithFds,
};
use sys::errno::Described;
use sys::signal::{Ending, Signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::timeout_at;

use crate::address::show;
use crate::control_socket::ControlSocket;
use crate::environment::Environment;
use crate::executables::{CoreRole, Executables};
use crate::listeners::Listeners;
use crate::log_file;
use crate::modules::Modules;
use crate::peer::{Peer, report, say};
use crate::permits::{self, LogPermit, Permits};
use crate::prototype::{self, Asked, Outcome, Surroundings};
use crate::rotation::Rotation;
use crate::start::{Program, Starter};
use crate::store::{Store, StoreError};
use crate::supervisor::{Action, Supervisor};

/// How many events may wait; ports are read no further then.
const EVENTS_MAX: usize = 64;

/// The signals main listens to.
const SIGNALS: [Signal; 7] = [
    Signal::SIGCHLD,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Something that happened outside.
pub enum Event {
    /// A signal arrived.
    Signal(Signal),
    /// A process said hello.
    Connected(Identity, Peer),
    /// A process did not say hello, or not properly.
    ConnectFailed(Identity, ConnectError),
    /// Discovery said something.
    FromDiscovery(Identity, DiscoveryToMain),
    /// The controller said something.
    FromController(Identity, StreamId, ControllerToMain),
    /// The router said something.
    FromRouter(Identity, StreamId, RouterToMain),
    /// A prototype became the application's, or did not.
    PrototypeSettled {
        /// The prototype.
        identity: Identity,
        /// Who asked for it.
        asked: Asked,
        /// What the answer is.
        outcome: Outcome,
    },
    /// A port hung up.
    HungUp(Identity),
}

/// Where tasks report events.
#[derive(Clone)]
pub struct Events(mpsc::Sender<Event>);

/// Where the daemon hears of them.
pub struct Arrivals {
    events: Events,
    receiver: mpsc::Receiver<Event>,
}

impl Arrivals {
    /// Listens to signals from now on. Call it inside a `LocalSet`.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub fn listen() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        let events = Events(sender);
        for which in SIGNALS {
            let signals = signal(SignalKind::from_raw(which as i32))?;
            spawn_local(events.clone().forward_signals(which, signals));
        }
        Ok(Self { events, receiver })
    }
}

impl Events {
    /// Reports one. Without a daemon to hear it, it has no meaning any more.
    pub async fn send(&self, event: Event) {
        let _ = self.0.send(event).await;
    }

    /// Reports everything that arrives on a port, then that it hung up.
    pub async fn forward<Tx: Direction, Rx: Direction>(
        self,
        mut receiver: Receiver<Tx, Rx>,
        from: Identity,
        event: fn(Identity, StreamId, Rx) -> Event,
    ) {
        while let Some((stream, message)) = receiver.recv().await {
            self.send(event(from, stream, message)).await;
        }
        self.send(Event::HungUp(from)).await;
    }

    /// Exchanges hellos with a process, then forwards what it says.
    async fn attend<Tx: Direction, Rx: Direction>(
        self,
        port: OwnedFd,
        main: Identity,
        peer: Identity,
        wrap: fn(port_io::Sender<Tx, Rx>) -> Peer,
        event: fn(Identity, StreamId, Rx) -> Event,
    ) {
        match port_io::connect::<Tx, Rx>(port, main, peer).await {
            Ok((sender, receiver)) => {
                self.send(Event::Connected(peer, wrap(sender))).await;
                self.forward(receiver, peer, event).await;
            }
            Err(error) => self.send(Event::ConnectFailed(peer, error)).await,
        }
    }

    async fn forward_signals(self, which: Signal, mut signals: tokio::signal::unix::Signal) {
        while signals.recv().await.is_some() {
            self.send(Event::Signal(which)).await;
        }
    }
}

/// Everything the daemon was made from.
pub struct Parts {
    /// Executes processes.
    pub starter: Starter,
    /// The roles' executables.
    pub executables: Executables,
    /// The environment at start.
    pub environment: Environment,
    /// The control socket, for every controller.
    pub control: ControlSocket,
    /// The listening sockets, those it was started with among them.
    pub listeners: Listeners,
    /// The state directory.
    pub store: Store,
    /// Where language runtimes are.
    pub modules_dir: PathBuf,
    /// Where temporary files go.
    pub tmp_dir: String,
    /// The log file.
    pub log: String,
    /// Whether the daemon is in the background.
    pub in_background: bool,
}

/// The daemon.
pub struct Daemon {
    parts: Parts,
    supervisor: Supervisor,
    peers: HashMap<Identity, Peer>,
    modules: Modules,
    permits: Permits,
    /// What was executed before the log was reopened, and could not be told of it yet.
    behind: HashSet<Identity>,
    /// Whether controller and router have been started before.
    started: Vec<CoreRole>,
    arrivals: Arrivals,
}

/// Whether the daemon came to a good end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to stop.
    Stopped,
    /// It could not start.
    Failed,
}

impl Daemon {
    /// A daemon that has started nothing yet.
    #[must_use]
    pub fn new(parts: Parts, arrivals: Arrivals) -> Self {
        let pid = Pid(sys::process::id().as_raw());
        Self {
            parts,
            supervisor: Supervisor::new(pid, Instant::now()),
            peers: HashMap::new(),
            modules: Modules::default(),
            permits: Permits::default(),
            behind: HashSet::new(),
            started: Vec::new(),
            arrivals,
        }
    }

    /// Runs until the last process is gone, and removes the daemon's sockets.
    pub async fn run(mut self) -> End {
        let end = loop {
            if let Some(end) = self.act() {
                break end;
            }
            let arrival = match self.supervisor.deadline() {
                Some(deadline) => {
                    timeout_at(deadline.into(), self.arrivals.receiver.recv()).await.ok()
                }
                None => Some(self.arrivals.receiver.recv().await),
            };
            if let Some(Some(event)) = arrival {
                self.take(event);
            }
            self.supervisor.tick(Instant::now());
        };
        self.parts.listeners.keep(&[]);
        self.parts.control.remove();
        end
    }

    /// Does what the supervisor wants done.
    fn act(&mut self) -> Option<End> {
        while let Some(action) = self.supervisor.next_action() {
            match action {
                Action::Start(role) => self.start(role),
                Action::SetUp(identity) => self.set_up(identity),
                Action::Introduce(one, other) => self.introduce(one, other),
                Action::TellLost { told, lost } => {
                    if let Some(peer) = self.peers.get(&told) {
                        peer.tell_lost(lost);
                    }
                }
                Action::Quit(identity, how) => {
                    if let Some(peer) = self.peers.get(&identity) {
                        peer.quit(how);
                    }
                }
                Action::Signal(identity, signal) => send_signal(identity, signal),
                Action::Forget(identity) => {
                    self.peers.remove(&identity);
                    self.behind.remove(&identity);
                }
                Action::DiscoveryFailed => {
                    unit_log::alert!("discovery failed, no application modules are available");
                }
                Action::Delayed(role, delay) => unit_log::notice!(
                    "{} is started again in {}",
                    role.role().name(),
                    show_delay(delay)
                ),
                Action::Exit { failed: true } => return Some(End::Failed),
                Action::Exit { failed: false } => return Some(End::Stopped),
            }
        }
        None
    }

    fn start(&mut self, role: CoreRole) {
        let again = self.started.contains(&role);
        if !again {
            self.started.push(role);
        }
        let name = role.role().name();
        if role == CoreRole::Controller {
            unit_log::info!("controller started");
        }
        let program = Program {
            role: role.role(),
            name: name.to_owned(),
            executable: self.parts.executables.of(role),
            environment: self.parts.environment.variables().to_vec(),
            is_quiet: false,
        };
        let (pid, port) = match self.parts.starter.start(program) {
            Ok(started) => started,
            Err(error) => {
                unit_log::alert!("{error}");
                if again {
                    unit_log::alert!("failed to restart {name}");
                } else {
                    unit_log::alert!("{name} failed to start");
                }
                self.supervisor.start_failed(role, Instant::now());
                return;
            }
        };
        let identity = self.supervisor.started(role.role(), Pid(pid.as_raw()), Instant::now());
        let (events, main) = (self.arrivals.events.clone(), self.supervisor.main());
        match role {
            CoreRole::Discovery => spawn_local(events.attend(
                port,
                main,
                identity,
                Peer::Discovery,
                |from, _, message| Event::FromDiscovery(from, message),
            )),
            CoreRole::Controller => spawn_local(events.attend(
                port,
                main,
                identity,
                Peer::Controller,
                Event::FromController,
            )),
            CoreRole::Router => {
                spawn_local(events.attend(port, main, identity, Peer::Router, Event::FromRouter))
            }
        };
    }

    /// Tells a process what it needs before anything else.
    fn set_up(&mut self, identity: Identity) {
        let Some(peer) = self.peers.get(&identity) else { return };
        match peer {
            Peer::Discovery(port) => {
                let modules_dir = self.parts.modules_dir.display().to_string();
                say(port, MainToDiscovery::ProbeModules(ProbeModules { modules_dir }));
            }
            Peer::Controller(port) => {
                let control = match sys::fd::duplicate(&self.parts.control) {
                    Ok(control) => control,
                    Err(error) => {
                        unit_log::alert!("dup() failed {}", Described(&error));
                        self.supervisor.connect_failed(identity, Instant::now());
                        return;
                    }
                };
                let body = SetUpController {
                    stored: self.parts.store.load(),
                    modules: self.modules.table().to_vec(),
                    uploads: self.parts.store.load_uploads(),
                };
                let sent = port.send(MainToController::SetUp(WithFds { body, fds: [control] }));
                let is_lost = sent.is_err();
                report(port, sent);
                if is_lost {
                    // It would wait for ever.
                    self.supervisor.connect_failed(identity, Instant::now());
                }
            }
            Peer::Router(port) => {
                let tmp_dir = self.parts.tmp_dir.clone();
                let modules = self.modules.table().to_vec();
                say(port, MainToRouter::SetUp(SetUpRouter { tmp_dir, modules }));
            }
            // The task that started it does that.
            Peer::Prototype(_) => {}
        }
    }

    /// Gives two processes a port to each other. One that cannot be reached by the other is of no
    /// use, and started again.
    fn introduce(&mut self, one: Identity, other: Identity) {
        let (Some(one_peer), Some(other_peer)) = (self.peers.get(&one), self.peers.get(&other))
        else {
            return;
        };
        match port_io::bootstrap::pair() {
            Ok((ones, others)) => {
                one_peer.introduce(other, ones);
                other_peer.introduce(one, others);
            }
            Err(error) => {
                unit_log::alert!("socketpair() failed {}", Described(&error));
                self.supervisor.connect_failed(one, Instant::now());
            }
        }
    }

    fn take(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Signal(signal) => self.take_signal(signal),
            Event::Connected(identity, peer) => {
                // It may have ended, and been reaped, since it said hello.
                if self.supervisor.connected(identity) {
                    if self.behind.remove(&identity) {
                        pass_log(identity, &peer);
                    }
                    self.peers.insert(identity, peer);
                }
            }
            Event::ConnectFailed(identity, error) => {
                unit_log::alert!("{} failed to start: {error}", identity.role.name());
                match error {
                    // It has ended, or will be made to; how it ended says what that means.
                    ConnectError::HungUp => self.supervisor.hung_up(identity, now),
                    ConnectError::NotInherited { .. }
                    | ConnectError::Io(_)
                    | ConnectError::Timeout
                    | ConnectError::Frame(_)
                    | ConnectError::Truncated
                    | ConnectError::Software { .. }
                    | ConnectError::Credentials { .. }
                    | ConnectError::Identity { .. }
                    | ConnectError::Role { .. } => self.supervisor.connect_failed(identity, now),
                }
            }
            Event::FromDiscovery(from, DiscoveryToMain::Modules(report)) => {
                if self.supervisor.report_arrived(from, now) {
                    self.take_modules(report.modules);
                }
            }
            Event::FromController(from, stream, message) => {
                self.serve_controller(from, stream, message);
            }
            Event::FromRouter(from, stream, message) => self.serve_router(from, stream, message),
            Event::PrototypeSettled { identity, asked, outcome } => {
                self.answer_start(identity, asked, outcome);
            }
            Event::HungUp(identity) => self.supervisor.hung_up(identity, now),
        }
    }

    fn take_modules(&mut self, report: Vec<Module>) {
        self.modules = Modules::take_report(report, &self.parts.modules_dir);
    }

    fn take_signal(&mut self, signal: Signal) {
        let (number, name) = (signal as i32, signal.as_str());
        match signal {
            Signal::SIGCHLD => self.reap(),
            Signal::SIGTERM | Signal::SIGINT => {
                unit_log::notice!("signal signo:{number} ({name}) received");
                self.stop(Quit::Fast);
            }
            Signal::SIGQUIT => {
                unit_log::notice!("signal signo:{number} ({name}) received");
                self.stop(Quit::Graceful);
            }
            Signal::SIGUSR1 => {
                unit_log::notice!("signal {number} ({name}) received, log files rotation");
                self.reopen_log();
            }
            _ => unit_log::notice!("signal signo:{number} ({name}) received, ignored"),
        }
    }

    /// Begins to stop. Nobody is to wait in a queue that no router will look at again: once the
    /// router has closed its copies of the listening sockets, clients are refused.
    fn stop(&mut self, how: Quit) {
        self.parts.listeners.keep(&[]);
        self.supervisor.stop(how, Instant::now());
    }

    fn reap(&mut self) {
        loop {
            match sys::signal::reap() {
                Ok(Some((pid, ending))) => {
                    log_ending(pid.as_raw(), ending);
                    let now = Instant::now();
                    self.supervisor.exited(Pid(pid.as_raw()), ending, now);
                }
                Ok(None) => return,
                Err(error) => {
                    unit_log::alert!("waitpid() failed {}", Described(&error));
                    return;
                }
            }
        }
    }

    /// Moves the log of every process to a new file, or of none.
    fn reopen_log(&mut self) {
        let outcome = Rotation::prepare(&self.parts.log, self.peers.keys().copied())
            .and_then(|rotation| rotation.perform(|identity| self.peers.get(identity)));
        match outcome {
            Ok(()) => self.behind.extend(self.supervisor.starting()),
            Err(error) => unit_log::alert!("{error}"),
        }
    }

    fn serve_controller(&mut self, from: Identity, stream: StreamId, message: ControllerToMain) {
        let Some(Peer::Controller(port)) = self.peers.get(&from).cloned() else { return };
        match message {
            ControllerToMain::PermitConfig(request) => {
                self.permits.permit(request);
                report(&port, port.answer::<PermitConfig>(stream, Ok(())));
            }
            ControllerToMain::StoreConfig(request) => {
                let stored = self.store_config(&request);
                report(&port, port.answer::<StoreConfig>(stream, stored));
            }
            ControllerToMain::StoreUpload(StoreUpload { kind, name, content }) => {
                let stored = self.parts.store.store_upload(kind, &name, &content);
                report(&port, port.answer::<StoreUpload>(stream, stored.map_err(refused)));
            }
            ControllerToMain::DeleteUpload(DeleteUpload { kind, name }) => {
                let deleted = self.parts.store.delete_upload(kind, &name);
                report(&port, port.answer::<DeleteUpload>(stream, deleted.map_err(refused)));
            }
        }
    }

    fn store_config(&mut self, request: &StoreConfig) -> Result<(), Refusal> {
        self.parts.store.store(&request.json).map_err(|error| {
            let refusal = refused(error);
            unit_log::alert!("failed to store current configuration");
            refusal
        })?;
        self.permits.proposal_was_stored();
        Ok(())
    }

    fn serve_router(&mut self, from: Identity, stream: StreamId, message: RouterToMain) {
        let Some(Peer::Router(port)) = self.peers.get(&from).cloned() else { return };
        match message {
            RouterToMain::OpenListener(request) => {
                let reply = self.open_listener(from, &request);
                report(&port, port.answer::<OpenListener>(stream, reply));
            }
            RouterToMain::KeepListeners(request) => {
                self.parts.listeners.keep(&request.addresses);
                report(&port, port.answer::<port_proto::KeepListeners>(stream, Ok(())));
            }
            RouterToMain::OpenAccessLog(request) => {
                let reply = self.open_access_log(from, &request.path);
                report(&port, port.answer::<OpenAccessLog>(stream, reply));
            }
            RouterToMain::OpenUpload(request) => {
                let reply = self.open_upload(from, &request);
                report(&port, port.answer::<OpenUpload>(stream, reply));
            }
            RouterToMain::StartPrototype(request) => {
                let asked = Asked { router: from, stream };
                if let Err(refusal) = self.start_prototype(asked, &request) {
                    report(&port, port.answer::<StartPrototype>(stream, Err(refusal)));
                }
            }
        }
    }

    fn open_listener(
        &mut self,
        from: Identity,
        request: &OpenListener,
    ) -> Result<WithFds<ListenerOpened, 1>, ListenerRefusal> {
        let OpenListener { address, backlog } = request;
        if !self.permits.listener(address) {
            let Refusal { text } = permits::refuse(from, Kind::OpenListener, &show(address));
            return Err(ListenerRefusal { class: ListenerErrorClass::System, text });
        }
        let opened = self.parts.listeners.open(address, *backlog)?;
        Ok(WithFds { body: ListenerOpened { created: opened.created }, fds: [opened.socket] })
    }

    fn open_access_log(&self, from: Identity, path: &str) -> Result<WithFds<(), 1>, Refusal> {
        let opened = match self.permits.access_log(path) {
            Some(LogPermit::Real) => log_file::open(path),
            Some(LogPermit::Trial) => log_file::try_out(path),
            None => {
                return Err(permits::refuse(from, Kind::OpenAccessLog, &format!("\"{path}\"")));
            }
        };
        let file = opened.map_err(|error| {
            let text = format!("open(\"{path}\") failed {}", Described(&error));
            unit_log::error!("{text}");
            Refusal { text }
        })?;
        Ok(WithFds { body: (), fds: [file.into()] })
    }

    fn open_upload(&self, from: Identity, request: &OpenUpload) -> Result<WithFds<(), 1>, Refusal> {
        if !self.permits.upload(request) {
            return Err(permits::refuse(from, Kind::OpenUpload, &format!("\"{}\"", request.name)));
        }
        let file = self.parts.store.open_upload(request.kind, &request.name).map_err(refused)?;
        Ok(WithFds { body: (), fds: [file.into()] })
    }

    fn start_prototype(&mut self, asked: Asked, request: &StartPrototype) -> Result<(), Refusal> {
        let application = self.permits.application(request).ok_or_else(|| {
            let what = format!("application \"{}\"", request.name);
            permits::refuse(asked.router, Kind::StartPrototype, &what)
        })?;
        let surroundings = Surroundings {
            starter: &self.parts.starter,
            modules: &self.modules,
            environment: &self.parts.environment,
            in_background: self.parts.in_background,
        };
        let executed = prototype::execute(&surroundings, asked.router, application)?;
        let pid = Pid(executed.pid.as_raw());
        let role = port_proto::Role::Prototype;
        let identity = self.supervisor.started(role, pid, Instant::now());
        let (events, main) = (self.arrivals.events.clone(), self.supervisor.main());
        spawn_local(prototype::settle(executed, asked, main, identity, events));
        Ok(())
    }

    fn answer_start(&mut self, identity: Identity, asked: Asked, outcome: Outcome) {
        let lost = || Refusal::new("the prototype has ended");
        let outcome = outcome.and_then(|port| {
            self.supervisor.is_reachable(identity).then_some(port).ok_or_else(lost)
        });
        if outcome.is_err() {
            self.supervisor.prototype_failed(identity, Instant::now());
        } else {
            self.supervisor.prototype_known(identity, asked.router);
        }
        if let Some(Peer::Router(port)) = self.peers.get(&asked.router) {
            let reply = outcome.map(|prototype_port| WithFds {
                body: PrototypeStarted { prototype: identity },
                fds: [prototype_port],
            });
            report(port, port.answer::<StartPrototype>(asked.stream, reply));
        }
    }
}

/// Logs that the state directory did not do what was asked; the answer to who asked.
fn refused(error: StoreError) -> Refusal {
    unit_log::alert!("{error}");
    Refusal { text: error.to_string() }
}

/// Has a process move to the log that standard error leads to.
fn pass_log(identity: Identity, peer: &Peer) {
    match sys::fd::duplicate(std::io::stderr()) {
        Ok(log) => peer.reopen_log(log),
        Err(error) => unit_log::alert!(
            "{} {} keeps the old log: dup() failed {}",
            identity.role.name(),
            identity.pid.0,
            Described(&error)
        ),
    }
}

fn send_signal(identity: Identity, signal: Signal) {
    let pid = sys::process::Pid::from_raw(identity.pid.0);
    if let Err(error) = sys::signal::send(pid, signal) {
        unit_log::alert!("kill({pid}, {}) failed {}", signal as i32, Described(&error));
    }
}

fn log_ending(pid: i32, ending: Ending) {
    match ending {
        Ending::Code(code) => unit_log::notice!("process {pid} exited with code {code}"),
        Ending::Signal { number, core_dumped } => {
            let core = if core_dumped { " (core dumped)" } else { "" };
            unit_log::alert!("process {pid} exited on signal {number}{core}");
        }
    }
}

fn show_delay(delay: Duration) -> String {
    match delay.as_secs() {
        0 => format!("{} ms", delay.as_millis()),
        seconds => format!("{seconds} s"),
    }
}
