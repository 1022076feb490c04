//! WebSocket, RFC 6455: the handshake, and what of the client's frames is checked.

pub mod frame_boundary;
pub mod frame_checker;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::RequestHead;

pub use frame_boundary::FrameBoundary;
pub use frame_checker::{Checked, FrameChecker, FrameError, FrameMistake};

/// What the client's key is joined with, RFC 6455 section 1.3.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Characters of every `Sec-WebSocket-Key`: 16 octets in base64.
pub const KEY_LEN: usize = 24;

/// Characters of every `Sec-WebSocket-Accept`: 20 octets in base64.
pub const ACCEPT_LEN: usize = 28;

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// It is no GET.
    Method,
    /// It is not HTTP/1.1.
    ProtocolVersion,
    /// There is no key, or it is none.
    Key,
    /// It is not version 13 of WebSocket.
    Version,
}

impl HandshakeError {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::Method | Self::ProtocolVersion | Self::Key => 400,
            Self::Version => 426,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Method => "h1p upgrade: bad method",
            Self::ProtocolVersion => "h1p upgrade: bad protocol version",
            Self::Key => "h1p upgrade: bad or absent websocket key",
            Self::Version => "h1p upgrade: bad or absent websocket version",
        })
    }
}

/// Whether a head is a handshake, and a good one.
///
/// # Errors
/// [`HandshakeError`] for one that is to be refused.
pub fn check_handshake(head: &RequestHead) -> Result<bool, HandshakeError> {
    if !head.is_websocket_handshake() {
        return Ok(false);
    }
    if head.method() != b"GET" {
        return Err(HandshakeError::Method);
    }
    if head.minor_version() != 1 {
        return Err(HandshakeError::ProtocolVersion);
    }
    if head.websocket_key().is_none() {
        return Err(HandshakeError::Key);
    }
    if !head.websocket_version_is_13() {
        return Err(HandshakeError::Version);
    }
    Ok(true)
}

/// Whether a text is a key: 16 octets in base64.
pub fn is_key(text: &[u8]) -> bool {
    let Some((digits, b"==")) = text.split_last_chunk() else { return false };
    text.len() == KEY_LEN
        && digits.iter().all(|digit| digit.is_ascii_alphanumeric() || matches!(digit, b'+' | b'/'))
}

/// The value of `Sec-WebSocket-Accept` that answers a key.
pub fn accept_value(key: &[u8]) -> [u8; ACCEPT_LEN] {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(KEY_SUFFIX);
    let mut value = [0; ACCEPT_LEN];
    let written = STANDARD.encode_slice(hash.digest().bytes(), &mut value);
    debug_assert_eq!(written, Ok(ACCEPT_LEN), "20 octets are 28 characters");
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Limits, ParseStatus, parse_head};

    fn check(text: &str) -> Result<bool, HandshakeError> {
        let mut head = RequestHead::default();
        let status = parse_head(text.as_bytes(), &Limits::default(), &mut head);
        assert!(matches!(status, ParseStatus::Complete { .. }), "{text:?}: {status:?}");
        check_handshake(&head)
    }

    const FLAGS: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

    #[test]
    fn handshakes_are_checked_in_order() {
        for (line, fields, expected) in [
            ("GET / HTTP/1.1", format!("{FLAGS}{KEY}{VERSION}"), Ok(true)),
            // Each mistake is found before those that follow it.
            ("POST / HTTP/1.0", FLAGS.to_owned(), Err(HandshakeError::Method)),
            ("HEAD / HTTP/1.1", FLAGS.to_owned(), Err(HandshakeError::Method)),
            ("GET / HTTP/1.0", FLAGS.to_owned(), Err(HandshakeError::ProtocolVersion)),
            ("GET / HTTP/1.2", FLAGS.to_owned(), Err(HandshakeError::ProtocolVersion)),
            ("GET / HTTP/1.1", FLAGS.to_owned(), Err(HandshakeError::Key)),
            ("GET / HTTP/1.1", format!("{FLAGS}{VERSION}"), Err(HandshakeError::Key)),
            (
                "GET / HTTP/1.1",
                format!("{FLAGS}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n"),
                Err(HandshakeError::Key),
            ),
            (
                "GET / HTTP/1.1",
                format!("{FLAGS}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n"),
                Err(HandshakeError::Key),
            ),
            ("GET / HTTP/1.1", format!("{FLAGS}{KEY}{KEY}{VERSION}"), Err(HandshakeError::Key)),
            ("GET / HTTP/1.1", format!("{FLAGS}{KEY}"), Err(HandshakeError::Version)),
            (
                "GET / HTTP/1.1",
                format!("{FLAGS}{KEY}Sec-WebSocket-Version: 8\r\n"),
                Err(HandshakeError::Version),
            ),
            // Half a handshake is none.
            ("POST / HTTP/1.1", "Connection: Upgrade\r\n".to_owned(), Ok(false)),
            ("POST / HTTP/1.1", "Upgrade: websocket\r\n".to_owned(), Ok(false)),
            ("POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n".to_owned(), Ok(false)),
        ] {
            let text = format!("{line}\r\nHost: a\r\n{fields}\r\n");
            assert_eq!(check(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn refusals_have_their_status_and_line() {
        for (error, status, line) in [
            (HandshakeError::Method, 400, "h1p upgrade: bad method"),
            (HandshakeError::ProtocolVersion, 400, "h1p upgrade: bad protocol version"),
            (HandshakeError::Key, 400, "h1p upgrade: bad or absent websocket key"),
            (HandshakeError::Version, 426, "h1p upgrade: bad or absent websocket version"),
        ] {
            assert_eq!((error.status(), error.to_string().as_str()), (status, line));
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let accept = accept_value(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(&accept, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
