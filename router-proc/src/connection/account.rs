//! How a request fares, noted while it is answered, for its entry in the access log.
//!
//! Every way out of a request ends in [`Connection::request_ended`]: a whole answer, an error page,
//! a client that left, an application that failed half-way, and whatever else holds the connection
//! for as long as its request lasts.

use super::{Buffers, Connection};
use crate::event_loop::LoopConf;
use crate::http::Delivery;
use crate::routing::client_address::{self, Origin};
use crate::routing::{RequestContext, RequestTimes, ResponseFacts, ResponseFieldsView};

/// What is known of the request in progress.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// When it began, in the loop's milliseconds.
    began_ms: u64,
    /// Where it comes from, once that could be told from its head.
    origin: Option<Origin>,
    /// The status of its answer; 0 if there is none yet.
    status: u16,
    /// How the answer is delivered.
    delivery: Option<Delivery>,
    /// Octets of the answer's head.
    head_len: u64,
    /// Octets written since the head was made.
    written: u64,
}

impl Account {
    /// Octets were written to the client.
    pub(super) fn wrote(&mut self, len: usize) {
        self.written += len as u64;
    }

    /// The client left before its request was whole.
    pub(super) fn client_left(&mut self) {
        *self =
            Self { began_ms: self.began_ms, origin: self.origin, status: 400, ..Self::default() };
    }

    /// Milliseconds since the request began.
    pub(super) fn elapsed_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.began_ms)
    }

    /// Octets written after the head.
    fn body_bytes_sent(&self) -> u64 {
        self.written.saturating_sub(self.head_len)
    }
}

impl Connection {
    /// The first octets of a request are here.
    pub(super) fn request_began(&mut self, conf: &LoopConf) {
        if conf.snapshot.access_log.is_some() {
            // A busy loop does not look at the clock between two pauses.
            self.event_loop.clock.read();
        }
        self.account = Account { began_ms: self.event_loop.now_ms(), ..Account::default() };
    }

    /// The head is whole: where the request comes from.
    pub(super) fn tell_origin(&mut self, conf: &LoopConf, buffers: &Buffers) -> Origin {
        let (peer, _) = self.addresses();
        let mut origin = Origin { peer, is_tls: false };
        if let Some(entry) = conf.snapshot.listeners.get(&self.listener) {
            client_address::apply(&entry.listener, &buffers.head, &mut origin);
        }
        self.account.origin = Some(origin);
        origin
    }

    /// The first `head_len` octets of `buffers.out` are the head of the answer. It takes the place
    /// of one that was made before and not sent.
    pub(super) fn note_head(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        status: u16,
        delivery: Delivery,
        head_len: usize,
    ) {
        let account = &mut self.account;
        account.status = status;
        account.delivery = Some(delivery);
        account.head_len = head_len as u64;
        account.written = 0;
        if conf.snapshot.access_log.as_ref().is_some_and(|log| log.reads_head()) {
            buffers.sent_head.clear();
            let head = buffers.out.get(..head_len).unwrap_or_default();
            buffers.sent_head.extend_from_slice(head);
        }
    }

    /// The request has ended, however it did.
    pub(super) fn request_ended(&mut self, conf: &LoopConf, buffers: &mut Buffers) {
        let Some(log) = conf.snapshot.access_log.as_ref().filter(|log| log.is_open()) else {
            return;
        };
        let (peer, local) = self.addresses();
        let Self { event_loop, account, number, .. } = self;
        event_loop.clock.read();
        let origin = account.origin.unwrap_or(Origin { peer, is_tls: false });
        let Buffers { head, cache, sent_head, .. } = buffers;
        let mut ctx = RequestContext {
            head,
            cache,
            peer: origin.peer,
            local,
            is_tls: origin.is_tls,
            conn: *number,
            times: RequestTimes {
                unix_secs: event_loop.clock.unix_secs(),
                elapsed_ms: account.elapsed_ms(event_loop.now_ms()),
            },
        };
        let facts = ResponseFacts {
            status: account.status,
            body_bytes_sent: account.body_bytes_sent(),
            delivery: account.delivery,
            fields: ResponseFieldsView::Sent(sent_head),
        };
        event_loop.access_log.add(log, &mut ctx, &facts);
    }
}
