//! The other end of a port by hand: raw packets, and what the port under test logs about them.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IoSlice, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use port_proto::*;
use sys::socket::{ReceivedPacket, SendMode, recv_packet, send_packet};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata};

/// An identity in this very process.
pub(crate) fn identity(role: Role) -> Identity {
    let pid = i32::try_from(std::process::id()).expect("fits");
    Identity { role, pid: Pid(pid), generation: Generation(1) }
}

/// An end of a socketpair that sends whatever it likes.
pub(crate) struct RawPeer(pub(crate) OwnedFd);

impl RawPeer {
    pub(crate) fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        send_packet(&self.0, &[IoSlice::new(bytes)], fds, SendMode::PROMPT).expect("sends");
    }

    /// Sends a frame with descriptors that need not fit it.
    pub(crate) fn send_frame(&self, header: Header, payload: &[u8], fds: &[BorrowedFd<'_>]) {
        self.send(&packet(header, payload), fds);
    }

    pub(crate) fn send_message<D: Direction>(&self, message: D, stream: StreamId) {
        let frame = message.into_frame(stream).expect("is small");
        let fds: Vec<_> = frame.fds.iter().map(AsFd::as_fd).collect();
        let mut header = header(frame.kind);
        header.stream = stream;
        header.fds = u8::try_from(fds.len()).expect("few");
        self.send_frame(header, &frame.payload, &fds);
    }

    pub(crate) fn send_hello(&self, hello: Hello) {
        let frame = hello.into_frame().expect("is small");
        self.send_frame(header(Kind::Hello), &frame.payload, &[]);
    }

    /// The next packet, which must be there already: its bytes and descriptors.
    pub(crate) fn recv(&self) -> (Packet, Vec<OwnedFd>) {
        let mut buf = vec![0; 64 * 1024];
        let packet = recv_packet(&self.0, &mut buf, 8, true).expect("is there");
        let ReceivedPacket { len, fds, truncated, .. } = packet;
        assert!(!truncated && len > 0);
        (decode_packet(&buf[..len]).expect("is a frame"), fds)
    }

    /// Whether the port under test hung up.
    pub(crate) fn is_hung_up(&self) -> bool {
        loop {
            match recv_packet(&self.0, &mut [0; 64], 8, true) {
                Ok(packet) if packet.len == 0 && packet.credentials.is_none() => return true,
                Ok(_) => {}
                // Hung up before it had read everything.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A header without stream, descriptors or bulk; the payload length is set when it is sent.
pub(crate) fn header(kind: Kind) -> Header {
    Header { kind, stream: StreamId::NONE, last: true, bulk: false, fds: 0, payload_len: 0 }
}

/// The bytes of a frame. A bulk one keeps the length it announces.
pub(crate) fn packet(mut header: Header, payload: &[u8]) -> Vec<u8> {
    if !header.bulk {
        header.payload_len = u32::try_from(payload.len()).expect("small");
    }
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

/// A pipe: when the writer was sent away and closed there, the reader sees the end.
pub(crate) fn pipe() -> (io::PipeReader, io::PipeWriter) {
    io::pipe().expect("makes")
}

/// Whether nobody holds the other end of the pipe any more.
pub(crate) fn is_closed(reader: &io::PipeReader) -> bool {
    sys::fd::set_nonblocking(reader, true).expect("sets");
    let mut reader = reader;
    matches!(reader.read(&mut [0]), Ok(0))
}

/// The text in a file that was received.
pub(crate) fn text_of(fd: OwnedFd) -> String {
    let mut file = File::from(fd);
    file.rewind().expect("seeks");
    io::read_to_string(file).expect("reads")
}

/// Collects what this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Collects until the guard is dropped.
    pub(crate) fn collect() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// The lines so far, which are then forgotten.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("is sane"))
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("unit::")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{value:?}").expect("never fails");
            }
        }
        let level = event.metadata().target().trim_start_matches("unit::");
        let mut text = Text(format!("[{level}] "));
        event.record(&mut text);
        self.0.lock().expect("is sane").push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
