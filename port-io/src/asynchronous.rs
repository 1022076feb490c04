//! Ports on a current-thread tokio runtime.
//!
//! Both halves share one state. Sending writes at once when it can; what does not fit waits in a
//! queue, which the receiving half empties: **some task must always be in [`Receiver::recv`]**, which
//! is also where answers are matched with the requests that wait for them. The runtime needs both
//! its drivers, I/O and time.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use port_proto::{
    DecodeError, Direction, Frame, Hello, Identity, Kind, Request, StreamId, read_answer,
};
use sys::watched::Watched;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::blocking::closed_or;
use crate::gate::{self, Gate};
use crate::wire::{self, Arrived, Buffer, Outgoing};
use crate::{ConnectError, HELLO_TIMEOUT, PortError, RequestError, SendError};

/// The most bytes that wait for a peer that does not read. A single larger message may wait alone.
pub const QUEUE_LEN_MAX: usize = 4 * 1024 * 1024;

/// The most descriptors that wait with them. They count among those this process may have, so a
/// peer that asks and does not read must not use them up.
pub const QUEUE_FDS_MAX: usize = 256;

/// Opens a port to a known peer: both introduce themselves within [`HELLO_TIMEOUT`].
///
/// # Errors
/// [`ConnectError`] when the peer does not answer, is another process or release than it should be,
/// or takes us for someone else.
pub async fn connect<Tx: Direction, Rx: Direction>(
    socket: OwnedFd,
    me: Identity,
    peer: Identity,
) -> Result<(Sender<Tx, Rx>, Receiver<Tx, Rx>), ConnectError> {
    gate::check_roles::<Tx, Rx>(me, peer)?;
    sys::fd::set_nonblocking(&socket, true)?;
    let socket = Watched::new(socket)?;
    let mut buf = wire::buffer();
    timeout(HELLO_TIMEOUT, async {
        send_hello(&socket, me, peer).await?;
        let packet = receive_hello(&socket, &mut buf).await?;
        gate::check_hello(packet, &buf, me, peer)
    })
    .await
    .map_err(|_| ConnectError::Timeout)??;
    Ok(halves(socket, buf, me, peer))
}

/// What `bootstrap::accept` does.
pub(crate) async fn accept<Tx: Direction, Rx: Direction>(
    socket: OwnedFd,
) -> Result<(Identity, Identity, Sender<Tx, Rx>, Receiver<Tx, Rx>), ConnectError> {
    sys::fd::set_nonblocking(&socket, true)?;
    let socket = Watched::new(socket)?;
    let mut buf = wire::buffer();
    let Hello { from: main, to: me, .. } = timeout(HELLO_TIMEOUT, async {
        let packet = receive_hello(&socket, &mut buf).await?;
        let (sender, hello) = gate::read_first_hello(packet, &buf)?;
        send_hello(&socket, hello.to, hello.from).await?;
        gate::check_first_hello::<Tx, Rx>(sender, &hello)?;
        Ok::<_, ConnectError>(hello)
    })
    .await
    .map_err(|_| ConnectError::Timeout)??;
    let (sender, receiver) = halves(socket, buf, me, main);
    Ok((me, main, sender, receiver))
}

async fn send_hello(socket: &Watched, me: Identity, peer: Identity) -> Result<(), ConnectError> {
    let packet = gate::hello(me, peer)?;
    loop {
        let mut ready = socket.writable().await?;
        match packet.send(socket.as_fd()) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) => return Err(closed_or(error).into()),
        }
    }
}

async fn receive_hello(socket: &Watched, buf: &mut Buffer) -> Result<Arrived, ConnectError> {
    loop {
        let mut ready = socket.readable().await?;
        match wire::receive(socket.as_fd(), buf)? {
            Some(packet) => return Ok(packet),
            None => ready.clear_ready(),
        }
    }
}

fn halves<Tx: Direction, Rx: Direction>(
    socket: Watched,
    buf: Buffer,
    me: Identity,
    peer: Identity,
) -> (Sender<Tx, Rx>, Receiver<Tx, Rx>) {
    let shared = Rc::new(Shared {
        me,
        peer,
        state: RefCell::new(State {
            socket: Some(Rc::new(socket)),
            queue: VecDeque::new(),
            queued_len: 0,
            queued_fds: 0,
            pending: HashMap::new(),
            last_stream: 0,
            driver: None,
        }),
    });
    let sender = Sender { shared: Rc::clone(&shared), directions: PhantomData };
    let receiver = Receiver { shared, gate: Gate::new(me, peer), buf, directions: PhantomData };
    (sender, receiver)
}

/// What both halves share.
struct Shared {
    me: Identity,
    peer: Identity,
    state: RefCell<State>,
}

struct State {
    /// None once the port is closed.
    socket: Option<Rc<Watched>>,
    queue: VecDeque<Outgoing>,
    queued_len: usize,
    queued_fds: usize,
    pending: HashMap<StreamId, Pending>,
    last_stream: u32,
    /// The task in `recv`, to be told when the queue is no longer empty.
    driver: Option<Waker>,
}

/// Decodes an answer as the request wants it and hands it over. Whoever waited may be gone.
type Pending = Box<dyn FnOnce(Frame) -> Result<(), DecodeError>>;

impl State {
    /// Sends a packet or queues it.
    fn put(&mut self, packet: Outgoing) -> Result<(), SendError> {
        let socket = self.socket.as_ref().ok_or(SendError::Closed)?;
        if self.queue.is_empty() {
            match packet.send(socket.as_fd()) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(closed_or(error)),
            }
        } else if self.queued_len + packet.len() > QUEUE_LEN_MAX
            || self.queued_fds + packet.fds() > QUEUE_FDS_MAX
        {
            return Err(SendError::Full);
        }
        self.queued_len += packet.len();
        self.queued_fds += packet.fds();
        self.queue.push_back(packet);
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
        Ok(())
    }

    /// Sends what is queued until the socket is full; true when nothing is left.
    fn flush(&mut self) -> Result<bool, SendError> {
        let Some(socket) = &self.socket else { return Err(SendError::Closed) };
        while let Some(packet) = self.queue.front() {
            match packet.send(socket.as_fd()) {
                Ok(()) => {
                    self.queued_len -= packet.len();
                    self.queued_fds -= packet.fds();
                    self.queue.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(closed_or(error)),
            }
        }
        Ok(true)
    }

    fn clear_queue(&mut self) {
        self.queue.clear();
        self.queued_len = 0;
        self.queued_fds = 0;
    }

    /// A stream that no pending request has.
    fn next_stream(&mut self) -> StreamId {
        loop {
            self.last_stream = self.last_stream.checked_add(1).unwrap_or(1);
            let stream = StreamId(self.last_stream);
            if !self.pending.contains_key(&stream) {
                return stream;
            }
        }
    }
}

impl Shared {
    /// Closes the port. Dropping the pending requests is what fails them.
    fn close(&self) {
        let (socket, pending) = {
            let mut state = self.state.borrow_mut();
            state.clear_queue();
            // The waker holds the task that may hold this.
            state.driver = None;
            (state.socket.take(), std::mem::take(&mut state.pending))
        };
        if let Some(socket) = socket {
            // A task in `flush` may hold the socket a little longer; the peer is told now.
            let _ = sys::socket::shut_down(&*socket);
        }
        drop(pending);
    }
}

/// The sending half of a port; its clones are the same half.
pub struct Sender<Tx, Rx> {
    shared: Rc<Shared>,
    directions: PhantomData<fn(Tx) -> Rx>,
}

impl<Tx, Rx> Clone for Sender<Tx, Rx> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared), directions: PhantomData }
    }
}

impl<Tx, Rx> std::fmt::Debug for Sender<Tx, Rx> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("peer", &self.shared.peer).finish_non_exhaustive()
    }
}

impl<Tx: Direction, Rx: Direction> Sender<Tx, Rx> {
    /// Who we are.
    #[must_use]
    pub fn me(&self) -> Identity {
        self.shared.me
    }

    /// Who the peer is.
    #[must_use]
    pub fn peer(&self) -> Identity {
        self.shared.peer
    }

    /// Whether the port is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.borrow().socket.is_none()
    }

    /// Sends a message that wants no answer, or queues it. Never waits.
    ///
    /// # Errors
    /// [`SendError`]; the message is lost.
    pub fn send(&self, message: Tx) -> Result<(), SendError> {
        let kind = message.kind();
        if Tx::REQUESTS.contains(&kind) {
            return Err(SendError::WantsAnswer(kind));
        }
        let packet = Outgoing::new(message.into_frame(StreamId::NONE)?)?;
        self.shared.state.borrow_mut().put(packet)
    }

    /// Sends a request and waits for its answer, for which some task must be in
    /// [`Receiver::recv`]. There is no deadline here: callers who want one wrap it. An answer that
    /// comes after the future was dropped is ignored.
    ///
    /// # Errors
    /// [`RequestError::Refused`] as the peer says, [`RequestError::Lost`] when the port is closed
    /// first, [`RequestError::Send`] when it was not sent.
    pub async fn request<R: Request<Direction = Tx>>(
        &self,
        request: R,
    ) -> Result<R::Reply, RequestError<R::Refusal>> {
        let (hand_over, answer) = oneshot::channel();
        {
            let mut state = self.shared.state.borrow_mut();
            let stream = state.next_stream();
            let frame = request.into_message().into_frame(stream).map_err(SendError::Encode)?;
            state.put(Outgoing::new(frame)?)?;
            let pending = move |frame| {
                // Whoever asked may have stopped waiting.
                let _ = hand_over.send(read_answer::<R>(frame)?);
                Ok(())
            };
            state.pending.insert(stream, Box::new(pending));
        }
        match answer.await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(refusal)) => Err(RequestError::Refused(refusal)),
            Err(_) => Err(RequestError::Lost),
        }
    }

    /// Answers a request that came in on `stream`, or queues the answer. Never waits.
    ///
    /// # Errors
    /// [`SendError`]; the answer is lost.
    pub fn answer<R: Request<Direction = Rx>>(
        &self,
        stream: StreamId,
        result: Result<R::Reply, R::Refusal>,
    ) -> Result<(), SendError> {
        let packet = Outgoing::new(port_proto::answer::<R>(stream, result)?)?;
        self.shared.state.borrow_mut().put(packet)
    }

    /// Waits until everything queued is with the kernel, for a process that is about to end. It
    /// does not need a task in [`Receiver::recv`].
    ///
    /// # Errors
    /// [`SendError`] when the port is closed or fails first.
    pub async fn flush(&self) -> Result<(), SendError> {
        loop {
            let socket = {
                let mut state = self.shared.state.borrow_mut();
                if state.flush()? {
                    return Ok(());
                }
                state.socket.clone().ok_or(SendError::Closed)?
            };
            let mut ready = socket.writable().await?;
            // The queue may have been emptied, or refilled, by others in the meantime.
            if !self.shared.state.borrow_mut().flush()? {
                ready.clear_ready();
            }
        }
    }
}

/// The receiving half of a port, which also drives the other one. Dropping it closes the port.
pub struct Receiver<Tx, Rx> {
    shared: Rc<Shared>,
    gate: Gate,
    buf: Buffer,
    directions: PhantomData<fn(Tx) -> Rx>,
}

impl<Tx, Rx> std::fmt::Debug for Receiver<Tx, Rx> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("peer", &self.shared.peer).finish_non_exhaustive()
    }
}

impl<Tx, Rx> Drop for Receiver<Tx, Rx> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<Tx: Direction, Rx: Direction> Receiver<Tx, Rx> {
    /// Who the peer is.
    #[must_use]
    pub fn peer(&self) -> Identity {
        self.shared.peer
    }

    /// The next message with its stream; `None` when the port is closed: the peer hung up, or sent
    /// what is no message, which is logged here. Meanwhile answers go to the requests that wait for
    /// them and queued messages are sent, so some task must always be in here. It can be dropped
    /// and called again without losing anything.
    pub async fn recv(&mut self) -> Option<(StreamId, Rx)> {
        poll_fn(|ctx| self.poll_recv(ctx)).await
    }

    fn poll_recv(&mut self, ctx: &mut Context<'_>) -> Poll<Option<(StreamId, Rx)>> {
        let result = ready!(self.try_poll_recv(ctx));
        Poll::Ready(result.unwrap_or_else(|error| {
            self.gate.log_end(&error);
            self.shared.close();
            None
        }))
    }

    fn try_poll_recv(
        &mut self,
        ctx: &mut Context<'_>,
    ) -> Poll<Result<Option<(StreamId, Rx)>, PortError>> {
        let Some(socket) = self.shared.state.borrow().socket.clone() else {
            return Poll::Ready(Ok(None));
        };
        self.poll_flush(&socket, ctx)?;
        loop {
            // This also makes the task yield now and then, however fast the peer sends.
            let mut ready = ready!(socket.poll_readable(ctx))?;
            let Some(packet) = wire::receive(socket.as_fd(), &mut self.buf)? else {
                ready.clear_ready();
                continue;
            };
            let frame = match self.gate.admit(packet, &self.buf) {
                Ok(Some(frame)) => frame,
                Ok(None) => continue,
                Err(error) => {
                    self.lose_answer(error)?;
                    continue;
                }
            };
            if !matches!(frame.kind, Kind::Ready | Kind::Error) {
                return Poll::Ready(Ok(Some(Rx::from_frame(frame)?)));
            }
            let pending = self.shared.state.borrow_mut().pending.remove(&frame.stream);
            match pending {
                Some(hand_over) => hand_over(frame)?,
                None => self.gate.refuse(frame.kind),
            }
        }
    }

    /// Fails the one request whose answer came without its descriptors; other errors are passed on.
    fn lose_answer(&mut self, error: PortError) -> Result<(), PortError> {
        if let PortError::Truncated { kind: Kind::Ready | Kind::Error, stream } = error {
            let pending = self.shared.state.borrow_mut().pending.remove(&stream);
            if pending.is_some() {
                self.gate.log_lost_answer(&error);
                return Ok(());
            }
        }
        Err(error)
    }

    /// Sends what is queued, and has the task woken when more can be sent or is queued.
    fn poll_flush(&self, socket: &Watched, ctx: &mut Context<'_>) -> Result<(), PortError> {
        let mut state = self.shared.state.borrow_mut();
        loop {
            match state.flush() {
                Ok(true) => {
                    state.driver = Some(ctx.waker().clone());
                    return Ok(());
                }
                Ok(false) => {}
                // What the peer sent before it went away is still to be read, which then ends.
                Err(SendError::Closed) => {
                    state.clear_queue();
                    return Ok(());
                }
                Err(SendError::Io(error)) => return Err(error.into()),
                Err(SendError::Full | SendError::Encode(_) | SendError::WantsAnswer(_)) => {
                    return Ok(()); // not errors of a write
                }
            }
            match socket.poll_writable(ctx) {
                Poll::Ready(ready) => ready?.clear_ready(),
                Poll::Pending => return Ok(()),
            }
        }
    }
}
