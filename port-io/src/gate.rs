//! Who may pass: the checks every frame goes through, in both flavours.

use port_proto::{DecodeError, Direction, Frame, Hello, Identity, Kind, SOFTWARE_VERSION, permits};
use sys::socket::Credentials;

use crate::wire::{Arrived, Outgoing};
use crate::{ConnectError, PortError, SendError};

/// Dropped frames that are logged for one port. A peer that floods us must not flood the log.
const DROPS_LOGGED_MAX: u32 = 100;

/// The identities of a port, and the judgement of what comes in.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) me: Identity,
    pub(crate) peer: Identity,
    drops: u32,
}

impl Gate {
    pub(crate) fn new(me: Identity, peer: Identity) -> Self {
        Self { me, peer, drops: 0 }
    }

    /// The frame in a packet, unless it is to be dropped.
    pub(crate) fn admit(
        &mut self,
        packet: Arrived,
        buf: &[u8],
    ) -> Result<Option<Frame>, PortError> {
        if let Err(sender) = check_sender(packet.credentials, self.me, self.peer) {
            // Whoever it is has nothing to do with the peer: the port is not its to close either.
            let Identity { role, pid, .. } = self.peer;
            self.log_drop(format_args!(
                "process {sender} cannot speak for {} {}",
                role.name(),
                pid.0
            ));
            return Ok(None);
        }
        let frame = packet.into_frame(buf)?;
        let again = frame.kind == Kind::Hello;
        if again || !permits(self.peer.role, self.me.role, frame.kind) {
            self.refuse(frame.kind);
            return Ok(None);
        }
        if !frame.last {
            // No request of this protocol version has more than one answer.
            return Err(DecodeError::UnknownFlags(0).into());
        }
        Ok(Some(frame))
    }

    /// Logs that the peer sent what it may not.
    pub(crate) fn refuse(&mut self, kind: Kind) {
        let pid = self.peer.pid.0;
        self.log_drop(format_args!("process {pid} cannot {}", kind.deed()));
    }

    /// Logs that an answer could not be received, which is no reason to give the port up: it may be
    /// this process that can have no more descriptors.
    #[cfg(feature = "async")]
    pub(crate) fn log_lost_answer(&mut self, error: &PortError) {
        let Identity { role, pid, .. } = self.peer;
        self.log_drop(format_args!("answer of {} {} lost: {error}", role.name(), pid.0));
    }

    /// Logs why the port is given up. A peer that went away is no news here.
    pub(crate) fn log_end(&self, error: &PortError) {
        let Identity { role, pid, .. } = self.peer;
        match error {
            PortError::HungUp => {}
            PortError::Io(_)
            | PortError::Frame(_)
            | PortError::Truncated { .. }
            | PortError::Hello(_) => {
                unit_log::alert!("port of {} {} closed: {error}", role.name(), pid.0);
            }
        }
    }

    fn log_drop(&mut self, text: std::fmt::Arguments<'_>) {
        self.drops = self.drops.saturating_add(1);
        if self.drops <= DROPS_LOGGED_MAX {
            unit_log::alert!("{text}");
        }
        if self.drops == DROPS_LOGGED_MAX {
            let Identity { role, pid, .. } = self.peer;
            unit_log::alert!("more messages of {} {} dropped, not logged", role.name(), pid.0);
        }
    }
}

/// Refuses identities that do not fit the directions of a port. Who a peer is comes in messages.
pub(crate) fn check_roles<Tx: Direction, Rx: Direction>(
    me: Identity,
    peer: Identity,
) -> Result<(), ConnectError> {
    const { assert!(Tx::FROM as u8 == Rx::TO as u8 && Tx::TO as u8 == Rx::FROM as u8) };
    for (expected, found) in [(Tx::FROM, me.role), (Tx::TO, peer.role)] {
        if expected != found {
            return Err(ConnectError::Role { expected, found });
        }
    }
    Ok(())
}

/// The packet that introduces us.
pub(crate) fn hello(me: Identity, peer: Identity) -> Result<Outgoing, SendError> {
    Outgoing::new(Hello::new(me, peer).into_frame()?)
}

/// Whether the kernel names the recorded process. The error is the process it names.
///
/// A process in a pid namespace of its own is not numbered as main numbers it; there the kernel
/// shows everyone outside as 0, which nobody inside can be.
fn check_sender(credentials: Option<Credentials>, me: Identity, peer: Identity) -> Result<(), i32> {
    let found = credentials.map_or(-1, |credentials| credentials.pid);
    let inside_namespace = i64::from(std::process::id()) != i64::from(me.pid.0);
    if found == peer.pid.0 || (found == 0 && inside_namespace) { Ok(()) } else { Err(found.max(0)) }
}

/// Checks the first packet of a known peer.
pub(crate) fn check_hello(
    packet: Arrived,
    buf: &[u8],
    me: Identity,
    peer: Identity,
) -> Result<(), ConnectError> {
    check_sender(packet.credentials, me, peer)
        .map_err(|found| ConnectError::Credentials { expected: peer.pid.0, found })?;
    let hello = read_hello(packet, buf)?;
    check_software(&hello)?;
    for (expected, found) in [(peer, hello.from), (me, hello.to)] {
        if expected != found {
            return Err(ConnectError::Identity { expected, found });
        }
    }
    Ok(())
}

/// Reads main's hello in a process that does not know yet who it is; returns ourselves and main.
/// The caller answers it before [`check_first_hello`] judges it, so that main can name both
/// versions as well.
pub(crate) fn read_first_hello(packet: Arrived, buf: &[u8]) -> Result<(i32, Hello), ConnectError> {
    let sender = packet.credentials.map_or(-1, |credentials| credentials.pid);
    Ok((sender, read_hello(packet, buf)?))
}

/// Checks main's hello in a process of this role.
pub(crate) fn check_first_hello<Tx: Direction, Rx: Direction>(
    sender: i32,
    hello: &Hello,
) -> Result<(), ConnectError> {
    check_software(hello)?;
    check_roles::<Tx, Rx>(hello.to, hello.from)?;
    // Zero is a main outside of our pid namespace, see `check_sender`.
    if sender != hello.from.pid.0 && sender != 0 {
        let expected = hello.from.pid.0;
        return Err(ConnectError::Credentials { expected, found: sender.max(0) });
    }
    Ok(())
}

fn read_hello(packet: Arrived, buf: &[u8]) -> Result<Hello, ConnectError> {
    Ok(Hello::from_frame(packet.into_frame(buf)?)?)
}

fn check_software(hello: &Hello) -> Result<(), ConnectError> {
    if hello.software == SOFTWARE_VERSION {
        return Ok(());
    }
    Err(ConnectError::Software {
        role: hello.from.role,
        ours: SOFTWARE_VERSION.to_owned(),
        theirs: hello.software.clone(),
    })
}
