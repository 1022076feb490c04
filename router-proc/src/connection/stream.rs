//! A client's byte stream, of whatever family.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use conf::PeerAddress;
use rustix::net::{SendFlags, Shutdown};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::event_loop::Socket;

/// A client's byte stream.
#[derive(Debug)]
pub enum Stream {
    /// TCP, with the client's address as it was accepted: the kernel does not tell it any more once
    /// the client has reset the connection, and what it sent before is read all the same.
    Tcp(TcpStream, SocketAddr),
    /// A Unix socket.
    Unix(UnixStream),
}

/// How far a client has hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// Not at all.
    No,
    /// It sends nothing more; whether it still reads shows only when it is written to.
    Half,
    /// It is gone.
    Whole,
}

impl Stream {
    /// The socket.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream, _) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    /// Reads what there is, at most as much as `buf` takes; 0 is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        let read = match self {
            Self::Tcp(stream, _) => Pin::new(stream).poll_read(cx, &mut buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        };
        read.map_ok(|()| buf.filled().len())
    }

    /// Writes as much as there is room for.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream, _) => Pin::new(stream).poll_write(cx, data),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    /// Writes as much as there is room for and lets the kernel wait for more before it makes a
    /// segment of it.
    ///
    /// # Errors
    /// Those of `send`; [`io::ErrorKind::WouldBlock`] when there is no room.
    pub fn try_write_more(&self, data: &[u8]) -> io::Result<usize> {
        let send = |socket: BorrowedFd<'_>| {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            rustix::net::send(socket, data, flags).map_err(io::Error::from)
        };
        match self {
            Self::Tcp(stream, _) => stream.try_io(Interest::WRITABLE, || send(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(Interest::WRITABLE, || send(stream.as_fd())),
        }
    }

    /// Sends a stretch of a file; `offset` moves by what was sent. `Ok(0)`: the file ends there.
    ///
    /// # Errors
    /// Those of `sendfile`; [`io::ErrorKind::WouldBlock`] when there is no room.
    pub fn try_sendfile(
        &self,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        len: usize,
    ) -> io::Result<usize> {
        let send = |socket: BorrowedFd<'_>, offset: &mut u64| {
            rustix::fs::sendfile(socket, file, Some(offset), len).map_err(io::Error::from)
        };
        match self {
            Self::Tcp(stream, _) => {
                stream.try_io(Interest::WRITABLE, || send(stream.as_fd(), offset))
            }
            Self::Unix(stream) => {
                stream.try_io(Interest::WRITABLE, || send(stream.as_fd(), offset))
            }
        }
    }

    /// Whether there is room to write.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream, _) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// How many of the bytes written the client has not taken yet, as far as the kernel knows.
    pub fn unsent(&self) -> Option<u64> {
        sys::socket::unsent(self.as_fd()).ok()
    }

    /// How many of the bytes written could not be sent yet; nothing for a Unix socket.
    pub fn not_sent(&self) -> Option<u64> {
        sys::socket::not_sent(self.as_fd()).ok()
    }

    /// Bounds how many bytes the kernel takes beyond those it can send.
    pub fn bound_unsent(&self, bytes: u32) {
        // It costs time without, and is not wrong.
        let _ = sys::socket::bound_unsent(self.as_fd(), bytes);
    }

    /// How far the client has hung up, as far as that is known without reading.
    pub fn hang_up(&self, cx: &mut Context<'_>) -> HangUp {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let ready = match self {
            Self::Tcp(stream, _) => pin!(stream.ready(interest)).poll(cx),
            Self::Unix(stream) => pin!(stream.ready(interest)).poll(cx),
        };
        match ready {
            Poll::Ready(Ok(ready)) if ready.is_error() || ready.is_write_closed() => HangUp::Whole,
            Poll::Ready(Ok(ready)) if ready.is_read_closed() => HangUp::Half,
            Poll::Ready(Ok(_)) | Poll::Pending => HangUp::No,
            Poll::Ready(Err(_)) => HangUp::Whole,
        }
    }

    /// Says that nothing more will be written.
    pub fn shut_down_writing(&self) {
        // A peer that is gone need not be told.
        let _ = match self {
            Self::Tcp(stream, _) => rustix::net::shutdown(stream, Shutdown::Write),
            Self::Unix(stream) => rustix::net::shutdown(stream, Shutdown::Write),
        };
    }

    /// Small segments are to be sent at once.
    pub fn set_nodelay(&self) {
        if let Self::Tcp(stream, _) = self {
            // It is slower without, not wrong.
            let _ = stream.set_nodelay(true);
        }
    }

    /// The client's address.
    pub fn peer(&self) -> PeerAddress {
        match self {
            Self::Tcp(_, peer) => PeerAddress::Inet(*peer),
            Self::Unix(_) => PeerAddress::Unix,
        }
    }

    /// The address the client connected to.
    pub fn local(&self) -> PeerAddress {
        match self {
            // A socket always has one; without, it must at least not pass for a Unix socket.
            Self::Tcp(stream, _) => {
                PeerAddress::Inet(stream.local_addr().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into()))
            }
            Self::Unix(_) => PeerAddress::Unix,
        }
    }

    /// `unix:` and the name of the Unix socket the client connected to; nothing for TCP.
    pub fn unix_name(&self) -> Vec<u8> {
        let Self::Unix(stream) = self else { return Vec::new() };
        let mut name = b"unix:".to_vec();
        if let Ok(address) = stream.local_addr() {
            if let Some(path) = address.as_pathname() {
                name.extend_from_slice(path.as_os_str().as_bytes());
            } else if let Some(abstract_name) = address.as_abstract_name() {
                name.push(b'@');
                name.extend_from_slice(abstract_name);
            }
        }
        name
    }

    /// Ends the watch of this loop, so that another can take it.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn into_socket(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream, peer) => stream.into_std().map(|stream| Socket::Tcp(stream, peer)),
            Self::Unix(stream) => stream.into_std().map(Socket::Unix),
        }
    }
}
