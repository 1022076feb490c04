//! The router's first thread: it talks to main, the controller and the prototypes, builds
//! configurations, starts and replaces workers, and tells the event loops what to do. It serves no
//! request.

mod access_log;
mod application;
mod apply;
mod gauge;
mod loops;
mod needs;
mod unsupported;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use port_proto::{
    ControllerToRouter, Identity, ListenAddress, MainToRouter, Quit, RestartApplication,
    RestartRefusal, Role, RouterToController, RouterToMain, SetUpRouter, Status,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;

use crate::event_loop::{Command, Notice, Peers};
use crate::snapshot::ListenerId;
use access_log::LogFiles;
use application::App;
use apply::Prepared;
pub use gauge::WorkerGauge;
use loops::Loops;

type MainSender = port_io::Sender<RouterToMain, MainToRouter>;
type ControllerSender = port_io::Sender<RouterToController, ControllerToRouter>;

/// How often idle workers and stopped loops are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often a router that stops looks whether connections and loops have ended.
const LOOK_AT_ENDS: Duration = Duration::from_millis(5);

/// Why the router cannot run.
#[derive(Debug, Error)]
pub enum RouterError {
    /// Main is not there or not of this release.
    #[error(transparent)]
    Connect(#[from] port_io::ConnectError),
    /// Main hung up before it said anything.
    #[error("main hung up before it set the router up")]
    NoSetUp,
    /// An event loop could not be started.
    #[error("cannot start event loop {index}: {error}")]
    Loop {
        /// Its number.
        index: usize,
        /// What failed.
        error: io::Error,
    },
}

/// The state of the control thread. All of its tasks run on one thread and share it.
pub(crate) struct Control {
    me: Identity,
    main: MainSender,
    tmp_dir: PathBuf,
    environment: conf::Environment,
    notices: mpsc::UnboundedSender<Notice>,
    peers: Peers,
    /// The event loops.
    loops: RefCell<Loops>,
    /// Every application that has anything left, by number.
    apps: RefCell<BTreeMap<u32, Rc<App>>>,
    next_app: RefCell<u32>,
    /// The listening sockets that are open, and the number of each.
    listeners: RefCell<HashMap<ListenAddress, ListenerId>>,
    next_listener: RefCell<u32>,
    /// The applications of the running configuration, in its order.
    current: RefCell<Vec<Rc<App>>>,
    /// Whether there has been a running configuration. Before, main may hold sockets that are ours.
    has_committed: Cell<bool>,
    /// The files of access logs.
    log_files: LogFiles,
    /// A configuration that waits for its commit.
    prepared: RefCell<Option<Prepared>>,
    /// One change of configuration at a time, also when controllers are exchanged in mid-update.
    changing: tokio::sync::Mutex<()>,
    /// How the loops were told to end, once they were.
    quit: Cell<Option<Quit>>,
}

/// Runs the router until main says to stop or hangs up.
///
/// # Errors
/// [`RouterError`] when it cannot start.
pub async fn run() -> Result<(), RouterError> {
    let (me, _, main, inbox) =
        port_io::bootstrap::inherited::<RouterToMain, MainToRouter>(Role::Router).await?;
    serve(me, main, inbox).await
}

/// Runs the router on a port to main.
///
/// # Errors
/// As [`run`].
pub async fn serve(
    me: Identity,
    main: MainSender,
    mut inbox: port_io::Receiver<RouterToMain, MainToRouter>,
) -> Result<(), RouterError> {
    let set_up = loop {
        match inbox.recv().await {
            Some((_, MainToRouter::SetUp(set_up))) => break set_up,
            Some((_, MainToRouter::Quit(_))) => return Ok(()),
            Some((_, MainToRouter::ReopenLog(log))) => redirect_log(&log.fds[0]),
            Some((_, MainToRouter::NewPeer(_) | MainToRouter::PeerLost(_))) => {}
            None => return Err(RouterError::NoSetUp),
        }
    };
    unit_log::info!("router started");
    let (notices, noticed) = mpsc::unbounded_channel();
    let control = Rc::new(Control::new(me, main, set_up, notices));
    control.ensure_loops(available_threads())?;
    control.settle_loops(available_threads());
    let watching = Rc::clone(&control);
    spawn_local(async move { watching.watch(noticed).await });
    let looking = Rc::clone(&control);
    spawn_local(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            looking.look_after_workers();
        }
    });
    let quit = loop {
        match inbox.recv().await {
            Some((_, MainToRouter::NewPeer(peer))) => {
                let [socket] = peer.fds;
                if peer.body.peer.role == Role::Controller {
                    let control = Rc::clone(&control);
                    spawn_local(async move { control.obey(socket, peer.body.peer).await });
                }
            }
            // A controller that is gone shows on its own port, and so does a prototype.
            Some((_, MainToRouter::PeerLost(_) | MainToRouter::SetUp(_))) => {}
            Some((_, MainToRouter::ReopenLog(log))) => {
                control.reopen_log(log.fds);
                let control = Rc::clone(&control);
                spawn_local(async move { control.reopen_access_logs().await });
            }
            Some((_, MainToRouter::Quit(quit))) => break quit,
            // Main is gone, and everything goes with it.
            None => break Quit::Fast,
        }
    };
    // The port must be read for as long as anything is asked over it, and a second word counts.
    let (hurry, hurried) = oneshot::channel();
    spawn_local(async move {
        loop {
            match inbox.recv().await {
                Some((_, MainToRouter::Quit(Quit::Fast))) | None => break,
                Some(_) => {}
            }
        }
        // The router may have stopped meanwhile.
        let _ = hurry.send(());
    });
    tokio::select! {
        () = control.stop(quit) => {}
        _ = hurried, if quit == Quit::Graceful => control.stop(Quit::Fast).await,
    }
    Ok(())
}

/// As many loops as there are CPUs this process may use.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn redirect_log(log: &OwnedFd) {
    if let Err(error) = unit_log::redirect(log) {
        unit_log::alert!("cannot move standard error to the reopened log: {error}");
    }
}

impl Control {
    fn new(
        me: Identity,
        main: MainSender,
        set_up: SetUpRouter,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Self {
        let modules = set_up
            .modules
            .into_iter()
            .filter_map(|module| {
                let language = conf::Language::from_name(module.language.as_bytes())?;
                Some(conf::Module { language, version: module.version, file: module.file })
            })
            .collect();
        let environment = conf::Environment {
            modules,
            certificates: conf::Names::Unchecked,
            scripts: conf::Names::Unchecked,
            // The controller has checked; what it clamped must not be refused here.
            origin: conf::Origin::Stored,
            // What is not built yet is refused by name, not as unknown.
            features: conf::Features { tls: true, otel: true, ..conf::Features::default() },
            ..conf::Environment::default()
        };
        Self {
            me,
            main,
            tmp_dir: PathBuf::from(set_up.tmp_dir),
            environment,
            notices,
            peers: Arc::new(ArcSwap::from_pointee(Vec::new())),
            loops: RefCell::new(Loops::default()),
            apps: RefCell::new(BTreeMap::new()),
            next_app: RefCell::new(0),
            listeners: RefCell::new(HashMap::new()),
            next_listener: RefCell::new(0),
            current: RefCell::new(Vec::new()),
            has_committed: Cell::new(false),
            log_files: LogFiles::default(),
            prepared: RefCell::new(None),
            changing: tokio::sync::Mutex::new(()),
            quit: Cell::new(None),
        }
    }

    /// Whether a worker that ends is still missed by anyone.
    fn needs_workers(&self) -> bool {
        match self.quit.get() {
            None => true,
            Some(Quit::Fast) => false,
            Some(Quit::Graceful) => self.loops.borrow().count().open() > 0,
        }
    }

    fn app(&self, id: u32) -> Option<Rc<App>> {
        self.apps.borrow().get(&id).map(Rc::clone)
    }

    /// Hears what the loops have to say.
    async fn watch(self: Rc<Self>, mut noticed: mpsc::UnboundedReceiver<Notice>) {
        while let Some(notice) = noticed.recv().await {
            match notice {
                Notice::WorkerReady(key) => {
                    if let Some(app) = self.app(key.app) {
                        app.worker_ready(&self, key);
                    }
                }
                Notice::WorkerLost { key, broke_rules } => {
                    if let Some(app) = self.app(key.app) {
                        app.worker_lost(key, broke_rules);
                    }
                }
                Notice::WorkerHung(key) => {
                    if let Some(app) = self.app(key.app) {
                        app.worker_hung(key);
                    }
                }
                Notice::Demand(id) => {
                    if let Some(app) = self.app(id) {
                        app.on_demand();
                    }
                }
                Notice::AppGone { app, index } => self.app_gone(app, index),
                Notice::Vacant { index, round } => self.loop_vacant(index, round),
            }
        }
    }

    /// Nothing of an application is left on a loop. After the last loop it is over.
    fn app_gone(&self, app: u32, index: usize) {
        if let Some(app) = self.app(app)
            && app.gone_from(index)
        {
            app.stop_all();
            self.tell_all(|| Command::ForgetApp(app.id));
            self.apps.borrow_mut().remove(&app.id);
        }
    }

    /// Does what a controller asks, until it hangs up.
    async fn obey(self: Rc<Self>, socket: OwnedFd, peer: Identity) {
        let connected =
            port_io::connect::<RouterToController, ControllerToRouter>(socket, self.me, peer).await;
        let (port, mut inbox) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                unit_log::alert!("cannot connect to the controller: {error}");
                return;
            }
        };
        while let Some((stream, message)) = inbox.recv().await {
            let control = Rc::clone(&self);
            let port = port.clone();
            // The port is read on while a configuration is being built.
            spawn_local(async move { control.answer(&port, stream, message).await });
        }
        // A configuration that nobody will commit.
        self.abort().await;
    }

    async fn answer(
        self: Rc<Self>,
        port: &ControllerSender,
        stream: port_proto::StreamId,
        message: ControllerToRouter,
    ) {
        use port_proto::{AbortConfig, CommitConfig, GetStatus, PrepareConfig};
        let sent = match message {
            ControllerToRouter::PrepareConfig(request) => {
                let prepared = self.prepare(request.stage, &request.json).await;
                if let Err(refusal) = &prepared {
                    unit_log::alert!("failed to apply new conf");
                    unit_log::debug!("{}", refusal.text);
                }
                port.answer::<PrepareConfig>(stream, prepared)
            }
            ControllerToRouter::CommitConfig(CommitConfig) => {
                let committed = self.commit().await;
                port.answer::<CommitConfig>(stream, committed)
            }
            ControllerToRouter::AbortConfig(AbortConfig) => {
                self.abort().await;
                port.answer::<AbortConfig>(stream, Ok(()))
            }
            ControllerToRouter::GetStatus(GetStatus) => {
                port.answer::<GetStatus>(stream, Ok(self.status()))
            }
            ControllerToRouter::RestartApplication(request) => {
                let restarted = self.restart(&request.name);
                port.answer::<RestartApplication>(stream, restarted)
            }
        };
        if let Err(error) = sent {
            unit_log::warn!("the controller did not wait for its answer: {error}");
        }
    }

    /// The counters of all loops and applications.
    fn status(&self) -> Status {
        let counted = self.loops.borrow().count();
        let open = counted.open();
        // A connection that changed loops between two looks may be missing: below zero is none.
        let idle = if counted.idle > u64::MAX / 2 { 0 } else { counted.idle.min(open) };
        let mut status = Status {
            accepted: counted.accepted,
            idle,
            active: open - idle,
            closed: counted.closed,
            requests: counted.requests,
            ..Status::default()
        };
        status.applications = self.current.borrow().iter().map(|app| app.status()).collect();
        status
    }

    fn restart(self: &Rc<Self>, name: &str) -> Result<(), RestartRefusal> {
        let app = self
            .current
            .borrow()
            .iter()
            .find(|app| app.config.name.as_bytes() == name.as_bytes())
            .map(Rc::clone)
            .ok_or(RestartRefusal::Unknown)?;
        app.restart(self);
        Ok(())
    }

    /// Stops workers that were idle for longer than their application keeps them, and ends those
    /// that should have ended.
    fn look_after_workers(&self) {
        for app in self.apps.borrow().values() {
            app.stop_idle_workers(self);
            app.look_after();
        }
    }

    /// Moves to the reopened log and hands it on to the workers.
    fn reopen_log(&self, log: [OwnedFd; 1]) {
        let [log] = log;
        redirect_log(&log);
        let log = Arc::new(log);
        // One loop reaches every worker.
        self.tell(0, Command::ReopenLog(log));
    }

    /// Accepts nothing more and waits until every connection is closed. Main has the patience that
    /// bounds it.
    async fn drain(&self) {
        let mut draining = Vec::new();
        let indices = self.loops.borrow().indices();
        for index in indices {
            let (done, is_done) = oneshot::channel();
            self.tell(index, Command::Drain { done });
            draining.push(is_done);
        }
        for is_done in draining {
            // A loop that ended accepts nothing either.
            let _ = is_done.await;
        }
        while self.loops.borrow().count().open() > 0 {
            tokio::time::sleep(LOOK_AT_ENDS).await;
        }
    }

    /// Ends the loops, then the applications.
    async fn stop(&self, quit: Quit) {
        self.quit.set(Some(quit));
        match quit {
            Quit::Fast => {}
            Quit::Graceful => self.drain().await,
        }
        self.loops.borrow().quit();
        while !self.loops.borrow().have_ended() {
            tokio::time::sleep(LOOK_AT_ENDS).await;
        }
        for app in self.apps.borrow().values() {
            app.stop_all();
        }
        // What was queued for main and the prototypes leaves before this process does.
        let _ = self.main.flush().await;
    }
}
