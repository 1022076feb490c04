//! The listening sockets. Main keeps every one open, so that none is lost with a router.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use port_proto::{ListenAddress, ListenerErrorClass, ListenerRefusal};
use sys::errno::Described;
use sys::fs::OwnFile;
use sys::socket::{BindAddress, BindCall, BindError};

use crate::address::show;

/// How long the kernel may hold a connection back until its first data arrive.
const DEFER_ACCEPT_SECS: u32 = 1;

/// The error numbers that have a class of their own.
mod errno {
    pub(super) const ENOENT: i32 = 2;
    pub(super) const EACCES: i32 = 13;
    pub(super) const ENOTDIR: i32 = 20;
    pub(super) const EAFNOSUPPORT: i32 = 97;
    pub(super) const EADDRINUSE: i32 = 98;
    pub(super) const EADDRNOTAVAIL: i32 = 99;
}

/// The listening sockets by their addresses.
#[derive(Debug, Default)]
pub struct Listeners {
    held: BTreeMap<ListenAddress, Listener>,
}

#[derive(Debug)]
struct Listener {
    socket: OwnedFd,
    /// As main set it; not set for a socket the daemon was started with, which stays for ever:
    /// nobody could make it again.
    backlog: Option<i32>,
    /// The file, when main made it; only such a one is ever removed.
    file: Option<OwnFile>,
}

/// Removes a socket file. That it is gone, or another one by now, is no error.
fn remove(file: OwnFile, address: &ListenAddress) {
    if let Err(error) = file.remove() {
        unit_log::alert!("unlink({}) failed {}", show(address), Described(&error));
    }
}

/// A socket for the router.
#[derive(Debug)]
pub struct Opened {
    /// The socket, listening.
    pub socket: OwnedFd,
    /// Whether it was made just now.
    pub created: bool,
}

impl Listeners {
    /// Takes over a listening socket that the daemon was started with.
    pub fn inherit(&mut self, address: ListenAddress, socket: OwnedFd) {
        self.held.insert(address, Listener { socket, backlog: None, file: None });
    }

    /// The addresses that are held.
    pub fn addresses(&self) -> impl Iterator<Item = &ListenAddress> {
        self.held.keys()
    }

    /// Hands out the socket of an address, making it if there is none.
    ///
    /// # Errors
    /// The class and the text of the failed call, which has been logged.
    pub fn open(
        &mut self,
        address: &ListenAddress,
        backlog: i32,
    ) -> Result<Opened, ListenerRefusal> {
        self.try_open(address, backlog).inspect_err(|refusal| {
            unit_log::alert!("{}", refusal.text);
        })
    }

    fn try_open(
        &mut self,
        address: &ListenAddress,
        backlog: i32,
    ) -> Result<Opened, ListenerRefusal> {
        if let Some(held) = self.held.get_mut(address) {
            if held.backlog.is_some_and(|set| set != backlog) {
                listen(&held.socket, backlog)?;
                held.backlog = Some(backlog);
            }
            return Ok(Opened { socket: duplicate(&held.socket)?, created: false });
        }
        let listener = create(address, backlog)?;
        let socket = duplicate(&listener.socket)?;
        self.held.insert(address.clone(), listener);
        Ok(Opened { socket, created: true })
    }

    /// Closes every socket whose address is not among these, and removes its file.
    pub fn keep(&mut self, addresses: &[ListenAddress]) {
        let released: Vec<ListenAddress> = self
            .held
            .iter()
            .filter(|(address, held)| held.backlog.is_some() && !addresses.contains(address))
            .map(|(address, _)| address.clone())
            .collect();
        for address in released {
            if let Some(Listener { file: Some(file), .. }) = self.held.remove(&address) {
                remove(file, &address);
            }
        }
    }
}

fn create(address: &ListenAddress, backlog: i32) -> Result<Listener, ListenerRefusal> {
    let (bind_address, path) = match address {
        ListenAddress::Inet(inet) => (BindAddress::Inet(*inet), None),
        ListenAddress::UnixPath(path) => {
            (BindAddress::UnixPath(path.into()), Some(Path::new(path)))
        }
        ListenAddress::UnixAbstract(name) => {
            (BindAddress::UnixAbstract(name.clone().into_bytes()), None)
        }
    };
    let socket =
        sys::socket::bind_listener(&bind_address).map_err(|error| bind_refusal(address, &error))?;
    let file = path.and_then(|path| OwnFile::at(path).ok());
    let listening = listen(&socket, backlog);
    if matches!(address, ListenAddress::Inet(_)) {
        // Without it connections are only accepted a little earlier.
        let _ = sys::socket::defer_accept(&socket, DEFER_ACCEPT_SECS);
    }
    match (listening, file) {
        (Ok(()), file) => Ok(Listener { socket, backlog: Some(backlog), file }),
        (Err(refusal), file) => {
            if let Some(file) = file {
                remove(file, address);
            }
            Err(refusal)
        }
    }
}

fn listen(socket: &OwnedFd, backlog: i32) -> Result<(), ListenerRefusal> {
    sys::socket::listen(socket, backlog).map_err(|error| {
        use std::os::fd::AsRawFd;
        let call = format!("listen({}, {backlog}) failed", socket.as_raw_fd());
        system_refusal(&call, &error)
    })
}

fn duplicate(socket: &OwnedFd) -> Result<OwnedFd, ListenerRefusal> {
    sys::fd::duplicate(socket).map_err(|error| system_refusal("dup() failed", &error))
}

fn system_refusal(call: &str, error: &io::Error) -> ListenerRefusal {
    ListenerRefusal {
        class: ListenerErrorClass::System,
        text: format!("{call} {}", Described(error)),
    }
}

/// The refusal in the words of the log. The backslashes are part of them.
fn bind_refusal(address: &ListenAddress, error: &BindError) -> ListenerRefusal {
    let object = match (error.call, address) {
        (BindCall::Chmod, ListenAddress::UnixPath(path)) => path.clone(),
        (
            BindCall::Socket
            | BindCall::ReuseAddr
            | BindCall::V6Only
            | BindCall::Bind
            | BindCall::Chmod,
            address,
        ) => show(address),
    };
    let option = error.call.option().map(|option| format!(", {option}")).unwrap_or_default();
    let described = io::Error::from_raw_os_error(error.errno);
    ListenerRefusal {
        class: class_of(address, error),
        text: format!(
            "{}(\\\"{object}\\\"{option}) failed {}",
            error.call.name(),
            Described(&described)
        ),
    }
}

fn class_of(address: &ListenAddress, error: &BindError) -> ListenerErrorClass {
    let inet = matches!(address, ListenAddress::Inet(_));
    let v6 = matches!(address, ListenAddress::Inet(address) if address.is_ipv6());
    match (error.call, error.errno) {
        (BindCall::Socket, errno::EAFNOSUPPORT) if v6 => ListenerErrorClass::NoIpv6,
        (BindCall::Bind, errno::EACCES) if inet => ListenerErrorClass::Port,
        (BindCall::Bind, errno::EADDRINUSE) if inet => ListenerErrorClass::InUse,
        (BindCall::Bind, errno::EADDRNOTAVAIL) => ListenerErrorClass::NoAddress,
        (BindCall::Bind, errno::EACCES) => ListenerErrorClass::NoAccess,
        (BindCall::Bind, errno::ENOENT | errno::ENOTDIR) if !inet => ListenerErrorClass::Path,
        (
            BindCall::Socket
            | BindCall::ReuseAddr
            | BindCall::V6Only
            | BindCall::Bind
            | BindCall::Chmod,
            _,
        ) => ListenerErrorClass::System,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn inet(text: &str) -> ListenAddress {
        ListenAddress::Inet(text.parse().unwrap())
    }

    /// An address that no test running beside this one is given.
    fn free_address() -> SocketAddr {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let host = Ipv4Addr::new(127, 17, 0, NEXT.fetch_add(1, Ordering::Relaxed));
        TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
    }

    fn unix(path: &Path) -> ListenAddress {
        ListenAddress::UnixPath(path.to_str().unwrap().into())
    }

    #[test]
    fn an_address_asked_for_again_is_the_same_socket() {
        let mut listeners = Listeners::default();
        let address = ListenAddress::Inet(free_address());
        let first = listeners.open(&address, 511).unwrap();
        let second = listeners.open(&address, -1).unwrap();
        assert!(first.created && !second.created);
        let (first, second) = (TcpListener::from(first.socket), TcpListener::from(second.socket));
        assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
    }

    #[test]
    fn an_inherited_socket_is_never_closed() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenAddress::Inet(socket.local_addr().unwrap());
        let mut listeners = Listeners::default();
        listeners.inherit(address.clone(), socket.into());
        listeners.keep(&[]);
        assert!(!listeners.open(&address, 511).unwrap().created);
    }

    #[test]
    fn connections_wait_while_nobody_but_main_holds_the_socket() {
        let mut listeners = Listeners::default();
        let address = free_address();
        drop(listeners.open(&ListenAddress::Inet(address), 511).unwrap());
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn what_is_not_kept_can_be_bound_by_others_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("listener.sock");
        let mut listeners = Listeners::default();
        let (kept, released) = (free_address(), free_address());
        for address in [ListenAddress::Inet(kept), ListenAddress::Inet(released), unix(&path)] {
            listeners.open(&address, 511).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        listeners.keep(&[ListenAddress::Inet(kept)]);
        assert_eq!(listeners.addresses().collect::<Vec<_>>(), [&ListenAddress::Inet(kept)]);
        assert!(!path.exists());
        // Another test of this process may be between fork and exec, with copies of all that is
        // open here.
        let deadline = Instant::now() + Duration::from_secs(5);
        while let Err(error) = TcpListener::bind(released) {
            assert!(Instant::now() < deadline, "{released}: {error}");
            std::thread::yield_now();
        }
        UnixListener::bind(&path).unwrap();
    }

    #[test]
    fn a_socket_file_of_somebody_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("listener.sock");
        let mut listeners = Listeners::default();
        listeners.open(&unix(&path), 511).unwrap();
        // The other socket exists before ours goes, so that it cannot get its inode.
        let other = directory.path().join("other.sock");
        let _other = UnixListener::bind(&other).unwrap();
        fs::rename(&other, &path).unwrap();
        listeners.keep(&[]);
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
        listeners.open(&unix(&path), 511).unwrap();
        fs::remove_file(&path).unwrap();
        listeners.keep(&[]);
    }

    #[test]
    fn failures_have_class_and_text() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing/listener.sock");
        let below_file = directory.path().join("file/listener.sock");
        fs::write(directory.path().join("file"), b"").unwrap();
        let stale = directory.path().join("stale.sock");
        fs::write(&stale, b"").unwrap();
        for (address, class, text) in [
            (
                ListenAddress::Inet(taken),
                ListenerErrorClass::InUse,
                format!("bind(\\\"{taken}\\\") failed (98: Address already in use)"),
            ),
            (
                inet("192.0.2.1:80"),
                ListenerErrorClass::NoAddress,
                "bind(\\\"192.0.2.1:80\\\") failed (99: Cannot assign requested address)".into(),
            ),
            (
                unix(&path),
                ListenerErrorClass::Path,
                format!(
                    "bind(\\\"unix:{}\\\") failed (2: No such file or directory)",
                    path.display()
                ),
            ),
            (
                unix(&below_file),
                ListenerErrorClass::Path,
                format!("bind(\\\"unix:{}\\\") failed (20: Not a directory)", below_file.display()),
            ),
            (
                unix(&stale),
                ListenerErrorClass::System,
                format!(
                    "bind(\\\"unix:{}\\\") failed (98: Address already in use)",
                    stale.display()
                ),
            ),
        ] {
            let refusal = Listeners::default().open(&address, 511).unwrap_err();
            assert_eq!((refusal.class, refusal.text), (class, text));
        }
    }

    #[test]
    fn classes_follow_call_and_family() {
        let at = |call, errno| BindError { call, errno };
        let path = ListenAddress::UnixPath("/x".into());
        for (address, call, errno, class) in [
            (inet("[::1]:80"), BindCall::Socket, 97, ListenerErrorClass::NoIpv6),
            (inet("127.0.0.1:80"), BindCall::Socket, 97, ListenerErrorClass::System),
            (inet("127.0.0.1:80"), BindCall::Bind, 13, ListenerErrorClass::Port),
            (path.clone(), BindCall::Bind, 13, ListenerErrorClass::NoAccess),
            (path.clone(), BindCall::Chmod, 13, ListenerErrorClass::System),
            (inet("127.0.0.1:80"), BindCall::Bind, 24, ListenerErrorClass::System),
        ] {
            assert_eq!(class_of(&address, &at(call, errno)), class, "{address:?} {call:?} {errno}");
        }
        let refusal = bind_refusal(&path, &at(BindCall::Chmod, 1));
        assert_eq!(refusal.text, "chmod(\\\"/x\\\") failed (1: Operation not permitted)");
        let refusal = bind_refusal(&inet("[::1]:80"), &at(BindCall::V6Only, 92));
        assert_eq!(
            refusal.text,
            "setsockopt(\\\"[::1]:80\\\", IPV6_V6ONLY) failed (92: Protocol not available)"
        );
    }
}
