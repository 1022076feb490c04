//! An event loop: one thread with a tokio current-thread runtime that shares nothing with the
//! others while it serves. Connections, dispatchers and their tasks live here; the control thread
//! tells the loop what to do through [`Command`]s and hears of it through [`Notice`]s.
//!
//! Answers of applications come through shared memory. The *drain task* looks at the rings whenever
//! something was handed out or taken in, and the loop looks at them once more when it is about to
//! sleep: it announces its sleep first, so a worker that writes later rings the bell.

mod accept;
mod clock;
mod counters;
mod descriptors;
mod load;
mod retirement;
mod thread;
mod timers;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use app_io::{LoopPage, RouterChannel};
use app_proto::ToWorker;
use tokio::sync::{mpsc, oneshot};

pub use accept::{Origin, Socket, Transfer};
pub(crate) use accept::{describe, give_away, new_home};
pub use clock::Clock;
pub use counters::{Counter, Counters};
use descriptors::{Pause, Shortage};
use load::LoadMeter;
pub use thread::{LoopThread, Peer, Peers, spawn};
pub use timers::{TICK_MS, Timer, Timers};

use crate::access_log::EntryBuffer;
use crate::app::{Attachment, Dispatcher, Worker, WorkerKey};
use crate::compression;
use crate::connection::Buffers;
use crate::control::WorkerGauge;
use crate::snapshot::{ListenerId, Snapshot};
use crate::static_files::FileCache;

/// Bytes read from a connection at once. All connections of a loop share the room.
pub const SCRATCH_LEN: usize = 64 * 1024;

/// Milliseconds between two connections that are given to another loop.
const GIFT_PAUSE_MS: u64 = 10;

/// How many sets of request buffers a loop keeps for the next requests.
const SPARE_BUFFERS: usize = 64;

/// An application to know on a loop.
#[derive(Clone, Debug)]
pub struct AppSpec {
    /// Its number, never used again.
    pub app: u32,
    /// Milliseconds it may take between two words.
    pub timeout_ms: Option<u64>,
    /// Whether it may be given more workers than are always there.
    pub can_grow: bool,
    /// Requests queued or being processed, over all loops.
    pub active: Arc<std::sync::atomic::AtomicU64>,
}

/// What the control thread tells a loop.
#[derive(Debug)]
pub enum Command {
    /// Know these applications; workers may come before any request does.
    AddApps(Vec<AppSpec>),
    /// A worker is being started.
    AddWorker(WorkerKey, RouterChannel, Arc<WorkerGauge>),
    /// Send a worker its end of the channel to another loop, as soon as it reads.
    Attach(WorkerKey, Attachment),
    /// The loop with this number has ended: no worker needs to hear of it any more.
    ForgetLoop(usize),
    /// A worker's application is loaded.
    WorkerReady(WorkerKey),
    /// A worker gets no more requests.
    RetireWorker(WorkerKey),
    /// Send a worker a doorbell packet without descriptors.
    Send(WorkerKey, ToWorker),
    /// Nobody will serve what waits for this application.
    FailQueue(u32),
    /// Say [`Notice::AppGone`] once nothing of the application is left.
    DropApp(u32),
    /// Nothing of the application is left on any loop: let its workers go, and forget it.
    ForgetApp(u32),
    /// Serve by another configuration from now on.
    Switch {
        /// The configuration.
        snapshot: Arc<Snapshot>,
        /// How many loops serve by it.
        loops: usize,
        /// Listening sockets this loop is to accept from, besides those it has.
        sockets: Vec<(ListenerId, OwnedFd)>,
        /// Told when it is done; sockets that are no longer named are closed by then.
        done: oneshot::Sender<()>,
    },
    /// Take over a connection that another loop accepted or gave away.
    Adopt(Transfer),
    /// Close idle connections: another loop has no descriptors and none of its own to close.
    Shed,
    /// Hand the reopened log to all workers.
    ReopenLog(Arc<OwnedFd>),
    /// Accept nothing more and close connections after their requests. The loop goes on: workers
    /// must not take the end of one loop for the end of the router.
    Drain {
        /// Told when nothing more is accepted.
        done: oneshot::Sender<()>,
    },
    /// The loop is surplus: it is to give its connections to the others, and to say
    /// [`Notice::Vacant`] when none is left.
    Retire {
        /// Tells this retirement from others.
        round: u32,
    },
    /// It is needed again.
    Resume,
    /// It is struck off: say goodbye to the workers, who go on, and end. Nothing follows.
    Part,
    /// End.
    Quit,
}

/// What a loop tells the control thread.
#[derive(Debug)]
pub enum Notice {
    /// A worker's application is loaded.
    WorkerReady(WorkerKey),
    /// A worker hung up.
    WorkerLost {
        /// The worker.
        key: WorkerKey,
        /// It did not merely hang up, but broke the protocol.
        broke_rules: bool,
    },
    /// A worker has been at a request for long after its time was over.
    WorkerHung(WorkerKey),
    /// The workers of this application are being used, or requests wait for one.
    Demand(u32),
    /// Nothing of the application is left on the loop.
    AppGone {
        /// The application.
        app: u32,
        /// The loop.
        index: usize,
    },
    /// A surplus loop holds no connection and waits for no worker.
    Vacant {
        /// The loop.
        index: usize,
        /// The round of [`Command::Retire`].
        round: u32,
    },
}

/// The configuration as one loop serves by it. A request holds on to the one it began with.
#[derive(Debug)]
pub struct LoopConf {
    /// The configuration itself.
    pub snapshot: Arc<Snapshot>,
    /// The dispatchers of its applications, in its order.
    pub apps: Vec<Rc<Dispatcher>>,
}

/// One event loop, as its own tasks see it.
#[derive(Debug)]
pub struct EventLoop {
    /// Its number.
    pub index: usize,
    /// Its clocks.
    pub clock: Clock,
    /// Its deadlines.
    pub timers: Timers,
    /// Its counters.
    pub counters: Arc<Counters>,
    /// The other loops.
    pub peers: Peers,
    /// Files that are kept open.
    pub files: FileCache,
    /// Entries of access logs that are not in their file yet.
    pub access_log: EntryBuffer,
    page: LoopPage,
    load: LoadMeter,
    conf: RefCell<Rc<LoopConf>>,
    dispatchers: RefCell<HashMap<u32, Rc<Dispatcher>>>,
    /// Applications that are going, until nothing of them is left.
    leaving: RefCell<Vec<u32>>,
    /// Workers with requests in flight or sessions, with their dispatchers.
    busy: RefCell<Vec<(Rc<Worker>, Rc<Dispatcher>)>>,
    drain_wanted: Cell<bool>,
    drain_waker: RefCell<Option<Waker>>,
    scratch: RefCell<Vec<u8>>,
    /// What of the scratch room goes on to an application.
    passed: RefCell<Vec<u8>>,
    #[allow(
        clippy::vec_box,
        reason = "connections hold them boxed: they go in and out as they are"
    )]
    spare: RefCell<Vec<Box<Buffers>>>,
    notices: mpsc::UnboundedSender<Notice>,
    /// Connections are closed at the next chance.
    stopping: Cell<bool>,
    /// Tells those that would never end by themselves.
    stop: tokio::sync::Notify,
    /// The loop is surplus, by this round of [`Command::Retire`].
    retiring: Cell<Option<u32>>,
    /// The control thread knows that nothing is left.
    vacancy_told: Cell<bool>,
    /// When the next connection may be given to another loop.
    next_gift_ms: Cell<u64>,
    /// A shortage of descriptors, as long as it lasts.
    shortage: Shortage,
    /// The pause of all listeners, while one of them waits for descriptors.
    pause: Pause,
}

impl EventLoop {
    /// A loop that serves nothing yet.
    ///
    /// # Errors
    /// When its page cannot be made.
    pub fn new(
        index: usize,
        page: LoopPage,
        counters: Arc<Counters>,
        peers: Peers,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Rc<Self> {
        let conf = LoopConf { snapshot: Arc::new(Snapshot::empty()), apps: Vec::new() };
        let files = FileCache::new(FileCache::capacity_for(peers.load().len()));
        Rc::new(Self {
            index,
            clock: Clock::new(),
            timers: Timers::default(),
            counters,
            peers,
            files,
            access_log: EntryBuffer::default(),
            page,
            load: LoadMeter::new(),
            conf: RefCell::new(Rc::new(conf)),
            dispatchers: RefCell::new(HashMap::new()),
            leaving: RefCell::new(Vec::new()),
            busy: RefCell::new(Vec::new()),
            drain_wanted: Cell::new(false),
            drain_waker: RefCell::new(None),
            scratch: RefCell::new(vec![0; SCRATCH_LEN]),
            passed: RefCell::new(Vec::new()),
            spare: RefCell::new(Vec::new()),
            notices,
            stopping: Cell::new(false),
            stop: tokio::sync::Notify::new(),
            retiring: Cell::new(None),
            vacancy_told: Cell::new(false),
            next_gift_ms: Cell::new(0),
            shortage: Shortage::default(),
            pause: Pause::default(),
        })
    }

    /// The configuration a request that begins now is served by.
    pub fn conf(&self) -> Rc<LoopConf> {
        Rc::clone(&self.conf.borrow())
    }

    /// Milliseconds of the loop's clock.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Closes what is open only to save time, and says how many descriptors that gave back.
    pub fn shed_files(&self) -> usize {
        self.files.clear()
    }

    /// Whether the loop is ending.
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ends when the loop begins to stop.
    pub fn stop_begins(&self) -> tokio::sync::futures::Notified<'_> {
        self.stop.notified()
    }

    /// Room for what goes on to an application. To be given back as [`Self::scratch`].
    pub fn passed(&self) -> std::cell::RefMut<'_, Vec<u8>> {
        self.passed.borrow_mut()
    }

    /// The room every connection reads into. To be given back before anything is awaited.
    pub fn scratch(&self) -> std::cell::RefMut<'_, Vec<u8>> {
        self.scratch.borrow_mut()
    }

    /// Buffers for one request.
    pub fn take_buffers(&self) -> Box<Buffers> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes buffers back for the next request.
    pub fn return_buffers(&self, mut buffers: Box<Buffers>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_BUFFERS && buffers.reset() {
            spare.push(buffers);
        }
    }

    /// Says that a worker has requests in flight from now on.
    pub fn note_busy(&self, worker: &Rc<Worker>) {
        let dispatcher = self.dispatchers.borrow().get(&worker.key().app).map(Rc::clone);
        let Some(dispatcher) = dispatcher else { return };
        let mut busy = self.busy.borrow_mut();
        if !busy.iter().any(|(known, _)| Rc::ptr_eq(known, worker)) {
            busy.push((Rc::clone(worker), dispatcher));
        }
    }

    /// Has the drain task run behind everything that is ready now.
    pub fn schedule_drain(&self) {
        if !self.drain_wanted.replace(true)
            && let Some(waker) = self.drain_waker.borrow_mut().take()
        {
            waker.wake();
        }
    }

    /// To be called whenever a connection did something: a loop that never sleeps still drains.
    pub fn keep_draining(&self) {
        if !self.busy.borrow().is_empty() {
            self.schedule_drain();
        }
    }

    /// Tells the control thread that a worker is gone.
    pub fn worker_lost(&self, worker: &Rc<Worker>, broke_rules: bool) {
        self.busy.borrow_mut().retain(|(known, _)| !Rc::ptr_eq(known, worker));
        self.tell_control(Notice::WorkerLost { key: worker.key(), broke_rules });
    }

    /// Tells the control thread that a worker does not come back from a request.
    pub fn worker_hung(&self, worker: &Rc<Worker>) {
        self.tell_control(Notice::WorkerHung(worker.key()));
    }

    /// Tells the control thread that an application may need workers.
    pub fn demand(&self, app: u32) {
        self.tell_control(Notice::Demand(app));
    }

    fn tell_control(&self, notice: Notice) {
        // The control thread outlives its loops; if it does not, nobody is left to be told.
        let _ = self.notices.send(notice);
    }

    /// Whether this is a good moment to give a connection away: not too many at once, as load is
    /// measured over a while.
    pub(crate) fn may_give_away(&self) -> bool {
        let now = self.now_ms();
        if now < self.next_gift_ms.get() {
            return false;
        }
        self.next_gift_ms.set(now + GIFT_PAUSE_MS);
        true
    }

    /// Waits until [`Self::schedule_drain`] was called.
    async fn drain_wanted(&self) {
        std::future::poll_fn(|cx: &mut Context<'_>| {
            if self.drain_wanted.replace(false) {
                return Poll::Ready(());
            }
            self.drain_waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Takes in all answers, and wakes the workers that sleep over something they were given.
    pub(crate) fn drain(&self) {
        let mut at = 0;
        loop {
            // The list changes while answers are taken in: a lost worker leaves it, another joins.
            let next = self.busy.borrow().get(at).cloned();
            let Some((worker, dispatcher)) = next else { break };
            dispatcher.drain(&worker);
            at += 1;
        }
        self.ring();
        self.busy
            .borrow_mut()
            .retain(|(worker, _)| worker.in_flight() > 0 || worker.sessions() > 0);
    }

    /// Rings the bells of sleeping workers that were given something.
    fn ring(&self) {
        let mut lost = Vec::new();
        for (worker, dispatcher) in self.busy.borrow().iter() {
            if let Err(error) = worker.ring() {
                lost.push((Rc::clone(worker), Rc::clone(dispatcher), error));
            }
        }
        for (worker, dispatcher, error) in lost {
            dispatcher.lose(&worker, &error);
        }
    }

    /// The loop is about to sleep.
    fn before_park(&self) {
        self.access_log.flush();
        self.load.park();
        self.ring();
        if self.busy.borrow().is_empty() {
            // Nobody has anything to answer, but a bell still wakes the loop for news.
            self.page.fall_asleep();
            return;
        }
        self.page.fall_asleep();
        let has_news = |worker: &Worker| worker.has_records() || worker.has_awaited_room();
        if self.busy.borrow().iter().any(|(worker, _)| has_news(worker)) {
            self.page.wake_up();
            self.schedule_drain();
        }
    }

    /// The loop woke up.
    fn after_unpark(&self) {
        self.page.wake_up();
        self.clock.read();
        if let Some(load) = self.load.unpark() {
            self.counters.load.set(load);
        }
        self.keep_draining();
    }

    /// Looks at everything that has a deadline.
    fn tick(&self) {
        self.clock.read();
        let now = self.now_ms();
        // A busy loop does not sleep.
        self.access_log.flush();
        self.timers.tick(now);
        self.files.tick(now);
        compression::tick(now);
        let dispatchers: Vec<Rc<Dispatcher>> =
            self.dispatchers.borrow().values().map(Rc::clone).collect();
        for dispatcher in dispatchers {
            dispatcher.expire(now);
            dispatcher.rebalance();
        }
        self.look_for_left_apps();
        self.look_if_vacant();
        self.look_at_descriptors();
    }

    /// Tells when nothing of an application is left.
    pub(crate) fn drop_app(&self, app: u32) {
        self.leaving.borrow_mut().push(app);
        self.look_for_left_apps();
    }

    /// Tells of the applications of which nothing is left. Their workers stay until no other loop
    /// has requests for them either.
    pub(crate) fn look_for_left_apps(&self) {
        let mut leaving = self.leaving.borrow_mut();
        leaving.retain(|app| {
            let gone = match self.dispatchers.borrow().get(app) {
                Some(dispatcher) => self.is_only_mine(dispatcher) && dispatcher.is_forsaken(),
                None => true,
            };
            if gone {
                self.tell_control(Notice::AppGone { app: *app, index: self.index });
            }
            !gone
        });
    }

    /// Lets the workers of an application go.
    pub(crate) fn forget_app(&self, app: u32) {
        if let Some(dispatcher) = self.dispatchers.borrow_mut().remove(&app) {
            self.busy.borrow_mut().retain(|(_, other)| !Rc::ptr_eq(other, &dispatcher));
            dispatcher.dissolve();
        }
    }

    /// Whether no configuration and no request holds a dispatcher any more.
    fn is_only_mine(&self, dispatcher: &Rc<Dispatcher>) -> bool {
        let busy = self.busy.borrow();
        let as_busy = busy.iter().filter(|(_, other)| Rc::ptr_eq(other, dispatcher)).count();
        // The map holds it too.
        Rc::strong_count(dispatcher) == as_busy + 1
    }

    /// Whether the tick has anything to look at.
    fn has_deadlines(&self) -> bool {
        !self.timers.is_empty()
            || !self.leaving.borrow().is_empty()
            || self.is_becoming_vacant()
            || self.dispatchers.borrow().values().any(|dispatcher| !dispatcher.is_quiet())
    }
}
