//! Frames on a packet socket: one packet each, a large payload in a sealed memory file in front of
//! the message's own descriptors.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use port_proto::{
    DecodeError, EncodeError, FDS_MAX, Frame, HEADER_LEN, Header, PAYLOAD_LEN_MAX, decode_packet,
};
use sys::socket::{Credentials, SendMode};

use crate::{PortError, SendError};

/// The descriptors of a packet: those of the message, and one for a bulk payload.
const PACKET_FDS_MAX: usize = FDS_MAX + 1;

/// A receive buffer for one packet and one byte more, so that a packet that is too long shows.
pub(crate) type Buffer = Box<[u8]>;

/// Makes a receive buffer.
pub(crate) fn buffer() -> Buffer {
    vec![0; HEADER_LEN + PAYLOAD_LEN_MAX + 1].into()
}

/// A frame ready for the socket.
#[derive(Debug)]
pub(crate) struct Outgoing {
    header: Header,
    payload: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Outgoing {
    /// Prepares a frame; a large payload moves to a memory file.
    pub(crate) fn new(frame: Frame) -> Result<Self, SendError> {
        let Frame { kind, stream, last, payload, mut fds } = frame;
        let payload_len = u32::try_from(payload.len())
            .ok()
            .filter(|len| *len as usize <= port_proto::BULK_LEN_MAX)
            .ok_or(EncodeError::TooLarge(payload.len()))?;
        let count = u8::try_from(fds.len()).unwrap_or(u8::MAX); // too many for the socket, too
        let bulk = payload.len() > PAYLOAD_LEN_MAX;
        let header = Header { kind, stream, last, bulk, fds: count, payload_len };
        let payload = if bulk {
            fds.insert(0, sys::memfd::sealed("unit: message", &payload)?);
            Vec::new()
        } else {
            payload
        };
        Ok(Self { header, payload, fds })
    }

    /// Bytes it holds while it waits, wherever they are.
    #[cfg(feature = "async")]
    pub(crate) fn len(&self) -> usize {
        HEADER_LEN + self.header.payload_len as usize
    }

    /// Descriptors it holds while it waits.
    #[cfg(feature = "async")]
    pub(crate) fn fds(&self) -> usize {
        self.fds.len()
    }

    /// Sends it, whole or not at all.
    pub(crate) fn send(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let mut header = [0; HEADER_LEN];
        self.header.encode(&mut &mut header[..]);
        let fds: Vec<BorrowedFd<'_>> = self.fds.iter().map(AsFd::as_fd).collect();
        let parts = [IoSlice::new(&header), IoSlice::new(&self.payload)];
        loop {
            match sys::socket::send_packet(socket, &parts, &fds, SendMode::PROMPT) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A packet that arrived, before anyone trusts it.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The process the kernel names.
    pub(crate) credentials: Option<Credentials>,
    /// The bytes, in the receive buffer.
    len: usize,
    fds: Vec<OwnedFd>,
    truncated: bool,
}

/// Takes a packet from the socket; `None` when there is none now.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
) -> Result<Option<Arrived>, PortError> {
    loop {
        match sys::socket::recv_packet(socket, buf, PACKET_FDS_MAX, true) {
            // Data always comes with credentials; nothing without any is the end of the stream.
            Ok(packet) if packet.len == 0 && packet.credentials.is_none() => {
                return Err(PortError::HungUp);
            }
            Ok(packet) => {
                let sys::socket::ReceivedPacket { len, fds, credentials, truncated } = packet;
                return Ok(Some(Arrived { credentials, len, fds, truncated }));
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(None),
                io::ErrorKind::ConnectionReset => return Err(PortError::HungUp),
                _ => return Err(PortError::Io(error)),
            },
        }
    }
}

impl Arrived {
    /// Reads the frame. Whatever is wrong, descriptors that do not become part of it are closed.
    pub(crate) fn into_frame(self, buf: &[u8]) -> Result<Frame, PortError> {
        // A packet whose bytes were cut off fills the buffer, which is more than any frame has.
        let port_proto::Packet { header, payload } = decode_packet(&buf[..self.len])?;
        if self.truncated {
            return Err(PortError::Truncated { kind: header.kind, stream: header.stream });
        }
        let mut fds = self.fds;
        let expected = usize::from(header.fds) + usize::from(header.bulk);
        if fds.len() != expected {
            return Err(DecodeError::FdCount { found: fds.len(), expected }.into());
        }
        let payload = if header.bulk {
            let len = header.payload_len as usize;
            let file = fds.remove(0);
            sys::memfd::open_sealed(&file, len).map_err(|error| match error.kind() {
                io::ErrorKind::OutOfMemory => PortError::Io(error),
                _ => DecodeError::Bulk(len).into(),
            })?
        } else {
            payload
        };
        let Header { kind, stream, last, .. } = header;
        Ok(Frame { kind, stream, last, payload, fds })
    }
}

#[cfg(test)]
mod tests;
