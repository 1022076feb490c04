//! One client connection: requests are read, decided about and answered, strictly one after
//! another.
//!
//! A connection between two requests holds no buffer: it reads into room that all connections of
//! the loop share, and borrows [`Buffers`] for as long as a request lasts. Deadlines are those of
//! `settings.http`, kept on the loop's list.

mod account;
mod application;
mod file;
mod file_encoding;
mod outgoing;
mod pace;
mod pending;
mod read;
mod respond;
mod spool;
mod stream;
mod websocket;
mod write;

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use conf::PeerAddress;

pub use spool::Body;
pub use stream::Stream;

use crate::event_loop::{EventLoop, LoopConf, Origin, Timer, give_away, new_home};
use crate::http::websocket::check_handshake;
use crate::http::{HeadParser, RequestFacts, RequestHead, write_idle_timeout};
use crate::routing::{RequestCache, ResponseFields};
use crate::shortage::Counted;
use crate::snapshot::ListenerId;
use account::Account;
use application::AddressTexts;
use pace::{Pace, Taking};
use pending::Pending;

/// Buffers larger than this are not kept for the next request.
const KEPT_LEN_MAX: usize = 256 * 1024;

/// How long a closed connection is listened to, so that the client reads the answer before it
/// learns that nobody read all it sent.
const LINGER: Duration = Duration::from_secs(2);

/// How much of what nobody wants is read at most.
const LINGER_LEN_MAX: usize = 16 * 1024 * 1024;

/// Numbers connections, over all loops.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// What one request needs room for.
#[derive(Debug, Default)]
pub struct Buffers {
    /// The parsed head.
    pub head: RequestHead,
    /// The body.
    pub body: Body,
    /// What routing found out about the request.
    pub cache: RequestCache,
    /// The fields of the response.
    pub fields: ResponseFields,
    /// What is to be written.
    pub out: Vec<u8>,
    /// The head of the response as sent, if the access log shows anything of it.
    pub sent_head: Vec<u8>,
    /// The piece of an application's answer that is being passed on.
    pub piece: Vec<u8>,
}

impl Buffers {
    /// Forgets the request. `false` when the room is not worth keeping.
    pub fn reset(&mut self) -> bool {
        self.head.clear();
        self.body.clear();
        self.cache.clear();
        self.fields.clear();
        self.out.clear();
        self.sent_head.clear();
        self.piece.clear();
        self.out.capacity() <= KEPT_LEN_MAX
            && self.piece.capacity() <= KEPT_LEN_MAX
            && self.body.memory.capacity() <= KEPT_LEN_MAX
    }
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Another request may come.
    KeepAlive,
    /// It is closed; the client has sent nothing that was not read.
    Close,
    /// It is closed, but what the client may still be sending is read first.
    Linger,
}

/// One connection on its loop.
#[derive(Debug)]
pub(crate) struct Connection {
    event_loop: Rc<EventLoop>,
    stream: Stream,
    listener: ListenerId,
    timer: Rc<Timer>,
    parser: HeadParser,
    /// Bytes read that belong to a request not yet complete.
    pending: Pending,
    /// Bytes of the scratch room that were read and not parsed; never across an await.
    fresh_len: usize,
    /// Both ends, found out at the first request.
    addresses: Option<(PeerAddress, PeerAddress)>,
    /// The addresses as applications are told them.
    address_texts: AddressTexts,
    /// The number of the connection, for the log.
    number: u64,
    /// What is known of the request in progress.
    account: Account,
    is_idle: bool,
    /// How the client takes what it is sent.
    taking: Taking,
    counted: Counted,
}

/// The number of a connection that was just accepted.
pub(crate) fn next_number() -> u64 {
    NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Serves a connection to its end, or until another loop takes it over. The caller has counted it
/// as held, and as idle.
pub(crate) async fn serve(event_loop: Rc<EventLoop>, stream: Stream, origin: Origin) {
    let Origin { listener, number, pending, counted } = origin;
    stream.set_nodelay();
    let timer = event_loop.timers.add();
    let mut connection = Connection {
        event_loop: Rc::clone(&event_loop),
        stream,
        listener,
        timer,
        parser: HeadParser::new(),
        pending: pending.into(),
        fresh_len: 0,
        addresses: None,
        address_texts: AddressTexts::default(),
        number,
        account: Account::default(),
        is_idle: true,
        taking: Taking::new(),
        counted,
    };
    loop {
        let next = connection.serve_one().await;
        if next != Next::KeepAlive {
            // A client that sees the connection closed finds its requests in the access log.
            event_loop.access_log.flush();
        }
        match next {
            Next::KeepAlive => {}
            Next::Close if !connection.has_unread() => break,
            Next::Close | Next::Linger => {
                connection.linger().await;
                break;
            }
        }
        if connection.parser.is_fresh()
            && let Some(peer) = new_home(&event_loop)
        {
            let Connection { stream, mut pending, counted, .. } = connection;
            let pending = pending.take();
            let origin = Origin { listener, number, pending, counted };
            give_away(&event_loop, &peer, stream, origin);
            event_loop.counters.held.decrement();
            event_loop.look_if_vacant();
            return;
        }
    }
    if connection.is_idle {
        event_loop.counters.idle.decrement();
    }
    event_loop.counters.closed.increment();
    event_loop.counters.held.decrement();
    // Another loop may wait for this one to be empty; what it is empty of closes first.
    drop(connection);
    event_loop.look_if_vacant();
}

impl Connection {
    /// Waits for a request and answers it.
    async fn serve_one(&mut self) -> Next {
        let mut buffers = match self.first_bytes().await {
            read::First::Bytes(buffers) => buffers,
            read::First::Ousted => return Next::KeepAlive,
            read::First::None => return Next::Close,
        };
        let conf = self.event_loop.conf();
        let mut next = if conf.snapshot.listeners.contains_key(&self.listener) {
            self.event_loop.counters.requests.increment();
            self.request_began(&conf);
            let next = self.serve_request(&conf, &mut buffers).await;
            self.request_ended(&conf, &mut buffers);
            next
        } else {
            // The address is no longer served: what came is no request any more.
            self.refuse_idle(&mut buffers).await
        };
        if next == Next::KeepAlive && self.was_removed(&conf) {
            // It was removed meanwhile; the client need not find out by its next request.
            next = self.refuse_idle(&mut buffers).await;
        }
        self.event_loop.return_buffers(buffers);
        if next == Next::KeepAlive {
            self.is_idle = true;
            self.event_loop.counters.idle.increment();
        }
        next
    }

    /// Reads the request and answers it, or holds the connection for as long as it is upgraded.
    async fn serve_request(&mut self, conf: &Rc<LoopConf>, buffers: &mut Buffers) -> Next {
        let http = &conf.snapshot.http;
        self.taking.begin(Pace::new(http.min_rate, http.send_timeout));
        match self.read_head(http, buffers).await {
            read::Head::Complete => {}
            read::Head::Gone => {
                self.account.client_left();
                return Next::Close;
            }
            read::Head::Refused(status) => {
                return self.respond_error(conf, buffers, status, Next::Linger).await;
            }
        }
        let origin = self.tell_origin(conf, buffers);
        if let Err(error) = check_handshake(&buffers.head) {
            unit_log::info!(conn = self.number, "{error}");
            return self.respond_error(conf, buffers, error.status(), Next::Linger).await;
        }
        match self.read_body(conf, buffers).await {
            read::Received::Complete => {}
            read::Received::Gone => {
                self.account.client_left();
                return Next::Close;
            }
            read::Received::Refused(status) => {
                return self.respond_error(conf, buffers, status, Next::Linger).await;
            }
        }
        self.respond(conf, buffers, origin).await
    }

    /// The fixed answer to a connection that waited too long or on a removed address.
    async fn refuse_idle(&mut self, buffers: &mut Buffers) -> Next {
        buffers.out.clear();
        self.taking.begin(Pace::any());
        write_idle_timeout(&mut buffers.out, &self.event_loop.clock.date());
        let patience = Some(Duration::from_secs(10));
        if self.write_all(&buffers.out, patience).await.is_ok() {
            Next::Linger
        } else {
            Next::Close
        }
    }

    /// Whether the address has left the configuration since `conf` was current.
    fn was_removed(&self, conf: &Rc<LoopConf>) -> bool {
        let current = self.event_loop.conf();
        !Rc::ptr_eq(conf, &current) && !current.snapshot.listeners.contains_key(&self.listener)
    }

    /// What framing the answer depends on; the last one of a loop that stops ends the connection.
    fn facts(&self, buffers: &Buffers) -> RequestFacts {
        let facts = buffers.head.facts();
        if self.event_loop.is_stopping() { facts.closing() } else { facts }
    }

    /// Both ends of the connection: the client's and ours.
    fn addresses(&mut self) -> (PeerAddress, PeerAddress) {
        *self.addresses.get_or_insert_with(|| (self.stream.peer(), self.stream.local()))
    }

    /// Sets the deadline of what is waited for next.
    fn set_patience(&self, patience: Option<Duration>) {
        match patience {
            None => self.timer.clear(),
            Some(patience) => {
                let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                self.timer.set(self.event_loop.now_ms().saturating_add(ms));
            }
        }
    }
}
