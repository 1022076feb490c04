//! A request as routing sees it, with what was derived from it.

use std::mem;

use conf::{PeerAddress, Template};

use super::evaluate::EvaluationError;
use super::items::{DecodedQuery, NamedItems};
use super::request_id::{self, RequestId};
use super::response_fields::ResponseFacts;
use super::variables;
use crate::http::RequestHead;

/// What is derived from a request and kept until it ends. One is reused for request after request:
/// clearing it keeps its buffers.
#[derive(Debug, Default)]
pub struct RequestCache {
    pub(super) arguments: NamedItems,
    pub(super) cookies: NamedItems,
    pub(super) query: DecodedQuery,
    pub(super) id: Option<RequestId>,
    /// Room for a template's text.
    pub(super) text: Vec<u8>,
    /// Ends of several texts in one buffer.
    pub(super) ends: Vec<usize>,
    /// Room for the path of a file.
    pub(crate) path: Vec<u8>,
}

impl RequestCache {
    /// Forgets the request.
    pub fn clear(&mut self) {
        self.arguments.clear();
        self.cookies.clear();
        self.query.clear();
        self.id = None;
    }
}

/// The moments of a request that can be asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestTimes {
    /// Now, in seconds since 1970.
    pub unix_secs: i64,
    /// Milliseconds since the first octet of the request.
    pub elapsed_ms: u64,
}

/// A request, and the connection it came by.
#[derive(Debug)]
pub struct RequestContext<'a> {
    /// Its head; rewriting changes the path in it.
    pub head: &'a mut RequestHead,
    /// What was derived from it.
    pub cache: &'a mut RequestCache,
    /// Where it comes from, after [`super::client_address`].
    pub peer: PeerAddress,
    /// Where the connection arrived.
    pub local: PeerAddress,
    /// Whether it came over TLS, after [`super::client_address`].
    pub is_tls: bool,
    /// The number of the connection, for the log.
    pub conn: u64,
    /// What time it is.
    pub times: RequestTimes,
}

impl RequestContext<'_> {
    pub(super) fn arguments(&mut self) -> &NamedItems {
        self.cache.arguments.parse_query(self.head.query());
        &self.cache.arguments
    }

    pub(super) fn cookies(&mut self) -> &NamedItems {
        let fields = self.head.fields().filter(|field| field.is(b"cookie"));
        self.cache.cookies.parse_cookies(fields.map(|field| field.value));
        &self.cache.cookies
    }

    /// The decoded query; empty if there is none.
    pub(super) fn decoded_query(&mut self) -> &[u8] {
        self.cache.query.of(self.head.query().unwrap_or_default())
    }

    /// The identifier of the request, the same whenever it is asked for.
    pub(super) fn request_id(&mut self) -> RequestId {
        *self.cache.id.get_or_insert_with(request_id::draw)
    }

    /// Hands the text that a template comes to before there is a response to `use_text`.
    pub(crate) fn with_text<T>(
        &mut self,
        template: &Template,
        use_text: impl FnOnce(&mut Self, &[u8]) -> T,
    ) -> Result<T, EvaluationError> {
        if let Some(text) = template.constant() {
            return Ok(use_text(self, text));
        }
        let mut text = mem::take(&mut self.cache.text);
        text.clear();
        let result = variables::expand(template, self, &ResponseFacts::default(), b"", &mut text)
            .map(|()| use_text(self, &text));
        self.cache.text = text;
        result
    }
}
