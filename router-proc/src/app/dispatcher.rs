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
use super::worker::{Received, Worker, WorkerKey};
use crate::event_loop::{AppSpec, EventLoop};

/// The most requests of one application that wait on one event loop.
const QUEUE_LEN_MAX: usize = 16 * 1024;

/// How long a request waits for a worker at most, in milliseconds, where the application sets no
/// `limits.timeout` of its own.
const QUEUE_WAIT_MS: u64 = 60_000;

/// How long a worker may go on with a request whose time is over before it is taken for hung.
const HUNG_MS: u64 = 60_000;

/// The pause before the control thread is told again that an application has use for workers.
const DEMAND_PAUSE_MS: u64 = 20;

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
    /// Whether it may be given more workers than are always there.
    can_grow: bool,
    workers: RefCell<Vec<Rc<Worker>>>,
    /// What waits, oldest first.
    queue: RefCell<VecDeque<Rc<Exchange>>>,
    /// Numbers the exchanges.
    next_number: Cell<u64>,
    /// Where the search for a worker begins.
    next: Cell<usize>,
    /// When the control thread may be told of demand again.
    next_demand_ms: Cell<u64>,
    /// Requests queued or being processed, over all loops.
    active: Arc<AtomicU64>,
    event_loop: Rc<EventLoop>,
    me: Weak<Dispatcher>,
}

impl Dispatcher {
    /// A dispatcher without workers.
    pub fn new(spec: AppSpec, event_loop: Rc<EventLoop>) -> Rc<Self> {
        let AppSpec { app, timeout_ms, can_grow, active } = spec;
        Rc::new_cyclic(|me| Self {
            app,
            timeout_ms,
            can_grow,
            workers: RefCell::new(Vec::new()),
            queue: RefCell::new(VecDeque::new()),
            next_number: Cell::new(0),
            next: Cell::new(0),
            next_demand_ms: Cell::new(0),
            active,
            event_loop,
            me: me.clone(),
        })
    }

    /// The application's number.
    pub fn app(&self) -> u32 {
        self.app
    }

    pub(super) fn downgrade(&self) -> Weak<Self> {
        Weak::clone(&self.me)
    }

    /// Adds a worker that is being started.
    pub fn add_worker(&self, worker: Rc<Worker>) {
        self.workers.borrow_mut().push(worker);
    }

    /// The worker with this key.
    pub fn worker(&self, key: WorkerKey) -> Option<Rc<Worker>> {
        self.workers.borrow().iter().find(|worker| worker.key() == key).map(Rc::clone)
    }

    pub(super) fn all_workers(&self) -> Vec<Rc<Worker>> {
        self.workers.borrow().iter().map(Rc::clone).collect()
    }

    /// The deadline of a request that a worker has begun, or said something about, just now.
    fn deadline(&self) -> u64 {
        self.timeout_ms.map_or(u64::MAX, |timeout| self.event_loop.now_ms().saturating_add(timeout))
    }

    /// Hands out a request, or queues it. `record` is one of [`app_proto::encode_request`].
    ///
    /// # Errors
    /// [`QueueFull`] when too many wait.
    pub fn submit(&self, record: Vec<u8>, body: Option<Rc<OwnedFd>>) -> Result<Answer, QueueFull> {
        if self.queue.borrow().len() >= QUEUE_LEN_MAX {
            return Err(QueueFull);
        }
        let wait = self.timeout_ms.unwrap_or(QUEUE_WAIT_MS);
        let deadline = self.event_loop.now_ms().saturating_add(wait);
        let number = self.next_number.get();
        self.next_number.set(number.wrapping_add(1));
        let exchange = Exchange::new(number, record, body, deadline);
        self.active.fetch_add(1, Ordering::Relaxed);
        let is_first = self.queue.borrow().is_empty();
        let is_placed = is_first && self.place(&exchange);
        if !is_placed {
            self.enqueue(Rc::clone(&exchange));
        }
        if is_first && !is_placed {
            self.event_loop.demand(self.app);
        } else if !is_placed || self.can_grow {
            self.demand_now_and_then();
        }
        let dispatcher = self.me.upgrade().expect("self is borrowed, so it is alive");
        Ok(Answer { exchange, dispatcher })
    }

    /// Tells the control thread that workers are being used, so that there can be more of them.
    fn demand_now_and_then(&self) {
        let now = self.event_loop.now_ms();
        if now >= self.next_demand_ms.get() {
            self.next_demand_ms.set(now.saturating_add(DEMAND_PAUSE_MS));
            self.event_loop.demand(self.app);
        }
    }

    /// Puts a request where it belongs by its age.
    fn enqueue(&self, exchange: Rc<Exchange>) {
        exchange.place.replace(Place::Queued);
        let mut queue = self.queue.borrow_mut();
        let at = queue.partition_point(|queued| queued.number < exchange.number);
        queue.insert(at, exchange);
    }

    /// Gives a request to a worker, if one can take it now.
    fn place(&self, exchange: &Rc<Exchange>) -> bool {
        while let Some(worker) = self.choose() {
            match self.give(&worker, exchange) {
                Given::Taken => return true,
                Given::Full => return false,
                Given::Lost => {}
            }
        }
        false
    }

    fn give(&self, worker: &Rc<Worker>, exchange: &Rc<Exchange>) -> Given {
        let was_empty = worker.in_flight() == 0;
        match worker.offer(exchange) {
            Ok(true) => {
                if was_empty {
                    self.event_loop.note_busy(worker);
                }
                self.event_loop.schedule_drain();
                Given::Taken
            }
            Ok(false) => Given::Full,
            Err(error) => {
                self.remove(worker, &error);
                Given::Lost
            }
        }
    }

    /// An idle worker, or the one with the fewest waiting if it may be given more.
    fn choose(&self) -> Option<Rc<Worker>> {
        let deadline = self.deadline();
        let workers = self.workers.borrow();
        if let [worker] = &workers[..] {
            return (worker.takes_requests() && worker.has_room(deadline))
                .then(|| Rc::clone(worker));
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
            if worker.has_room(deadline) {
                let waiting = worker.waiting(deadline);
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
        match self.take_answers(worker) {
            Ok(0) => {}
            Ok(_) => self.refill(worker),
            Err(error) => self.lose(worker, &error),
        }
    }

    /// Takes all answers of a worker; returns how many were complete.
    fn take_answers(&self, worker: &Rc<Worker>) -> Result<usize, ChannelError> {
        let mut finished = 0;
        let result = worker.drain(self.deadline(), &mut finished);
        self.active.fetch_sub(finished as u64, Ordering::Relaxed);
        result.map(|()| finished)
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
            let Some(oldest) = self.queue.borrow_mut().pop_front() else { return };
            if !self.place(&oldest) {
                self.enqueue(oldest);
                return;
            }
        }
    }

    /// Gives an idle worker the oldest request of the one that has most of them waiting.
    fn steal_for(&self, idle: &Rc<Worker>) {
        let deadline = self.deadline();
        loop {
            let victim = {
                let workers = self.workers.borrow();
                workers
                    .iter()
                    .filter(|worker| !Rc::ptr_eq(worker, idle) && !worker.is_lost())
                    .map(|worker| (worker.waiting(deadline), worker))
                    .filter(|(waiting, _)| *waiting > 0)
                    .max_by_key(|(waiting, _)| *waiting)
                    .map(|(_, worker)| Rc::clone(worker))
            };
            let Some(victim) = victim else { return };
            // The victim may have been faster.
            let Some(exchange) = victim.revoke_oldest() else { continue };
            match self.give(idle, &exchange) {
                Given::Taken => {}
                Given::Full => self.enqueue(exchange),
                Given::Lost => {
                    self.enqueue(exchange);
                    self.serve_queue();
                }
            }
            return;
        }
    }

    /// What has waited in vain behind a busy worker goes to whoever can take it first. Called now
    /// and then.
    pub fn rebalance(&self) {
        let workers = self.all_workers();
        let deadline = self.deadline();
        if workers.len() > 1 {
            for worker in &workers {
                if worker.is_late(deadline) {
                    worker.set_stuck();
                    self.requeue(worker);
                }
            }
        }
        self.serve_queue();
        if workers.len() > 1 {
            for worker in &workers {
                if worker.takes_requests() && worker.is_idle() {
                    self.steal_for(worker);
                }
            }
        }
        let is_used = || workers.iter().any(|worker| worker.in_flight() > 0);
        if !self.queue.borrow().is_empty() || (self.can_grow && is_used()) {
            self.event_loop.demand(self.app);
        }
    }

    /// Takes back what a worker has not begun.
    fn requeue(&self, worker: &Rc<Worker>) {
        for exchange in worker.revoke_all() {
            self.enqueue(exchange);
        }
    }

    /// A connection no longer wants its answer.
    pub(super) fn give_up(&self, exchange: &Rc<Exchange>) {
        let unread = exchange.abandon();
        let place = exchange.place.borrow().clone();
        match place {
            Place::Ended => {}
            Place::Queued => {
                {
                    let mut queue = self.queue.borrow_mut();
                    let at = queue.partition_point(|queued| queued.number < exchange.number);
                    if queue.get(at).is_some_and(|queued| Rc::ptr_eq(queued, exchange)) {
                        queue.remove(at);
                    }
                }
                exchange.place.replace(Place::Ended);
                self.active.fetch_sub(1, Ordering::Relaxed);
            }
            Place::Offered(worker, id) => {
                if worker.revoke(id) {
                    exchange.place.replace(Place::Ended);
                    self.active.fetch_sub(1, Ordering::Relaxed);
                    self.serve_queue();
                } else {
                    worker.cancel(id);
                    worker.consume(id, unread);
                    self.event_loop.schedule_drain();
                }
            }
            Place::Session(worker, id) => {
                let told = worker.tell(id, exchange);
                self.look_at(&worker, told);
            }
        }
    }

    /// Has the loop's ring task run soon for a worker that was told something, or loses it.
    pub(super) fn look_at(&self, worker: &Rc<Worker>, told: Result<(), ChannelError>) {
        match told {
            Ok(()) => self.event_loop.schedule_drain(),
            Err(error) => self.lose(worker, &error),
        }
    }

    /// Has the loop's ring task run soon.
    pub(super) fn schedule_ring(&self) {
        self.event_loop.schedule_drain();
    }

    /// Takes what a worker's doorbell brought.
    ///
    /// # Errors
    /// When the worker is gone or broke the rules; it was removed.
    pub fn receive(&self, worker: &Rc<Worker>) -> Result<Received, ChannelError> {
        match worker.receive() {
            Ok(received) => {
                self.drain(worker);
                Ok(received)
            }
            Err(error) => {
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
        self.requeue(&worker);
        self.serve_queue();
        if !self.queue.borrow().is_empty() {
            self.event_loop.demand(self.app);
        }
    }

    /// Sends every worker a doorbell packet with this descriptor.
    pub fn broadcast(&self, message: ToWorker, fds: &[BorrowedFd<'_>]) {
        for worker in self.all_workers() {
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
        self.remove(worker, error);
        self.serve_queue();
    }

    /// As [`Self::lose`], but leaves what is left in the queue.
    fn remove(&self, worker: &Rc<Worker>, error: &ChannelError) {
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
        } else {
            // What it said before it ended still counts; that it then broke off does not matter.
            let _ = self.take_answers(worker);
        }
        let before = worker.in_flight();
        let orphans = worker.lose();
        let failed = before.saturating_sub(orphans.len());
        self.active.fetch_sub(failed as u64, Ordering::Relaxed);
        self.workers.borrow_mut().retain(|known| !Rc::ptr_eq(known, worker));
        self.event_loop.worker_lost(worker, broke_rules);
        for exchange in orphans {
            self.enqueue(exchange);
        }
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
        let deadline = self.deadline();
        for worker in self.all_workers() {
            // The time of what it has begun counts from when that was noticed.
            worker.waiting(deadline);
            for (id, exchange) in worker.overdue(now_ms) {
                if exchange.timed_out.get() {
                    exchange.deadline_ms.set(u64::MAX);
                    self.event_loop.worker_hung(&worker);
                } else if worker.revoke(id) {
                    self.active.fetch_sub(1, Ordering::Relaxed);
                    exchange.fail(Failure::Unavailable);
                } else if self.timeout_ms.is_none() || worker.waits_for(id) {
                    // Begun this very moment.
                    exchange.deadline_ms.set(deadline);
                } else {
                    // The slot stays the worker's until it ends its answer.
                    exchange.timed_out.set(true);
                    exchange.deadline_ms.set(now_ms.saturating_add(HUNG_MS));
                    let unread = exchange.abandon();
                    exchange.fail(Failure::TimedOut);
                    worker.cancel(id);
                    worker.consume(id, unread);
                    self.event_loop.schedule_drain();
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

    /// Whether nobody waits for anything here, though a worker may still be at what it was given.
    pub fn is_forsaken(&self) -> bool {
        self.queue.borrow().is_empty()
            && self.workers.borrow().iter().all(|worker| worker.is_forsaken())
    }

    /// Says goodbye to the workers, who go on with the other loops. `false` while one has no room
    /// for it: what hangs up without a word is taken for the end of the router.
    pub fn part_from_workers(&self) -> bool {
        let mut are_told = true;
        for worker in self.all_workers() {
            // One that is gone need not be told.
            if matches!(worker.send(ToWorker::Detach, &[]), Ok(false)) {
                are_told = false;
                continue;
            }
            self.workers.borrow_mut().retain(|known| !Rc::ptr_eq(known, &worker));
            worker.lose();
        }
        are_told
    }

    /// Lets go of the workers: they end when they have ended what they are at, which nobody waits
    /// for any more. They and their exchanges hold each other.
    pub fn dissolve(&self) {
        for worker in self.workers.take() {
            // One that does not hear it is ended by its prototype.
            let _ = worker.send(ToWorker::Quit { graceful: true }, &[]);
            let before = worker.in_flight();
            worker.lose();
            self.active.fetch_sub(before as u64, Ordering::Relaxed);
        }
    }
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// The worker has it.
    Taken,
    /// The worker has no room for it now.
    Full,
    /// The worker is gone.
    Lost,
}

#[cfg(test)]
mod tests;
