//! Ports without tokio, for processes that fork: one thread, its own poll loop.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use port_proto::{Direction, Identity, Request, StreamId};
use sys::poll::{PollFd, PollFlags};

use crate::gate::{self, Gate};
use crate::wire::{self, Buffer, Outgoing};
use crate::{ConnectError, PortError, SendError};

/// How long a message waits for a peer that does not read before it is given up.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// One end of a port that sends `Tx` and receives `Rx`.
#[derive(Debug)]
pub struct Port<Tx, Rx> {
    socket: OwnedFd,
    gate: Gate,
    buf: Buffer,
    greeted: bool,
    directions: PhantomData<fn(Tx) -> Rx>,
}

impl<Tx: Direction, Rx: Direction> Port<Tx, Rx> {
    /// Makes a port of a socket and introduces us. The peer's introduction is expected to be the
    /// first thing to arrive and is checked by [`recv`](Self::recv): nothing waits for it here.
    ///
    /// # Errors
    /// [`ConnectError::Role`] when the identities do not fit the directions; those of the first
    /// message.
    pub fn new(socket: OwnedFd, me: Identity, peer: Identity) -> Result<Self, ConnectError> {
        gate::check_roles::<Tx, Rx>(me, peer)?;
        sys::fd::set_nonblocking(&socket, true)?;
        let port = Self::of(socket, me, peer, false);
        port.put(&gate::hello(me, peer)?)?;
        Ok(port)
    }

    /// A port whose hellos were exchanged already.
    pub(crate) fn greeted(socket: OwnedFd, me: Identity, peer: Identity) -> Self {
        Self::of(socket, me, peer, true)
    }

    fn of(socket: OwnedFd, me: Identity, peer: Identity, greeted: bool) -> Self {
        let gate = Gate::new(me, peer);
        Self { socket, gate, buf: wire::buffer(), greeted, directions: PhantomData }
    }

    /// Who we are.
    #[must_use]
    pub fn me(&self) -> Identity {
        self.gate.me
    }

    /// Who the peer is.
    #[must_use]
    pub fn peer(&self) -> Identity {
        self.gate.peer
    }

    /// Sends a message that wants no answer, waiting at most [`SEND_TIMEOUT`] for room.
    ///
    /// # Errors
    /// [`SendError`]; the message is lost.
    pub fn send(&self, message: Tx) -> Result<(), SendError> {
        let kind = message.kind();
        if Tx::REQUESTS.contains(&kind) {
            return Err(SendError::WantsAnswer(kind));
        }
        self.put(&Outgoing::new(message.into_frame(StreamId::NONE)?)?)
    }

    /// Answers a request that came in on `stream`.
    ///
    /// # Errors
    /// [`SendError`]; the answer is lost.
    pub fn answer<R: Request<Direction = Rx>>(
        &self,
        stream: StreamId,
        result: Result<R::Reply, R::Refusal>,
    ) -> Result<(), SendError> {
        self.put(&Outgoing::new(port_proto::answer::<R>(stream, result)?)?)
    }

    /// The next message, or `None` when there is none now: wait for the descriptor to be readable.
    ///
    /// # Errors
    /// [`PortError`] when the port is of no further use, [`PortError::HungUp`] in the end. All but
    /// that are logged here.
    pub fn recv(&mut self) -> Result<Option<(StreamId, Rx)>, PortError> {
        self.try_recv().inspect_err(|error| self.gate.log_end(error))
    }

    fn try_recv(&mut self) -> Result<Option<(StreamId, Rx)>, PortError> {
        while let Some(packet) = wire::receive(self.socket.as_fd(), &mut self.buf)? {
            if !self.greeted {
                gate::check_hello(packet, &self.buf, self.gate.me, self.gate.peer)
                    .map_err(|error| PortError::Hello(Box::new(error)))?;
                self.greeted = true;
                continue;
            }
            let Some(frame) = self.gate.admit(packet, &self.buf)? else { continue };
            if !Rx::KINDS.contains(&frame.kind) {
                // An answer, though this end asks nothing.
                self.gate.refuse(frame.kind);
                continue;
            }
            return Ok(Some(Rx::from_frame(frame)?));
        }
        Ok(None)
    }

    fn put(&self, packet: &Outgoing) -> Result<(), SendError> {
        send_by(self.socket.as_fd(), packet, Instant::now() + SEND_TIMEOUT)
    }
}

impl<Tx, Rx> AsFd for Port<Tx, Rx> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends a packet, waiting for room until the deadline.
pub(crate) fn send_by(
    socket: BorrowedFd<'_>,
    packet: &Outgoing,
    deadline: Instant,
) -> Result<(), SendError> {
    loop {
        match packet.send(socket) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !wait_by(socket, PollFlags::OUT, deadline)? {
                    return Err(SendError::Full);
                }
            }
            Err(error) => return Err(closed_or(error)),
        }
    }
}

/// The error of a failed send, where a peer that is gone is no system error.
pub(crate) fn closed_or(error: io::Error) -> SendError {
    match error.kind() {
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::NotConnected => SendError::Closed,
        _ => SendError::Io(error),
    }
}

/// Waits until the socket is ready; false when the deadline came first.
pub(crate) fn wait_by(
    socket: BorrowedFd<'_>,
    what: PollFlags,
    deadline: Instant,
) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match sys::poll::poll(&mut [PollFd::new(&socket, what)], Some(left)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits for the first packet of a socket.
pub(crate) fn receive_by(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
    deadline: Instant,
) -> Result<wire::Arrived, ConnectError> {
    loop {
        match wire::receive(socket, buf) {
            Ok(Some(packet)) => return Ok(packet),
            Ok(None) => {
                if !wait_by(socket, PollFlags::IN, deadline)? {
                    return Err(ConnectError::Timeout);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}
