//! A parsed request head: offsets into one owned buffer, and what the known fields mean.

use super::field::FieldSpan;
use super::host::host_span;
use super::request_line::RequestLine;
use super::scan::{contains_ignore_case, parse_decimal, push_decimal};
use super::target::{BadTarget, TargetPath};
use super::websocket::is_key;
use super::{Limits, Span, normalise_target};

/// The version that decides how a response is framed; every minor but 0 counts as 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1 and later minor versions.
    Http11,
}

/// What the framing of a response depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// The version of the request.
    pub version: Version,
    /// Whether the method is HEAD.
    pub is_head: bool,
    /// Whether the connection may go on after this exchange.
    pub keep_alive: bool,
}

impl RequestFacts {
    /// The same request on a connection that will be closed.
    #[must_use]
    pub fn closing(self) -> RequestFacts {
        RequestFacts { keep_alive: false, ..self }
    }
}

/// The body a request announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// None.
    None,
    /// So many octets, more than none.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A field of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as received.
    pub name: &'a [u8],
    /// The value, trimmed.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether this is the field of that name, whatever the letter case.
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TransferEncoding {
    #[default]
    Absent,
    Chunked,
    Unknown,
}

/// Fields whose meaning the router knows, found by name while parsing.
#[derive(Clone, Copy, Debug, Default)]
struct KnownFields {
    refusal: Option<u16>,
    has_host: bool,
    content_length: Option<u64>,
    transfer_encoding: TransferEncoding,
    /// Whether any `Connection` had `close` in it, whatever came behind.
    close_requested: bool,
    upgrade_requested: bool,
    upgrade_websocket: bool,
    websocket_version_13: bool,
    expects_continue: bool,
    has_websocket_key: bool,
    host: Span,
    websocket_key: Option<Span>,
    cookie: Option<Span>,
    referer: Option<Span>,
    user_agent: Option<Span>,
    content_type: Option<Span>,
    authorization: Option<Span>,
}

/// A request head. One is kept and reused: clearing it keeps its buffers.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The head as received, then whatever was appended later.
    raw: Vec<u8>,
    /// The path, unless it stands in the target as it is.
    path_buf: Vec<u8>,
    /// The host, if it had upper-case letters.
    host_buf: Vec<u8>,
    fields: Vec<(Span, Span)>,
    line: RequestLine,
    path: TargetPath,
    query: Option<Span>,
    known: KnownFields,
    keep_alive: bool,
    is_head: bool,
    is_complete: bool,
    is_rewritten: bool,
}

impl Default for RequestHead {
    fn default() -> RequestHead {
        RequestHead::new()
    }
}

impl RequestHead {
    /// An empty head.
    pub fn new() -> RequestHead {
        RequestHead {
            raw: Vec::new(),
            path_buf: Vec::new(),
            host_buf: Vec::new(),
            fields: Vec::new(),
            line: RequestLine { minor: 1, ..RequestLine::default() },
            path: TargetPath::Raw(Span::default()),
            query: None,
            known: KnownFields::default(),
            keep_alive: false,
            is_head: false,
            is_complete: false,
            is_rewritten: false,
        }
    }

    /// Forgets the request, keeps the buffers. Until a version is known 1.1 is assumed.
    pub fn clear(&mut self) {
        self.raw.clear();
        self.path_buf.clear();
        self.host_buf.clear();
        self.fields.clear();
        self.line = RequestLine { minor: 1, ..RequestLine::default() };
        self.path = TargetPath::Raw(Span::default());
        self.query = None;
        self.known = KnownFields::default();
        self.keep_alive = false;
        self.is_head = false;
        self.is_complete = false;
        self.is_rewritten = false;
    }

    // What was received.

    /// The method; of a request refused while it was read, as much as there was.
    pub fn method(&self) -> &[u8] {
        self.line.method.of(&self.raw)
    }

    /// The target as received.
    pub fn target(&self) -> &[u8] {
        self.line.target.of(&self.raw)
    }

    /// The normalised path, after rewriting if there was any.
    pub fn path(&self) -> &[u8] {
        match self.path {
            TargetPath::Raw(span) => span.of(&self.raw),
            TargetPath::Buffer => &self.path_buf,
        }
    }

    /// The raw query; an empty one differs from none.
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|span| span.of(&self.raw))
    }

    /// The version as received, such as `HTTP/1.1`.
    pub fn version_text(&self) -> &[u8] {
        self.line.version.of(&self.raw)
    }

    /// The digit behind the dot of the version; 1 if none was read.
    pub fn minor_version(&self) -> u8 {
        self.line.minor
    }

    /// The version as far as it decides anything.
    pub fn version(&self) -> Version {
        match self.line.minor {
            0 => Version::Http10,
            _ => Version::Http11,
        }
    }

    /// The request line without its line end; `None` unless the head was completed.
    pub fn request_line(&self) -> Option<&[u8]> {
        self.is_complete.then(|| self.line.line.of(&self.raw))
    }

    /// Whether head and empty line were read without a syntax error.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The fields in order; those dropped as unsafe are not among them.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> + DoubleEndedIterator + Clone {
        self.fields
            .iter()
            .map(|(name, value)| Field { name: name.of(&self.raw), value: value.of(&self.raw) })
    }

    /// The value of the first field of that name, whatever the letter case.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find(|field| field.is(name)).map(|field| field.value)
    }

    // What it means.

    /// What the framing of the response depends on.
    ///
    /// A refused head never keeps its connection, nor does one whose transfer coding has not been
    /// decoded (see [`RequestHead::set_decoded_length`]): where its body ends is not known.
    pub fn facts(&self) -> RequestFacts {
        let is_understood = self.is_complete
            && self.known.refusal.is_none()
            && self.known.transfer_encoding == TransferEncoding::Absent;
        RequestFacts {
            version: self.version(),
            is_head: self.is_head,
            keep_alive: self.keep_alive && is_understood,
        }
    }

    /// Whether the method is HEAD.
    pub fn is_head(&self) -> bool {
        self.is_head
    }

    /// The host in lower case without port and final dot; empty if there is none.
    pub fn host(&self) -> &[u8] {
        match self.host_buf.is_empty() {
            true => self.known.host.of(&self.raw),
            false => &self.host_buf,
        }
    }

    /// The announced length of the body.
    pub fn content_length(&self) -> Option<u64> {
        self.known.content_length
    }

    /// Whether the body is announced as chunked.
    pub fn is_chunked(&self) -> bool {
        self.known.transfer_encoding == TransferEncoding::Chunked
    }

    /// Whether the client would go on with this connection.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.known.expects_continue && self.version() == Version::Http11
    }

    /// Whether `Connection` asked for an upgrade.
    pub fn upgrade_requested(&self) -> bool {
        self.known.upgrade_requested
    }

    /// Whether this is a WebSocket handshake, good or bad.
    pub fn is_websocket_handshake(&self) -> bool {
        self.known.upgrade_requested && self.known.upgrade_websocket
    }

    /// `Sec-WebSocket-Key`, if there was one and it was 16 octets in base64.
    pub fn websocket_key(&self) -> Option<&[u8]> {
        self.span(self.known.websocket_key)
    }

    /// Whether `Sec-WebSocket-Version` was `13`.
    pub fn websocket_version_is_13(&self) -> bool {
        self.known.websocket_version_13
    }

    /// The last `Cookie`.
    pub fn cookie(&self) -> Option<&[u8]> {
        self.span(self.known.cookie)
    }

    /// The last `Referer`.
    pub fn referer(&self) -> Option<&[u8]> {
        self.span(self.known.referer)
    }

    /// The last `User-Agent`.
    pub fn user_agent(&self) -> Option<&[u8]> {
        self.span(self.known.user_agent)
    }

    /// The last `Content-Type`.
    pub fn content_type(&self) -> Option<&[u8]> {
        self.span(self.known.content_type)
    }

    /// The last `Authorization`.
    pub fn authorization(&self) -> Option<&[u8]> {
        self.span(self.known.authorization)
    }

    /// The body to read, or the status to refuse it with (and close).
    pub fn body(&self, limits: &Limits) -> Result<RequestBody, u16> {
        match self.known.transfer_encoding {
            TransferEncoding::Absent => Ok(match self.known.content_length {
                None | Some(0) => RequestBody::None,
                Some(length) => RequestBody::Length(length),
            }),
            TransferEncoding::Unknown => Err(501),
            TransferEncoding::Chunked if !limits.chunked_transform => Err(411),
            TransferEncoding::Chunked
                if self.known.content_length.is_some() || self.version() == Version::Http10 =>
            {
                Err(400)
            }
            TransferEncoding::Chunked => Ok(RequestBody::Chunked),
        }
    }

    // What the router changes.

    /// Replaces the path by `text`, normalised, without anything from `?` or `#` on. The query and
    /// the raw target stay. On an error the path is undefined: answer 500.
    pub fn rewrite_path(&mut self, text: &[u8]) -> Result<(), BadTarget> {
        let target = normalise_target(text, &mut self.path_buf)?;
        if let TargetPath::Raw(span) = target.path {
            self.path_buf.clear();
            self.path_buf.extend_from_slice(span.of(text));
        }
        self.path = TargetPath::Buffer;
        self.is_rewritten = true;
        Ok(())
    }

    /// Whether [`RequestHead::rewrite_path`] was applied.
    pub fn is_rewritten(&self) -> bool {
        self.is_rewritten
    }

    /// Appends a field, behind the others.
    pub fn append_field(&mut self, name: &[u8], value: &[u8]) {
        let name = self.append(name);
        let value = self.append(value);
        self.fields.push((name, value));
    }

    /// Turns a chunked request into one of known length, once its body has been decoded:
    /// `Transfer-Encoding` goes, `Content-Length` is appended.
    pub fn set_decoded_length(&mut self, length: u64) {
        let raw = &self.raw;
        self.fields.retain(|(name, _)| !name.of(raw).eq_ignore_ascii_case(b"transfer-encoding"));
        let name = self.append(b"Content-Length");
        let start = self.raw.len();
        push_decimal(&mut self.raw, length);
        self.fields.push((name, Span::new(start, self.raw.len())));
        self.known.transfer_encoding = TransferEncoding::Absent;
        self.known.content_length = Some(length);
    }

    fn append(&mut self, octets: &[u8]) -> Span {
        let start = self.raw.len();
        self.raw.extend_from_slice(octets);
        Span::new(start, self.raw.len())
    }

    fn span(&self, span: Option<Span>) -> Option<&[u8]> {
        span.map(|span| span.of(&self.raw))
    }

    // What the parser fills in. All offsets are those of its buffer, copied when it is done.

    pub(super) fn set_partial_method(&mut self, buf: &[u8], method: Span, is_whole: bool) {
        self.line.method = method;
        self.is_head = is_whole && method.of(buf) == b"HEAD";
    }

    pub(super) fn set_version(&mut self, line: &RequestLine) {
        self.line.minor = line.minor;
        self.line.version = line.version;
    }

    pub(super) fn set_request_line(
        &mut self,
        buf: &[u8],
        line: &RequestLine,
    ) -> Result<(), BadTarget> {
        self.is_head = line.method.of(buf) == b"HEAD";
        self.set_version(line);
        let target = normalise_target(line.target.of(buf), &mut self.path_buf)?;
        let shift = line.target.start();
        let shifted = |span: Span| Span::new(span.start() + shift, span.end() + shift);
        self.path = match target.path {
            TargetPath::Raw(span) => TargetPath::Raw(shifted(span)),
            TargetPath::Buffer => TargetPath::Buffer,
        };
        self.query = target.query.map(shifted);
        self.keep_alive = line.minor != 0;
        self.line = *line;
        Ok(())
    }

    pub(super) fn add_field(&mut self, buf: &[u8], field: FieldSpan, limits: &Limits) {
        self.fields.push((field.name, field.value));
        if let Err(status) = self.interpret(buf, field, limits) {
            self.known.refusal.get_or_insert(status);
        }
    }

    /// The status of the first field that was refused.
    pub(super) fn refusal(&self) -> Option<u16> {
        self.known.refusal
    }

    /// Takes the octets of a complete head.
    pub(super) fn seal(&mut self, buf: &[u8]) {
        self.raw.extend_from_slice(buf);
        self.is_complete = true;
    }

    /// Takes the octets of a head that will not be completed.
    pub(super) fn keep_partial(&mut self, buf: &[u8]) {
        self.raw.extend_from_slice(buf);
    }

    /// What the field means, if it is a known one. Names are told apart by length first.
    fn interpret(&mut self, buf: &[u8], field: FieldSpan, limits: &Limits) -> Result<(), u16> {
        let name = field.name.of(buf);
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let known = &mut self.known;
        match name.len() {
            4 if is(b"host") => return self.host_field(buf, field.value),
            6 if is(b"cookie") => known.cookie = Some(field.value),
            6 if is(b"expect") => {
                known.expects_continue = field.value.of(buf).eq_ignore_ascii_case(b"100-continue");
            }
            7 if is(b"referer") => known.referer = Some(field.value),
            7 if is(b"upgrade") => {
                known.upgrade_websocket = field.value.of(buf).eq_ignore_ascii_case(b"websocket");
            }
            10 if is(b"user-agent") => known.user_agent = Some(field.value),
            10 if is(b"connection") => self.connection_field(field.value.of(buf)),
            12 if is(b"content-type") => known.content_type = Some(field.value),
            13 if is(b"authorization") => known.authorization = Some(field.value),
            14 if is(b"content-length") => {
                if known.content_length.is_some() {
                    return Err(400);
                }
                let length = parse_decimal(field.value.of(buf)).ok_or(400u16)?;
                if length > limits.max_body_size {
                    return Err(413);
                }
                known.content_length = Some(length);
            }
            17 if is(b"transfer-encoding") => {
                known.transfer_encoding = match (known.transfer_encoding, field.value.of(buf)) {
                    (TransferEncoding::Absent, b"chunked") => TransferEncoding::Chunked,
                    (TransferEncoding::Chunked, b"chunked") => return Err(400),
                    _ => TransferEncoding::Unknown,
                };
            }
            17 if is(b"sec-websocket-key") => {
                let is_first = !std::mem::replace(&mut known.has_websocket_key, true);
                let is_good = is_first && is_key(field.value.of(buf));
                known.websocket_key = is_good.then_some(field.value);
            }
            21 if is(b"sec-websocket-version") => {
                known.websocket_version_13 = field.value.of(buf) == b"13";
            }
            _ => {}
        }
        Ok(())
    }

    fn host_field(&mut self, buf: &[u8], value: Span) -> Result<(), u16> {
        if self.known.has_host {
            return Err(400);
        }
        self.known.has_host = true;
        let host = host_span(value.of(buf)).ok_or(400u16)?;
        let host = Span::new(value.start() + host.start(), value.start() + host.end());
        self.known.host = host;
        let host = host.of(buf);
        if host.iter().any(u8::is_ascii_uppercase) {
            self.host_buf.extend(host.iter().map(u8::to_ascii_lowercase));
        }
        Ok(())
    }

    fn connection_field(&mut self, value: &[u8]) {
        // RFC 9112, 9.6: nothing behind a request that says so may be read as another one. So no
        // `keep-alive`, in the same field or a later one, takes it back.
        self.known.close_requested |= contains_ignore_case(value, b"close");
        if self.known.close_requested {
            self.keep_alive = false;
        } else if contains_ignore_case(value, b"keep-alive") {
            self.keep_alive = true;
        }
        if contains_ignore_case(value, b"upgrade") {
            self.known.upgrade_requested = true;
        }
    }
}

#[cfg(test)]
mod tests;
