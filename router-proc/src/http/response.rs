//! Responses turned into octets: head, framing, error pages.

use super::field::is_field_name;
use super::request::{RequestFacts, Version};
use super::scan::{find_control, parse_decimal, push_decimal};
use super::status::{push_status_line, status_digits};

/// The answer to `Expect: 100-continue`, sent before the body is read.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// `Server` with its version, `settings.http.server_version` being on.
const SERVER_VERSIONED: &[u8] = concat!("Unit/", env!("CARGO_PKG_VERSION")).as_bytes();
const SERVER_BARE: &[u8] = b"Unit";

/// How a response head tells the client where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    UntilClose,
    /// Not at all: the status rules a body out.
    None,
}

/// How a response is delivered, as [`Delivery::decide`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What the head says.
    pub framing: Framing,
    /// Whether body octets may follow the head; never for HEAD, 1xx, 204 and 304.
    pub has_body: bool,
    /// Whether the connection goes on afterwards.
    pub keep_alive: bool,
    /// The version of the request, which decides about the `Connection` field.
    pub version: Version,
}

impl Delivery {
    /// Decides from the request, the status, and the length of the body if it is known. A response
    /// without a body has the length 0.
    pub fn decide(request: RequestFacts, status: u16, length: Option<u64>) -> Delivery {
        let is_bodyless = matches!(status, 100..=199 | 204 | 304);
        let framing = match (length, request.version) {
            // RFC 9110, 8.6: no length with 1xx and 204. The reference sends `Content-Length: 0`
            // there and clients live with it, but any other number would mislead them.
            (Some(0), _) => Framing::Length(0),
            (_, _) if is_bodyless && status != 304 => Framing::None,
            (Some(length), _) => Framing::Length(length),
            (None, _) if is_bodyless => Framing::None,
            (None, Version::Http11) => Framing::Chunked,
            (None, Version::Http10) => Framing::UntilClose,
        };
        let tells_length = match framing {
            Framing::Length(_) | Framing::Chunked => true,
            Framing::None => request.version == Version::Http11,
            Framing::UntilClose => false,
        };
        Delivery {
            framing,
            has_body: !is_bodyless && !request.is_head,
            // What follows an interim status is read as the answer to the same request (RFC 9110,
            // 15.2), so nothing may.
            keep_alive: request.keep_alive && tells_length && !matches!(status, 100..=199),
            version: request.version,
        }
    }

    /// What `$response_header_connection` shows: the `Connection` field as sent.
    pub fn connection(&self) -> Option<&'static str> {
        match (self.version, self.keep_alive) {
            (Version::Http11, false) => Some("close"),
            (Version::Http10, true) => Some("keep-alive"),
            (Version::Http11, true) | (Version::Http10, false) => None,
        }
    }
}

/// What the `Server` field says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerField {
    /// Name and version.
    #[default]
    Versioned,
    /// The name alone.
    Bare,
}

impl ServerField {
    /// The value of the field.
    pub fn value(self) -> &'static [u8] {
        match self {
            ServerField::Versioned => SERVER_VERSIONED,
            ServerField::Bare => SERVER_BARE,
        }
    }
}

/// What closes a response head behind the fields of the response itself.
#[derive(Clone, Copy, Debug)]
pub struct HeadEnd<'a> {
    /// The `Server` field.
    pub server: ServerField,
    /// The current date, from [`super::http_date`].
    pub date: &'a [u8; 29],
    /// For 101: the value of `Sec-WebSocket-Accept`.
    pub websocket_accept: Option<&'a [u8]>,
}

/// Writes a response head into an output buffer, field by field.
#[derive(Debug)]
pub struct ResponseHead<'a> {
    out: &'a mut Vec<u8>,
    status: u16,
    delivery: Delivery,
    has_date: bool,
    has_length: bool,
}

impl<'a> ResponseHead<'a> {
    /// Writes the status line.
    pub fn begin(out: &'a mut Vec<u8>, status: u16, delivery: Delivery) -> ResponseHead<'a> {
        push_status_line(out, status);
        ResponseHead { out, status, delivery, has_date: false, has_length: false }
    }

    /// Writes a field of the response.
    ///
    /// Framing is ours alone: a `Transfer-Encoding` is dropped, as is every `Content-Length` but the
    /// first that agrees with the delivery. A line break or NUL in a value becomes a space, and a
    /// field whose name is none is dropped: neither may begin another line, and what looks like a
    /// length to some (`Content-Length : 5`) must not be there at all.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        if !is_field_name(name) {
            return;
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"date") => self.has_date = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let agrees = match self.delivery.framing {
                    Framing::Length(length) => parse_decimal(value) == Some(length),
                    Framing::Chunked | Framing::UntilClose | Framing::None => false,
                };
                if self.has_length || !agrees {
                    return;
                }
                self.has_length = true;
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => return,
            _ => {}
        }
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        let start = self.out.len();
        self.out.extend_from_slice(value);
        let mut from = start;
        while let Some(at) = find_control(self.out, from) {
            if let Some(octet @ (b'\r' | b'\n' | 0)) = self.out.get_mut(at) {
                *octet = b' ';
            }
            from = at + 1;
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Writes our own fields and the empty line.
    pub fn finish(self, end: &HeadEnd<'_>) {
        let ResponseHead { out, status, delivery, has_date, has_length } = self;
        out.extend_from_slice(match end.server {
            ServerField::Versioned => {
                concat!("Server: Unit/", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes()
            }
            ServerField::Bare => b"Server: Unit\r\n",
        });
        if !has_date {
            out.extend_from_slice(b"Date: ");
            out.extend_from_slice(end.date);
            out.extend_from_slice(b"\r\n");
        }
        if let (Framing::Length(length), false) = (delivery.framing, has_length) {
            out.extend_from_slice(b"Content-Length: ");
            push_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        if let (101, Some(accept)) = (status, end.websocket_accept) {
            out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
            out.extend_from_slice(b"Sec-WebSocket-Accept: ");
            out.extend_from_slice(accept);
            out.extend_from_slice(b"\r\n");
        } else if let Some(connection) = delivery.connection() {
            out.extend_from_slice(b"Connection: ");
            out.extend_from_slice(connection.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if status == 426 {
            out.extend_from_slice(b"Sec-WebSocket-Version: 13\r\n");
        }
        if delivery.framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Length of every error page.
pub const ERROR_PAGE_LEN: usize = 54;

/// The body of the error page of `status`.
pub fn error_page(status: u16) -> [u8; ERROR_PAGE_LEN] {
    let mut page = *b"<!DOCTYPE html><title>Error NNN</title><p>Error NNN.\r\n";
    let digits = status_digits(status);
    page[28..31].copy_from_slice(&digits);
    page[48..51].copy_from_slice(&digits);
    page
}

/// Writes a whole error response; the answer to HEAD announces the page but does not hold it.
pub fn write_error_page(
    out: &mut Vec<u8>,
    status: u16,
    request: RequestFacts,
    end: &HeadEnd<'_>,
) -> Delivery {
    write_error_page_with(out, status, request, end, &[])
}

/// As [`write_error_page`], with fields that say more about the error.
pub fn write_error_page_with(
    out: &mut Vec<u8>,
    status: u16,
    request: RequestFacts,
    end: &HeadEnd<'_>,
    fields: &[(&[u8], &[u8])],
) -> Delivery {
    let delivery = Delivery::decide(request, status, Some(ERROR_PAGE_LEN as u64));
    let mut head = ResponseHead::begin(out, status, delivery);
    head.field(b"Content-Type", b"text/html");
    for (name, value) in fields {
        head.field(name, value);
    }
    head.finish(end);
    if delivery.has_body {
        out.extend_from_slice(&error_page(status));
    }
    delivery
}

/// Writes the fixed answer to a connection that stayed idle too long.
pub fn write_idle_timeout(out: &mut Vec<u8>, date: &[u8; 29]) {
    push_status_line(out, 408);
    out.extend_from_slice(b"Server: ");
    out.extend_from_slice(SERVER_VERSIONED);
    out.extend_from_slice(b"\r\nConnection: close\r\nContent-Length: 0\r\nDate: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n\r\n");
}

/// The size line of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    octets: [u8; 18],
    start: usize,
}

impl ChunkHeader {
    /// The line for a chunk of `len` octets. A chunk of none would end the body.
    pub fn new(len: u64) -> ChunkHeader {
        let mut octets = *b"................\r\n";
        let mut start = 16;
        let mut rest = len;
        loop {
            start -= 1;
            octets[start] = b"0123456789abcdef"[(rest % 16) as usize];
            rest /= 16;
            if rest == 0 {
                break;
            }
        }
        ChunkHeader { octets, start }
    }

    /// The line with its line end.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }
}

/// Whether a body was all there when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// It was.
    Complete,
    /// The head promised more: the connection must be closed.
    Short,
}

/// Frames the body of a response as its head announced, and holds it to the announced length.
#[derive(Clone, Copy, Debug)]
pub struct BodyEncoder {
    framing: Framing,
    left: u64,
}

impl BodyEncoder {
    /// An encoder for the body behind a head with this delivery.
    pub fn new(delivery: &Delivery) -> BodyEncoder {
        match (delivery.has_body, delivery.framing) {
            (true, Framing::Length(length)) => {
                BodyEncoder { framing: Framing::Length(length), left: length }
            }
            (true, framing) => BodyEncoder { framing, left: u64::MAX },
            (false, _) => BodyEncoder { framing: Framing::None, left: 0 },
        }
    }

    /// How many of `len` octets may be sent: what is beyond the announced length, or follows a head
    /// without a body, must be thrown away. Those octets count as sent.
    pub fn admit(&mut self, len: u64) -> u64 {
        match self.framing {
            Framing::Length(_) => {
                let admitted = len.min(self.left);
                self.left -= admitted;
                admitted
            }
            Framing::Chunked | Framing::UntilClose => len,
            Framing::None => 0,
        }
    }

    /// Whether each piece needs a [`ChunkHeader`] before it and a line end behind it.
    pub fn is_chunked(&self) -> bool {
        self.framing == Framing::Chunked
    }

    /// Appends a piece of the body, framed.
    pub fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let admitted = usize::try_from(self.admit(data.len() as u64)).unwrap_or(data.len());
        let data = data.get(..admitted).unwrap_or(data);
        if data.is_empty() {
            return;
        }
        if self.is_chunked() {
            out.extend_from_slice(ChunkHeader::new(data.len() as u64).as_bytes());
            out.extend_from_slice(data);
            out.extend_from_slice(b"\r\n");
        } else {
            out.extend_from_slice(data);
        }
    }

    /// Appends what ends the body. Not to be called for a body that was cut off at its source: then
    /// the connection is closed without it.
    pub fn finish(self, out: &mut Vec<u8>) -> BodyEnd {
        match self.framing {
            Framing::Length(_) if self.left > 0 => BodyEnd::Short,
            Framing::Chunked => {
                out.extend_from_slice(LAST_CHUNK);
                BodyEnd::Complete
            }
            Framing::Length(_) | Framing::UntilClose | Framing::None => BodyEnd::Complete,
        }
    }
}

/// The number in a `Content-Length` value: what [`Delivery::decide`] takes for a known length.
pub fn parse_content_length(value: &[u8]) -> Option<u64> {
    parse_decimal(value)
}

#[cfg(test)]
mod tests;
