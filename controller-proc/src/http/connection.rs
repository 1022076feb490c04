//! One control connection: read a request, wait for its answer, write it, close.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::endpoint::Request;
use crate::http::answer;
use crate::http::body::{BodyError, BodyReader};
use crate::http::head::{self, Head, HeadError};
use crate::response::Response;

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request head may take.
    pub head: Duration,
    /// How long a body or an answer may stand still.
    pub pause: Duration,
    /// How slow a body or an answer may be on the whole, once [`Self::head`] has gone by.
    pub octets_per_second_min: u64,
    /// How long what a client still sends is thrown away, so that it can read its answer.
    pub linger: Duration,
    /// The most octets of a body.
    pub body_len_max: usize,
    /// The most octets of all bodies together.
    pub bodies_len_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(300),
            pause: Duration::from_secs(60),
            octets_per_second_min: 1024,
            linger: Duration::from_secs(5),
            body_len_max: 256 * 1024 * 1024,
            bodies_len_max: 512 * 1024 * 1024,
        }
    }
}

/// A request that wants an answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The request.
    pub(crate) request: Request,
    /// Where the answer goes.
    pub(crate) reply: oneshot::Sender<Response>,
}

/// What the connections of a controller have in common.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    /// What each of them may take.
    pub(crate) limits: Limits,
    /// Where requests go.
    pub(crate) exchanges: mpsc::Sender<Exchange>,
    bodies_len: Rc<Cell<usize>>,
    answering: Rc<watch::Sender<usize>>,
}

impl Share {
    /// A share for connections that send their requests to `exchanges`.
    #[must_use]
    pub(crate) fn new(limits: Limits, exchanges: mpsc::Sender<Exchange>) -> Self {
        Self {
            limits,
            exchanges,
            bodies_len: Rc::default(),
            answering: Rc::new(watch::Sender::new(0)),
        }
    }

    /// Waits until no connection waits for an answer or writes one.
    pub(crate) async fn answered(&self) {
        // The sender is in `self`, so there is always one.
        let _ = self.answering.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    /// Its two streams of octets.
    pub(crate) stream: S,
    /// Its number, for the log.
    pub(crate) number: u64,
}

/// Serves one connection to its end.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    connection: Connection<S>,
    share: Share,
) {
    let Connection { stream, number } = connection;
    let mut wire = Wire { stream, received: BytesMut::new(), number, limits: share.limits };
    let mut body_share = BodyShare { all: share.bodies_len.clone(), len: 0 };
    let (outcome, _answering) = match wire.read_request(&mut body_share).await {
        Ok(request) => {
            let answering = Answering::start(&share);
            let (reply, answer) = oneshot::channel();
            if share.exchanges.send(Exchange { request, reply }).await.is_err() {
                return;
            }
            match answer.await {
                Ok(response) => (Outcome { response, request_is_whole: true }, answering),
                Err(_) => return,
            }
        }
        Err(ReadError::Refused(response)) => {
            (Outcome { response, request_is_whole: false }, Answering::start(&share))
        }
        Err(ReadError::Gone) => return,
    };
    wire.answer(&outcome).await;
}

struct Outcome {
    response: Response,
    request_is_whole: bool,
}

/// Why there is no request.
enum ReadError {
    /// The client left, or said nothing for too long: close without a word.
    Gone,
    /// What it said is answered with this.
    Refused(Response),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Counts a connection among those that an ending controller waits for.
struct Answering(Rc<watch::Sender<usize>>);

impl Answering {
    fn start(share: &Share) -> Self {
        share.answering.send_modify(|count| *count += 1);
        Self(share.answering.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// What a connection holds of the memory that all bodies may take.
struct BodyShare {
    all: Rc<Cell<usize>>,
    len: usize,
}

impl BodyShare {
    fn grow_to(&mut self, len: usize, max: usize) -> Result<(), BodyError> {
        let all = self.all.get() - self.len + len;
        if all > max {
            return Err(BodyError::TooLarge);
        }
        self.all.set(all);
        self.len = len;
        Ok(())
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.len);
    }
}

struct Wire<S> {
    stream: S,
    received: BytesMut,
    number: u64,
    limits: Limits,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    async fn read_request(&mut self, share: &mut BodyShare) -> Result<Request, ReadError> {
        let deadline = Instant::now() + self.limits.head;
        let head = loop {
            match head::parse(&self.received) {
                Ok(Some(head)) => break head,
                Ok(None) => self.receive(deadline).await?,
                Err(error) => return Err(self.refuse_head(error)),
            }
        };
        drop(self.received.split_to(head.len));
        let body = self.read_body(&head, share).await?;
        let Head { method, target, preconditions, .. } = head;
        Ok(Request { method, target, preconditions, body })
    }

    async fn read_body(
        &mut self,
        head: &Head,
        share: &mut BodyShare,
    ) -> Result<Vec<u8>, ReadError> {
        let mut reader = BodyReader::new(head.framing, self.limits.body_len_max)
            .map_err(|error| self.refuse_body(error))?;
        let started = Instant::now();
        let mut is_asked_for = !head.expects_continue;
        loop {
            let complete =
                reader.take(&mut self.received).map_err(|error| self.refuse_body(error))?;
            share
                .grow_to(reader.len(), self.limits.bodies_len_max)
                .map_err(|error| self.refuse_body(error))?;
            if complete {
                return Ok(reader.finish());
            }
            if !is_asked_for {
                is_asked_for = true;
                self.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            self.receive(self.deadline(started, reader.len())).await?;
        }
    }

    /// Receives something more.
    async fn receive(&mut self, deadline: Instant) -> io::Result<()> {
        self.received.reserve(16 * 1024);
        match timeout_at(deadline, self.stream.read_buf(&mut self.received)).await {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// When something that began at `started` and has come to `len` octets must go on.
    fn deadline(&self, started: Instant, len: usize) -> Instant {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        let allowed = Duration::from_secs(len / self.limits.octets_per_second_min.max(1));
        let pause = Instant::now() + self.limits.pause;
        pause.min(started + self.limits.head + allowed)
    }

    async fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        let started = Instant::now();
        let mut written = 0;
        while written < octets.len() {
            let deadline = self.deadline(started, written);
            match timeout_at(deadline, self.stream.write(&octets[written..])).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(len)) => written += len,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        self.stream.flush().await
    }

    /// Writes the answer. A client that is gone by now does not matter.
    async fn answer(mut self, outcome: &Outcome) {
        let octets = answer::encode(&outcome.response, SystemTime::now());
        if self.write_all(&octets).await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        let more_to_come = !outcome.request_is_whole || !self.received.is_empty();
        if more_to_come || self.has_more().await {
            let _ = timeout(self.limits.linger, self.discard()).await;
        }
    }

    /// Whether the client has sent more than its request.
    async fn has_more(&mut self) -> bool {
        let receive = self.receive(Instant::now() + self.limits.linger);
        matches!(timeout(Duration::ZERO, receive).await, Ok(Ok(())))
    }

    /// Throws away what the client still sends. Closing a socket that holds unread octets would
    /// reset the connection, and the answer could be lost with it.
    async fn discard(&mut self) {
        let deadline = Instant::now() + self.limits.linger;
        loop {
            self.received.clear();
            if self.receive(deadline).await.is_err() {
                return;
            }
        }
    }

    fn refuse_head(&self, error: HeadError) -> ReadError {
        match error {
            HeadError::TooLong | HeadError::ContentLength => {
                unit_log::error!(conn = self.number, "{error}");
            }
            HeadError::Line
            | HeadError::Version
            | HeadError::Fields
            | HeadError::TransferEncoding
            | HeadError::Precondition => {
                unit_log::error!(conn = self.number, "parsing error");
            }
        }
        let detail = match error {
            HeadError::TooLong => "The request headers are too long.".to_owned(),
            HeadError::ContentLength => "The Content-Length field is invalid.".to_owned(),
            HeadError::TransferEncoding => "The Transfer-Encoding field is invalid.".to_owned(),
            HeadError::Line | HeadError::Version | HeadError::Fields | HeadError::Precondition => {
                error.to_string()
            }
        };
        ReadError::Refused(Response::bad_request(&detail))
    }

    fn refuse_body(&self, error: BodyError) -> ReadError {
        ReadError::Refused(match error {
            BodyError::TooLarge => {
                unit_log::error!(conn = self.number, "{error}");
                let max = self.limits.body_len_max;
                Response::too_large(&format!("At most {max} bytes are accepted."))
            }
            BodyError::Chunk => {
                unit_log::error!(conn = self.number, "parsing error");
                Response::bad_request(&error.to_string())
            }
        })
    }
}

#[cfg(test)]
mod tests;
