//! Accepting connections, and the policy of who serves them.
//!
//! One loop accepts for all: fewer busy loops cost fewer microseconds, because a loop that finds
//! many things ready sleeps and wakes less often for each. While it has time to spare it keeps what
//! it accepts; when it is busy, the least busy loop gets the connection. A busy loop also gives
//! away connections between two requests, so that a burst accepted in a quiet moment does not stay
//! on one core.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};

use super::thread::{Peer, adopt};
use super::{Command, EventLoop};
use crate::connection::Stream;
use crate::snapshot::ListenerId;

/// A loop this busy, in thousandths of its time, gives connections away.
const BUSY: u64 = 850;

/// It gives them only to loops that are this much less busy.
const WORTH_IT: u64 = 300;

/// How long accepting pauses when there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// How many idle connections are closed then.
const SHED: usize = 10;

/// An accepted connection on its way to its loop.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Has the loop of this thread watch it.
    pub(super) fn into_stream(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(stream) => tokio::net::TcpStream::from_std(stream).map(Stream::Tcp),
            Self::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Stream::Unix),
        }
    }
}

enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listener {
    /// Takes a listening socket of either family.
    fn from_socket(socket: OwnedFd) -> io::Result<Self> {
        let probe = std::net::TcpListener::from(socket);
        let is_inet: io::Result<SocketAddr> = probe.local_addr();
        if is_inet.is_ok() {
            return tokio::net::TcpListener::from_std(probe).map(Self::Tcp);
        }
        let socket = OwnedFd::from(probe);
        let listener = std::os::unix::net::UnixListener::from(socket);
        tokio::net::UnixListener::from_std(listener).map(Self::Unix)
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// Accepts from a listening socket until the task is aborted.
pub(super) fn listen(
    event_loop: Rc<EventLoop>,
    id: ListenerId,
    socket: OwnedFd,
) -> Option<JoinHandle<()>> {
    let listener = match Listener::from_socket(socket) {
        Ok(listener) => listener,
        Err(error) => {
            unit_log::alert!("cannot watch a listening socket: {error}");
            return None;
        }
    };
    Some(spawn_local(async move {
        let mut is_short = false;
        loop {
            match listener.accept().await {
                Ok(stream) => {
                    is_short = false;
                    event_loop.counters.accepted.increment();
                    event_loop.counters.idle.increment();
                    place(&event_loop, stream, id);
                }
                Err(error) if is_shortage(&error) => {
                    if !is_short {
                        unit_log::alert!("accept4() failed ({})", describe(&error));
                        unit_log::alert!("new connections are not accepted within 100ms");
                        is_short = true;
                    }
                    event_loop.timers.expire_idle(SHED);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    // The client left before it was accepted, or something of the kind.
                    unit_log::warn!("accept4() failed ({})", describe(&error));
                    tokio::task::yield_now().await;
                }
            }
        }
    }))
}

/// The number and text of a system error, as log lines have it.
pub(crate) fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{number}: {}", sys::socket::ErrnoText(number)),
        None => error.to_string(),
    }
}

/// No descriptors or no memory: closing something helps, trying again at once does not.
fn is_shortage(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}

/// The loop that should serve what this one has, if that is another.
fn better_place(event_loop: &EventLoop) -> Option<Peer> {
    let own = event_loop.counters.load.get();
    if own < BUSY {
        return None;
    }
    let peers = event_loop.peers.load();
    let (index, best) =
        peers.iter().enumerate().min_by_key(|(_, peer)| peer.counters.load.get())?;
    let worth = best.counters.load.get() + WORTH_IT <= own;
    (worth && index != event_loop.index).then(|| best.clone())
}

fn place(event_loop: &Rc<EventLoop>, stream: Stream, id: ListenerId) {
    match better_place(event_loop) {
        None => {
            event_loop.counters.held.increment();
            spawn_local(crate::connection::serve(Rc::clone(event_loop), stream, id));
        }
        Some(peer) => hand_over(event_loop, &peer, stream, id),
    }
}

/// Gives a connection to another loop; keeps it if that one is gone.
fn hand_over(event_loop: &Rc<EventLoop>, peer: &Peer, stream: Stream, id: ListenerId) {
    let socket = match stream.into_socket() {
        Ok(socket) => socket,
        Err(error) => {
            unit_log::alert!("cannot hand over a connection: {error}");
            event_loop.counters.idle.decrement();
            event_loop.counters.closed.increment();
            return;
        }
    };
    if let Err(refused) = peer.commands.send(Command::Adopt(socket, id))
        && let Command::Adopt(socket, id) = refused.0
    {
        adopt(event_loop, socket, id);
    }
}

/// Between two requests: gives the connection to a less busy loop if this one is busy. Returns it
/// when it stays.
pub(crate) fn give_away(
    event_loop: &Rc<EventLoop>,
    stream: Stream,
    id: ListenerId,
) -> Option<Stream> {
    let load = event_loop.counters.load.get();
    if load < BUSY || event_loop.is_stopping() || !event_loop.may_give_away() {
        return Some(stream);
    }
    let Some(peer) = better_place(event_loop) else { return Some(stream) };
    // The other loop may close it before this one pauses.
    event_loop.access_log.flush();
    hand_over(event_loop, &peer, stream, id);
    None
}
