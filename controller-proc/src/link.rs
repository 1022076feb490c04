//! The port to the router: found, lost, and found again.

use std::future::pending;
use std::os::fd::OwnedFd;
use std::time::Duration;

use port_io::{ConnectError, Receiver, Sender, connect};
use port_proto::{ControllerToRouter, Identity, RouterToController};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How long a router may be without a port to us, though main has not said that it is gone.
const STRANDED_MAX: Duration = Duration::from_secs(10);

pub(crate) type ToRouter = Sender<ControllerToRouter, RouterToController>;
type FromRouter = Receiver<ControllerToRouter, RouterToController>;

/// What became of the link.
#[derive(Debug)]
pub(crate) enum Change {
    /// There is a router.
    Found,
    /// It is gone, or at least its port.
    Lost,
    /// The port is gone, but the router is not. Nobody will make a new one for it: only a
    /// controller that starts anew is introduced again.
    Stranded,
}

/// The port to the router, if there is one.
pub(crate) struct RouterLink {
    me: Identity,
    port: Option<(ToRouter, FromRouter)>,
    connecting: JoinSet<Result<(ToRouter, FromRouter), ConnectError>>,
    /// The router that main spoke of last and has not called lost.
    peer: Option<Identity>,
    stranded_at: Option<Instant>,
}

impl RouterLink {
    pub(crate) fn new(me: Identity) -> Self {
        Self { me, port: None, connecting: JoinSet::new(), peer: None, stranded_at: None }
    }

    /// Main introduces a router. Any earlier port is closed.
    pub(crate) fn introduce(&mut self, peer: Identity, socket: OwnedFd) {
        self.close();
        self.peer = Some(peer);
        self.connecting.spawn_local(connect(socket, self.me, peer));
    }

    /// Main says that a router is gone. Whether it was this one.
    pub(crate) fn forget(&mut self, peer: Identity) -> bool {
        let known = self.peer == Some(peer);
        if known {
            self.close();
            self.peer = None;
        }
        known
    }

    /// Where to send questions.
    pub(crate) fn sender(&self) -> Option<ToRouter> {
        self.port.as_ref().map(|(sender, _)| sender.clone())
    }

    /// Waits for the next change. Must always be waited for: this drives the port. It can be
    /// dropped and called again.
    pub(crate) async fn changed(&mut self) -> Change {
        let stranded_at = self.stranded_at;
        let stranded = async {
            match stranded_at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(connected) = self.connecting.join_next() => match connected {
                Ok(Ok(port)) => {
                    self.port = Some(port);
                    Change::Found
                }
                Ok(Err(error)) => {
                    unit_log::warn!("no port to the router: {error}");
                    self.strand()
                }
                Err(_) => self.strand(), // it panicked, and so have we
            },
            () = ended(self.port.as_mut()) => self.strand(),
            () = stranded => {
                self.stranded_at = None;
                Change::Stranded
            }
        }
    }

    fn strand(&mut self) -> Change {
        self.close();
        self.stranded_at = Some(Instant::now() + STRANDED_MAX);
        Change::Lost
    }

    fn close(&mut self) {
        self.port = None;
        self.connecting = JoinSet::new();
        self.stranded_at = None;
    }
}

/// Waits for the end of a port. The router says nothing of its own accord.
async fn ended(port: Option<&mut (ToRouter, FromRouter)>) {
    match port {
        Some((_, receiver)) => {
            if let Some((_, message)) = receiver.recv().await {
                match message {}
            }
        }
        None => pending().await,
    }
}
