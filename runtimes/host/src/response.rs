//! The answer to a request, written by a language and sent in as few records as possible.

use std::io;
use std::time::Instant;

use app_io::{ChannelError, WorkerChannel, WorkerEvent};
use app_proto::{
    BODY_RECORD_MAX, HEAD_FIXED_LEN, RESPONSE_HEAD_MAX, RequestId, ResponseKind, ResponseRecord,
    head_fixed,
};
use sys::poll::{PollFd, PollFlags};
use thiserror::Error;

use crate::Request;
use crate::session::{SessionId, Table};

/// Sleeps by calling its argument, see [`crate::Language::pause`].
pub(crate) type Pause = fn(&mut dyn FnMut());

/// Why a field was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FieldError {
    /// The name is not one: empty, or with bytes that no name may have.
    #[error("the field name is empty or has a forbidden character")]
    Name,
    /// The value has a line break or a zero byte.
    #[error("the field value has a forbidden character")]
    Value,
    /// The head would be over [`RESPONSE_HEAD_MAX`].
    #[error("the response head is too large")]
    TooLarge,
}

/// Why body bytes were not sent.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Nobody reads the answer any more. To go on producing it is of no use.
    #[error("the client is gone")]
    Cancelled,
    /// The answer is complete already.
    #[error("the response is complete")]
    Complete,
    /// The router is gone or mad; the worker ends after this request.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

/// Why a handshake was not accepted.
#[derive(Debug, Error)]
pub enum AcceptError {
    /// It is no WebSocket handshake.
    #[error("the request is no WebSocket handshake")]
    NoHandshake,
    /// A head was sent already.
    #[error("the response is started")]
    Started,
    /// The router is gone or mad; the worker ends after this request.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

/// A head in the making. Kept from request to request for its memory.
#[derive(Debug, Default)]
pub(crate) struct HeadBuffer {
    status: u16,
    count: u32,
    lengths: Vec<u8>,
    texts: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    Head,
    /// The head was sent.
    Body,
    /// The last record was sent.
    Complete,
}

/// What a response is made in.
#[derive(Debug)]
pub(crate) struct Desk<'w> {
    pub(crate) channel: &'w mut WorkerChannel,
    pub(crate) events: &'w mut Vec<WorkerEvent>,
    pub(crate) head: &'w mut HeadBuffer,
    /// When the request was started; afterwards, when it was completed.
    pub(crate) clock: &'w mut Instant,
    pub(crate) pause: Pause,
    /// Where an accepted handshake goes, and which of the worker's channels this is.
    pub(crate) sessions: &'w mut Table,
    pub(crate) channel_number: u32,
}

/// The answer to one request.
///
/// A head is begun with [`Self::start`] and filled with [`Self::field`]; the first body bytes take
/// it along. All writing blocks while the client is slower than the application.
#[derive(Debug)]
pub struct Response<'w> {
    desk: Desk<'w>,
    id: RequestId,
    stage: Stage,
    /// Whether body bytes are thrown away, since the method is HEAD.
    bodyless: bool,
    is_handshake: bool,
    /// Body bytes sent so far, and how far the credit known reaches.
    sent: u64,
    credit_to: u64,
}

impl<'w> Response<'w> {
    pub(crate) fn new(desk: Desk<'w>, request: &Request<'_>) -> Self {
        desk.head.clear(200);
        Self {
            desk,
            id: request.id,
            stage: Stage::Head,
            bodyless: request.method == b"HEAD",
            is_handshake: request.is_websocket_handshake(),
            sent: 0,
            credit_to: app_proto::WINDOW,
        }
    }

    /// Whether the head was sent, so that it cannot be changed any more.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.stage != Stage::Head
    }

    /// Whether the last record was sent.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// Begins the head, forgetting an earlier one that was not sent.
    pub fn start(&mut self, status: u16) {
        self.desk.head.clear(status);
    }

    /// Adds a field to the head.
    ///
    /// # Errors
    /// [`FieldError`]; the field is not added.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldError> {
        self.desk.head.add(name, value)
    }

    /// Sends body bytes, with the head before them if it was not sent yet.
    ///
    /// # Errors
    /// [`WriteError`]; some of the bytes may have been sent.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.send(bytes, false)
    }

    /// Sends the last body bytes.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish_with(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.send(bytes, true)
    }

    /// Says that the answer is complete, with the head before that if it was not sent yet.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(&mut self) -> Result<(), WriteError> {
        self.send(b"", true)
    }

    /// Accepts a WebSocket handshake, with the fields added so far. The answer is complete by that,
    /// and a session has begun.
    ///
    /// # Errors
    /// [`AcceptError`]; it can still be answered in another way.
    pub fn accept(&mut self) -> Result<SessionId, AcceptError> {
        if !self.is_handshake {
            return Err(AcceptError::NoHandshake);
        }
        if self.stage != Stage::Head {
            return Err(AcceptError::Started);
        }
        self.desk.head.status = 101;
        let mut record = self.record(ResponseKind::Upgrade, true);
        record.last = false;
        let fixed = self.desk.head.fixed();
        push(&mut self.desk, record, Payload::Head(&fixed, &[]))?;
        self.stage = Stage::Complete;
        Ok(self.desk.sessions.add(self.desk.channel_number, self.id))
    }

    /// Says that the application failed: the client gets an error page if the head was not sent,
    /// and an answer that is visibly cut off if it was.
    ///
    /// # Errors
    /// [`WriteError::Channel`].
    pub fn fail(&mut self) -> Result<(), WriteError> {
        if self.stage == Stage::Complete {
            return Ok(());
        }
        self.push(ResponseKind::Failed, true, &[])
    }

    fn send(&mut self, bytes: &[u8], last: bool) -> Result<(), WriteError> {
        if self.stage == Stage::Complete {
            return Err(WriteError::Complete);
        }
        let mut rest = if self.bodyless { &[] } else { bytes };
        if self.stage == Stage::Head {
            let room = RESPONSE_HEAD_MAX - self.desk.head.len();
            let (first, later) = self.cut(rest, room)?;
            self.push_head(first, last && later.is_empty())?;
            rest = later;
        }
        while !rest.is_empty() {
            let (first, later) = self.cut(rest, usize::MAX)?;
            self.push(ResponseKind::Body, last && later.is_empty(), &[first])?;
            rest = later;
        }
        if last && self.stage != Stage::Complete {
            self.push(ResponseKind::Body, true, &[])?;
        }
        Ok(())
    }

    /// Cuts off what can be sent in one record now, waiting for credit if there is none.
    fn cut<'b>(&mut self, bytes: &'b [u8], max: usize) -> Result<(&'b [u8], &'b [u8]), WriteError> {
        if bytes.is_empty() {
            return Ok((bytes, bytes));
        }
        let mut credit = self.credit_to - self.sent;
        if credit < bytes.len() as u64 {
            credit = self.refresh_credit();
            if credit == 0 {
                credit = self.wait_for_credit()?;
            }
        }
        if self.desk.channel.is_cancelled(self.id) {
            return Err(WriteError::Cancelled);
        }
        let credit = usize::try_from(credit).unwrap_or(usize::MAX);
        let len = bytes.len().min(credit).min(max).min(BODY_RECORD_MAX);
        self.sent += len as u64;
        Ok(bytes.split_at(len))
    }

    fn refresh_credit(&mut self) -> u64 {
        let credit = self.desk.channel.credit(self.id, self.sent) as u64;
        self.credit_to = self.sent + credit;
        credit
    }

    fn wait_for_credit(&mut self) -> Result<u64, WriteError> {
        let (id, sent) = (self.id, self.sent);
        self.desk.channel.want_credit(id, true);
        let Desk { channel, events, pause, .. } = &mut self.desk;
        let waited = wait(channel, events, *pause, |channel| {
            Ok(channel.credit(id, sent) > 0 || channel.is_cancelled(id))
        });
        self.desk.channel.want_credit(id, false);
        waited?;
        match self.refresh_credit() {
            0 => Err(WriteError::Cancelled),
            credit => Ok(credit),
        }
    }

    fn push_head(&mut self, body: &[u8], last: bool) -> Result<(), WriteError> {
        let fixed = self.desk.head.fixed();
        let record = self.record(ResponseKind::Head, last);
        push(&mut self.desk, record, Payload::Head(&fixed, body))?;
        self.stage = if last { Stage::Complete } else { Stage::Body };
        Ok(())
    }

    fn push(&mut self, kind: ResponseKind, last: bool, parts: &[&[u8]]) -> Result<(), WriteError> {
        let record = self.record(kind, last);
        push(&mut self.desk, record, Payload::Plain(parts))?;
        if last {
            self.stage = Stage::Complete;
        }
        Ok(())
    }

    fn record(&mut self, kind: ResponseKind, last: bool) -> ResponseRecord {
        let now = Instant::now();
        let spent = now.saturating_duration_since(*self.desk.clock).as_micros();
        if last {
            *self.desk.clock = now;
        }
        ResponseRecord {
            id: self.id,
            kind,
            last,
            len: 0,
            service_us: u32::try_from(spent).unwrap_or(u32::MAX),
        }
    }
}

impl Drop for Response<'_> {
    /// Fails what was not finished. A channel that is broken is noticed by the worker itself.
    fn drop(&mut self) {
        let _ = self.fail();
    }
}

enum Payload<'a> {
    Head(&'a [u8; HEAD_FIXED_LEN], &'a [u8]),
    Plain(&'a [&'a [u8]]),
}

/// Pushes a record, waiting for room in the ring, and wakes the router.
fn push(
    desk: &mut Desk<'_>,
    record: ResponseRecord,
    payload: Payload<'_>,
) -> Result<(), ChannelError> {
    while !try_push(desk, record, &payload)? {
        let len = match payload {
            Payload::Head(fixed, body) => fixed.len() + desk.head.len() + body.len(),
            Payload::Plain(parts) => parts.iter().map(|part| part.len()).sum(),
        };
        desk.channel.want_room(true);
        let Desk { channel, events, pause, .. } = desk;
        let waited = wait(channel, events, *pause, |channel| channel.fits(len));
        desk.channel.want_room(false);
        waited?;
    }
    desk.channel.ring()
}

fn try_push(
    desk: &mut Desk<'_>,
    record: ResponseRecord,
    payload: &Payload<'_>,
) -> Result<bool, ChannelError> {
    match payload {
        Payload::Head(fixed, body) => {
            desk.channel.push(record, &[*fixed, &desk.head.lengths, &desk.head.texts, body])
        }
        Payload::Plain(parts) => desk.channel.push(record, parts),
    }
}

/// Sleeps until the channel is ready, as far as `ready` says. What the doorbell carries meanwhile
/// is kept for later: the request that is being served comes first.
pub(crate) fn wait(
    channel: &mut WorkerChannel,
    events: &mut Vec<WorkerEvent>,
    pause: Pause,
    ready: impl Fn(&WorkerChannel) -> Result<bool, ChannelError>,
) -> Result<(), ChannelError> {
    loop {
        // The router rings once for each announcement, so every round makes a new one.
        channel.fall_asleep();
        let done = ready(channel)?;
        let mut polled = Ok(0);
        if !done {
            let doorbell = channel.doorbell();
            pause(&mut || {
                polled = sys::poll::poll(&mut [PollFd::new(&doorbell, PollFlags::IN)], None);
            });
        }
        channel.wake_up();
        match polled {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if done {
            return Ok(());
        }
        while channel.receive(events)? {}
        if channel.is_detached() {
            // Not while a request is being served: nobody would ever say that there is room.
            return Err(ChannelError::HungUp);
        }
    }
}

impl HeadBuffer {
    fn clear(&mut self, status: u16) {
        self.status = status;
        self.count = 0;
        self.lengths.clear();
        self.texts.clear();
    }

    fn fixed(&self) -> [u8; HEAD_FIXED_LEN] {
        // The texts are part of a head that is smaller than RESPONSE_HEAD_MAX.
        let texts_len = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        head_fixed(self.status, self.count, texts_len)
    }

    /// Bytes of the head's payload.
    fn len(&self) -> usize {
        HEAD_FIXED_LEN + self.lengths.len() + self.texts.len()
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldError> {
        if name.is_empty() || !name.iter().all(|byte| IS_NAME_BYTE[usize::from(*byte)]) {
            return Err(FieldError::Name);
        }
        if has_forbidden_byte(value) {
            return Err(FieldError::Value);
        }
        // Room is left for the first body bytes, or a head could never take any along.
        if self.len() + 8 + name.len() + value.len() > RESPONSE_HEAD_MAX - 1024 {
            return Err(FieldError::TooLarge);
        }
        for text in [name, value] {
            let len = u32::try_from(text.len()).map_err(|_| FieldError::TooLarge)?;
            self.lengths.extend_from_slice(&len.to_le_bytes());
            self.texts.extend_from_slice(text);
        }
        self.count += 1;
        Ok(())
    }
}

/// A line break would end the field and begin another one; a zero byte ends it for some readers.
fn has_forbidden_byte(value: &[u8]) -> bool {
    value.iter().fold(false, |found, byte| found | matches!(byte, b'\r' | b'\n' | 0))
}

/// The bytes of a token, RFC 9110 section 5.6.2.
const IS_NAME_BYTE: [bool; 256] = {
    const NAME_BYTES: &[u8] = b"!#$%&'*+-.^_`|~0123456789\
        ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut table = [false; 256];
    let mut at = 0;
    while at < NAME_BYTES.len() {
        table[NAME_BYTES[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_forge_others_are_refused() {
        let mut head = HeadBuffer::default();
        for value in [&b"a\rb"[..], b"a\nb", b"a\0b", b"\r\nSet-Cookie: x"] {
            assert_eq!(head.add(b"X-A", value), Err(FieldError::Value));
        }
        for name in [&b""[..], b"X A", b"X:A", b"X\r\nA", b"X\0", b"\xc3\xa4"] {
            assert_eq!(head.add(name, b"v"), Err(FieldError::Name));
        }
        assert_eq!(head.count, 0);
        assert!(head.lengths.is_empty() && head.texts.is_empty());
        head.add(b"X-A", "täglich".as_bytes()).unwrap();
        assert_eq!(head.count, 1);
    }

    #[test]
    fn heads_are_bounded() {
        let mut head = HeadBuffer::default();
        let value = vec![b'v'; 65_535];
        head.add(b"A", &value).unwrap();
        assert_eq!(head.add(b"B", &value), Err(FieldError::TooLarge));
        assert!(head.len() < RESPONSE_HEAD_MAX);
    }
}
