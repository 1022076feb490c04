//! Accepting connections, and the policy of who serves them.
//!
//! One loop accepts for all: fewer busy loops cost fewer microseconds, because a loop that finds
//! many things ready sleeps and wakes less often for each. While it has time to spare it keeps what
//! it accepts; when it is busy, the least busy loop gets the connection. A busy loop also gives
//! away connections between two requests, so that a burst accepted in a quiet moment does not stay
//! on one core.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};

use super::descriptors::Pause;
use super::thread::{Peer, keep};
use super::{Command, EventLoop};
use crate::connection::{Stream, next_number};
use crate::shortage::{Counted, is_reserved, is_shortage};
use crate::snapshot::ListenerId;

/// A loop this busy, in thousandths of its time, gives connections away.
const BUSY: u64 = 850;

/// It gives them only to loops that are this much less busy.
const WORTH_IT: u64 = 300;

/// How long accepting pauses when there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// The pause before another attempt to watch a listening socket.
const WATCH_PAUSE: Duration = Duration::from_millis(250);

/// A connection on its way to its loop, between two requests.
#[derive(Debug)]
pub struct Transfer {
    /// What it is.
    pub socket: Socket,
    /// What goes with it.
    pub origin: Origin,
}

/// What a connection takes along from loop to loop.
#[derive(Debug)]
pub struct Origin {
    /// The listener that accepted it.
    pub listener: ListenerId,
    /// Its number, for the log.
    pub number: u64,
    /// What was read of the next request.
    pub pending: Vec<u8>,
    /// That it is one of those that are open.
    pub counted: Counted,
}

/// The socket of a connection that no loop watches.
#[derive(Debug)]
pub enum Socket {
    /// TCP, with the client's address.
    Tcp(TcpStream, SocketAddr),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Has the loop of this thread watch it.
    pub(super) fn into_stream(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(stream, peer) => {
                tokio::net::TcpStream::from_std(stream).map(|stream| Stream::Tcp(stream, peer))
            }
            Self::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Stream::Unix),
        }
    }

    /// Moves it to the lowest number there is, unless that is reserved too.
    fn lower(self) -> Self {
        fn pick<S: AsFd>(socket: S, lower: io::Result<S>) -> S {
            lower.ok().filter(|lower| !is_reserved(lower)).unwrap_or(socket)
        }
        match self {
            Self::Tcp(stream, peer) => {
                let lower = stream.try_clone();
                Self::Tcp(pick(stream, lower), peer)
            }
            Self::Unix(stream) => {
                let lower = stream.try_clone();
                Self::Unix(pick(stream, lower))
            }
        }
    }
}

#[derive(Debug)]
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

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match self {
            Self::Tcp(listener) => {
                listener.poll_accept(cx).map_ok(|(stream, peer)| Stream::Tcp(stream, peer))
            }
            Self::Unix(listener) => {
                listener.poll_accept(cx).map_ok(|(stream, _)| Stream::Unix(stream))
            }
        }
    }

    /// Accepts a connection; not while the loop pauses, whatever listener the pause began with.
    async fn accept(&self, pause: &Pause) -> io::Result<Stream> {
        std::future::poll_fn(|cx| match pause.poll_over(cx) {
            Poll::Ready(()) => self.poll_accept(cx),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

/// Accepts from a listening socket until the task is aborted.
pub(super) fn listen(event_loop: Rc<EventLoop>, id: ListenerId, socket: OwnedFd) -> JoinHandle<()> {
    spawn_local(async move {
        let listener = watch(|| sys::fd::duplicate(&socket).and_then(Listener::from_socket)).await;
        drop(socket);
        loop {
            match listener.accept(&event_loop.pause).await {
                Ok(stream) if is_reserved(stream.as_fd()) => hold(&event_loop, stream, id).await,
                Ok(stream) => {
                    let origin = begin(&event_loop, id);
                    place(&event_loop, stream, origin);
                }
                Err(error) if is_shortage(&error) => {
                    wait_for_descriptors(&event_loop, Some(&error)).await;
                }
                Err(error) => {
                    // The client left before it was accepted, or something of the kind.
                    unit_log::warn!("accept4() failed ({})", describe(&error));
                    tokio::task::yield_now().await;
                }
            }
        }
    })
}

/// Has the loop watch a listening socket, at last: when memory or the system's watches run out, all
/// else of the configuration is in use already, and a refusal would tell of what is so. The address
/// is bound, and clients wait.
async fn watch<L>(mut attempt: impl FnMut() -> io::Result<L>) -> L {
    let mut has_failed = false;
    loop {
        match attempt() {
            Ok(listener) => {
                if has_failed {
                    unit_log::notice!("the listening socket is watched now");
                }
                return listener;
            }
            Err(error) => {
                if !has_failed {
                    let text = describe(&error);
                    unit_log::alert!("cannot watch a listening socket ({text}), trying again");
                    has_failed = true;
                }
                tokio::time::sleep(WATCH_PAUSE).await;
            }
        }
    }
}

/// A connection was accepted that has one of the last descriptors. It waits until it need not keep
/// it, and so do all others: however often descriptors come and go, no more than this one is taken.
async fn hold(event_loop: &Rc<EventLoop>, stream: Stream, id: ListenerId) {
    wait_for_descriptors(event_loop, None).await;
    match stream.into_socket() {
        Ok(socket) => {
            let (socket, origin) = (socket.lower(), begin(event_loop, id));
            keep(event_loop, Transfer { socket, origin });
        }
        Err(error) => unit_log::alert!("cannot take on a connection: {error}"),
    }
}

/// Counts a new connection.
fn begin(event_loop: &EventLoop, id: ListenerId) -> Origin {
    event_loop.counters.accepted.increment();
    event_loop.counters.idle.increment();
    Origin { listener: id, number: next_number(), pending: Vec::new(), counted: Counted::new() }
}

/// The number and text of a system error, as log lines have it.
pub(crate) fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{number}: {}", sys::socket::ErrnoText(number)),
        None => error.to_string(),
    }
}

/// Pauses until there are descriptors again, and closes what nobody misses. Without an error it is
/// the last ones that are kept.
async fn wait_for_descriptors(event_loop: &EventLoop, error: Option<&io::Error>) {
    let _pausing = event_loop.pause.begin();
    loop {
        // One shortage is told once, however many events it has.
        if event_loop.shortage.meet(event_loop.now_ms()) {
            match error {
                Some(error) => unit_log::alert!("accept4() failed ({})", describe(error)),
                None => unit_log::alert!("all descriptors but the last are in use"),
            }
            unit_log::alert!("new connections are not accepted within 100ms");
        }
        if event_loop.shed() == 0 {
            for peer in others(event_loop) {
                // One that is ending closes its connections anyway.
                let _ = peer.commands.send(Command::Shed);
            }
        }
        tokio::time::sleep(PAUSE).await;
        if event_loop.has_descriptors() {
            return;
        }
    }
}

/// The other loops that take on connections.
fn others(event_loop: &EventLoop) -> Vec<Peer> {
    let peers = event_loop.peers.load();
    peers.iter().filter(|peer| peer.index != event_loop.index).cloned().collect()
}

/// The loop that should serve what this one has, if that is another.
fn better_place(event_loop: &EventLoop) -> Option<Peer> {
    let own = event_loop.counters.load.get();
    if own < BUSY {
        return None;
    }
    let peers = event_loop.peers.load();
    let best = peers.iter().min_by_key(|peer| peer.counters.load.get())?;
    let worth = best.counters.load.get() + WORTH_IT <= own;
    (worth && best.index != event_loop.index).then(|| best.clone())
}

fn place(event_loop: &Rc<EventLoop>, stream: Stream, origin: Origin) {
    match better_place(event_loop) {
        None => {
            event_loop.counters.held.increment();
            spawn_local(crate::connection::serve(Rc::clone(event_loop), stream, origin));
        }
        Some(peer) => hand_over(event_loop, &peer, stream, origin),
    }
}

/// Gives a connection to another loop; keeps it if that one is gone.
fn hand_over(event_loop: &Rc<EventLoop>, peer: &Peer, stream: Stream, origin: Origin) {
    let socket = match stream.into_socket() {
        Ok(socket) => socket,
        Err(error) => {
            unit_log::alert!("cannot hand over a connection: {error}");
            event_loop.counters.idle.decrement();
            event_loop.counters.closed.increment();
            return;
        }
    };
    send(event_loop, peer, Transfer { socket, origin });
}

fn send(event_loop: &Rc<EventLoop>, peer: &Peer, transfer: Transfer) {
    if let Err(refused) = peer.commands.send(Command::Adopt(transfer))
        && let Command::Adopt(transfer) = refused.0
    {
        keep(event_loop, transfer);
    }
}

/// Passes on a connection that came to a loop which takes on none any more.
pub(super) fn pass_on(event_loop: &Rc<EventLoop>, transfer: Transfer) {
    match least_busy(event_loop) {
        Some(peer) => send(event_loop, &peer, transfer),
        None => keep(event_loop, transfer),
    }
}

/// The least busy of the other loops.
fn least_busy(event_loop: &EventLoop) -> Option<Peer> {
    others(event_loop).into_iter().min_by_key(|peer| peer.counters.load.get())
}

/// Between two requests: the loop that is to have the connection, if another is. That is so when this
/// one is busy and the other is not, or when this one is to end.
pub(crate) fn new_home(event_loop: &EventLoop) -> Option<Peer> {
    if event_loop.is_retiring() {
        return least_busy(event_loop);
    }
    let load = event_loop.counters.load.get();
    if load < BUSY || event_loop.is_stopping() || !event_loop.may_give_away() {
        return None;
    }
    better_place(event_loop)
}

/// Gives a connection to its new home.
pub(crate) fn give_away(event_loop: &Rc<EventLoop>, peer: &Peer, stream: Stream, origin: Origin) {
    // The other loop may close it before this one pauses.
    event_loop.access_log.flush();
    hand_over(event_loop, peer, stream, origin);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_listening_socket_is_watched_when_there_is_room_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let attempts = Cell::new(0);
        let listener = runtime.block_on(watch(|| {
            attempts.set(attempts.get() + 1);
            match attempts.get() {
                1 => Err(rustix::io::Errno::NOSPC.into()),
                2 => Err(rustix::io::Errno::NOMEM.into()),
                _ => Ok("the listener"),
            }
        }));
        assert_eq!((listener, attempts.get()), ("the listener", 3));
    }
}
