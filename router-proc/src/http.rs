//! The HTTP/1.1 engine: octets in, events out, and responses turned back into octets.
//!
//! Nothing here performs I/O, waits or knows the time. A connection feeds what it has read to a
//! [`HeadParser`], then to a [`BodyDecoder`], and writes what [`ResponseHead`] and [`BodyEncoder`]
//! put into its output buffer. All buffers belong to the caller and are reused, so that a request
//! allocates nothing in the steady state.
//!
//! Whatever a client sends, in whatever pieces it arrives, the outcome is the same: every parser
//! looks at each octet once and decides by the octets before it alone.

pub mod body;
pub mod date;
pub mod field;
pub mod head_parser;
pub mod host;
pub mod precondition;
pub mod range;
pub mod request;
pub mod request_line;
pub mod response;
mod scan;
pub mod status;
pub mod target;
pub mod websocket;

pub use body::{BodyDecoder, BodyEvent};
pub use date::{http_date, parse_http_date};
pub use head_parser::{HeadParser, ParseStatus, Phase, parse_head};
pub use request::{Field, RequestBody, RequestFacts, RequestHead, Version};
pub use response::{
    BodyEncoder, BodyEnd, Delivery, Framing, HeadEnd, ResponseHead, ServerField, write_error_page,
    write_error_page_with, write_idle_timeout,
};
pub use status::reason_phrase;
pub use target::normalise_target;

/// Octets a request head may take before the first large buffer is drawn on.
pub const FIRST_HEADER_BUFFER_SIZE: usize = 2048;

/// The longest field name; a longer one is refused with 431.
pub const FIELD_NAME_LEN_MAX: usize = 255;

/// What a request may take, from `settings.http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of each large header buffer.
    pub large_header_buffer_size: usize,
    /// How many large header buffers one request may draw on.
    pub large_header_buffers: usize,
    /// Largest body, after chunked decoding; more is refused with 413.
    pub max_body_size: u64,
    /// Whether fields with unsafe characters in their names are dropped silently.
    pub discard_unsafe_fields: bool,
    /// Whether chunked request bodies are decoded; otherwise they are refused with 411.
    pub chunked_transform: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            large_header_buffer_size: 8192,
            large_header_buffers: 4,
            max_body_size: 8 << 20,
            discard_unsafe_fields: true,
            chunked_transform: false,
        }
    }
}

/// A stretch of a buffer, kept as two offsets so that it outlives the borrow of the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The stretch from `start` up to, but not including, `end`. Heads are far shorter than 4 GiB
    /// ([`head_parser`] sees to it); an offset beyond that would make an empty stretch.
    pub fn new(start: usize, end: usize) -> Span {
        let clamp = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { start: clamp(start), end: clamp(end) }
    }

    /// The octets of `buf` it stands for.
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Its first offset.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// The offset behind its last octet.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// Whether it holds no octets.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}
