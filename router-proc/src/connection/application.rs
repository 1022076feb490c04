//! Passing a request to an application and its answer back to the client.

use std::future::poll_fn;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use app_proto::{
    REQUEST_BODY_FILE, REQUEST_TLS, REQUEST_WEBSOCKET, RequestParts, ResponseHead as AppHead,
    encode_request,
};
use conf::PeerAddress;

use super::outgoing::Outgoing;
use super::respond::{Client, Response, next_after};
use super::{Buffers, Connection, Next};
use crate::app::{Answer, Dispatcher, Event, FilePart};
use crate::compression::{BodyEncoding, BodyEncodingError, Choice, Subject};
use crate::event_loop::LoopConf;
use crate::http::response::{ChunkHeader, parse_content_length};
use crate::http::{BodyEncoder, BodyEnd, Delivery, ResponseHead};
use crate::routing::{ActionRef, variables};

/// Bytes that most request records fit in.
const RECORD_LEN_USUAL: usize = 768;

/// How much of a file is read at once to be encoded.
const FILE_PIECE_LEN: usize = 64 * 1024;

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
            Event::Upgrade { payload } => {
                let start = (&payload[..], route.action);
                // Requests that are none have no room for it.
                Box::pin(self.serve_session(conf, buffers, client, answer, start)).await
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
        if head.is_websocket_handshake() {
            flags |= REQUEST_WEBSOCKET;
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
        // An interim status is no answer: the next response would be taken for it. A session begins in another way.
        let is_final = |facts: &AnswerFacts<'_>| !(100..200).contains(&facts.status);
        let Some(facts) = read_fields(&head).filter(is_final) else {
            drop(answer);
            return self.respond_error(conf, buffers, 503, Next::Close).await;
        };
        let status = facts.status;
        let encoding = match self.encoding_of(conf, buffers, &facts, start.action) {
            Ok(encoding) => encoding,
            Err(status) => {
                drop(answer);
                return self.respond_error(conf, buffers, status, Next::Close).await;
            }
        };
        let content_encoding = encoding.as_ref().map(|encoding| encoding.name());
        let length = if encoding.is_none() { facts.length } else { None };
        let delivery = Delivery::decide(self.facts(buffers), status, length);
        let is_encoded = encoding.is_some();
        let fields = passed_fields(&head, is_encoded);
        let mut tag = Vec::new();
        buffers.out.clear();
        if conf.snapshot.routes.changes_response(start.action, status) {
            buffers.fields.clear();
            for (name, value) in fields {
                let value = if is_encoded { of_encoded(name, value, &mut tag) } else { value };
                buffers.fields.push(name, value);
            }
            if let Some(name) = content_encoding {
                buffers.fields.push(b"Content-Encoding", name);
            }
            let response = Response { status, delivery, action: start.action };
            if self.push_head(conf, buffers, client, response).is_err() {
                drop(answer);
                return self.respond_error(conf, buffers, 500, Next::Close).await;
            }
        } else {
            let date = self.event_loop.clock.date();
            let mut out = ResponseHead::begin(&mut buffers.out, status, delivery);
            for (name, value) in fields {
                let value = if is_encoded { of_encoded(name, value, &mut tag) } else { value };
                out.field(name, value);
            }
            if let Some(name) = content_encoding {
                out.field(b"Content-Encoding", name);
            }
            out.finish(&self.head_end(conf, &date));
            self.note_head(conf, buffers, status, delivery, buffers.out.len());
        }
        let patience = conf.snapshot.http.send_timeout;
        let mut outgoing = Outgoing::new(&delivery, encoding);
        let mut credit = head.body.len();
        if let Err(error) = outgoing.push(head.body, buffers).await {
            return self.cut_off(error);
        }
        let mut last = start.last;
        loop {
            if last {
                let is_whole = outgoing.finish(&mut buffers.out) == BodyEnd::Complete;
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
                    credit = buffers.piece.len();
                    if let Err(error) = outgoing.push_piece(buffers).await {
                        return self.cut_off(error);
                    }
                    last = is_last;
                }
                Event::File { part, last: is_last } => {
                    let passed = match outgoing.framing_alone() {
                        Some(framing) => self.pass_on_file(framing, buffers, &part, conf).await,
                        None => {
                            let encode = self.encode_part(&mut outgoing, buffers, &part, patience);
                            Box::pin(encode).await
                        }
                    };
                    if let Err(next) = passed {
                        return next;
                    }
                    last = is_last;
                }
                // What was sent is not whole: only a cut connection says so.
                Event::Failed(_) | Event::Head { .. } | Event::Upgrade { .. } => {
                    return Next::Close;
                }
            }
        }
    }

    /// The encoding of an answer's body. `None`: it is sent as it is. `Err`: the status of an error
    /// page.
    fn encoding_of(
        &self,
        conf: &LoopConf,
        buffers: &Buffers,
        facts: &AnswerFacts<'_>,
        action: Option<ActionRef>,
    ) -> Result<Option<Box<BodyEncoding>>, u16> {
        let Some(compression) = &conf.snapshot.compression else { return Ok(None) };
        let (Some(len), Some(content_type), true, false) =
            (facts.length, facts.content_type, facts.is_encodable(), buffers.head.is_head())
        else {
            return Ok(None);
        };
        // A configured field says that the body is encoded as it is.
        if conf.snapshot.routes.changes_field(action, facts.status, b"Content-Encoding") {
            return Ok(None);
        }
        let accept_encoding = buffers.head.field(b"accept-encoding");
        let subject = Subject { len, content_type };
        match compression.choose_or_identity(accept_encoding, subject, self.number) {
            Choice::Identity => Ok(None),
            Choice::NotAcceptable => Err(406),
            Choice::Encode { compressor, or_identity } => {
                match BodyEncoding::begin(compressor, len) {
                    Ok(Some(encoding)) => return Ok(Some(Box::new(encoding))),
                    // So many are under way that memory may run out.
                    Ok(None) => {}
                    Err(error) => {
                        unit_log::alert!(conn = self.number, "cannot compress an answer: {error}");
                    }
                }
                if or_identity { Ok(None) } else { Err(503) }
            }
        }
    }

    fn cut_off(&self, error: BodyEncodingError) -> Next {
        unit_log::alert!(conn = self.number, "cannot compress an answer: {error}");
        Next::Close
    }

    /// Sends a stretch of a file as part of a body.
    async fn pass_on_file(
        &mut self,
        framing: &mut BodyEncoder,
        buffers: &mut Buffers,
        part: &FilePart,
        conf: &LoopConf,
    ) -> Result<(), Next> {
        let len = framing.admit(part.len);
        if len == 0 {
            return Ok(());
        }
        if framing.is_chunked() {
            buffers.out.extend_from_slice(ChunkHeader::new(len).as_bytes());
        }
        let patience = conf.snapshot.http.send_timeout;
        self.write_with_file(&buffers.out, part.file.as_fd(), part.offset, len, patience)
            .await
            .map_err(|_| Next::Close)?;
        buffers.out.clear();
        if framing.is_chunked() {
            buffers.out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// Encodes a stretch of a file as part of a body, in pieces, and sends them.
    async fn encode_part(
        &mut self,
        outgoing: &mut Outgoing,
        buffers: &mut Buffers,
        part: &FilePart,
        patience: Option<Duration>,
    ) -> Result<(), Next> {
        let end = part.offset.saturating_add(part.len);
        let mut offset = part.offset;
        while offset < end && outgoing.wants_more() {
            let len = usize::try_from(end - offset).unwrap_or(FILE_PIECE_LEN).min(FILE_PIECE_LEN);
            buffers.piece.clear();
            buffers.piece.resize(len, 0);
            let read = match rustix::io::pread(&part.file, &mut buffers.piece[..], offset) {
                Err(rustix::io::Errno::INTR) => continue,
                // As with `sendfile`, the application's file is not what it said it was.
                Ok(0) | Err(_) => return Err(Next::Close),
                Ok(read) => read,
            };
            offset = offset.saturating_add(read as u64);
            buffers.piece.truncate(read);
            outgoing.push_piece(buffers).await.map_err(|error| self.cut_off(error))?;
            self.write_all(&buffers.out, patience).await.map_err(|_| Next::Close)?;
            buffers.out.clear();
            // Encoding on the spot and writing may both be done without a pause.
            tokio::task::yield_now().await;
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
    /// It goes to the client, and tells the type of the body.
    Type,
    /// It goes to the client. It says that the octets of the body are counted or encoded already.
    Settled,
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
        12 if name.eq_ignore_ascii_case(b"content-type") => FieldUse::Type,
        13 if name.eq_ignore_ascii_case(b"content-range") => FieldUse::Settled,
        14 if name.eq_ignore_ascii_case(b"content-length") => FieldUse::Length,
        16 if name.eq_ignore_ascii_case(b"content-encoding") => FieldUse::Settled,
        20 if name.eq_ignore_ascii_case(b"sec-websocket-accept") => FieldUse::Dropped,
        _ => FieldUse::Passed,
    }
}

/// What the fields of an answer say.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerFacts<'a> {
    pub(super) status: u16,
    /// The length of the body, if the application tells it.
    length: Option<u64>,
    content_type: Option<&'a [u8]>,
    is_settled: bool,
}

impl AnswerFacts<'_> {
    /// Whether there may be a body, and all octets of it are there to be encoded.
    fn is_encodable(&self) -> bool {
        !self.is_settled && !matches!(self.status, 100..=199 | 204 | 205 | 206 | 304)
    }
}

/// What the fields say. `None`: the answer is invalid.
pub(super) fn read_fields<'a>(head: &AppHead<'a>) -> Option<AnswerFacts<'a>> {
    let mut facts =
        AnswerFacts { status: head.status, length: None, content_type: None, is_settled: false };
    for (name, value) in head.fields() {
        match use_of(name) {
            // The answer says it by itself; a field that is no status makes it invalid all the same.
            FieldUse::Status if !is_status(value) => return None,
            FieldUse::Length => facts.length = facts.length.or(parse_content_length(value)),
            FieldUse::Type => facts.content_type = facts.content_type.or(Some(value)),
            FieldUse::Settled => facts.is_settled = true,
            FieldUse::Status | FieldUse::Passed | FieldUse::Dropped => {}
        }
    }
    Some(facts)
}

/// The fields that go to the client, in the application's order. The length of a body that is being
/// encoded is another.
pub(super) fn passed_fields<'a>(
    head: &AppHead<'a>,
    is_encoded: bool,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    head.fields().filter(move |(name, _)| match use_of(name) {
        FieldUse::Passed | FieldUse::Type | FieldUse::Settled => true,
        FieldUse::Length => !is_encoded,
        FieldUse::Status | FieldUse::Dropped => false,
    })
}

/// The value of a field when the body is encoded: a strong tag becomes a weak one, as it is that of
/// other octets.
fn of_encoded<'v>(name: &[u8], value: &'v [u8], room: &'v mut Vec<u8>) -> &'v [u8] {
    if !name.eq_ignore_ascii_case(b"etag") || !value.starts_with(b"\"") {
        return value;
    }
    room.clear();
    room.extend_from_slice(b"W/");
    room.extend_from_slice(value);
    room
}

/// Whether the value of a `Status` field begins with three digits, of 100 to 999.
fn is_status(value: &[u8]) -> bool {
    matches!(value, [b'1'..=b'9', second, third, ..] if second.is_ascii_digit() && third.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_of_what_is_encoded_is_weak() {
        for (name, value, expected) in [
            ("ETag", "\"a\"", "W/\"a\""),
            ("etag", "\"\"", "W/\"\""),
            ("ETag", "W/\"a\"", "W/\"a\""),
            ("ETag", "a", "a"),
            ("X-Tag", "\"a\"", "\"a\""),
        ] {
            let mut room = b"before".to_vec();
            let value = of_encoded(name.as_bytes(), value.as_bytes(), &mut room);
            assert_eq!(value, expected.as_bytes(), "{name}");
        }
    }

    #[test]
    fn a_status_field_has_three_digits_first() {
        assert!(is_status(b"404 Not Found"));
        assert!(is_status(b"999"));
        assert!(!is_status(b"099"));
        assert!(!is_status(b"40"));
        assert!(!is_status(b"4x4"));
    }
}
