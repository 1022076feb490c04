//! One request on its way through an application, and its answer on the way back.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use app_proto::{RequestId, WINDOW};

use super::{Dispatcher, Worker};

/// Where an exchange is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Waiting for a worker.
    Queued,
    /// Handed to a worker, which may have claimed it.
    Offered(Rc<Worker>, RequestId),
    /// Over: answered, failed, or given up before a worker had it.
    Ended,
}

/// One request of one connection. It belongs to the dispatcher as long as a worker may write to its
/// slot; the connection holds an [`Answer`], and a connection that leaves frees no slot.
#[derive(Debug)]
pub struct Exchange {
    /// The encoded request; kept until the worker is known to have claimed it.
    pub(super) record: RefCell<Vec<u8>>,
    /// The spooled body, kept as long.
    pub(super) body: RefCell<Option<Rc<OwnedFd>>>,
    pub(super) place: RefCell<Place>,
    inbox: RefCell<Inbox>,
    waker: RefCell<Option<Waker>>,
    /// Nobody reads the answer.
    abandoned: Cell<bool>,
    /// Milliseconds of the loop's clock at which the wait ends; `u64::MAX` for never.
    pub(super) deadline_ms: Cell<u64>,
}

/// What has come and was not taken yet.
#[derive(Debug, Default)]
struct Inbox {
    head: Option<Vec<u8>>,
    had_head: bool,
    body: Vec<u8>,
    file: Option<FilePart>,
    /// Body bytes received that the connection has not passed on.
    unread: u64,
    last: bool,
    failure: Option<Failure>,
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
    pub(super) fn new(record: Vec<u8>, body: Option<Rc<OwnedFd>>, deadline_ms: u64) -> Rc<Self> {
        Rc::new(Self {
            record: RefCell::new(record),
            body: RefCell::new(body),
            place: RefCell::new(Place::Queued),
            inbox: RefCell::new(Inbox::default()),
            waker: RefCell::new(None),
            abandoned: Cell::new(false),
            deadline_ms: Cell::new(deadline_ms),
        })
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Nobody reads the answer from now on.
    pub(super) fn abandon(&self) {
        self.abandoned.set(true);
        let mut inbox = self.inbox.borrow_mut();
        inbox.head = None;
        inbox.body = Vec::new();
        inbox.file = None;
    }

    /// Whether nobody reads the answer.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.get()
    }

    /// Whether the application has said anything.
    pub(super) fn had_head(&self) -> bool {
        self.inbox.borrow().had_head
    }

    /// Takes the payload of a head record. Returns how many body bytes are in it.
    pub(super) fn take_head(&self, payload: Vec<u8>, last: bool) -> Result<(), Violation> {
        let mut inbox = self.inbox.borrow_mut();
        if inbox.had_head {
            return Err(Violation("a second response head"));
        }
        inbox.had_head = true;
        inbox.unread = inbox.unread.saturating_add(payload.len() as u64);
        inbox.head = Some(payload);
        inbox.last = last;
        drop(inbox);
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
        inbox.unread = inbox.unread.saturating_add(len as u64);
        // The head may be as large as half a ring and counts too; beyond that the worker has
        // written more than it was given credit for.
        if inbox.unread > WINDOW + app_proto::RESPONSE_HEAD_MAX as u64 {
            return Err(Violation("more body than it has credit for"));
        }
        inbox.last = last;
        let result = if self.abandoned.get() { Ok(()) } else { read(&mut inbox.body) };
        drop(inbox);
        self.wake();
        Ok(result)
    }

    /// Takes a stretch of a file.
    pub(super) fn take_file(&self, part: FilePart, last: bool) -> Result<(), Violation> {
        let mut inbox = self.inbox.borrow_mut();
        if !inbox.had_head || inbox.file.is_some() {
            return Err(Violation("a file out of turn"));
        }
        inbox.file = Some(part);
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
            let last = inbox.last && inbox.body.is_empty() && inbox.file.is_none();
            return Poll::Ready(Event::Head { payload, last });
        }
        if !inbox.body.is_empty() {
            std::mem::swap(&mut inbox.body, body);
            let last = inbox.last && inbox.file.is_none();
            return Poll::Ready(Event::Body { last });
        }
        if let Some(part) = inbox.file.take() {
            return Poll::Ready(Event::File { part, last: inbox.last });
        }
        if inbox.last {
            return Poll::Ready(Event::Body { last: true });
        }
        if let Some(failure) = inbox.failure {
            return Poll::Ready(Event::Failed(failure));
        }
        drop(inbox);
        let mut waker = self.exchange.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Says that this many bytes of the answer were passed on to the client.
    pub fn passed_on(&mut self, bytes: usize) {
        {
            let mut inbox = self.exchange.inbox.borrow_mut();
            inbox.unread = inbox.unread.saturating_sub(bytes as u64);
        }
        if let Place::Offered(worker, id) = &*self.exchange.place.borrow() {
            worker.consume(*id, bytes);
            self.dispatcher.schedule_ring();
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.exchange.abandon();
        self.dispatcher.give_up(&self.exchange);
    }
}
