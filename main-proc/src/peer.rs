//! The processes main talks to, each through a port of its own type.

use std::os::fd::OwnedFd;

use port_io::{SendError, Sender};
use port_proto::{
    ControllerToMain, Direction, DiscoveryToMain, Identity, MainToController, MainToDiscovery,
    MainToPrototype, MainToRouter, NewPeer, PeerLost, PrototypeToMain, Quit, ReopenLog,
    RouterToMain, WithFds,
};

/// Main's end of a port.
#[derive(Clone)]
pub enum Peer {
    /// To discovery.
    Discovery(Sender<MainToDiscovery, DiscoveryToMain>),
    /// To the controller.
    Controller(Sender<MainToController, ControllerToMain>),
    /// To the router.
    Router(Sender<MainToRouter, RouterToMain>),
    /// To a prototype.
    Prototype(Sender<MainToPrototype, PrototypeToMain>),
}

impl Peer {
    /// Tells it to stop.
    pub fn quit(&self, how: Quit) {
        match self {
            Self::Discovery(port) => say(port, MainToDiscovery::Quit(how)),
            Self::Controller(port) => say(port, MainToController::Quit(how)),
            Self::Router(port) => say(port, MainToRouter::Quit(how)),
            Self::Prototype(port) => say(port, MainToPrototype::Quit(how)),
        }
    }

    /// Gives it a port to somebody it may talk to.
    pub fn introduce(&self, peer: Identity, port_to_peer: OwnedFd) {
        let message = WithFds { body: NewPeer { peer }, fds: [port_to_peer] };
        match self {
            Self::Controller(port) => say(port, MainToController::NewPeer(message)),
            Self::Router(port) => say(port, MainToRouter::NewPeer(message)),
            // The role matrix introduces nobody to them.
            Self::Discovery(_) | Self::Prototype(_) => {}
        }
    }

    /// Tells it that somebody it knew is gone.
    pub fn tell_lost(&self, peer: Identity) {
        let message = PeerLost { peer };
        match self {
            Self::Controller(port) => say(port, MainToController::PeerLost(message)),
            Self::Router(port) => say(port, MainToRouter::PeerLost(message)),
            // The role matrix tells them of no loss.
            Self::Discovery(_) | Self::Prototype(_) => {}
        }
    }

    /// Has it move its standard error to a reopened log.
    pub fn reopen_log(&self, log: OwnedFd) {
        let message = WithFds { body: ReopenLog, fds: [log] };
        match self {
            Self::Controller(port) => say(port, MainToController::ReopenLog(message)),
            Self::Router(port) => say(port, MainToRouter::ReopenLog(message)),
            Self::Prototype(port) => say(port, MainToPrototype::ReopenLog(message)),
            // It is gone before the next line it would write.
            Self::Discovery(_) => {}
        }
    }
}

/// Sends a notice. A peer that is gone is noticed by its end, so only the rest is worth a line.
pub fn say<Tx: Direction, Rx: Direction>(port: &Sender<Tx, Rx>, message: Tx) {
    report(port, port.send(message));
}

/// Logs why something did not reach a peer.
pub fn report<Tx: Direction, Rx: Direction>(port: &Sender<Tx, Rx>, outcome: Result<(), SendError>) {
    match outcome {
        Ok(()) | Err(SendError::Closed) => {}
        Err(error) => {
            let Identity { role, pid, .. } = port.peer();
            unit_log::alert!("cannot send to {} {}: {error}", role.name(), pid.0);
        }
    }
}
