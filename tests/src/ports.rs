//! TCP ports that no other test, and no outgoing connection, takes meanwhile.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what Linux gives to outgoing connections, so that none of those can take a port between
/// its choice and its use.
const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

/// Where this process looks next.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that is ours while this lives, in whichever process of the machine others look.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) port: u16,
    _claim: UnixDatagram,
}

/// Reserves a port nobody listens on.
pub(crate) fn reserve() -> Reservation {
    let here = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Processes with neighbouring ids begin far from each other.
        let offset = (u32::from(here) * 97 + u32::from(step)) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).unwrap();
        let name = SocketAddr::from_abstract_name(format!("unit-test-port-{port}")).unwrap();
        let Ok(claim) = UnixDatagram::bind_addr(&name) else { continue };
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Reservation { port, _claim: claim };
        }
    }
    panic!("no free port from {FIRST} on");
}
