//! What the fuzz targets reach: requests as they are read from a connection, without one, and
//! certificate bundles.

use bytes::BytesMut;

use crate::certificate::{self, Completeness};
use crate::http::body::BodyReader;
use crate::http::head::{self, Framing};
use crate::target;

/// What octets came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// There is more to come.
    Incomplete,
    /// They are no request.
    Refused,
    /// They begin with a request.
    Request {
        /// The method.
        method: String,
        /// The path, unless the target is none.
        path: Option<Vec<u8>>,
        /// The body, unless where it ends is a matter of when it arrives.
        body: Option<Vec<u8>>,
    },
}

/// Reads octets that arrive in pieces of `piece`, with bodies of at most `body_len_max`.
#[must_use]
pub fn read(octets: &[u8], piece: usize, body_len_max: usize) -> Reading {
    let mut pieces = octets.chunks(piece.max(1));
    let mut received = BytesMut::new();
    let head = loop {
        match head::parse(&received) {
            Ok(Some(head)) => break head,
            Err(_) => return Reading::Refused,
            Ok(None) => match pieces.next() {
                Some(piece) => received.extend_from_slice(piece),
                None => return Reading::Incomplete,
            },
        }
    };
    drop(received.split_to(head.len));
    let is_told = head.framing != Framing::Unsaid;
    let Ok(mut reader) = BodyReader::new(head.framing, body_len_max) else {
        return Reading::Refused;
    };
    loop {
        match reader.take(&mut received) {
            Ok(true) => break,
            // How much of it has arrived decides about one whose end is not told.
            Err(_) if is_told => return Reading::Refused,
            Err(_) => break,
            Ok(false) => match pieces.next() {
                Some(piece) => received.extend_from_slice(piece),
                None => return Reading::Incomplete,
            },
        }
    }
    Reading::Request {
        method: head.method,
        path: target::normalise(&head.target).ok(),
        body: is_told.then(|| reader.finish()),
    }
}

/// What the API shows of a certificate bundle, as compact JSON. Nothing if it is not taken.
#[must_use]
pub fn bundle(pem: &[u8]) -> Option<Vec<u8>> {
    let shown = certificate::read(pem, Completeness::Whole).ok()?;
    Some(conf::print_compact(&shown))
}
