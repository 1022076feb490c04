//! One worker as one event loop sees it: its channel, and the exchanges that are in it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use app_io::{ChannelError, OfferError, RouterChannel};
use app_proto::{RequestId, ResponseKind, ResponseRecord, SLOTS, ToRouter, ToWorker, decode_total};
use sys::watched::Watched;

use super::attachments::Attachments;
use super::exchange::{Exchange, Failure, FilePart, Place, Violation};
use crate::control::WorkerGauge;
use crate::shortage::Told;

/// The most requests handed to a worker ahead of its claims.
const DEPTH_MAX: u32 = 64;

/// Requests are handed out ahead for about this long: what a wake-up costs, many times over, and
/// little enough that nobody notices having waited behind another.
const AHEAD_US: u32 = 400;

/// How many packets of a doorbell are read in one go: a worker that sends without end must not
/// keep the loop.
const PACKETS_MAX: usize = 64;

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
    pub(super) channel: RefCell<RouterChannel>,
    /// A second descriptor of the doorbell, which the loop watches.
    watched: OnceCell<Rc<Watched>>,
    /// Channels to other loops that it was not sent yet.
    attachments: Attachments,
    /// Its load, over all loops.
    pub(super) gauge: Arc<WorkerGauge>,
    /// The exchanges in the channel, by slot.
    exchanges: RefCell<Vec<Slot>>,
    /// Those that were not seen claimed, oldest first.
    unclaimed: RefCell<VecDeque<(RequestId, Rc<Exchange>)>>,
    /// The handshakes that became sessions, until their last word.
    pub(super) sessions: RefCell<HashMap<RequestId, Rc<Exchange>>>,
    /// Sessions of which it is to be told something that found no room, oldest first.
    pub(super) due: RefCell<VecDeque<(RequestId, Rc<Exchange>)>>,
    /// Sessions whose clients wait for room, oldest first.
    pub(super) waiting_for_room: RefCell<VecDeque<Rc<Exchange>>>,
    /// Files that arrived ahead of their records; nothing for those there was no descriptor for.
    files: RefCell<Vec<(RequestId, Option<OwnedFd>)>>,
    /// Moving average of the microseconds a request takes, as the worker tells.
    service_us: Cell<u32>,
    is_ready: Cell<bool>,
    is_lost: Cell<bool>,
    /// No new requests: the worker is being replaced.
    is_retired: Cell<bool>,
    /// The oldest request it had not begun when that was last looked at.
    waiting_since: Cell<Option<RequestId>>,
    /// It is at one request for so long that none is handed to it ahead.
    is_stuck: Cell<bool>,
}

/// That there were no descriptors for files.
static SHORTAGE_TOLD: Told = Told::never();

/// The exchange in a slot, and under which id.
type Slot = Option<(RequestId, Rc<Exchange>)>;

/// What a doorbell brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The application is loaded.
    pub became_ready: bool,
    /// There may be more to read.
    pub has_more: bool,
}

impl Worker {
    /// A worker that is not ready yet.
    pub fn new(key: WorkerKey, channel: RouterChannel, gauge: Arc<WorkerGauge>) -> Rc<Self> {
        Rc::new(Self {
            key,
            channel: RefCell::new(channel),
            watched: OnceCell::new(),
            attachments: Attachments::default(),
            gauge,
            exchanges: RefCell::new(Vec::new()),
            unclaimed: RefCell::new(VecDeque::new()),
            sessions: RefCell::new(HashMap::new()),
            due: RefCell::new(VecDeque::new()),
            waiting_for_room: RefCell::new(VecDeque::new()),
            files: RefCell::new(Vec::new()),
            // Cautious until the worker has shown what it takes.
            service_us: Cell::new(AHEAD_US),
            is_ready: Cell::new(false),
            is_lost: Cell::new(false),
            is_retired: Cell::new(false),
            waiting_since: Cell::new(None),
            is_stuck: Cell::new(false),
        })
    }

    /// Which worker it is.
    pub fn key(&self) -> WorkerKey {
        self.key
    }

    /// The doorbell, watched by this loop.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn watched(&self) -> io::Result<Rc<Watched>> {
        if let Some(watched) = self.watched.get() {
            return Ok(Rc::clone(watched));
        }
        let watched = Rc::new(Watched::new(sys::fd::duplicate(self.channel.borrow().doorbell())?)?);
        Ok(Rc::clone(self.watched.get_or_init(|| watched)))
    }

    pub(super) fn attachments(&self) -> &Attachments {
        &self.attachments
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

    /// Requests handed out that it has not begun. Those it has are given `deadline_ms` from here.
    pub(super) fn waiting(&self, deadline_ms: u64) -> usize {
        let channel = self.channel.borrow();
        let mut unclaimed = self.unclaimed.borrow_mut();
        while let Some((id, exchange)) = unclaimed.front() {
            if channel.is_offered(*id) {
                break;
            }
            if channel.knows(*id) && !exchange.timed_out.get() {
                exchange.deadline_ms.set(deadline_ms);
            }
            // Claimed, or over: the copy is not needed any more.
            exchange.record.take();
            exchange.body.take();
            unclaimed.pop_front();
        }
        unclaimed.len()
    }

    /// Whether the request was not seen begun.
    pub(super) fn waits_for(&self, id: RequestId) -> bool {
        self.unclaimed.borrow().iter().any(|(of, _)| *of == id)
    }

    /// Whether one more may be handed out ahead.
    pub(super) fn has_room(&self, deadline_ms: u64) -> bool {
        if self.is_stuck.get() && self.in_flight() > 0 {
            return false;
        }
        let depth = (AHEAD_US / self.service_us.get().max(1)).clamp(1, DEPTH_MAX);
        self.waiting(deadline_ms) < depth as usize
    }

    /// Whether what waits here has waited since the last call, and longer than it should.
    pub(super) fn is_late(&self, deadline_ms: u64) -> bool {
        self.waiting(deadline_ms);
        let oldest = self.unclaimed.borrow().front().map(|(id, _)| *id);
        let before = self.waiting_since.replace(oldest);
        oldest.is_some() && before == oldest
    }

    /// Hands it nothing ahead before it has finished something.
    pub(super) fn set_stuck(&self) {
        self.is_stuck.set(true);
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
            exchanges[slot] = Some((id, Rc::clone(exchange)));
        }
        exchange.place.replace(Place::Offered(Rc::clone(self), id));
        self.gauge.begin();
        self.unclaimed.borrow_mut().push_back((id, Rc::clone(exchange)));
        Ok(true)
    }

    /// Takes a request back; `false` when the worker has begun it.
    pub(super) fn revoke(&self, id: RequestId) -> bool {
        if !self.take_back(id) {
            return false;
        }
        self.unclaimed.borrow_mut().retain(|(of, _)| *of != id);
        true
    }

    /// Takes back the request that has waited longest.
    pub(super) fn revoke_oldest(&self) -> Option<Rc<Exchange>> {
        loop {
            let (id, exchange) = self.unclaimed.borrow_mut().pop_front()?;
            if self.take_back(id) {
                return Some(exchange);
            }
        }
    }

    /// Takes back everything it has not begun, oldest first.
    pub(super) fn revoke_all(&self) -> Vec<Rc<Exchange>> {
        std::iter::from_fn(|| self.revoke_oldest()).collect()
    }

    fn take_back(&self, id: RequestId) -> bool {
        // Who has answered has begun, whatever the state word says now.
        let has_begun = match self.exchanges.borrow().get(id.slot as usize) {
            Some(Some((of, exchange))) => *of != id || exchange.had_head(),
            Some(None) | None => true,
        };
        if has_begun || !self.channel.borrow_mut().revoke(id) {
            return false;
        }
        if self.forget(id) {
            self.gauge.take_back();
        }
        true
    }

    /// Strikes a request off the list; `false` when it was not on it.
    fn forget(&self, id: RequestId) -> bool {
        let mut files = self.files.borrow_mut();
        if !files.is_empty() {
            files.retain(|(of, _)| *of != id);
        }
        let mut exchanges = self.exchanges.borrow_mut();
        exchanges.get_mut(id.slot as usize).is_some_and(|place| place.take().is_some())
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

    /// Takes what the doorbell brought.
    pub(super) fn receive(&self) -> Result<Received, ChannelError> {
        let mut became_ready = false;
        for _ in 0..PACKETS_MAX {
            let received = self.channel.borrow().receive()?;
            match received {
                None => return Ok(Received { became_ready, has_more: false }),
                Some((ToRouter::Wake, _)) => {}
                Some((ToRouter::Ready, _)) => became_ready = true,
                Some((ToRouter::File(id), file)) => {
                    let mut files = self.files.borrow_mut();
                    if !self.channel.borrow().knows(id) || files.len() >= SLOTS {
                        return Err(ChannelError::Doorbell);
                    }
                    files.push((id, file));
                }
            }
        }
        Ok(Received { became_ready, has_more: true })
    }

    /// Moves all answers from the ring to their exchanges, and counts in `finished` those that were
    /// answered to the end, also when it fails. `deadline_ms` is the new deadline of every exchange
    /// that was heard of.
    pub(super) fn drain(&self, deadline_ms: u64, finished: &mut usize) -> Result<(), ChannelError> {
        let before = *finished;
        let result = self.take_records(deadline_ms, finished);
        self.channel.borrow_mut().publish();
        let result = result.and_then(|()| self.use_room());
        if *finished > before {
            self.is_stuck.set(false);
            self.waiting(deadline_ms);
        }
        result
    }

    fn take_records(&self, deadline_ms: u64, finished: &mut usize) -> Result<(), ChannelError> {
        loop {
            let Some(record) = self.channel.borrow().next_record()? else { return Ok(()) };
            let Some((exchange, is_session)) = self.exchange_of(record.id) else {
                return Err(ChannelError::Ring("an answer to no request"));
            };
            let taken = if is_session {
                self.take_session_word(&record, &exchange)
            } else {
                self.take_answer(&record, &exchange)
            };
            taken.map_err(|violation| ChannelError::Ring(violation.0))?;
            if !exchange.timed_out.get() {
                exchange.deadline_ms.set(deadline_ms);
            }
            self.channel.borrow_mut().advance(&record);
            let is_last = record.last || record.kind == ResponseKind::Failed;
            if is_session {
                if is_last {
                    exchange.end();
                    self.end_session(record.id);
                }
            } else if is_last || record.kind == ResponseKind::Upgrade {
                let known = self.service_us.get();
                let sample = record.service_us.min(10_000_000);
                self.service_us.set(known - known / 8 + sample / 8);
                if record.kind == ResponseKind::Upgrade {
                    self.begin_session(record.id, &exchange)?;
                } else {
                    exchange.end();
                }
                if self.forget(record.id) {
                    self.gauge.end();
                }
                // An upgrade has freed it already.
                self.channel.borrow_mut().finish(record.id);
                *finished += 1;
            } else if exchange.is_abandoned() {
                // Its worker must not wait for a reader that left.
                self.consume(record.id, record.len);
            }
        }
    }

    /// The exchange a record speaks of, and whether it is a session.
    fn exchange_of(&self, id: RequestId) -> Option<(Rc<Exchange>, bool)> {
        let exchanges = self.exchanges.borrow();
        if let Some(Some((of, exchange))) = exchanges.get(id.slot as usize)
            && *of == id
        {
            return Some((Rc::clone(exchange), false));
        }
        self.sessions.borrow().get(&id).map(|exchange| (Rc::clone(exchange), true))
    }

    /// Takes a record about a request.
    fn take_answer(
        &self,
        record: &ResponseRecord,
        exchange: &Rc<Exchange>,
    ) -> Result<(), Violation> {
        match record.kind {
            ResponseKind::Head | ResponseKind::Upgrade
                if self.channel.borrow().is_offered(record.id) =>
            {
                Err(Violation("an answer to a request it did not take"))
            }
            ResponseKind::Upgrade if record.last => Err(Violation("a session without an end")),
            ResponseKind::Head => exchange.take_head(self.payload(record)?, record.last),
            ResponseKind::Upgrade => exchange.take_upgrade(self.payload(record)?),
            ResponseKind::Body => exchange
                .take_body(record.len, record.last, |buffer| {
                    self.channel.borrow().read_payload(record, buffer)
                })
                .and_then(|read| read.map_err(|_| Violation("a bad body"))),
            ResponseKind::File => {
                let payload = self.payload(record)?;
                self.file_part(record.id, &payload).and_then(|part| match part {
                    Some(part) => exchange.take_file(part, record.last),
                    None => {
                        self.refuse_file(record.id, exchange);
                        Ok(())
                    }
                })
            }
            ResponseKind::Taken => Err(Violation("a word about no session")),
            ResponseKind::Failed => {
                exchange.fail(Failure::Application);
                Ok(())
            }
        }
    }

    /// Takes a record about a session.
    fn take_session_word(
        &self,
        record: &ResponseRecord,
        exchange: &Rc<Exchange>,
    ) -> Result<(), Violation> {
        match record.kind {
            ResponseKind::Body => exchange
                .take_octets(record.len, record.last, |buffer| {
                    self.channel.borrow().read_payload(record, buffer)
                })
                .and_then(|read| read.map_err(|_| Violation("a bad body"))),
            ResponseKind::Taken if !record.last => {
                let total = decode_total(&self.payload(record)?);
                exchange.take_total(total.map_err(|_| Violation("a bad total"))?)
            }
            ResponseKind::Failed => {
                exchange.fail(Failure::Application);
                Ok(())
            }
            ResponseKind::Head
            | ResponseKind::Upgrade
            | ResponseKind::File
            | ResponseKind::Taken => Err(Violation("what has no place in a session")),
        }
    }

    fn payload(&self, record: &ResponseRecord) -> Result<Vec<u8>, Violation> {
        let mut payload = Vec::with_capacity(record.len);
        self.channel
            .borrow()
            .read_payload(record, &mut payload)
            .map_err(|_| Violation("a bad payload"))?;
        Ok(payload)
    }

    /// There was no descriptor to take a file with: the answer ends here, and its worker is told.
    fn refuse_file(&self, id: RequestId, exchange: &Exchange) {
        if SHORTAGE_TOLD.tell() {
            unit_log::alert!("there are no descriptors for the files of applications");
        }
        let unread = exchange.abandon();
        exchange.fail(Failure::Unavailable);
        self.cancel(id);
        self.consume(id, unread);
    }

    /// The stretch a file record speaks of; `None` when its file could not be taken.
    fn file_part(&self, id: RequestId, payload: &[u8]) -> Result<Option<FilePart>, Violation> {
        let Some(file) = self.take_file(id)? else { return Ok(None) };
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
        Ok(Some(FilePart { file, offset, len }))
    }

    /// The file that was sent before its record was written.
    fn take_file(&self, id: RequestId) -> Result<Option<OwnedFd>, Violation> {
        let find = || {
            let mut files = self.files.borrow_mut();
            let at = files.iter().position(|(of, _)| *of == id)?;
            Some(files.swap_remove(at).1)
        };
        loop {
            if let Some(file) = find() {
                return Ok(file);
            }
            match self.receive() {
                Ok(Received { has_more: true, .. }) => {}
                // A worker that has ended since may still have sent it.
                Ok(_) | Err(ChannelError::HungUp) => {
                    return find().ok_or(Violation("a file record without a file"));
                }
                Err(_) => return Err(Violation("a bad doorbell")),
            }
        }
    }

    /// The worker is gone or broke the rules: returns the exchanges it had not begun, for others,
    /// oldest first, and fails the rest.
    pub(super) fn lose(&self) -> Vec<Rc<Exchange>> {
        self.is_lost.set(true);
        // Taken back for certain: it may live on, and must not begin what another is given.
        let orphans = self.revoke_all();
        for (_, exchange) in self.exchanges.take().into_iter().flatten() {
            self.gauge.end();
            exchange.fail(Failure::Application);
        }
        self.files.borrow_mut().clear();
        self.lose_sessions();
        self.attachments.clear();
        orphans
    }

    /// Whether it is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    /// Whether nobody waits for anything it does.
    pub(super) fn is_forsaken(&self) -> bool {
        self.exchanges.borrow().iter().flatten().all(|(_, exchange)| exchange.is_abandoned())
            && self.sessions.borrow().values().all(|session| session.is_abandoned())
    }

    /// The exchanges whose deadline has passed, with their ids.
    pub(super) fn overdue(&self, now_ms: u64) -> Vec<(RequestId, Rc<Exchange>)> {
        let exchanges = self.exchanges.borrow();
        exchanges
            .iter()
            .flatten()
            .filter(|(_, exchange)| exchange.deadline_ms.get() <= now_ms)
            .map(|(id, exchange)| (*id, Rc::clone(exchange)))
            .collect()
    }
}
