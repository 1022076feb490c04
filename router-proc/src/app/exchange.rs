//! One request on its way through an application, and its answer on the way back.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use app_proto::{
    REQUEST_RECORD_LEN, REQUEST_WEBSOCKET, RequestId, SESSION_WINDOW, WINDOW, peek_request,
};

use super::{Dispatcher, Worker};

/// The most files of one answer that wait for a slow client: each is a descriptor.
const FILES_MAX: usize = 16;

/// Where an exchange is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Waiting for a worker.
    Queued,
    /// Handed to a worker, which may have claimed it.
    Offered(Rc<Worker>, RequestId),
    /// A WebSocket session of this worker.
    Session(Rc<Worker>, RequestId),
    /// Over: answered, failed, or given up before a worker had it.
    Ended,
}

/// One request of one connection. It belongs to the dispatcher as long as a worker may write to its
/// slot; the connection holds an [`Answer`], and a connection that leaves frees no slot.
#[derive(Debug)]
pub struct Exchange {
    /// Counts the requests of the dispatcher: the lower one has waited longer.
    pub(super) number: u64,
    /// The encoded request; kept until the worker is known to have claimed it.
    pub(super) record: RefCell<Vec<u8>>,
    /// The spooled body, kept as long.
    pub(super) body: RefCell<Option<Rc<OwnedFd>>>,
    pub(super) place: RefCell<Place>,
    inbox: RefCell<Inbox>,
    waker: RefCell<Option<Waker>>,
    /// It may become a session.
    pub(super) is_handshake: bool,
    /// What of a session has gone either way.
    pub(super) flow: Flow,
    /// Nobody reads the answer.
    abandoned: Cell<bool>,
    /// Its time was over before its worker was done with it.
    pub(super) timed_out: Cell<bool>,
    /// Milliseconds of the loop's clock at which the wait ends; `u64::MAX` for never.
    pub(super) deadline_ms: Cell<u64>,
}

/// How many octets of a session have gone which way, and what each side was told of it.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Octets of the client handed to the worker.
    pub(super) handed: Cell<u64>,
    /// Octets of the client the application has taken, as the worker says.
    taken: Cell<u64>,
    /// Octets of the application that came.
    received: Cell<u64>,
    /// Octets of the application that went on to the client.
    passed_on: Cell<u64>,
    /// What of that the worker was told.
    pub(super) told: Cell<u64>,
    /// The worker is to be told something.
    pub(super) is_due: Cell<bool>,
    /// The worker was told that the session is over.
    pub(super) end_told: Cell<bool>,
    /// It is in the list of those that wait for room.
    pub(super) waits_for_room: Cell<bool>,
}

impl Flow {
    /// How many octets of the client may be on their way besides those that are.
    pub(super) fn credit(&self) -> u64 {
        SESSION_WINDOW.saturating_sub(self.handed.get() - self.taken.get())
    }

    /// How many octets went on to the client, if the worker should be told.
    pub(super) fn news(&self) -> Option<u64> {
        let passed_on = self.passed_on.get();
        (passed_on - self.told.get() >= SESSION_WINDOW / 2).then_some(passed_on)
    }
}

/// What has come and was not taken yet.
#[derive(Debug, Default)]
struct Inbox {
    head: Option<Vec<u8>>,
    /// The head accepts a handshake.
    is_upgrade: bool,
    had_head: bool,
    body: Vec<u8>,
    /// What follows behind `body`: files, and the bytes between them.
    later: VecDeque<Part>,
    /// Body bytes received that the connection has not passed on.
    unread: u64,
    last: bool,
    failure: Option<Failure>,
}

/// A part of a body.
#[derive(Debug)]
enum Part {
    Bytes(Vec<u8>),
    File(FilePart),
}

/// A stretch of a file that an application answers with.
#[derive(Debug)]
pub struct FilePart {
    /// The file.
    pub file: OwnedFd,
    /// Where the stretch begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// Why there is no answer, or no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The worker said so, died, or broke the rules.
    Application,
    /// No worker took the request in time, or none is left.
    Unavailable,
    /// The application's time is over.
    TimedOut,
}

/// The next thing an application says.
#[derive(Debug)]
pub enum Event {
    /// The payload of the head record, to be read by [`app_proto::ResponseHead::decode`]. `last`:
    /// the bytes in it are the whole body.
    Head {
        /// The payload.
        payload: Vec<u8>,
        /// Whether nothing more follows.
        last: bool,
    },
    /// The payload of the head record that accepts a handshake; what follows are octets for the
    /// client.
    Upgrade {
        /// The payload.
        payload: Vec<u8>,
    },
    /// Body bytes; they are in the buffer given to [`Answer::poll_event`].
    Body {
        /// Whether nothing more follows.
        last: bool,
    },
    /// A stretch of a file is the next part of the body.
    File {
        /// The stretch.
        part: FilePart,
        /// Whether nothing more follows.
        last: bool,
    },
    /// There will be no more.
    Failed(Failure),
}

/// Something an application may not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) &'static str);

impl Exchange {
    pub(super) fn new(
        number: u64,
        record: Vec<u8>,
        body: Option<Rc<OwnedFd>>,
        deadline_ms: u64,
    ) -> Rc<Self> {
        let is_handshake = record.first_chunk::<REQUEST_RECORD_LEN>().is_some_and(|fixed| {
            let (_, _, flags) = peek_request(fixed);
            flags & REQUEST_WEBSOCKET != 0
        });
        Rc::new(Self {
            number,
            is_handshake,
            flow: Flow::default(),
            record: RefCell::new(record),
            body: RefCell::new(body),
            place: RefCell::new(Place::Queued),
            inbox: RefCell::new(Inbox::default()),
            waker: RefCell::new(None),
            abandoned: Cell::new(false),
            timed_out: Cell::new(false),
            deadline_ms: Cell::new(deadline_ms),
        })
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Has this task woken when something comes.
    fn watch(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }

    /// Nobody reads the answer from now on. Returns how many bytes of it were not passed on: the
    /// worker may be waiting for credit for them.
    pub(super) fn abandon(&self) -> usize {
        self.abandoned.set(true);
        let mut inbox = self.inbox.borrow_mut();
        inbox.head = None;
        inbox.body = Vec::new();
        inbox.later.clear();
        usize::try_from(std::mem::take(&mut inbox.unread)).unwrap_or(usize::MAX)
    }

    /// The worker it was handed to.
    pub(super) fn worker(&self) -> Option<Rc<Worker>> {
        match &*self.place.borrow() {
            Place::Offered(worker, _) | Place::Session(worker, _) => Some(Rc::clone(worker)),
            Place::Queued | Place::Ended => None,
        }
    }

    /// Whether nobody reads the answer.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.get()
    }

    /// Whether the application has said anything.
    pub(super) fn had_head(&self) -> bool {
        self.inbox.borrow().had_head
    }

    /// Takes the payload of a head record.
    pub(super) fn take_head(&self, payload: Vec<u8>, last: bool) -> Result<(), Violation> {
        let mut inbox = self.inbox.borrow_mut();
        if inbox.had_head {
            return Err(Violation("a second response head"));
        }
        inbox.had_head = true;
        if self.abandoned.get() {
            return Ok(());
        }
        inbox.unread = inbox.unread.saturating_add(payload.len() as u64);
        inbox.head = Some(payload);
        inbox.last = last;
        drop(inbox);
        self.wake();
        Ok(())
    }

    /// Takes the payload of a head record that accepts a handshake.
    pub(super) fn take_upgrade(&self, payload: Vec<u8>) -> Result<(), Violation> {
        if !self.is_handshake {
            return Err(Violation("an upgrade of what is no handshake"));
        }
        self.inbox.borrow_mut().is_upgrade = true;
        self.take_head(payload, false)
    }

    /// Takes octets for the client of a session, which `read` appends to the buffer.
    pub(super) fn take_octets<E>(
        &self,
        len: usize,
        last: bool,
        read: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Result<(), E>, Violation> {
        let received = self.flow.received.get().saturating_add(len as u64);
        if received - self.flow.told.get() > SESSION_WINDOW {
            return Err(Violation("more octets than it has credit for"));
        }
        self.flow.received.set(received);
        if self.abandoned.get() {
            return Ok(Ok(()));
        }
        let mut inbox = self.inbox.borrow_mut();
        inbox.last = last;
        let result = read(&mut inbox.body);
        drop(inbox);
        self.wake();
        Ok(result)
    }

    /// Takes the total of the client's octets that the application has taken.
    pub(super) fn take_total(&self, total: u64) -> Result<(), Violation> {
        if total <= self.flow.taken.get() || total > self.flow.handed.get() {
            return Err(Violation("a total that cannot be"));
        }
        self.flow.taken.set(total);
        self.wake();
        Ok(())
    }

    /// Takes the payload of a body record, which `read` appends to the buffer.
    pub(super) fn take_body<E>(
        &self,
        len: usize,
        last: bool,
        read: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Result<(), E>, Violation> {
        let mut inbox = self.inbox.borrow_mut();
        if !inbox.had_head {
            return Err(Violation("a response body before its head"));
        }
        if self.abandoned.get() {
            return Ok(Ok(()));
        }
        inbox.unread = inbox.unread.saturating_add(len as u64);
        // The head may be as large as half a ring and counts too; beyond that the worker has
        // written more than it was given credit for.
        if inbox.unread > WINDOW + app_proto::RESPONSE_HEAD_MAX as u64 {
            return Err(Violation("more body than it has credit for"));
        }
        inbox.last = last;
        let result = read(inbox.tail());
        drop(inbox);
        self.wake();
        Ok(result)
    }

    /// Takes a stretch of a file.
    pub(super) fn take_file(&self, part: FilePart, last: bool) -> Result<(), Violation> {
        let mut inbox = self.inbox.borrow_mut();
        if !inbox.had_head {
            return Err(Violation("a file before the response head"));
        }
        if self.abandoned.get() {
            return Ok(());
        }
        let files = inbox.later.iter().filter(|part| matches!(part, Part::File(_))).count();
        if files >= FILES_MAX {
            return Err(Violation("too many files at once"));
        }
        inbox.later.push_back(Part::File(part));
        inbox.last = last;
        drop(inbox);
        self.wake();
        Ok(())
    }

    /// Nothing more will come.
    pub(super) fn fail(&self, failure: Failure) {
        self.inbox.borrow_mut().failure.get_or_insert(failure);
        self.place.replace(Place::Ended);
        self.wake();
    }

    /// The last record came.
    pub(super) fn end(&self) {
        self.place.replace(Place::Ended);
    }
}

impl Inbox {
    /// Where the next body bytes go.
    fn tail(&mut self) -> &mut Vec<u8> {
        if self.later.is_empty() {
            return &mut self.body;
        }
        if !matches!(self.later.back(), Some(Part::Bytes(_))) {
            self.later.push_back(Part::Bytes(Vec::new()));
        }
        match self.later.back_mut() {
            Some(Part::Bytes(bytes)) => bytes,
            Some(Part::File(_)) | None => &mut self.body,
        }
    }
}

/// The connection's hold on its exchange. Dropping it gives the request up.
#[derive(Debug)]
pub struct Answer {
    pub(super) exchange: Rc<Exchange>,
    pub(super) dispatcher: Rc<Dispatcher>,
}

impl Answer {
    /// The next event. Body bytes are swapped into `body`, which should be empty.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, body: &mut Vec<u8>) -> Poll<Event> {
        let mut inbox = self.exchange.inbox.borrow_mut();
        if let Some(payload) = inbox.head.take() {
            if inbox.is_upgrade {
                return Poll::Ready(Event::Upgrade { payload });
            }
            let last = inbox.last && inbox.body.is_empty() && inbox.later.is_empty();
            return Poll::Ready(Event::Head { payload, last });
        }
        if !inbox.body.is_empty() {
            std::mem::swap(&mut inbox.body, body);
            let last = inbox.last && inbox.later.is_empty();
            return Poll::Ready(Event::Body { last });
        }
        if let Some(part) = inbox.later.pop_front() {
            let last = inbox.last && inbox.later.is_empty();
            return Poll::Ready(match part {
                Part::File(part) => Event::File { part, last },
                Part::Bytes(bytes) => {
                    *body = bytes;
                    Event::Body { last }
                }
            });
        }
        if inbox.last {
            return Poll::Ready(Event::Body { last: true });
        }
        if let Some(failure) = inbox.failure {
            return Poll::Ready(Event::Failed(failure));
        }
        drop(inbox);
        self.exchange.watch(cx);
        Poll::Pending
    }

    /// Says that this many bytes of the answer were passed on to the client.
    pub fn passed_on(&mut self, bytes: usize) {
        {
            let mut inbox = self.exchange.inbox.borrow_mut();
            inbox.unread = inbox.unread.saturating_sub(bytes as u64);
        }
        let place = self.exchange.place.borrow().clone();
        match place {
            Place::Offered(worker, id) => {
                worker.consume(id, bytes);
                self.dispatcher.schedule_ring();
            }
            Place::Session(worker, id) => {
                let flow = &self.exchange.flow;
                flow.passed_on.set(flow.passed_on.get().saturating_add(bytes as u64));
                if flow.news().is_some() {
                    let told = worker.tell(id, &self.exchange);
                    self.dispatcher.look_at(&worker, told);
                }
            }
            Place::Queued | Place::Ended => {}
        }
    }

    /// How many octets of the session's client can be handed over now. None are wanted any more
    /// when the session is over; then all of them vanish.
    pub fn poll_window(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let place = self.exchange.place.borrow().clone();
        let Place::Session(worker, _) = place else { return Poll::Ready(usize::MAX) };
        match worker.window(&self.exchange) {
            Ok(0) => {
                self.exchange.watch(cx);
                Poll::Pending
            }
            Ok(window) => Poll::Ready(window),
            Err(error) => {
                self.dispatcher.look_at(&worker, Err(error));
                Poll::Ready(usize::MAX)
            }
        }
    }

    /// Hands octets of the session's client over; returns how many found room.
    pub fn hand_over(&mut self, octets: &[u8]) -> usize {
        let place = self.exchange.place.borrow().clone();
        let Place::Session(worker, id) = place else { return octets.len() };
        match worker.hand_over(id, &self.exchange, octets) {
            Ok(len) => {
                self.dispatcher.schedule_ring();
                len
            }
            Err(error) => {
                self.dispatcher.look_at(&worker, Err(error));
                octets.len()
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.dispatcher.give_up(&self.exchange);
    }
}
