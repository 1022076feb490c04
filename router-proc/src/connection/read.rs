//! Reading: the first byte, the head, the body, and what nobody wants any more.

use std::future::poll_fn;
use std::path::Path;
use std::task::{Context, Poll, Waker};

use super::pace::Pace;
use super::pending::Pending;
use super::{Buffers, Connection, LINGER, LINGER_LEN_MAX};
use crate::event_loop::LoopConf;
use crate::http::{BodyDecoder, BodyEvent, ParseStatus, RequestBody};
use crate::snapshot::HttpSettings;

/// What came of reading a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// It is in the buffers.
    Complete,
    /// It is answered with this status.
    Refused(u16),
    /// The client left.
    Gone,
}

/// What came of reading a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It is in the buffers, or there is none.
    Complete,
    /// It is answered with this status.
    Refused(u16),
    /// The client left.
    Gone,
}

/// What came of waiting for a request.
#[derive(Debug)]
pub(super) enum First {
    /// Its first bytes are in `pending` or in the scratch room. The buffers are for it.
    Bytes(Box<Buffers>),
    /// The connection is to go to another loop.
    Ousted,
    /// There will be none, and the connection is to be closed.
    None,
}

/// What came of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// So many bytes are in the loop's scratch room.
    Data(usize),
    /// The client sends no more.
    End,
    /// The deadline passed.
    TooLate,
    /// The connection broke.
    Broken,
    /// Nothing was read, and the loop has no use for idle connections any more.
    Ousted,
}

impl Connection {
    /// Reads into the loop's scratch room. Nothing may be awaited before what came is used.
    async fn read(&mut self) -> Read {
        let event_loop = &self.event_loop;
        let stream = &mut self.stream;
        let timer = &self.timer;
        let read = poll_fn(|cx| {
            match stream.poll_read(cx, &mut event_loop.scratch()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Read::End),
                Poll::Ready(Ok(len)) => return Poll::Ready(Read::Data(len)),
                Poll::Ready(Err(_)) => return Poll::Ready(Read::Broken),
                Poll::Pending => {}
            }
            if timer.is_over(event_loop.now_ms()) {
                return Poll::Ready(Read::TooLate);
            }
            if timer.is_idle() && event_loop.is_retiring() {
                return Poll::Ready(Read::Ousted);
            }
            timer.watch(cx);
            Poll::Pending
        })
        .await;
        event_loop.keep_draining();
        read
    }

    /// Waits for the first bytes of a request.
    pub(super) async fn first_bytes(&mut self) -> First {
        if self.pending.is_empty() {
            let patience = self.event_loop.conf().snapshot.http.idle_timeout;
            self.set_patience(patience);
            self.timer.set_idle(true);
            let read = self.read().await;
            self.timer.set_idle(false);
            match read {
                Read::Data(len) => self.fresh_len = len,
                Read::Ousted => return First::Ousted,
                Read::End | Read::Broken => return First::None,
                Read::TooLate => {
                    let mut buffers = self.event_loop.take_buffers();
                    self.refuse_idle(&mut buffers).await;
                    self.event_loop.return_buffers(buffers);
                    return First::None;
                }
            }
        }
        self.is_idle = false;
        self.event_loop.counters.idle.decrement();
        First::Bytes(self.event_loop.take_buffers())
    }

    /// Reads a request head. The first bytes are there already.
    pub(super) async fn read_head(&mut self, http: &HttpSettings, buffers: &mut Buffers) -> Head {
        let mut is_armed = false;
        let mut fresh = std::mem::take(&mut self.fresh_len);
        loop {
            match self.parse(fresh, http, buffers) {
                ParseStatus::Complete { .. } => return Head::Complete,
                ParseStatus::Error { status, .. } => return Head::Refused(status),
                ParseStatus::Incomplete => {}
            }
            if !is_armed {
                // Bounds the whole head: it is not set anew by each read.
                self.set_patience(http.header_read_timeout);
                is_armed = true;
            }
            fresh = match self.read().await {
                Read::Data(len) => len,
                Read::End | Read::Broken | Read::Ousted => {
                    self.parser.abandon(&self.pending, &mut buffers.head);
                    return Head::Gone;
                }
                Read::TooLate => {
                    self.parser.abandon(&self.pending, &mut buffers.head);
                    return Head::Refused(408);
                }
            };
        }
    }

    /// Parses what is pending and `fresh` bytes of the scratch room. Afterwards `pending` holds
    /// what the head did not use up, or all of it when the head is not complete.
    fn parse(&mut self, fresh: usize, http: &HttpSettings, buffers: &mut Buffers) -> ParseStatus {
        let scratch = self.event_loop.scratch();
        let fresh = scratch.get(..fresh).unwrap_or_default();
        if self.pending.is_empty() {
            let status = self.parser.parse(fresh, &http.limits, &mut buffers.head);
            match status {
                ParseStatus::Complete { consumed } => {
                    self.pending.push(fresh.get(consumed..).unwrap_or_default());
                }
                ParseStatus::Incomplete => self.pending.push(fresh),
                ParseStatus::Error { .. } => {}
            }
            return status;
        }
        self.pending.push(fresh);
        let status = self.parser.parse(&self.pending, &http.limits, &mut buffers.head);
        if let ParseStatus::Complete { consumed } = status {
            self.pending.consume(consumed);
        }
        status
    }

    /// Reads the whole body, if there is one.
    pub(super) async fn read_body(&mut self, conf: &LoopConf, buffers: &mut Buffers) -> Received {
        let http = &conf.snapshot.http;
        let announced = match buffers.head.body(&http.limits) {
            Ok(RequestBody::None) => return Received::Complete,
            Ok(announced) => announced,
            Err(status) => return Received::Refused(status),
        };
        if buffers.head.expects_continue() && self.pending.is_empty() {
            let written = self.write_all(b"HTTP/1.1 100 Continue\r\n\r\n", http.send_timeout).await;
            if written.is_err() {
                return Received::Gone;
            }
        }
        let mut decoder = BodyDecoder::new(announced, http.limits.max_body_size);
        let mut pending = std::mem::take(&mut self.pending);
        let mut fresh = None;
        let mut pace = Pace::new(http.min_rate, http.body_read_timeout);
        loop {
            let taken = match fresh {
                None => take_body(&mut decoder, &pending, http, buffers),
                Some(len) => {
                    let scratch = self.event_loop.scratch();
                    take_body(&mut decoder, scratch.get(..len).unwrap_or_default(), http, buffers)
                }
            };
            match taken {
                // A client that takes its time holds no buffer meanwhile.
                Taken::All if fresh.is_none() => pending = Pending::default(),
                Taken::All => {}
                Taken::Done(consumed) => {
                    match fresh {
                        None => {
                            pending.consume(consumed);
                            self.pending = pending;
                        }
                        Some(len) => {
                            let scratch = self.event_loop.scratch();
                            let rest = scratch.get(consumed..len).unwrap_or_default();
                            self.pending.push(rest);
                        }
                    }
                    break;
                }
                Taken::Refused(status) => return Received::Refused(status),
            }
            // Bounds each pause between two reads, and all of them together.
            self.set_patience(pace.patience(http.body_read_timeout));
            let since_ms = self.event_loop.now_ms();
            fresh = match self.read().await {
                Read::Data(len) => {
                    pace.wait(self.event_loop.now_ms().saturating_sub(since_ms));
                    pace.pass(len as u64);
                    Some(len)
                }
                Read::End | Read::Broken | Read::Ousted => return Received::Gone,
                Read::TooLate => return Received::Refused(408),
            };
        }
        if announced == RequestBody::Chunked {
            buffers.head.set_decoded_length(buffers.body.len);
        }
        Received::Complete
    }

    /// Whether the client has sent more than was read: closing now would make the kernel throw away
    /// what the client has not received yet.
    pub(super) fn has_unread(&mut self) -> bool {
        if !self.pending.is_empty() {
            return true;
        }
        let mut cx = Context::from_waker(Waker::noop());
        let read = self.stream.poll_read(&mut cx, &mut self.event_loop.scratch());
        matches!(read, Poll::Ready(Ok(len)) if len > 0)
    }

    /// Lets the client read the answer before it learns that nobody reads what it sends.
    pub(super) async fn linger(&mut self) {
        self.stream.shut_down_writing();
        self.set_patience(Some(LINGER));
        let mut len = 0;
        while len < LINGER_LEN_MAX {
            match self.read().await {
                Read::Data(more) => len += more,
                Read::End | Read::Broken | Read::TooLate | Read::Ousted => return,
            }
        }
    }
}

/// What became of some bytes of a body.
enum Taken {
    /// They were all of the body, and more is to come.
    All,
    /// The body ends after so many of them.
    Done(usize),
    /// It is refused.
    Refused(u16),
}

fn take_body(
    decoder: &mut BodyDecoder,
    input: &[u8],
    http: &HttpSettings,
    buffers: &mut Buffers,
) -> Taken {
    let mut at = 0;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        match decoder.decode(rest) {
            BodyEvent::NeedMore => return Taken::All,
            BodyEvent::Done { consumed } => return Taken::Done(at + consumed),
            BodyEvent::Error(status) => return Taken::Refused(status),
            BodyEvent::Data(range) => {
                let end = at + range.end;
                let data = rest.get(range).unwrap_or_default();
                let dir: &Path = &http.body_temp_path;
                if let Err(error) = buffers.body.push(data, http.body_buffer_size, dir) {
                    return Taken::Refused(error.report());
                }
                at = end;
            }
        }
    }
}
