//! The control socket: bound under a temporary name, and given its own once the daemon has started.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};

use port_proto::ListenAddress;
use sys::errno::Described;
use sys::fs::OwnFile;
use sys::socket::{BindAddress, BindError};
use thiserror::Error;

use crate::address::{self, AddressError, show};

/// How many clients may wait for the controller.
const BACKLOG: i32 = 511;

/// Who may use a Unix control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The mode of the file.
    pub mode: u32,
    /// Its owner, if another.
    pub uid: Option<u32>,
    /// Its group, if another.
    pub gid: Option<u32>,
}

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum ControlSocketError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Another daemon answers there.
    #[error("connect({fd}, {address}) socket already in use")]
    InUse {
        /// The descriptor of the connection.
        fd: i32,
        /// The address.
        address: String,
    },
    /// The socket was not bound.
    #[error("{} failed {}", call(address, error), Described(&io::Error::from_raw_os_error(error.errno)))]
    Bind {
        /// The address, as far as it is bound.
        address: String,
        /// The call and its error.
        error: BindError,
    },
    /// Another daemon that is starting took its place.
    #[error("{address} was taken by another process")]
    Taken {
        /// The address.
        address: String,
    },
    /// Another call failed.
    #[error(
        "{call}({object}) failed {} while creating listening socket on {address}",
        Described(error)
    )]
    Call {
        /// The call.
        call: &'static str,
        /// What it was about.
        object: String,
        /// The address.
        address: String,
        /// The error.
        error: io::Error,
    },
}

fn call(address: &str, error: &BindError) -> String {
    let option = error.call.option().map(|option| format!(", {option}")).unwrap_or_default();
    format!("{}(\\\"{address}\\\"{option})", error.call.name())
}

/// A listening control socket.
#[derive(Debug)]
pub struct ControlSocket {
    socket: OwnedFd,
    /// The file of a Unix socket: the name it has, and the one it is to have.
    file: Option<SocketFile>,
}

#[derive(Debug)]
struct SocketFile {
    bound: PathBuf,
    path: PathBuf,
    address: String,
    /// The file under the name it has now: only this one is ever removed.
    own: OwnFile,
}

impl SocketFile {
    /// Finds the file under a name. Another daemon that starts at the same time removes what it
    /// takes for stale, and binds a socket of its own under the temporary name.
    fn check_is_at(&self, path: &Path) -> Result<OwnFile, ControlSocketError> {
        OwnFile::at(path)
            .ok()
            .filter(|found| found.is_same_file(&self.own))
            .ok_or_else(|| ControlSocketError::Taken { address: self.address.clone() })
    }
}

impl ControlSocket {
    /// Binds the socket and listens. A Unix socket does not have its name yet.
    ///
    /// # Errors
    /// [`ControlSocketError`], in the words of the log. No file is left then.
    pub fn bind(text: &str, access: Access) -> Result<Self, ControlSocketError> {
        let address = address::parse(text)?;
        match &address {
            ListenAddress::UnixPath(path) => Self::bind_path(path, access),
            ListenAddress::Inet(inet) => Self::bind_plain(&address, &BindAddress::Inet(*inet)),
            ListenAddress::UnixAbstract(name) => {
                Self::bind_plain(&address, &BindAddress::UnixAbstract(name.clone().into_bytes()))
            }
        }
    }

    /// Looks whether another daemon answers at an address, before anything is changed there.
    ///
    /// # Errors
    /// That one does, or that this is no address.
    pub fn check(text: &str) -> Result<(), ControlSocketError> {
        match address::parse(text)? {
            ListenAddress::UnixPath(path) => {
                refuse_if_answered(Path::new(&path), &format!("unix:{path}"))
            }
            // What is in use cannot be bound.
            ListenAddress::Inet(_) | ListenAddress::UnixAbstract(_) => Ok(()),
        }
    }

    /// Takes over a listening socket that the daemon was started with.
    #[must_use]
    pub fn inherit(socket: OwnedFd) -> Self {
        Self { socket, file: None }
    }

    fn bind_plain(
        address: &ListenAddress,
        bind_address: &BindAddress,
    ) -> Result<Self, ControlSocketError> {
        let address = show(address);
        let socket = sys::socket::bind_listener(bind_address)
            .map_err(|error| ControlSocketError::Bind { address: address.clone(), error })?;
        listen(&socket, &address)?;
        Ok(Self { socket, file: None })
    }

    fn bind_path(path: &str, access: Access) -> Result<Self, ControlSocketError> {
        let address = format!("unix:{path}");
        refuse_if_answered(Path::new(path), &address)?;
        create_parents(Path::new(path)).map_err(|error| ControlSocketError::Call {
            call: "mkdir",
            object: path.to_owned(),
            address: address.clone(),
            error,
        })?;
        let bound = PathBuf::from(format!("{path}.tmp"));
        remove_stale(&bound);
        let socket =
            sys::socket::bind_listener(&BindAddress::UnixPath(bound.clone())).map_err(|error| {
                ControlSocketError::Bind { address: format!("{address}.tmp"), error }
            })?;
        let own = OwnFile::at(&bound).map_err(|error| ControlSocketError::Call {
            call: "stat",
            object: bound.display().to_string(),
            address: address.clone(),
            error,
        })?;
        let file = SocketFile { bound, path: path.into(), address, own };
        let created = Self { socket, file: Some(file) };
        match created.open_to(access) {
            Ok(()) => Ok(created),
            Err(error) => {
                created.remove();
                Err(error)
            }
        }
    }

    /// Sets the file's mode and owner, then listens: until then nobody can connect.
    fn open_to(&self, access: Access) -> Result<(), ControlSocketError> {
        let Some(SocketFile { bound, address, .. }) = &self.file else { return Ok(()) };
        let failed = |call| {
            let (object, address) = (bound.display().to_string(), address.clone());
            move |error| ControlSocketError::Call { call, object, address, error }
        };
        let found = sys::fs::SocketFile::find(bound).map_err(failed("chmod"))?;
        found.set_mode(access.mode).map_err(failed("chmod"))?;
        if access.uid.is_some() || access.gid.is_some() {
            found.set_owner(access.uid, access.gid).map_err(failed("chown"))?;
        }
        listen(&self.socket, address)
    }

    /// Gives a Unix socket its name: from now on clients find it.
    ///
    /// # Errors
    /// What rename(2) says; or that another daemon was faster.
    pub fn publish(&mut self) -> Result<(), ControlSocketError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        refuse_if_answered(&file.path, &file.address)?;
        file.check_is_at(&file.bound)?;
        fs::rename(&file.bound, &file.path).map_err(|error| ControlSocketError::Call {
            call: "rename",
            object: file.bound.display().to_string(),
            address: file.address.clone(),
            error,
        })?;
        file.own = file.check_is_at(&file.path)?;
        file.bound.clone_from(&file.path);
        Ok(())
    }

    /// Removes the file of a Unix socket. That it is gone, or another daemon's by now, is no error.
    pub fn remove(&self) {
        if let Some(SocketFile { bound, own, .. }) = &self.file
            && let Err(error) = own.remove()
        {
            unit_log::alert!("unlink(\"{}\") failed {}", bound.display(), Described(&error));
        }
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn listen(socket: &OwnedFd, address: &str) -> Result<(), ControlSocketError> {
    sys::socket::listen(socket, BACKLOG).map_err(|error| ControlSocketError::Call {
        call: "listen",
        object: format!("{}, {BACKLOG}", socket.as_raw_fd()),
        address: address.to_owned(),
        error,
    })
}

/// A socket that somebody accepts on is not taken away from them.
fn refuse_if_answered(path: &Path, address: &str) -> Result<(), ControlSocketError> {
    match sys::socket::find_listener(path) {
        Ok(connection) => Err(ControlSocketError::InUse {
            fd: connection.as_raw_fd(),
            address: address.to_owned(),
        }),
        // Nothing there, or something stale; binding and renaming will tell the rest.
        Err(_) => Ok(()),
    }
}

fn create_parents(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o755).create(parent)
        }
        Some(_) | None => Ok(()),
    }
}

/// What a start that was interrupted left. Anything but a socket stays and makes binding fail.
fn remove_stale(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        // Whether it worked shows when the name is bound.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    const ACCESS: Access = Access { mode: 0o600, uid: None, gid: None };

    fn address(path: &Path) -> String {
        format!("unix:{}", path.display())
    }

    #[test]
    fn the_socket_appears_when_it_is_published_and_goes_when_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/unit/control.sock");
        let mut socket =
            ControlSocket::bind(&address(&path), Access { mode: 0o660, ..ACCESS }).unwrap();
        assert!(!path.exists());
        socket.publish().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o660);
        UnixStream::connect(&path).unwrap();
        socket.remove();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        drop(UnixListener::bind(directory.path().join("control.sock.tmp")).unwrap());
        let mut socket = ControlSocket::bind(&address(&path), ACCESS).unwrap();
        socket.publish().unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_socket_in_use_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let _other = UnixListener::bind(&path).unwrap();
        let error = ControlSocket::bind(&address(&path), ACCESS).unwrap_err().to_string();
        assert!(error.starts_with("connect("), "{error}");
        assert!(
            error.ends_with(&format!(", {}) socket already in use", address(&path))),
            "{error}"
        );
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn of_two_that_start_at_once_one_gets_the_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let mut first = ControlSocket::bind(&address(&path), ACCESS).unwrap();
        let mut second = ControlSocket::bind(&address(&path), ACCESS).unwrap();
        let error = first.publish().unwrap_err().to_string();
        assert_eq!(error, format!("{} was taken by another process", address(&path)));
        first.remove();
        second.publish().unwrap();
        UnixStream::connect(&path).unwrap();
        // One that was even faster is in use by then.
        let mut first = ControlSocket::bind(&address(&directory.path().join("a")), ACCESS).unwrap();
        let mut second =
            ControlSocket::bind(&address(&directory.path().join("b")), ACCESS).unwrap();
        second.publish().unwrap();
        fs::rename(directory.path().join("b"), directory.path().join("a")).unwrap();
        let error = first.publish().unwrap_err().to_string();
        assert!(error.ends_with("socket already in use"), "{error}");
    }

    #[test]
    fn the_socket_of_a_daemon_that_came_later_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let mut first = ControlSocket::bind(&address(&path), ACCESS).unwrap();
        first.publish().unwrap();
        fs::remove_file(&path).unwrap();
        let mut second = ControlSocket::bind(&address(&path), ACCESS).unwrap();
        second.publish().unwrap();
        first.remove();
        UnixStream::connect(&path).unwrap();
        second.remove();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        fs::write(directory.path().join("control.sock.tmp"), b"mine").unwrap();
        let error = ControlSocket::bind(&address(&path), ACCESS).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("bind(\\\"{}.tmp\\\") failed (98: Address already in use)", address(&path))
        );
        assert_eq!(fs::read(directory.path().join("control.sock.tmp")).unwrap(), b"mine");
    }

    #[test]
    fn tcp_and_abstract_sockets_have_no_file() {
        let name = format!("unix:@unitd-control-{}", std::process::id());
        let mut socket = ControlSocket::bind(&name, ACCESS).unwrap();
        socket.publish().unwrap();
        socket.remove();
        ControlSocket::bind("[", ACCESS).unwrap_err();
    }
}
