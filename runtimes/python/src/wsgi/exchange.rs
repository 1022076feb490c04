//! The answer of a WSGI application: what `start_response` said and how many bytes went out.

use host::{FieldError, RequestBody, Response, WriteError};
use unit_log::Level;

use crate::ffi::{Lent, Object};

/// Lends a request's body to `wsgi.input`.
#[derive(Debug)]
pub(crate) struct LentBody;

impl Lent for LentBody {
    type Of<'a> = RequestBody<'a>;
}

/// Lends an exchange to `start_response` and `write`.
#[derive(Debug)]
pub(crate) struct LentExchange;

impl Lent for LentExchange {
    type Of<'a> = Exchange<'a>;
}

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Exchange<'w> {
    response: Response<'w>,
    /// What `start_response` returns.
    write: Object,
    /// Whether `start_response` was called.
    is_started: bool,
    content_len: Option<u64>,
    sent: u64,
    /// Nobody reads the answer any more.
    is_cancelled: bool,
}

/// Why body bytes were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyRefused {
    /// Before `start_response`.
    NotStarted,
    /// More than the Content-Length, which is this.
    TooMuch(u64),
    /// It is not a bytes object.
    NotBytes,
    /// Another thread of the application is using the response.
    InUse,
    /// The channel to the router is of no further use.
    Channel,
}

impl BodyRefused {
    /// What to log.
    pub(crate) fn text(self) -> Option<(Level, String)> {
        match self {
            Self::NotStarted => {
                Some((Level::Alert, "write: response not initialized yet".to_owned()))
            }
            Self::TooMuch(len) => Some((Level::Error, format!("content length {len} exceeded"))),
            Self::NotBytes => {
                let text = "the application returned not a bytestring object";
                Some((Level::Error, text.to_owned()))
            }
            Self::InUse => {
                let text = "the response is being written by another thread";
                Some((Level::Error, text.to_owned()))
            }
            Self::Channel => None,
        }
    }
}

impl<'w> Exchange<'w> {
    pub(crate) fn new(response: Response<'w>, write: Object) -> Self {
        Self { response, write, is_started: false, content_len: None, sent: 0, is_cancelled: false }
    }

    /// The function `write`.
    pub(crate) fn write_function(&self) -> Object {
        self.write.clone()
    }

    /// Whether the head was sent, so that `start_response` comes too late.
    pub(crate) fn is_head_sent(&self) -> bool {
        self.response.is_started()
    }

    /// Whether nothing more is wanted of the application: all announced bytes went out, or nobody
    /// reads them.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_cancelled
            || self.response.is_complete()
            || (self.is_started && self.content_len == Some(self.sent))
    }

    /// Begins the head, forgetting an earlier one that was not sent.
    pub(crate) fn start(&mut self, status: u16) {
        self.response.start(status);
        self.is_started = true;
        self.content_len = None;
    }

    /// Makes as if `start_response` had not been called, since it failed.
    pub(crate) fn forget_start(&mut self) {
        if !self.response.is_started() {
            self.is_started = false;
        }
    }

    /// Adds a field to the head.
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldError> {
        self.response.field(name, value)
    }

    pub(crate) fn set_content_len(&mut self, len: u64) {
        self.content_len = Some(len);
    }

    /// Takes body bytes; `last` when no more will come.
    pub(crate) fn chunk(&mut self, bytes: &[u8], last: bool) -> Result<(), BodyRefused> {
        if bytes.is_empty() || self.is_cancelled {
            return Ok(());
        }
        if !self.is_started {
            return Err(BodyRefused::NotStarted);
        }
        let sent = self.sent + bytes.len() as u64;
        let mut last = last;
        if let Some(len) = self.content_len {
            if sent > len {
                return Err(BodyRefused::TooMuch(len));
            }
            last |= sent == len;
        }
        self.sent = sent;
        let written =
            if last { self.response.finish_with(bytes) } else { self.response.write(bytes) };
        self.settle(written)
    }

    fn settle(&mut self, written: Result<(), WriteError>) -> Result<(), BodyRefused> {
        match written {
            Ok(()) => Ok(()),
            Err(WriteError::Cancelled | WriteError::Complete) => {
                self.is_cancelled = true;
                Ok(())
            }
            Err(WriteError::Channel(_)) => {
                self.is_cancelled = true;
                Err(BodyRefused::Channel)
            }
        }
    }

    /// Ends an answer that did not fail.
    pub(crate) fn complete(mut self) {
        if self.is_cancelled || self.response.is_complete() {
            // A cancelled response fails when it is dropped, which nobody reads.
            return;
        }
        if !self.is_started {
            self.response.start(200);
            // A constant field of a head that is empty otherwise is never refused.
            let _ = self.response.field(b"Content-Type", b"text/plain");
        }
        // What can go wrong is that the router is gone, which the worker notices by itself.
        let _ = self.response.finish();
    }

    /// Ends an answer that failed: the client sees an error page, or an answer that is cut off.
    pub(crate) fn fail(mut self) {
        if self.content_len == Some(0) && self.is_started && !self.response.is_started() {
            // All of the body that was announced.
            let _ = self.response.finish();
            return;
        }
        let _ = self.response.fail();
    }
}
