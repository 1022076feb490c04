//! One running application: its prototype, its workers, and when there are more or fewer of them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use app_io::{RouterChannel, WorkerHalf};
use app_proto::ToWorker;
use conf::Application;
use port_io::RequestError;
use port_proto::{
    ApplicationStatus, PrototypeToRouter, Quit, Refusal, RouterToPrototype, SignalWorker,
    StartPrototype, StartWorker, WithFds, WorkerId, WorkerSignal,
};
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use super::{Control, WorkerGauge};
use crate::app::{Attachment, WorkerKey};
use crate::event_loop::{AppSpec, Command};

type PrototypeSender = port_io::Sender<RouterToPrototype, PrototypeToRouter>;

/// How long a prototype may take to be ready.
const PROTOTYPE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a worker may take to load its application: enough for the slowest, and an end to the
/// wait for one that hangs, for whoever waits behind it.
const LOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// A worker that ends this soon after its start counts as a failed start.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// The pause after the second failed start in a row; it doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);

/// The longest pause between two attempts to start a worker.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How long a worker whose channel is closed may take to end before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// One generation of an application's processes.
#[derive(Debug)]
struct Prototype {
    port: PrototypeSender,
    started: Instant,
    was_told_to_stop: Cell<bool>,
}

#[derive(Debug)]
struct WorkerState {
    prototype: Rc<Prototype>,
    gauge: Arc<WorkerGauge>,
    started: Instant,
    /// Told when it is ready; gone afterwards.
    ready: Option<oneshot::Sender<()>>,
    is_ready: bool,
    is_stopping: bool,
    /// It ends because it was asked to.
    was_told_to_stop: bool,
    /// When a loop lost its channel.
    lost_since: Option<Instant>,
    /// Requests it had served when it was last seen idle, and since when.
    idle_since: Option<(u64, Instant)>,
}

/// One running application.
#[derive(Debug)]
pub(crate) struct App {
    /// Its number, never used again.
    pub(super) id: u32,
    /// Its definition.
    pub(super) config: Application,
    active: Arc<AtomicU64>,
    prototype: RefCell<Option<Rc<Prototype>>>,
    /// One start of a prototype at a time; the others wait for it.
    starting_prototype: tokio::sync::Mutex<()>,
    workers: RefCell<BTreeMap<u32, WorkerState>>,
    next_worker: Cell<u32>,
    /// Workers that are to be started and are not in `workers` yet.
    planned: Cell<u32>,
    /// Failed starts in a row.
    failures: Cell<u32>,
    /// When the next start may be tried.
    retry_at: Cell<Instant>,
    /// A start waits for that moment.
    is_retrying: Cell<bool>,
    /// The loops that still have something of it, once it is leaving. Requests among that are
    /// served yet.
    leaving: RefCell<Option<Vec<usize>>>,
    /// Nothing of it is left; no process of it may be started any more.
    is_gone: Cell<bool>,
    /// One restart at a time.
    restarting: tokio::sync::Mutex<()>,
    control: Weak<Control>,
    me: Weak<App>,
}

impl App {
    pub(super) fn new(id: u32, config: Application, control: Weak<Control>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            id,
            config,
            active: Arc::new(AtomicU64::new(0)),
            prototype: RefCell::new(None),
            starting_prototype: tokio::sync::Mutex::new(()),
            workers: RefCell::new(BTreeMap::new()),
            next_worker: Cell::new(0),
            planned: Cell::new(0),
            failures: Cell::new(0),
            retry_at: Cell::new(Instant::now()),
            is_retrying: Cell::new(false),
            leaving: RefCell::new(None),
            is_gone: Cell::new(false),
            restarting: tokio::sync::Mutex::new(()),
            control,
            me: me.clone(),
        })
    }

    fn rc(&self) -> Rc<Self> {
        self.me.upgrade().expect("self is borrowed, so it is alive")
    }

    /// Whether this definition is the one that runs: byte for byte, by the same runtime.
    pub(super) fn is(&self, config: &Application) -> bool {
        self.config.name == config.name
            && self.config.compact_json == config.compact_json
            && self.config.module == config.module
            && self.leaving.borrow().is_none()
    }

    /// What the loops need to know of it.
    pub(super) fn spec(&self) -> AppSpec {
        let timeout = self.config.limits.timeout;
        AppSpec {
            app: self.id,
            timeout_ms: timeout
                .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            can_grow: self.config.processes.max > self.config.processes.spare,
            active: Arc::clone(&self.active),
        }
    }

    pub(super) fn status(&self) -> ApplicationStatus {
        let mut status = ApplicationStatus {
            name: self.config.name.to_string(),
            active_requests: self.active.load(Ordering::Relaxed),
            ..ApplicationStatus::default()
        };
        for worker in self.workers.borrow().values() {
            if worker.is_stopping {
                continue;
            }
            if !worker.is_ready {
                status.starting += 1;
                continue;
            }
            status.running += 1;
            if worker.gauge.is_idle() {
                status.idle += 1;
            }
        }
        status
    }

    /// Starts the processes that are to be ready before any request: `Err` if one cannot be.
    pub(super) fn prestart(
        &self,
        control: Rc<Control>,
    ) -> tokio::task::JoinHandle<Result<(), Refusal>> {
        let app = self.rc();
        spawn_local(async move {
            let starts: Vec<_> = (0..app.config.processes.spare)
                .map(|_| {
                    let (planned, control) = (app.plan(), Rc::clone(&control));
                    spawn_local(async move { planned.start(&control).await })
                })
                .collect();
            let mut result = Ok(());
            for start in starts {
                let started =
                    start.await.unwrap_or_else(|_| Err(Refusal::new("start was cut off")));
                if let Err(refusal) = started {
                    if result.is_ok() {
                        // The reason is in the answer to who has configured it.
                        app.failed_to_start();
                    }
                    result = result.and(Err(refusal));
                }
            }
            result
        })
    }

    /// The prototype, started if there is none.
    async fn prototype(&self, control: &Control) -> Result<Rc<Prototype>, Refusal> {
        let _one_at_a_time = self.starting_prototype.lock().await;
        if let Some(prototype) = &*self.prototype.borrow()
            && !prototype.port.is_closed()
        {
            return Ok(Rc::clone(prototype));
        }
        let started = tokio::time::timeout(PROTOTYPE_TIMEOUT, self.start_prototype(control));
        let result = match started.await {
            Ok(result) => result,
            Err(_) => Err(Refusal::new("the prototype was not ready in time")),
        };
        let prototype = result.inspect_err(|_| {
            unit_log::warn!("failed to start prototype \"{}\"", self.config.name);
        })?;
        if self.is_gone.get() {
            // It was let go while main started it, so nobody else knows of it.
            prototype.quit();
            return Err(gone());
        }
        self.prototype.replace(Some(Rc::clone(&prototype)));
        Ok(prototype)
    }

    async fn start_prototype(&self, control: &Control) -> Result<Rc<Prototype>, Refusal> {
        let request = start_request(&self.config)?;
        let WithFds { body, fds: [socket] } =
            control.main.request(request).await.map_err(|error| match error {
                RequestError::Refused(refusal) => refusal,
                RequestError::Lost | RequestError::Send(_) => {
                    Refusal::new("the main process is gone")
                }
            })?;
        let connected = port_io::connect::<RouterToPrototype, PrototypeToRouter>(
            socket,
            control.me,
            body.prototype,
        );
        let (port, mut inbox) = connected.await.map_err(|error| Refusal::new(error.to_string()))?;
        let (started, was_told_to_stop) = (Instant::now(), Cell::new(false));
        let prototype = Rc::new(Prototype { port, started, was_told_to_stop });
        let app = self.me.clone();
        let watched = Rc::downgrade(&prototype);
        spawn_local(async move {
            while let Some((_, PrototypeToRouter::WorkerExited(exited))) = inbox.recv().await {
                if let Some(app) = app.upgrade() {
                    app.worker_exited(exited.worker);
                }
            }
            // It hung up: whatever it forked ends with it.
            if let (Some(app), Some(prototype)) = (app.upgrade(), watched.upgrade()) {
                app.prototype_lost(&prototype);
            }
        });
        Ok(prototype)
    }

    /// Counts a worker as starting from now on, though its prototype may have to be started first.
    fn plan(&self) -> Planned {
        self.planned.set(self.planned.get() + 1);
        Planned { app: self.rc() }
    }

    async fn start(
        &self,
        control: &Rc<Control>,
        key: WorkerKey,
        planned: Planned,
    ) -> Result<(), Refusal> {
        let prototype = self.prototype(control).await?;
        let gauge = Arc::new(WorkerGauge::default());
        let loops = control.loops.borrow().indices();
        let (channels, mut halves) = make_channels(loops.len())
            .map_err(|error| Refusal::new(format!("cannot make shared memory: {error}")))?;
        let pages: io::Result<Vec<_>> = loops.iter().map(|index| control.page_fd(*index)).collect();
        let mut pages = pages.map_err(|error| Refusal::new(error.to_string()))?.into_iter();
        let (Some(page), Some(first)) = (pages.next(), halves.pop_front()) else {
            return Err(Refusal::new("there are no event loops"));
        };
        let (ready, is_ready) = oneshot::channel();
        self.workers.borrow_mut().insert(
            key.worker,
            WorkerState {
                prototype: Rc::clone(&prototype),
                gauge: Arc::clone(&gauge),
                started: Instant::now(),
                ready: Some(ready),
                is_ready: false,
                is_stopping: false,
                was_told_to_stop: false,
                lost_since: None,
                idle_since: None,
            },
        );
        drop(planned);
        for (index, channel) in loops.iter().zip(channels) {
            control.tell(*index, Command::AddWorker(key, channel, Arc::clone(&gauge)));
        }
        // The others are sent by the first loop as the worker reads them, which need not wait for
        // them: one of those loops may have ended by then.
        for ((index, half), page) in loops.into_iter().skip(1).zip(halves).zip(pages) {
            control.tell(0, attach(key, index, half, page));
        }
        let body = StartWorker { worker: WorkerId(key.worker), channels: 1 };
        let request = WithFds { body, fds: [first.memory, first.doorbell, page] };
        prototype.port.request(request).await.map_err(|error| match error {
            RequestError::Refused(refusal) => refusal,
            RequestError::Lost | RequestError::Send(_) => Refusal::new("the prototype is gone"),
        })?;
        match tokio::time::timeout(LOAD_TIMEOUT, is_ready).await {
            Ok(Ok(())) => Ok(()),
            // The sender goes with the worker's entry when the worker ends before it is ready.
            Ok(Err(_)) => Err(Refusal::new(format!(
                "a process of application \"{}\" ended while it started, see the log",
                self.config.name
            ))),
            Err(_) => {
                if let Some(worker) = self.workers.borrow().get(&key.worker) {
                    worker.kill(key.worker);
                }
                Err(Refusal::new(format!(
                    "a process of application \"{}\" was not ready after {} seconds",
                    self.config.name,
                    LOAD_TIMEOUT.as_secs()
                )))
            }
        }
    }

    /// A loop heard that the worker's application is loaded.
    pub(super) fn worker_ready(&self, control: &Control, key: WorkerKey) {
        let ready = match self.workers.borrow_mut().get_mut(&key.worker) {
            Some(worker) if !worker.is_ready => {
                worker.is_ready = true;
                worker.ready.take()
            }
            // It says so twice, or is gone already.
            _ => return,
        };
        control.tell_all(|| Command::WorkerReady(key));
        if let Some(ready) = ready {
            // Whoever started it may have given up.
            let _ = ready.send(());
        }
    }

    /// A loop lost the worker's doorbell. One that broke the rules must not live on.
    pub(super) fn worker_lost(&self, key: WorkerKey, broke_rules: bool) {
        let mut workers = self.workers.borrow_mut();
        let Some(worker) = workers.get_mut(&key.worker) else { return };
        worker.is_stopping = true;
        worker.lost_since.get_or_insert_with(Instant::now);
        if broke_rules {
            worker.kill(key.worker);
        }
    }

    /// A loop has waited in vain for the worker to come back from a request.
    pub(super) fn worker_hung(&self, key: WorkerKey) {
        if let Some(worker) = self.workers.borrow_mut().get_mut(&key.worker) {
            unit_log::alert!(
                "application \"{}\": worker {} does not end a request whose time is over, killed",
                self.config.name,
                key.worker
            );
            worker.is_stopping = true;
            worker.kill(key.worker);
        }
    }

    /// Kills the workers that closed their channel and live on, and forgets failures once a worker
    /// has shown that it lasts.
    pub(super) fn look_after(&self) {
        let lasts = |worker: &WorkerState| {
            let was_used = worker.gauge.served() > 0;
            worker.is_ready && (was_used || worker.started.elapsed() >= SHORT_LIFE)
        };
        if self.failures.get() > 0 && self.count(lasts) > 0 {
            self.forget_failures();
            self.replenish();
        }
        for (number, worker) in self.workers.borrow_mut().iter_mut() {
            if worker.lost_since.is_some_and(|since| since.elapsed() >= LAST_WORDS) {
                worker.kill(*number);
                worker.lost_since = Some(Instant::now());
            }
        }
    }

    /// The prototype reaped a worker.
    fn worker_exited(&self, worker: WorkerId) {
        let Some(state) = self.workers.borrow_mut().remove(&worker.0) else { return };
        if !state.is_ready {
            // Whoever started it learns by the loss of `ready`.
            return;
        }
        let was_used = state.gauge.served() > 0 || state.gauge.in_flight() > 0;
        if was_used || state.started.elapsed() >= SHORT_LIFE {
            self.forget_failures();
        } else if !state.was_told_to_stop {
            self.count_failure();
        }
        drop(state);
        self.replenish();
    }

    /// Says so; what is gone is missed by nobody.
    fn failed_to_start(&self) {
        if self.is_gone.get() {
            return;
        }
        unit_log::warn!("failed to start application \"{}\"", self.config.name);
    }

    /// Says so, and why: there is nobody to be answered.
    fn failed_unseen(&self, refusal: &Refusal) {
        self.failed_to_start();
        if !self.is_gone.get() {
            unit_log::warn!("application \"{}\" did not start: {}", self.config.name, refusal.text);
        }
    }

    fn count_failure(&self) {
        let failures = self.failures.get().saturating_add(1);
        self.failures.set(failures);
        let pause = match failures {
            0 | 1 => Duration::ZERO,
            more => BACKOFF_FIRST.saturating_mul(1 << (more - 2).min(8)).min(BACKOFF_MAX),
        };
        self.retry_at.set(Instant::now() + pause);
    }

    fn is_backing_off(&self) -> bool {
        Instant::now() < self.retry_at.get()
    }

    fn forget_failures(&self) {
        self.failures.set(0);
        self.retry_at.set(Instant::now());
    }

    fn prototype_lost(&self, prototype: &Rc<Prototype>) {
        self.workers.borrow_mut().retain(|_, worker| !Rc::ptr_eq(&worker.prototype, prototype));
        let is_current =
            self.prototype.borrow().as_ref().is_some_and(|known| Rc::ptr_eq(known, prototype));
        if is_current {
            self.prototype.replace(None);
        }
        if prototype.started.elapsed() < SHORT_LIFE && !prototype.was_told_to_stop.get() {
            self.count_failure();
        }
        self.replenish();
    }

    /// Workers are being used, or requests wait for one.
    pub(super) fn on_demand(&self) {
        if self.is_backing_off() && self.count(|_| true) == 0 {
            if let Some(control) = self.control.upgrade() {
                control.tell_all(|| Command::FailQueue(self.id));
            }
            return;
        }
        // At least one is busy, however briefly.
        self.replenish_after(1);
    }

    /// Starts as many processes as are missing; after failures not at once.
    pub(super) fn replenish(&self) {
        self.replenish_after(0);
    }

    /// As [`Self::replenish`], when so many workers are known to have just been taken.
    fn replenish_after(&self, taken: u32) {
        let Some(control) = self.control.upgrade() else { return };
        let missing = self.missing_workers(taken);
        if self.is_gone.get() || missing == 0 || !control.needs_workers() {
            return;
        }
        let app = self.rc();
        if self.is_backing_off() {
            self.fail_queue_if_hopeless(&control);
            if !self.is_retrying.replace(true) {
                spawn_local(async move {
                    tokio::time::sleep_until(app.retry_at.get().into()).await;
                    app.is_retrying.set(false);
                    app.replenish();
                });
            }
            return;
        }
        // After a failure one by one, until one that was started lasts.
        let starts = match (self.failures.get(), self.starting()) {
            (0, _) => missing,
            (_, 0) => 1,
            (_, _) => 0,
        };
        for _ in 0..starts {
            let (planned, app, control) = (app.plan(), Rc::clone(&app), Rc::clone(&control));
            spawn_local(async move {
                if let Err(refusal) = planned.start(&control).await {
                    app.failed_unseen(&refusal);
                }
                app.replenish();
            });
        }
    }

    /// Workers that are not ready yet.
    fn starting(&self) -> u32 {
        self.planned.get() + self.count(|worker| !worker.is_stopping && !worker.is_ready)
    }

    /// How many processes should be started now (processes.md §11), if at least `taken` of them are
    /// not idle.
    fn missing_workers(&self, taken: u32) -> u32 {
        let processes = self.config.processes;
        // What leaves needs no spare ones, only those that end what is left of it.
        let spare = if self.is_leaving() { 0 } else { processes.spare };
        let live = self.planned.get() + self.count(|worker| !worker.is_stopping);
        let starting = self.starting();
        let idle = self.count(|worker| worker.is_idle());
        let running = live - starting;
        let active = u32::try_from(self.active.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let idle = idle.min(running.saturating_sub(taken));
        let for_spare = spare.saturating_sub(idle + starting);
        let for_demand = u32::from(active > running + starting);
        let pending_max = spare.max(1).saturating_sub(starting);
        for_spare.max(for_demand).min(pending_max).min(processes.max.saturating_sub(live))
    }

    fn count(&self, which: impl Fn(&WorkerState) -> bool) -> u32 {
        let count = self.workers.borrow().values().filter(|worker| which(worker)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// With no worker and none on its way, nobody will ever serve what waits.
    fn fail_queue_if_hopeless(&self, control: &Control) {
        if self.planned.get() == 0 && self.count(|worker| !worker.is_stopping) == 0 {
            control.tell_all(|| Command::FailQueue(self.id));
        }
    }

    /// Stops idle workers beyond the spare ones, longest idle first.
    pub(super) fn stop_idle_workers(&self, control: &Control) {
        let processes = self.config.processes;
        if processes.spare >= processes.max {
            return;
        }
        let now = Instant::now();
        let mut idle = Vec::new();
        for (number, worker) in self.workers.borrow_mut().iter_mut() {
            if !worker.is_idle() {
                worker.idle_since = None;
                continue;
            }
            let served = worker.gauge.served();
            match worker.idle_since {
                Some((then, since)) if then == served => idle.push((since, *number)),
                _ => {
                    worker.idle_since = Some((served, now));
                    idle.push((now, *number));
                }
            }
        }
        idle.sort_unstable();
        let surplus = idle.len().saturating_sub(processes.spare as usize);
        for (since, number) in idle.into_iter().take(surplus) {
            if now.duration_since(since) >= processes.idle_timeout {
                self.retire(control, number);
            }
        }
    }

    /// Gives a worker nothing more and has it stop once it is done.
    fn retire(&self, control: &Control, number: u32) {
        if let Some(worker) = self.workers.borrow_mut().get_mut(&number) {
            worker.is_stopping = true;
            worker.was_told_to_stop = true;
        }
        let key = WorkerKey { app: self.id, worker: number };
        control.tell_all(|| Command::RetireWorker(key));
        control.tell(0, Command::Send(key, ToWorker::Quit { graceful: true }));
    }

    /// Replaces all processes: the new ones are ready before the old ones are told to finish, so
    /// nothing that waits is lost. If the new ones cannot be started, the old ones stay.
    pub(super) fn restart(&self, control: &Rc<Control>) {
        let app = self.rc();
        let control = Rc::clone(control);
        spawn_local(async move {
            let _one_at_a_time = app.restarting.lock().await;
            let old_prototype = app.prototype.take();
            let old: Vec<u32> = app.workers.borrow().keys().copied().collect();
            app.forget_failures();
            let count = app.config.processes.spare.max(u32::from(!old.is_empty()));
            let mut started = Ok(());
            for _ in 0..count {
                started = app.plan().start(&control).await;
                if started.is_err() {
                    break;
                }
            }
            if let Err(refusal) = &started
                && !app.is_gone.get()
            {
                app.failed_unseen(refusal);
                if let Some(failed) = app.prototype.replace(old_prototype) {
                    failed.quit();
                }
                return;
            }
            for number in old {
                app.retire(&control, number);
            }
            if let Some(old) = old_prototype {
                old.quit();
            }
        });
    }

    /// Gives every worker a channel to a loop that was added.
    pub(super) fn attach_loop(&self, control: &Control, index: usize) {
        for (number, worker) in self.workers.borrow().iter() {
            let key = WorkerKey { app: self.id, worker: *number };
            let made = make_channels(1).and_then(|(mut channels, mut halves)| {
                let page = control.page_fd(index)?;
                Ok((channels.pop(), halves.pop_front(), page))
            });
            match made {
                Ok((Some(channel), Some(half), page)) => {
                    let gauge = Arc::clone(&worker.gauge);
                    control.tell(index, Command::AddWorker(key, channel, gauge));
                    control.tell(0, attach(key, index, half, page));
                    if worker.is_ready {
                        control.tell(index, Command::WorkerReady(key));
                    }
                }
                // The other loops reach the worker; this one's requests wait for the next.
                Ok(_) | Err(_) => unit_log::alert!("cannot connect a worker to a new event loop"),
            }
        }
    }

    /// It is no longer configured; these loops have something of it.
    pub(super) fn leave(&self, loops: Vec<usize>) {
        self.leaving.replace(Some(loops));
    }

    /// Nothing of it is left on a loop; `true` when that was the last.
    pub(super) fn gone_from(&self, index: usize) -> bool {
        let mut leaving = self.leaving.borrow_mut();
        let Some(loops) = &mut *leaving else { return false };
        loops.retain(|other| *other != index);
        loops.is_empty()
    }

    /// Has every process of it stop.
    pub(super) fn stop_all(&self) {
        self.leaving.borrow_mut().get_or_insert_with(Vec::new);
        self.is_gone.set(true);
        let mut prototypes: Vec<Rc<Prototype>> = Vec::new();
        prototypes.extend(self.prototype.borrow().as_ref().map(Rc::clone));
        for worker in self.workers.borrow_mut().values_mut() {
            worker.is_stopping = true;
            worker.was_told_to_stop = true;
            if !prototypes.iter().any(|known| Rc::ptr_eq(known, &worker.prototype)) {
                prototypes.push(Rc::clone(&worker.prototype));
            }
        }
        for prototype in prototypes {
            prototype.quit();
        }
    }

    /// Whether it is no longer configured.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.borrow().is_some()
    }
}

/// A worker that is to be started. It counts as one until it is among the others, or given up.
struct Planned {
    app: Rc<App>,
}

impl Planned {
    /// Starts it and waits until it is ready.
    async fn start(self, control: &Rc<Control>) -> Result<(), Refusal> {
        let app = Rc::clone(&self.app);
        let number = app.next_worker.get() + 1;
        app.next_worker.set(number);
        let key = WorkerKey { app: app.id, worker: number };
        let result = app.start(control, key, self).await;
        if result.is_err() {
            app.workers.borrow_mut().remove(&number);
            app.count_failure();
            app.fail_queue_if_hopeless(control);
        }
        result
    }
}

impl Drop for Planned {
    fn drop(&mut self) {
        self.app.planned.set(self.app.planned.get() - 1);
    }
}

impl Prototype {
    /// Has it stop its workers and then itself.
    fn quit(&self) {
        self.was_told_to_stop.set(true);
        // One that is gone has nothing left to stop.
        let _ = self.port.send(RouterToPrototype::Quit(Quit::Graceful));
    }
}

impl WorkerState {
    fn kill(&self, number: u32) {
        let signal = SignalWorker { worker: WorkerId(number), signal: WorkerSignal::Kill };
        // A prototype that is gone took its workers along.
        let _ = self.prototype.port.send(RouterToPrototype::SignalWorker(signal));
    }

    fn is_idle(&self) -> bool {
        self.is_ready && !self.is_stopping && self.gauge.is_idle()
    }
}

/// Has a worker sent its end of the channel to loop `index`.
fn attach(key: WorkerKey, index: usize, half: WorkerHalf, page: OwnedFd) -> Command {
    let fds = [half.memory, half.doorbell, page];
    Command::Attach(key, Attachment { loop_index: index, fds })
}

fn gone() -> Refusal {
    Refusal::new("the application is no longer configured")
}

/// Channels for `count` loops: our ends, and the worker's.
fn make_channels(count: usize) -> io::Result<(Vec<RouterChannel>, VecDeque<WorkerHalf>)> {
    let mut channels = Vec::with_capacity(count);
    let mut halves = VecDeque::with_capacity(count);
    for _ in 0..count {
        let (channel, half) = RouterChannel::new().map_err(io::Error::other)?;
        channels.push(channel);
        halves.push_back(half);
    }
    Ok((channels, halves))
}

/// Which application main is to start; the controller has told it the rest.
fn start_request(config: &Application) -> Result<StartPrototype, Refusal> {
    let refuse = |what: &str| Refusal::new(format!("application \"{}\": {what}", config.name));
    let name = config.name.to_str().ok_or_else(|| refuse("the name is not UTF-8"))?.to_owned();
    if config.module.is_none() {
        return Err(refuse("it has no language module"));
    }
    Ok(StartPrototype { name, application: config.compact_json.clone() })
}
