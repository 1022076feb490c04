//! A WebSocket client that sends exactly the frames it is given, and an application to talk to.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::client::{Connection, Response};
use crate::place::Place;

/// The key of every handshake here; the one of the RFC.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What answers that key.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What every frame here is masked with.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, reserved bits and opcode.
    pub first: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The payload as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The code and reason of a close frame.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn close(&self) -> (u16, String) {
        let (code, reason) = self.payload.split_first_chunk().unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(self.first, 0x88, "{self:?}");
        (u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned())
    }
}

/// The octets of a handshake, with further field lines.
#[must_use]
pub fn handshake(target: &str, fields: &[&str]) -> Vec<u8> {
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        &format!("Sec-WebSocket-Key: {KEY}"),
        "Sec-WebSocket-Version: 13",
    ];
    crate::client::request("GET", target, &[&upgrade, fields].concat(), b"")
}

/// The octets of a masked frame whose length is written in the shortest form.
#[must_use]
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            frame.push(0xfe);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(0xff);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(octet, mask)| octet ^ mask));
    frame
}

/// A session, seen from its client.
#[derive(Debug)]
pub struct WebSocket {
    /// The connection, for octets that are no frames.
    pub connection: Connection,
    /// The answer to the handshake.
    pub accepted: Response,
}

impl WebSocket {
    /// Opens a session.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn try_open(port: u16, target: &str) -> Result<Self> {
        let mut connection = Connection::try_tcp(port)?;
        connection.send(&handshake(target, &[]))?;
        let accepted = connection.read_head()?;
        ensure!(accepted.status == 101, "{}", accepted.head);
        Ok(Self { connection, accepted })
    }

    /// The same, where it has to succeed.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn open(port: u16, target: &str) -> Self {
        match Self::try_open(port, target) {
            Ok(session) => session,
            Err(error) => panic!("no session at {target}: {error:#}"),
        }
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// When the connection is closed.
    #[track_caller]
    pub fn send(&mut self, first: u8, payload: &[u8]) {
        self.connection.send(&frame(first, payload)).unwrap();
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// When the connection is closed.
    pub fn try_read(&mut self) -> Result<Frame> {
        let start = self.connection.read_exactly(2)?;
        ensure!(start[1] & 0x80 == 0, "the server's frames are not masked");
        let len = match start[1] {
            126 => {
                let length = self.connection.read_exactly(2)?;
                u64::from(u16::from_be_bytes([length[0], length[1]]))
            }
            127 => {
                let length = self.connection.read_exactly(8)?;
                length.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet))
            }
            short => u64::from(short),
        };
        let payload = self.connection.read_exactly(usize::try_from(len)?)?;
        Ok(Frame { first: start[0], payload })
    }

    /// The same, where it has to succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn read(&mut self) -> Frame {
        match self.try_read() {
            Ok(frame) => frame,
            Err(error) => panic!("no frame: {error:#}"),
        }
    }

    /// Sends a text and takes its echo.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn echo(&mut self, text: &str) {
        self.send(0x81, text.as_bytes());
        let echo = self.read();
        assert_eq!((echo.first, echo.text().as_str()), (0x81, text));
    }

    /// Takes the close frame that says this, and the end of the connection.
    ///
    /// # Panics
    /// When something else comes.
    #[track_caller]
    pub fn expect_closed(&mut self, code: u16, reason: &str) {
        assert_eq!(self.read().close(), (code, reason.to_owned()));
        self.connection.finish_sending().ok();
        self.connection.expect_close();
    }
}

impl Place {
    /// Takes the language runtimes from a directory of its own where there is one, `runtime`, which
    /// echoes requests and WebSocket messages.
    #[must_use]
    pub fn with_echo_runtime(self, runtime: &Path) -> Self {
        self.with_pretended_modules(runtime, &[("python", "0.1")])
    }
}

/// An application that echoes, for a place with that runtime.
#[must_use]
pub fn echo_application() -> Value {
    json!({ "type": "python 0.1", "module": "echo" })
}
