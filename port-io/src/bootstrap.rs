//! How a port comes to be: pairs for main to hand out, and the port a role executable is started
//! with.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use port_proto::{Direction, Hello, Identity, Role};

use crate::{ConnectError, HELLO_TIMEOUT, blocking, gate, wire};
#[cfg(feature = "async")]
use crate::{Receiver, Sender};

/// The descriptor of the port to main in every process that main executes.
pub const PORT_FD: i32 = 3;

/// The two ends of a new port.
///
/// # Errors
/// Those of `socketpair` and `setsockopt`.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    sys::socket::seqpacket_pair()
}

/// Opens the inherited port to main in an executable of this role; returns ourselves, main and the
/// port. To be called once, first thing.
///
/// # Errors
/// [`ConnectError::NotInherited`] when it was not started by unitd; see [`accept`].
#[cfg(feature = "async")]
pub async fn inherited<Tx: Direction, Rx: Direction>(
    role: Role,
) -> Result<(Identity, Identity, Sender<Tx, Rx>, Receiver<Tx, Rx>), ConnectError> {
    accept(take()?, role).await
}

/// As [`inherited`], without tokio.
///
/// # Errors
/// As [`inherited`].
pub fn inherited_blocking<Tx: Direction, Rx: Direction>(
    role: Role,
) -> Result<(Identity, Identity, blocking::Port<Tx, Rx>), ConnectError> {
    accept_blocking(take()?, role)
}

/// Waits on a socket for main's hello, which tells who we are, and answers it.
///
/// # Errors
/// [`ConnectError`] when main does not speak in time, is of another release, or means another role.
///
/// # Panics
/// When `Tx` is not what this role sends.
#[cfg(feature = "async")]
pub async fn accept<Tx: Direction, Rx: Direction>(
    socket: OwnedFd,
    role: Role,
) -> Result<(Identity, Identity, Sender<Tx, Rx>, Receiver<Tx, Rx>), ConnectError> {
    assert_eq!(role, Tx::FROM, "the directions of the port are those of the role");
    crate::asynchronous::accept(socket).await
}

/// As [`accept`], without tokio.
///
/// # Errors
/// As [`accept`].
///
/// # Panics
/// As [`accept`].
pub fn accept_blocking<Tx: Direction, Rx: Direction>(
    socket: OwnedFd,
    role: Role,
) -> Result<(Identity, Identity, blocking::Port<Tx, Rx>), ConnectError> {
    assert_eq!(role, Tx::FROM, "the directions of the port are those of the role");
    sys::fd::set_nonblocking(&socket, true)?;
    let deadline = Instant::now() + HELLO_TIMEOUT;
    let mut buf = wire::buffer();
    let packet = blocking::receive_by(socket.as_fd(), &mut buf, deadline)?;
    let (sender, hello) = gate::read_first_hello(packet, &buf)?;
    let Hello { from: main, to: me, .. } = hello;
    blocking::send_by(socket.as_fd(), &gate::hello(me, main)?, deadline)?;
    gate::check_first_hello::<Tx, Rx>(sender, &hello)?;
    Ok((me, main, blocking::Port::greeted(socket, me, main)))
}

fn take() -> Result<OwnedFd, ConnectError> {
    sys::socket::take_inherited_seqpacket(PORT_FD)
        .map_err(|error| ConnectError::NotInherited { number: PORT_FD, error })
}
