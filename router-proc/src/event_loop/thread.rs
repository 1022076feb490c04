//! The thread of an event loop: its runtime, its hooks, its standing tasks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use app_io::{ChannelError, LoopPage};
use app_proto::ToWorker;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::accept::{self, Transfer};
use super::{AppSpec, Command, Counters, EventLoop, LoopConf, Notice, TICK_MS};
use crate::app::{Dispatcher, Worker};
use crate::connection;
use crate::snapshot::{ListenerId, Snapshot};
use crate::static_files::FileCache;

/// How often a loop that stops closes the connections that have become idle.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// What loops know of each other.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its number.
    pub index: usize,
    /// Where to send it commands.
    pub commands: mpsc::UnboundedSender<Command>,
    /// How it is doing.
    pub counters: Arc<Counters>,
}

/// All loops that take on new connections, in the order of their numbers.
pub type Peers = Arc<ArcSwap<Vec<Peer>>>;

/// The control thread's hold on a loop.
#[derive(Debug)]
pub struct LoopThread {
    /// Its number.
    pub index: usize,
    /// Where to send it commands.
    pub commands: mpsc::UnboundedSender<Command>,
    /// Its counters.
    pub counters: Arc<Counters>,
    /// The page in which it shows whether it sleeps, for workers.
    pub page: OwnedFd,
    /// Ends when the loop has.
    pub thread: std::thread::JoinHandle<()>,
}

thread_local! {
    /// The loop of this thread, for the hooks of its runtime.
    static CURRENT: RefCell<Option<Rc<EventLoop>>> = const { RefCell::new(None) };
}

fn with_current(act: impl FnOnce(&EventLoop)) {
    let current = CURRENT.with(|current| current.borrow().as_ref().map(Rc::clone));
    if let Some(current) = current {
        act(&current);
    }
}

/// Starts the thread of loop `index`.
///
/// # Errors
/// When memory, runtime or thread cannot be made.
pub fn spawn(
    index: usize,
    peers: Peers,
    notices: mpsc::UnboundedSender<Notice>,
) -> io::Result<LoopThread> {
    let page = LoopPage::new().map_err(io::Error::other)?;
    let page_fd = page.fd().try_clone_to_owned()?;
    let counters = Arc::new(Counters::default());
    let (commands, inbox) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_park(|| with_current(EventLoop::before_park))
        .on_thread_unpark(|| with_current(EventLoop::after_unpark))
        .build()?;
    let for_loop = Arc::clone(&counters);
    let thread = std::thread::Builder::new().name(format!("loop-{index}")).spawn(move || {
        let event_loop = EventLoop::new(index, page, for_loop, peers, notices);
        CURRENT.set(Some(Rc::clone(&event_loop)));
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, run(event_loop, inbox));
        // Tasks hold the loop, and the loop holds what wakes them.
        drop(tasks);
        CURRENT.set(None);
    })?;
    Ok(LoopThread { index, commands, counters, page: page_fd, thread })
}

async fn run(event_loop: Rc<EventLoop>, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let draining = Rc::clone(&event_loop);
    spawn_local(async move {
        loop {
            draining.drain_wanted().await;
            draining.drain();
        }
    });
    let ticking = Rc::clone(&event_loop);
    spawn_local(async move {
        loop {
            // A loop with nothing to be late for sleeps as long as it likes.
            let tick = if ticking.has_deadlines() { TICK_MS } else { 4 * TICK_MS };
            tokio::time::sleep(Duration::from_millis(tick)).await;
            ticking.tick();
        }
    });
    crate::shortage::read_limit();
    let mut listening: HashMap<ListenerId, JoinHandle<()>> = HashMap::new();
    let mut is_parting = false;
    loop {
        let command = if event_loop.is_stopping() || is_parting {
            if is_parting && event_loop.part_from_workers() {
                break;
            }
            event_loop.timers.expire_idle(usize::MAX);
            match tokio::time::timeout(DRAIN_POLL, inbox.recv()).await {
                Ok(command) => command,
                Err(_) => continue,
            }
        } else {
            inbox.recv().await
        };
        let Some(command) = command else { break };
        match command {
            Command::AddApps(apps) => event_loop.add_apps(apps),
            Command::AddWorker(key, channel, gauge) => {
                event_loop.add_worker(Worker::new(key, channel, gauge));
            }
            Command::WorkerReady(key) => {
                if let Some(dispatcher) = event_loop.dispatcher(key.app) {
                    dispatcher.set_ready(key);
                }
            }
            Command::RetireWorker(key) => {
                if let Some(dispatcher) = event_loop.dispatcher(key.app) {
                    dispatcher.retire(key);
                }
            }
            Command::Send(key, message) => {
                if let Some(dispatcher) = event_loop.dispatcher(key.app) {
                    dispatcher.send(key, message, &[]);
                }
            }
            Command::Attach(key, attachment) => {
                // With a worker that is gone its channels go on all loops.
                if let Some(dispatcher) = event_loop.dispatcher(key.app)
                    && let Some(worker) = dispatcher.worker(key)
                {
                    dispatcher.attach(&worker, attachment);
                }
            }
            Command::ForgetLoop(index) => {
                for dispatcher in event_loop.all_dispatchers() {
                    dispatcher.forget_loop(index);
                }
            }
            Command::FailQueue(app) => {
                if let Some(dispatcher) = event_loop.dispatcher(app) {
                    dispatcher.fail_queue();
                }
            }
            Command::DropApp(app) => event_loop.drop_app(app),
            Command::ForgetApp(app) => event_loop.forget_app(app),
            Command::Switch { snapshot, loops, sockets, done } => {
                let apps = snapshot
                    .apps
                    .iter()
                    .filter_map(|app| event_loop.dispatcher(app.id))
                    .collect::<Vec<_>>();
                assert_eq!(apps.len(), snapshot.apps.len(), "applications are added first");
                let removed: Vec<ListenerId> = listening
                    .keys()
                    .filter(|id| !snapshot.listeners.contains_key(id))
                    .copied()
                    .collect();
                for id in removed {
                    if let Some(task) = listening.remove(&id) {
                        task.abort();
                        // Its socket is closed when it has ended, by cancellation of course.
                        let _ = task.await;
                    }
                }
                // A loop that stops accepts nothing more.
                for (id, socket) in sockets.into_iter().filter(|_| !event_loop.is_stopping()) {
                    let task = accept::listen(Rc::clone(&event_loop), id, socket);
                    listening.insert(id, task);
                }
                event_loop.conf.replace(Rc::new(LoopConf { snapshot, apps }));
                event_loop.files.set_capacity(FileCache::capacity_for(loops));
                event_loop.access_log.flush();
                event_loop.look_for_left_apps();
                // The control thread may have given up on the answer.
                let _ = done.send(());
            }
            Command::Adopt(transfer) => adopt(&event_loop, transfer),
            Command::Shed => {
                event_loop.shed();
            }
            Command::ReopenLog(file) => {
                for dispatcher in event_loop.all_dispatchers() {
                    dispatcher.broadcast(ToWorker::Log, &[file.as_fd()]);
                }
            }
            Command::Drain { done } => {
                for (_, task) in listening.drain() {
                    task.abort();
                    let _ = task.await;
                }
                event_loop.stopping.set(true);
                event_loop.stop.notify_waiters();
                // The control thread may have lost its patience.
                let _ = done.send(());
            }
            Command::Retire { round } => event_loop.retire(round),
            Command::Resume => event_loop.resume(),
            Command::Part => is_parting = true,
            Command::Quit => break,
        }
    }
    event_loop.access_log.finish();
    // Another loop that does not know yet may have sent a connection. It finds out by the closed
    // inbox, or what it sent is found here.
    inbox.close();
    while let Some(command) = inbox.recv().await {
        if let Command::Adopt(transfer) = command {
            accept::pass_on(&event_loop, transfer);
        }
    }
    // They hold the loop, which holds them.
    event_loop.dispatchers.borrow_mut().clear();
    event_loop.busy.borrow_mut().clear();
    let nothing = LoopConf { snapshot: Arc::new(Snapshot::empty()), apps: Vec::new() };
    event_loop.conf.replace(Rc::new(nothing));
}

/// Takes over a connection; a loop that is to end passes it on.
fn adopt(event_loop: &Rc<EventLoop>, transfer: Transfer) {
    if event_loop.is_retiring() {
        accept::pass_on(event_loop, transfer);
    } else {
        keep(event_loop, transfer);
    }
}

/// Serves a connection on this loop.
pub(super) fn keep(event_loop: &Rc<EventLoop>, transfer: Transfer) {
    let Transfer { socket, origin } = transfer;
    match socket.into_stream() {
        Ok(stream) => {
            event_loop.counters.held.increment();
            spawn_local(connection::serve(Rc::clone(event_loop), stream, origin));
        }
        Err(error) => {
            unit_log::alert!("cannot watch a connection: {error}");
            event_loop.counters.idle.decrement();
            event_loop.counters.closed.increment();
        }
    }
}

impl EventLoop {
    pub(crate) fn dispatcher(&self, app: u32) -> Option<Rc<Dispatcher>> {
        self.dispatchers.borrow().get(&app).map(Rc::clone)
    }

    fn all_dispatchers(&self) -> Vec<Rc<Dispatcher>> {
        self.dispatchers.borrow().values().map(Rc::clone).collect()
    }

    pub(crate) fn add_apps(self: &Rc<Self>, apps: Vec<AppSpec>) {
        for spec in apps {
            let app = spec.app;
            let dispatcher = Dispatcher::new(spec, Rc::clone(self));
            self.dispatchers.borrow_mut().insert(app, dispatcher);
        }
    }

    /// Watches the doorbell of a worker for as long as it lives.
    fn add_worker(self: &Rc<Self>, worker: Rc<Worker>) {
        let Some(dispatcher) = self.dispatcher(worker.key().app) else {
            // The application left meanwhile.
            self.worker_lost(&worker, false);
            return;
        };
        dispatcher.add_worker(Rc::clone(&worker));
        let doorbell = match worker.watched() {
            Ok(doorbell) => doorbell,
            Err(error) => {
                dispatcher.lose(&worker, &ChannelError::Io(error));
                return;
            }
        };
        let notices = self.notices.clone();
        // The task must not keep the dispatcher: an application that left is dropped with it.
        let dispatcher = Rc::downgrade(&dispatcher);
        spawn_local(async move {
            loop {
                let Ok(mut ready) = doorbell.readable().await else { return };
                let Some(dispatcher) = dispatcher.upgrade() else { return };
                ready.clear_ready();
                loop {
                    // When it fails it was removed, and the control thread told.
                    let Ok(received) = dispatcher.receive(&worker) else { return };
                    if received.became_ready {
                        let _ = notices.send(Notice::WorkerReady(worker.key()));
                    }
                    if !received.has_more {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
    }
}
