//! The listening control socket and the connections it brings.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;

use crate::http::{Connection, Share, serve};

/// The most connections at a time; more wait in the kernel's queue. Well below the usual limit of
/// 1024 descriptors: a process that has run out of them can no longer receive its peers' ports.
const CONNECTIONS_MAX: usize = 512;

/// How long to leave clients waiting after accepting one failed, as it will again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listening control socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Takes the socket that main made, of whichever family it is.
    pub(crate) fn from_fd(socket: OwnedFd) -> io::Result<Self> {
        let unix = std::os::unix::net::UnixListener::from(socket);
        unix.set_nonblocking(true)?;
        if unix.local_addr().is_ok() {
            return Ok(Self::Unix(UnixListener::from_std(unix)?));
        }
        let tcp = std::net::TcpListener::from(OwnedFd::from(unix));
        Ok(Self::Tcp(TcpListener::from_std(tcp)?))
    }

    /// Accepts and serves connections, until it is dropped.
    pub(crate) async fn serve(self, share: Share) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut number = 0;
        while let Ok(slot) = slots.clone().acquire_owned().await {
            number += 1;
            let share = share.clone();
            let accepted = match &self {
                Self::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                    spawn_local(async move {
                        serve(Connection { stream, number }, share).await;
                        drop(slot);
                    })
                }),
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    spawn_local(async move {
                        serve(Connection { stream, number }, share).await;
                        drop(slot);
                    })
                }),
            };
            if let Err(error) = accepted {
                unit_log::warn!("accepting a control connection failed: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
