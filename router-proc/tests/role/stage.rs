//! The router's role in this process, with main, controller, prototypes and workers played by the
//! tests.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use port_proto::{
    CommitConfig, ConfigStage, ControllerToRouter, Generation, GetStatus, Identity, KeepListeners,
    ListenAddress, ListenerErrorClass, ListenerOpened, ListenerRefusal, MainToRouter, Module,
    NewPeer, OpenAccessLog, OpenListener, Pid, PrepareConfig, PrototypeStarted, Quit, Refusal,
    ReopenLog, Role, RouterToController, RouterToMain, SetUpRouter, StartPrototype, Status,
    StreamId, WithFds,
};
use router_proc::control::RouterError;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use crate::client::Client;
use crate::prototype::{self, Board};

pub(crate) type ControllerPort = port_io::Sender<ControllerToRouter, RouterToController>;
type MainPort = port_io::Sender<MainToRouter, RouterToMain>;

/// How long anything may take here.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the tests' main has and was asked.
#[derive(Default)]
pub(crate) struct Main {
    /// The listening sockets it holds.
    pub(crate) held: RefCell<HashMap<ListenAddress, OwnedFd>>,
    /// Sockets bound ahead, so that no other test gets their ports.
    bound: RefCell<HashMap<ListenAddress, OwnedFd>>,
    /// What the next request for a socket is refused with.
    pub(crate) refuse_listener: RefCell<Option<&'static str>>,
    /// What the requests for prototypes are refused with.
    pub(crate) refuse_prototype: RefCell<Option<&'static str>>,
    /// Access logs opened.
    pub(crate) logs_opened: Cell<u32>,
    /// The next access log gets this name as soon as it is opened, and is to be reopened.
    pub(crate) rotate_at_open: Cell<Option<PathBuf>>,
    /// Prototypes started.
    pub(crate) prototypes: Cell<u32>,
    /// Prototypes that have ended.
    pub(crate) ended: Rc<Cell<u32>>,
}

pub(crate) struct Stage {
    pub(crate) main: Rc<Main>,
    pub(crate) board: Arc<Board>,
    pub(crate) controller: ControllerPort,
    port: MainPort,
    router: JoinHandle<Result<(), RouterError>>,
    pub(crate) tmp_dir: tempfile::TempDir,
    tcp_ports: RefCell<HashMap<&'static str, u16>>,
    generation: Cell<u32>,
}

pub(crate) fn identity(role: Role, generation: u32) -> Identity {
    let pid = Pid(i32::try_from(std::process::id()).unwrap());
    Identity { role, pid, generation: Generation(generation) }
}

/// Runs a test on a stage of its own.
pub(crate) fn on_stage(test: impl AsyncFnOnce(Stage)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        tokio::time::timeout(DEADLINE, async { test(Stage::start().await).await })
            .await
            .expect("the test ends in time");
    });
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Stage {
    async fn start() -> Self {
        let tmp_dir = tempfile::tempdir().unwrap();
        let (near, far) = port_io::bootstrap::pair().unwrap();
        let router = spawn_local(async move {
            let (me, _, main, inbox) =
                port_io::bootstrap::accept::<RouterToMain, MainToRouter>(far, Role::Router).await?;
            router_proc::control::serve(me, main, inbox).await
        });
        let (port, mut inbox) = port_io::connect::<MainToRouter, RouterToMain>(
            near,
            identity(Role::Main, 0),
            identity(Role::Router, 1),
        )
        .await
        .unwrap();
        let main = Rc::new(Main::default());
        let board = Arc::new(Board::default());
        let (playing, answers, shared) = (Rc::clone(&main), port.clone(), Arc::clone(&board));
        spawn_local(async move {
            while let Some((stream, message)) = inbox.recv().await {
                playing.answer(&answers, stream, message, &shared);
            }
        });
        let set_up = SetUpRouter {
            tmp_dir: tmp_dir.path().to_str().unwrap().to_owned(),
            modules: vec![Module {
                language: "python".to_owned(),
                version: "3.11.2".to_owned(),
                file: "/usr/lib/unit/modules/python3.11.unit".to_owned(),
                mounts: Vec::new(),
            }],
        };
        port.send(MainToRouter::SetUp(set_up)).unwrap();
        let controller = new_controller(&port, 1).await;
        Self {
            main,
            board,
            controller,
            port,
            router,
            tmp_dir,
            tcp_ports: RefCell::new(HashMap::new()),
            generation: Cell::new(1),
        }
    }

    /// Another controller, as if the first had been restarted.
    pub(crate) async fn new_controller(&self) -> ControllerPort {
        self.generation.set(self.generation.get() + 1);
        new_controller(&self.port, self.generation.get()).await
    }

    /// Replaces `@name` in a configuration by a listening address of that name.
    pub(crate) fn fill_in(&self, json: &str) -> Vec<u8> {
        let mut text = json.to_owned();
        for name in ["@one", "@two", "@three"] {
            if text.contains(name) {
                text = text.replace(name, &format!("127.0.0.1:{}", self.tcp_port(name)));
            }
        }
        text.into_bytes()
    }

    pub(crate) fn tcp_port(&self, name: &'static str) -> u16 {
        *self.tcp_ports.borrow_mut().entry(name).or_insert_with(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let key = ListenAddress::Inet(address);
            self.main.bound.borrow_mut().insert(key, listener.into());
            address.port()
        })
    }

    pub(crate) async fn prepare(&self, json: &str) -> Result<(), String> {
        prepare(&self.controller, self.fill_in(json)).await
    }

    pub(crate) async fn commit(&self) {
        self.controller.request(CommitConfig).await.unwrap();
    }

    /// Makes this the running configuration.
    pub(crate) async fn apply(&self, json: &str) {
        self.prepare(json).await.unwrap();
        self.commit().await;
    }

    pub(crate) async fn status(&self) -> Status {
        self.controller.request(GetStatus).await.unwrap()
    }

    /// Waits until the counters are as wanted.
    pub(crate) async fn until_status(&self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.status().await;
            if holds(&status) {
                return status;
            }
            assert!(tokio::time::Instant::now() < deadline, "never: {what}: {status:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_to("@one").await
    }

    pub(crate) async fn connect_to(&self, name: &'static str) -> Client {
        Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.tcp_port(name)))).await
    }

    /// One request on a connection of its own: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut client = self.connect().await;
        client.get(path).await
    }

    pub(crate) fn tell_to_quit(&self, quit: Quit) {
        self.port.send(MainToRouter::Quit(quit)).unwrap();
    }

    pub(crate) async fn has_ended(self) {
        self.router.await.unwrap().unwrap();
        let Self { main, .. } = self;
        until("every prototype ends", || main.ended.get() == main.prototypes.get()).await;
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.router.is_finished()
    }

    pub(crate) async fn quit(self) {
        self.tell_to_quit(Quit::Fast);
        self.has_ended().await;
    }
}

/// Says that the logs were renamed. The one of this process stays what it is.
fn reopen_log(port: &MainPort) {
    let log = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    let message = WithFds { body: ReopenLog, fds: [log] };
    port.send(MainToRouter::ReopenLog(message)).unwrap();
}

async fn new_controller(port: &MainPort, generation: u32) -> ControllerPort {
    let (near, far) = port_io::bootstrap::pair().unwrap();
    let me = identity(Role::Controller, generation);
    port.send(MainToRouter::NewPeer(WithFds { body: NewPeer { peer: me }, fds: [far] })).unwrap();
    let connected = port_io::connect::<ControllerToRouter, RouterToController>(
        near,
        me,
        identity(Role::Router, 1),
    );
    let (controller, mut inbox) = connected.await.unwrap();
    spawn_local(async move { while inbox.recv().await.is_some() {} });
    controller
}

pub(crate) async fn prepare(controller: &ControllerPort, json: Vec<u8>) -> Result<(), String> {
    prepare_as(controller, ConfigStage::Proposed, json).await
}

pub(crate) async fn prepare_as(
    controller: &ControllerPort,
    stage: ConfigStage,
    json: Vec<u8>,
) -> Result<(), String> {
    match controller.request(PrepareConfig { stage, json }).await {
        Ok(()) => Ok(()),
        Err(port_io::RequestError::Refused(Refusal { text })) => Err(text),
        Err(error) => panic!("{error}"),
    }
}

impl Main {
    fn answer(
        self: &Rc<Self>,
        port: &MainPort,
        stream: StreamId,
        message: RouterToMain,
        board: &Arc<Board>,
    ) {
        match message {
            RouterToMain::OpenListener(request) => {
                port.answer::<OpenListener>(stream, self.open(request)).unwrap();
            }
            RouterToMain::KeepListeners(KeepListeners { addresses }) => {
                let kept: HashSet<ListenAddress> = addresses.into_iter().collect();
                self.held.borrow_mut().retain(|address, _| kept.contains(address));
                port.answer::<KeepListeners>(stream, Ok(())).unwrap();
            }
            RouterToMain::StartPrototype(_) => {
                let started = match *self.refuse_prototype.borrow() {
                    Some(text) => Err(Refusal::new(text)),
                    None => Ok(self.start_prototype(board)),
                };
                // The router may have gone meanwhile.
                let _ = port.answer::<StartPrototype>(stream, started);
            }
            RouterToMain::OpenAccessLog(OpenAccessLog { path }) => {
                self.logs_opened.set(self.logs_opened.get() + 1);
                let file = File::options().append(true).create(true).open(&path);
                let file = file.map(|file| WithFds { body: (), fds: [file.into()] });
                let file = file.map_err(|error| Refusal::new(error.to_string()));
                port.answer::<OpenAccessLog>(stream, file).unwrap();
                if let Some(renamed) = self.rotate_at_open.take() {
                    std::fs::rename(path, renamed).unwrap();
                    reopen_log(port);
                }
            }
            RouterToMain::OpenUpload(_) => panic!("no certificate is configured"),
        }
    }

    fn open(&self, request: OpenListener) -> Result<WithFds<ListenerOpened, 1>, ListenerRefusal> {
        if let Some(text) = self.refuse_listener.take() {
            let class = ListenerErrorClass::InUse;
            return Err(ListenerRefusal { class, text: text.to_owned() });
        }
        let mut held = self.held.borrow_mut();
        let created = !held.contains_key(&request.address);
        let socket = held.entry(request.address.clone()).or_insert_with(|| {
            if let Some(socket) = self.bound.borrow_mut().remove(&request.address) {
                return socket;
            }
            match &request.address {
                ListenAddress::Inet(address) => {
                    let listener = TcpListener::bind(address).unwrap();
                    listener.set_nonblocking(true).unwrap();
                    listener.into()
                }
                ListenAddress::UnixPath(path) => {
                    let listener = UnixListener::bind(path).unwrap();
                    listener.set_nonblocking(true).unwrap();
                    listener.into()
                }
                ListenAddress::UnixAbstract(_) => panic!("not used here"),
            }
        });
        let fds = [socket.try_clone().unwrap()];
        Ok(WithFds { body: ListenerOpened { created }, fds })
    }

    fn start_prototype(&self, board: &Arc<Board>) -> WithFds<PrototypeStarted, 1> {
        self.prototypes.set(self.prototypes.get() + 1);
        let me = identity(Role::Prototype, self.prototypes.get());
        let (near, far) = port_io::bootstrap::pair().unwrap();
        let (board, ended) = (Arc::clone(board), Rc::clone(&self.ended));
        spawn_local(async move {
            prototype::play(near, me, board).await;
            ended.set(ended.get() + 1);
        });
        WithFds { body: PrototypeStarted { prototype: me }, fds: [far] }
    }
}
