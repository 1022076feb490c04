//! Hands the requests of one application to its workers, for one event loop.
//!
//! A request goes to an idle worker if there is one, else ahead to the one with the fewest waiting,
//! as far as the application's recent service time allows, else into the queue. Whoever finishes
//! takes the oldest waiter; with nobody waiting and nothing left, it takes back what another has not
//! begun. A request belongs to the dispatcher until it is answered: a client that leaves frees
//! nothing a worker may still write to.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use app_io::ChannelError;
use app_proto::ToWorker;

use super::exchange::{Answer, Exchange, Failure, Place};
use super::worker::{Worker, WorkerKey};
use crate::event_loop::EventLoop;

/// The most requests of one application that wait on one event loop.
const QUEUE_LEN_MAX: usize = 16 * 1024;

/// How long a request waits for a worker at most, in milliseconds, where the application sets no
/// `limits.timeout` of its own.
const QUEUE_WAIT_MS: u64 = 60_000;

/// Too many requests wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

/// The requests of one application on one event loop.
#[derive(Debug)]
pub struct Dispatcher {
    /// The application's number.
    app: u32,
    /// Milliseconds an application may take between two words; `None` for ever.
    timeout_ms: Option<u64>,
    workers: RefCell<Vec<Rc<Worker>>>,
    queue: RefCell<VecDeque<Rc<Exchange>>>,
    /// Where the search for a worker begins.
    next: Cell<usize>,
    /// Requests queued or being processed, over all loops.
    active: Arc<AtomicU64>,
    event_loop: Rc<EventLoop>,
    me: Weak<Dispatcher>,
}

impl Dispatcher {
    /// A dispatcher without workers.
    pub fn new(
        app: u32,
        timeout_ms: Option<u64>,
        active: Arc<AtomicU64>,
        event_loop: Rc<EventLoop>,
    ) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            app,
            timeout_ms,
            workers: RefCell::new(Vec::new()),
            queue: RefCell::new(VecDeque::new()),
            next: Cell::new(0),
            active,
            event_loop,
            me: me.clone(),
        })
    }

    /// The application's number.
    pub fn app(&self) -> u32 {
        self.app
    }

    /// Adds a worker that is being started.
    pub fn add_worker(&self, worker: Rc<Worker>) {
        self.workers.borrow_mut().push(worker);
    }

    /// The worker with this key.
    pub fn worker(&self, key: WorkerKey) -> Option<Rc<Worker>> {
        self.workers.borrow().iter().find(|worker| worker.key() == key).map(Rc::clone)
    }

    /// Hands out a request, or queues it. `record` is one of [`app_proto::encode_request`].
    ///
    /// # Errors
    /// [`QueueFull`] when too many wait.
    pub fn submit(&self, record: Vec<u8>, body: Option<Rc<OwnedFd>>) -> Result<Answer, QueueFull> {
        let wait = self.timeout_ms.unwrap_or(QUEUE_WAIT_MS);
        let deadline = self.event_loop.now_ms().saturating_add(wait);
        let exchange = Exchange::new(record, body, deadline);
        if !self.queue.borrow().is_empty() || !self.place(&exchange) {
            let mut queue = self.queue.borrow_mut();
            if queue.len() >= QUEUE_LEN_MAX {
                return Err(QueueFull);
            }
            queue.push_back(Rc::clone(&exchange));
            self.active.fetch_add(1, Ordering::Relaxed);
            self.event_loop.demand(self.app);
        } else {
            self.active.fetch_add(1, Ordering::Relaxed);
        }
        let dispatcher = self.me.upgrade().expect("self is borrowed, so it is alive");
        Ok(Answer { exchange, dispatcher })
    }

    /// Gives a request to a worker, if one can take it now.
    fn place(&self, exchange: &Rc<Exchange>) -> bool {
        let Some(worker) = self.choose() else { return false };
        self.give(&worker, exchange)
    }

    fn give(&self, worker: &Rc<Worker>, exchange: &Rc<Exchange>) -> bool {
        let was_empty = worker.in_flight() == 0;
        match worker.offer(exchange) {
            Ok(true) => {
                if was_empty {
                    self.event_loop.note_busy(worker);
                }
                self.event_loop.schedule_drain();
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.lose(worker, &error);
                false
            }
        }
    }

    /// An idle worker, or the one with the fewest waiting if it may be given more.
    fn choose(&self) -> Option<Rc<Worker>> {
        let workers = self.workers.borrow();
        if let [worker] = &workers[..] {
            return (worker.takes_requests() && worker.has_room()).then(|| Rc::clone(worker));
        }
        let count = workers.len();
        let start = self.next.get();
        let mut best: Option<(usize, usize)> = None;
        for step in 0..count {
            let at = (start + step) % count;
            let worker = &workers[at];
            if !worker.takes_requests() {
                continue;
            }
            if worker.is_idle() {
                self.next.set((at + 1) % count);
                return Some(Rc::clone(worker));
            }
            if worker.has_room() {
                let waiting = worker.waiting();
                if best.is_none_or(|(_, fewest)| waiting < fewest) {
                    best = Some((at, waiting));
                }
            }
        }
        best.map(|(at, _)| {
            self.next.set((at + 1) % count);
            Rc::clone(&workers[at])
        })
    }

    /// Takes all answers of a worker and gives it what waits.
    pub fn drain(&self, worker: &Rc<Worker>) {
        let deadline = self
            .timeout_ms
            .map_or(u64::MAX, |timeout| self.event_loop.now_ms().saturating_add(timeout));
        match worker.drain(deadline) {
            Ok(drained) => {
                if drained.finished > 0 {
                    self.active.fetch_sub(drained.finished as u64, Ordering::Relaxed);
                    self.refill(worker);
                }
            }
            Err(error) => self.lose(worker, &error),
        }
    }

    /// Gives a worker the oldest waiters, or what another has not begun.
    fn refill(&self, worker: &Rc<Worker>) {
        self.serve_queue();
        if worker.takes_requests() && worker.in_flight() == 0 {
            self.steal_for(worker);
        }
    }

    /// Gives the oldest waiters to whoever can take them.
    fn serve_queue(&self) {
        loop {
            let Some(oldest) = self.queue.borrow().front().map(Rc::clone) else { return };
            if !self.place(&oldest) {
                return;
            }
            self.queue.borrow_mut().pop_front();
        }
    }

    fn steal_for(&self, idle: &Rc<Worker>) {
        let victim = {
            let workers = self.workers.borrow();
            workers
                .iter()
                .filter(|worker| !Rc::ptr_eq(worker, idle) && !worker.is_lost())
                .max_by_key(|worker| worker.waiting())
                .filter(|worker| worker.waiting() > 0)
                .map(Rc::clone)
        };
        if let Some(exchange) = victim.and_then(|victim| victim.revoke_newest())
            && !self.give(idle, &exchange)
        {
            exchange.place.replace(Place::Queued);
            self.queue.borrow_mut().push_front(exchange);
        }
    }

    /// What has waited in vain behind a busy worker goes to an idle one. Called now and then.
    pub fn rebalance(&self) {
        self.serve_queue();
        let idle: Vec<Rc<Worker>> = {
            let workers = self.workers.borrow();
            if workers.len() < 2 {
                return;
            }
            let all_clear = workers.iter().all(|worker| worker.waiting() == 0);
            if all_clear {
                return;
            }
            workers
                .iter()
                .filter(|worker| worker.takes_requests() && worker.is_idle())
                .map(Rc::clone)
                .collect()
        };
        for worker in idle {
            self.steal_for(&worker);
        }
    }

    /// A connection no longer wants its answer.
    pub(super) fn give_up(&self, exchange: &Rc<Exchange>) {
        let place = exchange.place.borrow().clone();
        match place {
            Place::Ended => {}
            Place::Queued => {
                self.queue.borrow_mut().retain(|queued| !Rc::ptr_eq(queued, exchange));
                exchange.place.replace(Place::Ended);
                self.active.fetch_sub(1, Ordering::Relaxed);
            }
            Place::Offered(worker, id) => {
                if worker.revoke(id) {
                    exchange.place.replace(Place::Ended);
                    self.active.fetch_sub(1, Ordering::Relaxed);
                } else {
                    worker.cancel(id);
                    self.event_loop.schedule_drain();
                }
            }
        }
    }

    /// Has the loop's ring task run soon.
    pub(super) fn schedule_ring(&self) {
        self.event_loop.schedule_drain();
    }

    /// Takes what a worker's doorbell brought. `Ok(true)`: the application is loaded.
    ///
    /// # Errors
    /// When the worker is gone or broke the rules; it was removed.
    pub fn receive(&self, worker: &Rc<Worker>) -> Result<bool, ChannelError> {
        match worker.receive() {
            Ok(became_ready) => {
                self.drain(worker);
                Ok(became_ready)
            }
            Err(error) => {
                // What it said before it ended still counts.
                if let Ok(drained) =
                    worker.drain(self.event_loop.now_ms().saturating_add(QUEUE_WAIT_MS))
                {
                    self.active.fetch_sub(drained.finished as u64, Ordering::Relaxed);
                }
                self.lose(worker, &error);
                Err(error)
            }
        }
    }

    /// A worker's application is loaded: on every loop it may be given requests.
    pub fn set_ready(&self, key: WorkerKey) {
        if let Some(worker) = self.worker(key) {
            worker.set_ready();
            self.serve_queue();
        }
    }

    /// A worker gets no more requests; what it has not begun goes to others.
    pub fn retire(&self, key: WorkerKey) {
        let Some(worker) = self.worker(key) else { return };
        worker.retire();
        while worker.waiting() > 0 {
            let Some(exchange) = worker.revoke_newest() else { break };
            exchange.place.replace(Place::Queued);
            self.queue.borrow_mut().push_front(exchange);
        }
        self.serve_queue();
    }

    /// Sends every worker a doorbell packet with this descriptor.
    pub fn broadcast(&self, message: ToWorker, fds: &[BorrowedFd<'_>]) {
        let workers: Vec<Rc<Worker>> = self.workers.borrow().iter().map(Rc::clone).collect();
        for worker in workers {
            // A worker whose doorbell is full or gone is dealt with where it is watched.
            let _ = worker.send(message, fds);
        }
    }

    /// Sends one worker a doorbell packet; `false` when it is not known or its socket is full.
    pub fn send(&self, key: WorkerKey, message: ToWorker, fds: &[BorrowedFd<'_>]) -> bool {
        self.worker(key).is_some_and(|worker| worker.send(message, fds).unwrap_or(false))
    }

    /// A worker is gone or broke the rules: what it had begun fails, the rest goes to others.
    pub fn lose(&self, worker: &Rc<Worker>, error: &ChannelError) {
        if worker.is_lost() {
            return;
        }
        let broke_rules = !matches!(error, ChannelError::HungUp);
        if broke_rules {
            unit_log::alert!(
                "app {}: worker {} broke the protocol: {error}",
                self.app,
                worker.key().worker
            );
        }
        let before = worker.in_flight();
        let orphans = worker.lose();
        let failed = before.saturating_sub(orphans.len());
        self.active.fetch_sub(failed as u64, Ordering::Relaxed);
        self.workers.borrow_mut().retain(|known| !Rc::ptr_eq(known, worker));
        self.event_loop.worker_lost(worker, broke_rules);
        for exchange in orphans.into_iter().rev() {
            if exchange.is_abandoned() {
                exchange.fail(Failure::Application);
                self.active.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            exchange.place.replace(Place::Queued);
            self.queue.borrow_mut().push_front(exchange);
        }
        self.serve_queue();
    }

    /// Fails everything that waits: there is no worker and none is being started.
    pub fn fail_queue(&self) {
        let queue = std::mem::take(&mut *self.queue.borrow_mut());
        self.active.fetch_sub(queue.len() as u64, Ordering::Relaxed);
        for exchange in queue {
            exchange.fail(Failure::Unavailable);
        }
    }

    /// Fails what has waited or run for too long. A worker that runs on is told by cancellation;
    /// replacing it is decided by who supervises it.
    pub fn expire(&self, now_ms: u64) {
        let late: Vec<Rc<Exchange>> = {
            let mut queue = self.queue.borrow_mut();
            if queue.iter().all(|exchange| exchange.deadline_ms.get() > now_ms) {
                Vec::new()
            } else {
                let (late, kept): (Vec<_>, Vec<_>) =
                    queue.drain(..).partition(|exchange| exchange.deadline_ms.get() <= now_ms);
                queue.extend(kept);
                late
            }
        };
        self.active.fetch_sub(late.len() as u64, Ordering::Relaxed);
        for exchange in late {
            exchange.fail(Failure::Unavailable);
        }
        let workers: Vec<Rc<Worker>> = self.workers.borrow().iter().map(Rc::clone).collect();
        for worker in workers {
            for (id, exchange) in worker.overdue(now_ms) {
                exchange.deadline_ms.set(u64::MAX);
                if worker.revoke(id) {
                    self.active.fetch_sub(1, Ordering::Relaxed);
                    exchange.fail(Failure::Unavailable);
                } else if self.timeout_ms.is_some() {
                    // The slot stays the worker's until it ends its answer.
                    worker.cancel(id);
                    exchange.abandon();
                    exchange.fail(Failure::TimedOut);
                }
            }
        }
    }

    /// Requests waiting here.
    pub fn queue_len(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Whether nothing waits and nothing runs here.
    pub fn is_quiet(&self) -> bool {
        self.queue.borrow().is_empty()
            && self.workers.borrow().iter().all(|worker| worker.in_flight() == 0)
    }
}
