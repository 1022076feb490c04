//! One worker as one event loop sees it: its channel, and the exchanges that are in it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use app_io::{ChannelError, OfferError, RouterChannel};
use app_proto::{RequestId, ResponseKind, SLOTS, ToRouter, ToWorker};

use super::exchange::{Exchange, Failure, FilePart, Place, Violation};
use crate::control::WorkerGauge;

/// The most requests handed to a worker ahead of its claims.
const DEPTH_MAX: u32 = 64;

/// Requests are handed out ahead for about this long: what a wake-up costs, many times over, and
/// little enough that nobody notices having waited behind another.
const AHEAD_US: u32 = 400;

/// A worker of one application; the number is the router's and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerKey {
    /// The application's number.
    pub app: u32,
    /// The worker's number within it.
    pub worker: u32,
}

/// One worker as one event loop sees it.
#[derive(Debug)]
pub struct Worker {
    key: WorkerKey,
    channel: RefCell<RouterChannel>,
    /// Its load, over all loops.
    gauge: Arc<WorkerGauge>,
    /// The exchanges in the channel, by slot.
    exchanges: RefCell<Vec<Option<Rc<Exchange>>>>,
    /// Those that were not seen claimed, oldest first.
    unclaimed: RefCell<VecDeque<(RequestId, Rc<Exchange>)>>,
    /// Files that arrived ahead of their records.
    files: RefCell<Vec<(RequestId, OwnedFd)>>,
    /// Moving average of the microseconds a request takes, as the worker tells.
    service_us: Cell<u32>,
    is_ready: Cell<bool>,
    is_lost: Cell<bool>,
    /// No new requests: the worker is being replaced.
    is_retired: Cell<bool>,
}

/// What a drain found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drained {
    /// Requests that were answered to the end.
    pub(super) finished: usize,
}

impl Worker {
    /// A worker that is not ready yet.
    pub fn new(key: WorkerKey, channel: RouterChannel, gauge: Arc<WorkerGauge>) -> Rc<Self> {
        Rc::new(Self {
            key,
            channel: RefCell::new(channel),
            gauge,
            exchanges: RefCell::new(Vec::new()),
            unclaimed: RefCell::new(VecDeque::new()),
            files: RefCell::new(Vec::new()),
            // Cautious until the worker has shown what it takes.
            service_us: Cell::new(AHEAD_US),
            is_ready: Cell::new(false),
            is_lost: Cell::new(false),
            is_retired: Cell::new(false),
        })
    }

    /// Which worker it is.
    pub fn key(&self) -> WorkerKey {
        self.key
    }

    /// A second descriptor of the doorbell, to be watched for readability.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn doorbell(&self) -> io::Result<OwnedFd> {
        sys::fd::duplicate(self.channel.borrow().doorbell())
    }

    /// Whether requests may be handed to it.
    pub(super) fn takes_requests(&self) -> bool {
        self.is_ready.get() && !self.is_lost.get() && !self.is_retired.get()
    }

    /// The application is loaded.
    pub(super) fn set_ready(&self) {
        self.is_ready.set(true);
    }

    /// Hands it no more requests.
    pub(super) fn retire(&self) {
        self.is_retired.set(true);
    }

    /// Requests in the channel.
    pub fn in_flight(&self) -> usize {
        self.channel.borrow().in_flight()
    }

    /// Whether it has nothing to do, as far as can be told without asking.
    pub(super) fn is_idle(&self) -> bool {
        let channel = self.channel.borrow();
        channel.in_flight() == 0 && self.gauge.in_flight() == 0
    }

    /// Requests handed out that it has not begun.
    pub(super) fn waiting(&self) -> usize {
        let channel = self.channel.borrow();
        let mut unclaimed = self.unclaimed.borrow_mut();
        while let Some((id, exchange)) = unclaimed.front() {
            if channel.is_offered(*id) {
                break;
            }
            // Claimed, or over: the copy is not needed any more.
            exchange.record.take();
            exchange.body.take();
            unclaimed.pop_front();
        }
        unclaimed.len()
    }

    /// Whether one more may be handed out ahead.
    pub(super) fn has_room(&self) -> bool {
        let depth = (AHEAD_US / self.service_us.get().max(1)).clamp(1, DEPTH_MAX);
        self.waiting() < depth as usize
    }

    /// Hands it a request. `Ok(false)`: not now.
    pub(super) fn offer(self: &Rc<Self>, exchange: &Rc<Exchange>) -> Result<bool, ChannelError> {
        let offered = {
            let body = exchange.body.borrow();
            let body = body.as_ref().map(|file| file.as_fd());
            self.channel.borrow_mut().offer(&mut exchange.record.borrow_mut(), body)
        };
        let id = match offered {
            Ok(id) => id,
            Err(OfferError::Full) => return Ok(false),
            Err(OfferError::Channel(error)) => return Err(error),
        };
        {
            let mut exchanges = self.exchanges.borrow_mut();
            let slot = id.slot as usize;
            if exchanges.len() <= slot {
                exchanges.resize(slot + 1, None);
            }
            exchanges[slot] = Some(Rc::clone(exchange));
        }
        exchange.place.replace(Place::Offered(Rc::clone(self), id));
        self.gauge.begin();
        self.unclaimed.borrow_mut().push_back((id, Rc::clone(exchange)));
        Ok(true)
    }

    /// Takes a request back; `false` when the worker has begun it.
    pub(super) fn revoke(&self, id: RequestId) -> bool {
        if !self.channel.borrow_mut().revoke(id) {
            return false;
        }
        self.forget(id);
        self.unclaimed.borrow_mut().retain(|(of, _)| *of != id);
        true
    }

    /// Takes back the request it would come to last.
    pub(super) fn revoke_newest(&self) -> Option<Rc<Exchange>> {
        let (id, exchange) = self.unclaimed.borrow_mut().pop_back()?;
        if !self.channel.borrow_mut().revoke(id) {
            return None;
        }
        self.forget(id);
        Some(exchange)
    }

    fn forget(&self, id: RequestId) {
        if let Some(place) = self.exchanges.borrow_mut().get_mut(id.slot as usize)
            && place.take().is_some()
        {
            self.gauge.end(1);
        }
    }

    /// Tells it that nobody reads this answer.
    pub(super) fn cancel(&self, id: RequestId) {
        self.channel.borrow_mut().cancel(id);
    }

    /// Gives credit for bytes passed on.
    pub(super) fn consume(&self, id: RequestId, bytes: usize) {
        self.channel.borrow_mut().consume(id, bytes);
    }

    /// Whether an answer waits in its ring.
    pub fn has_records(&self) -> bool {
        self.channel.borrow().has_records()
    }

    /// Wakes it if it sleeps over something it was given.
    pub fn ring(&self) -> Result<(), ChannelError> {
        self.channel.borrow_mut().ring()
    }

    /// Sends it a doorbell packet; `Ok(false)` when the socket is full.
    pub(super) fn send(
        &self,
        message: ToWorker,
        fds: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<bool, ChannelError> {
        self.channel.borrow().send(message, fds)
    }

    /// Takes what the doorbell brought; `Ok(true)` when it said that the application is loaded.
    pub(super) fn receive(&self) -> Result<bool, ChannelError> {
        let mut became_ready = false;
        loop {
            let received = self.channel.borrow().receive()?;
            match received {
                None => return Ok(became_ready),
                Some((ToRouter::Wake, _)) => {}
                Some((ToRouter::Ready, _)) => became_ready = true,
                Some((ToRouter::File(id), Some(file))) => {
                    let mut files = self.files.borrow_mut();
                    if !self.channel.borrow().knows(id) || files.len() >= SLOTS {
                        return Err(ChannelError::Doorbell);
                    }
                    files.push((id, file));
                }
                Some((ToRouter::File(_), None)) => return Err(ChannelError::Doorbell),
            }
        }
    }

    /// Moves all answers from the ring to their exchanges. `deadline_ms` is the new deadline of
    /// every exchange that was heard of.
    pub(super) fn drain(&self, deadline_ms: u64) -> Result<Drained, ChannelError> {
        let mut drained = Drained::default();
        loop {
            let Some(record) = self.channel.borrow().next_record()? else { break };
            let exchange = {
                let known = self.channel.borrow().knows(record.id);
                let exchanges = self.exchanges.borrow();
                match exchanges.get(record.id.slot as usize) {
                    Some(Some(exchange)) if known => Rc::clone(exchange),
                    _ => return Err(ChannelError::Ring("an answer to no request")),
                }
            };
            let taken = match record.kind {
                ResponseKind::Head => {
                    let mut payload = Vec::with_capacity(record.len);
                    self.channel.borrow().read_payload(&record, &mut payload)?;
                    exchange.take_head(payload, record.last)
                }
                ResponseKind::Body => exchange
                    .take_body(record.len, record.last, |buffer| {
                        self.channel.borrow().read_payload(&record, buffer)
                    })
                    .and_then(|read| read.map_err(|_| Violation("a bad body"))),
                ResponseKind::File => {
                    let mut payload = Vec::new();
                    self.channel.borrow().read_payload(&record, &mut payload)?;
                    self.file_part(record.id, &payload)
                        .and_then(|part| exchange.take_file(part, record.last))
                }
                ResponseKind::Failed => {
                    exchange.fail(Failure::Application);
                    Ok(())
                }
            };
            taken.map_err(|violation| ChannelError::Ring(violation.0))?;
            exchange.deadline_ms.set(deadline_ms);
            self.channel.borrow_mut().advance(&record);
            if exchange.is_abandoned() && record.kind != ResponseKind::Failed {
                // Its worker must not wait for a reader that left.
                self.consume(record.id, record.len);
            }
            if record.last || record.kind == ResponseKind::Failed {
                let known = self.service_us.get();
                let sample = record.service_us.min(10_000_000);
                self.service_us.set(known - known / 8 + sample / 8);
                exchange.end();
                self.forget(record.id);
                self.channel.borrow_mut().finish(record.id);
                drained.finished += 1;
            }
        }
        self.channel.borrow_mut().publish();
        if drained.finished > 0 {
            self.waiting();
        }
        Ok(drained)
    }

    fn file_part(&self, id: RequestId, payload: &[u8]) -> Result<FilePart, Violation> {
        // The descriptor was sent before the record was written.
        self.receive().map_err(|_| Violation("a bad doorbell"))?;
        let mut files = self.files.borrow_mut();
        let at = files
            .iter()
            .position(|(of, _)| *of == id)
            .ok_or(Violation("a file record without a file"))?;
        let (_, file) = files.swap_remove(at);
        let word = |at: usize| {
            payload
                .get(at..at + 8)
                .and_then(|bytes| bytes.try_into().ok())
                .map(u64::from_le_bytes)
                .ok_or(Violation("a short file record"))
        };
        let (offset, len) = (word(0)?, word(8)?);
        if offset.checked_add(len).is_none_or(|end| end > i64::MAX as u64) {
            return Err(Violation("a stretch beyond any file"));
        }
        Ok(FilePart { file, offset, len })
    }

    /// The worker is gone or broke the rules: returns the exchanges it had not begun, for others,
    /// and fails the rest.
    pub(super) fn lose(&self) -> Vec<Rc<Exchange>> {
        self.is_lost.set(true);
        let mut orphans = Vec::new();
        let channel = self.channel.borrow();
        let unclaimed = std::mem::take(&mut *self.unclaimed.borrow_mut());
        for (id, exchange) in unclaimed {
            let mut exchanges = self.exchanges.borrow_mut();
            let held = exchanges.get_mut(id.slot as usize);
            if channel.is_offered(id) && !exchange.had_head() && held.is_some() {
                if let Some(place) = held {
                    *place = None;
                    self.gauge.end(1);
                }
                orphans.push(exchange);
            }
        }
        drop(channel);
        for exchange in self.exchanges.take().into_iter().flatten() {
            self.gauge.end(1);
            exchange.fail(Failure::Application);
        }
        orphans
    }

    /// Whether it is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    /// The exchanges whose deadline has passed, with their ids.
    pub(super) fn overdue(&self, now_ms: u64) -> Vec<(RequestId, Rc<Exchange>)> {
        let exchanges = self.exchanges.borrow();
        let mut overdue = Vec::new();
        for exchange in exchanges.iter().flatten() {
            if exchange.deadline_ms.get() <= now_ms
                && let Place::Offered(_, id) = &*exchange.place.borrow()
            {
                overdue.push((*id, Rc::clone(exchange)));
            }
        }
        overdue
    }
}
