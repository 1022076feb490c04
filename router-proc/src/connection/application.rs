//! Passing a request to an application and its answer back to the client.

use std::future::poll_fn;
use std::os::fd::AsFd;
use std::rc::Rc;

use app_proto::{
    REQUEST_BODY_FILE, REQUEST_TLS, RequestParts, ResponseHead as AppHead, encode_request,
};
use conf::PeerAddress;

use super::respond::{Client, Response, next_after};
use super::{Buffers, Connection, Next};
use crate::app::{Answer, Dispatcher, Event, FilePart};
use crate::event_loop::LoopConf;
use crate::http::response::{ChunkHeader, parse_content_length};
use crate::http::{BodyEncoder, BodyEnd, Delivery, ResponseHead};
use crate::routing::{ActionRef, variables};

/// Bytes that most request records fit in.
const RECORD_LEN_USUAL: usize = 768;

/// What an application's request goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    pub(super) dispatcher: &'a Rc<Dispatcher>,
    pub(super) target: u16,
    pub(super) action: Option<ActionRef>,
}

/// Addresses and port as applications are told them.
#[derive(Debug, Default)]
pub(super) struct AddressTexts {
    /// Whose address `remote` is.
    remote_of: Option<PeerAddress>,
    remote: Vec<u8>,
    local: Vec<u8>,
    local_port: Vec<u8>,
}

impl Connection {
    pub(super) async fn respond_from_app(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        client: &Client,
        route: Route<'_>,
    ) -> Next {
        let record = match self.encode(buffers, client, route.target) {
            Ok(record) => record,
            Err(error) => {
                unit_log::alert!(conn = self.number, "cannot pass on a request: {error}");
                return self.respond_error(conf, buffers, 500, Next::Close).await;
            }
        };
        let body = buffers.body.take_file().map(Rc::new);
        let Ok(mut answer) = route.dispatcher.submit(record, body) else {
            return self.respond_error(conf, buffers, 503, Next::Close).await;
        };
        match self.next_event(&mut answer, buffers).await {
            Event::Head { payload, last } => {
                let start = Start { payload: &payload, last, action: route.action };
                self.pass_on(conf, buffers, client, answer, start).await
            }
            Event::Failed(_) | Event::Body { .. } | Event::File { .. } => {
                drop(answer);
                self.respond_error(conf, buffers, 503, Next::Close).await
            }
        }
    }

    /// Encodes the request in the buffers.
    fn encode(
        &mut self,
        buffers: &mut Buffers,
        client: &Client,
        target: u16,
    ) -> Result<Vec<u8>, app_proto::RecordError> {
        let addresses = &mut self.address_texts;
        if addresses.remote_of != Some(client.origin.peer) {
            // Mostly the same for all requests of a connection.
            addresses.remote_of = Some(client.origin.peer);
            addresses.remote.clear();
            variables::push_address(&client.origin.peer, &mut addresses.remote);
        }
        if addresses.local.is_empty() {
            match client.local {
                PeerAddress::Inet(address) => {
                    variables::push_address(&client.local, &mut addresses.local);
                    addresses.local_port = address.port().to_string().into_bytes();
                }
                PeerAddress::Unix => addresses.local = self.stream.unix_name(),
            }
        }
        let head = &buffers.head;
        let mut flags = 0;
        if client.origin.is_tls {
            flags |= REQUEST_TLS;
        }
        if buffers.body.file.is_some() {
            flags |= REQUEST_BODY_FILE;
        }
        let host = head.host();
        let parts = RequestParts {
            flags,
            target_index: u32::from(target),
            minor_version: u32::from(head.minor_version()),
            method: head.method(),
            target: head.target(),
            path: head.path(),
            query: head.query(),
            remote: &addresses.remote,
            local_addr: &addresses.local,
            local_port: &addresses.local_port,
            server_name: if host.is_empty() { b"localhost" } else { host },
            body: &buffers.body.memory,
            body_len: buffers.body.len,
        };
        // Small enough for the allocator's quick lists, large enough for most requests.
        let mut record = Vec::with_capacity(RECORD_LEN_USUAL);
        let fields = head.fields().map(|field| (field.name, field.value));
        encode_request(&mut record, &parts, fields)?;
        Ok(record)
    }

    async fn next_event(&self, answer: &mut Answer, buffers: &mut Buffers) -> Event {
        buffers.piece.clear();
        poll_fn(|cx| answer.poll_event(cx, &mut buffers.piece)).await
    }

    /// Writes an answer to the client as it comes.
    async fn pass_on(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        client: &Client,
        mut answer: Answer,
        start: Start<'_>,
    ) -> Next {
        let head = match AppHead::decode(start.payload) {
            Ok(head) => head,
            Err(error) => {
                unit_log::alert!(conn = self.number, "{error}");
                drop(answer);
                return self.respond_error(conf, buffers, 503, Next::Close).await;
            }
        };
        let Some((status, length)) = read_fields(&head) else {
            drop(answer);
            return self.respond_error(conf, buffers, 503, Next::Close).await;
        };
        let delivery = Delivery::decide(self.facts(buffers), status, length);
        buffers.out.clear();
        if conf.snapshot.routes.changes_response(start.action, status) {
            buffers.fields.clear();
            for (name, value) in passed_fields(&head) {
                buffers.fields.push(name, value);
            }
            let response = Response { status, delivery, action: start.action };
            if self.push_head(conf, buffers, client, response).is_err() {
                drop(answer);
                return self.respond_error(conf, buffers, 500, Next::Close).await;
            }
        } else {
            let date = self.event_loop.clock.date();
            let mut out = ResponseHead::begin(&mut buffers.out, status, delivery);
            for (name, value) in passed_fields(&head) {
                out.field(name, value);
            }
            out.finish(&self.head_end(conf, &date));
            self.note_head(conf, buffers, status, delivery, buffers.out.len());
        }
        let patience = conf.snapshot.http.send_timeout;
        let mut encoder = BodyEncoder::new(&delivery);
        encoder.push(head.body, &mut buffers.out);
        let mut credit = head.body.len();
        let mut last = start.last;
        loop {
            if last {
                let is_whole = encoder.finish(&mut buffers.out) == BodyEnd::Complete;
                drop(answer);
                let written = self.write_all(&buffers.out, patience).await;
                return next_after(written.is_ok() && is_whole, delivery);
            }
            if !buffers.out.is_empty() {
                if self.write_all(&buffers.out, patience).await.is_err() {
                    return Next::Close;
                }
                buffers.out.clear();
            }
            answer.passed_on(credit);
            credit = 0;
            match self.next_event(&mut answer, buffers).await {
                Event::Body { last: is_last } => {
                    encoder.push(&buffers.piece, &mut buffers.out);
                    credit = buffers.piece.len();
                    last = is_last;
                }
                Event::File { part, last: is_last } => {
                    if self.pass_on_file(&mut encoder, buffers, &part, conf).await.is_err() {
                        return Next::Close;
                    }
                    last = is_last;
                }
                // What was sent is not whole: only a cut connection says so.
                Event::Failed(_) | Event::Head { .. } => return Next::Close,
            }
        }
    }

    /// Sends a stretch of a file as part of a body.
    async fn pass_on_file(
        &mut self,
        encoder: &mut BodyEncoder,
        buffers: &mut Buffers,
        part: &FilePart,
        conf: &LoopConf,
    ) -> Result<(), ()> {
        let len = encoder.admit(part.len);
        if len == 0 {
            return Ok(());
        }
        if encoder.is_chunked() {
            buffers.out.extend_from_slice(ChunkHeader::new(len).as_bytes());
        }
        let patience = conf.snapshot.http.send_timeout;
        self.write_with_file(&buffers.out, part.file.as_fd(), part.offset, len, patience)
            .await
            .map_err(|_| ())?;
        buffers.out.clear();
        if encoder.is_chunked() {
            buffers.out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}

/// The first record of an answer.
#[derive(Clone, Copy, Debug)]
struct Start<'a> {
    payload: &'a [u8],
    last: bool,
    action: Option<ActionRef>,
}

/// What a field of an application means to the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldUse {
    /// It goes to the client.
    Passed,
    /// It goes to the client, and tells the length of the body.
    Length,
    /// It replaces the status.
    Status,
    /// It is the router's to say.
    Dropped,
}

fn use_of(name: &[u8]) -> FieldUse {
    match name.len() {
        6 if name.eq_ignore_ascii_case(b"server") => FieldUse::Dropped,
        6 if name.eq_ignore_ascii_case(b"status") => FieldUse::Status,
        7 if name.eq_ignore_ascii_case(b"upgrade") => FieldUse::Dropped,
        10 if name.eq_ignore_ascii_case(b"connection") => FieldUse::Dropped,
        14 if name.eq_ignore_ascii_case(b"content-length") => FieldUse::Length,
        20 if name.eq_ignore_ascii_case(b"sec-websocket-accept") => FieldUse::Dropped,
        _ => FieldUse::Passed,
    }
}

/// The status, and the body's length if the application tells it. `None`: the answer is invalid.
fn read_fields(head: &AppHead<'_>) -> Option<(u16, Option<u64>)> {
    let mut status = head.status;
    let mut length = None;
    for (name, value) in head.fields() {
        match use_of(name) {
            FieldUse::Status => status = status_of(value)?,
            FieldUse::Length => length = length.or(parse_content_length(value)),
            FieldUse::Passed | FieldUse::Dropped => {}
        }
    }
    Some((status, length))
}

/// The fields that go to the client, in the application's order.
fn passed_fields<'a>(head: &AppHead<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    head.fields().filter(|(name, _)| matches!(use_of(name), FieldUse::Passed | FieldUse::Length))
}

/// The status in the value of a `Status` field: its first three digits, 100 to 999.
fn status_of(value: &[u8]) -> Option<u16> {
    let digits = value.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    (status >= 100).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_field_has_three_digits_first() {
        assert_eq!(status_of(b"404 Not Found"), Some(404));
        assert_eq!(status_of(b"999"), Some(999));
        assert_eq!(status_of(b"099"), None);
        assert_eq!(status_of(b"40"), None);
        assert_eq!(status_of(b"4x4"), None);
    }
}
