//! Sockets: pairs that carry packets with descriptors and credentials, and listening sockets.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sockopt,
};
use thiserror::Error;

use crate::fs::SocketFile;

/// The most descriptors one packet can carry here.
pub const PACKET_FDS_MAX: usize = 8;

/// How many bytes written to a stream socket its peer has not taken: acknowledged by the other system
/// for TCP, read by the other process for a Unix socket.
///
/// # Errors
/// What ioctl(2) says.
pub fn unsent(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut len: libc::c_int = 0;
    // SAFETY: the request writes one int, and the pointer is to a live one; the descriptor is borrowed
    // and so open.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut len) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(len).unwrap_or_default())
}

/// How many bytes written to a TCP socket were not even sent, as its peer has no room for them.
///
/// # Errors
/// What ioctl(2) says, for sockets that are not TCP's too.
pub fn not_sent(socket: BorrowedFd<'_>) -> io::Result<u64> {
    // linux/sockios.h; libc does not have it.
    const SIOCOUTQNSD: libc::Ioctl = 0x894B;
    let mut len: libc::c_int = 0;
    // SAFETY: the request writes one int, and the pointer is to a live one; the descriptor is borrowed
    // and so open.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCOUTQNSD, &raw mut len) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(len).unwrap_or_default())
}

/// Bounds how many bytes the kernel takes for a TCP socket beyond those it can send at once.
///
/// # Errors
/// What setsockopt(2) says, for sockets that are not TCP's too.
pub fn bound_unsent(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    let value: libc::c_uint = bytes;
    let len = libc::socklen_t::try_from(size_of_val(&value)).expect("four fit");
    let pointer = (&raw const value).cast();
    let (level, name) = (libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT);
    // SAFETY: the pointer is to a live integer of the length given; the descriptor is borrowed and so
    // open.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer, len) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How to send a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendMode {
    /// A peer that is gone is `EPIPE`, not a signal.
    pub nosignal: bool,
    /// A full socket is `EAGAIN`, whatever the peer made of the flags of its end.
    pub dontwait: bool,
}

impl SendMode {
    /// What a doorbell or port wants: no signal, no waiting.
    pub const PROMPT: Self = Self { nosignal: true, dontwait: true };
}

/// Who sent a packet, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The process; 0 when it is outside of the receiver's pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// A packet that arrived.
#[derive(Debug)]
pub struct ReceivedPacket {
    /// Bytes written to the buffer; zero without credentials is the end.
    pub len: usize,
    /// The descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// The sender, when the socket has `SO_PASSCRED`.
    pub credentials: Option<Credentials>,
    /// Whether bytes or descriptors were cut off; the descriptors are closed then.
    pub truncated: bool,
}

/// A connected pair of packet sockets: close-on-exec, not blocking, each with `SO_PASSCRED`.
///
/// # Errors
/// Those of `socketpair` and `setsockopt`.
pub fn seqpacket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (one, other) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    sockopt::set_socket_passcred(&one, true)?;
    sockopt::set_socket_passcred(&other, true)?;
    Ok((one, other))
}

/// Takes over an inherited packet socket, see [`crate::fd::take_inherited`]; also makes it
/// non-blocking and gives it `SO_PASSCRED`.
///
/// # Errors
/// Those of [`crate::fd::take_inherited`]; [`io::ErrorKind::InvalidInput`] when it is something
/// else, which is then left alone.
pub fn take_inherited_seqpacket(number: RawFd) -> io::Result<OwnedFd> {
    crate::fd::check_inherited(number)?;
    // SAFETY: the check found it open and not owned by anything in this process.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let is_port = matches!(sockopt::socket_type(borrowed), Ok(SocketType::SEQPACKET))
        && matches!(sockopt::socket_domain(borrowed), Ok(AddressFamily::UNIX));
    if !is_port {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {number} is not a packet socket"),
        ));
    }
    let fd = crate::fd::take_inherited(number)?;
    crate::fd::set_nonblocking(&fd, true)?;
    sockopt::set_socket_passcred(&fd, true)?;
    Ok(fd)
}

/// Sends one packet, whole or not at all.
///
/// # Errors
/// Those of `sendmsg`; [`io::ErrorKind::WouldBlock`] when the socket is full.
pub fn send_packet(
    socket: impl AsFd,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    mode: SendMode,
) -> io::Result<()> {
    if fds.len() > PACKET_FDS_MAX {
        return Err(Errno::INVAL.into());
    }
    let mut flags = SendFlags::empty();
    flags.set(SendFlags::NOSIGNAL, mode.nosignal);
    flags.set(SendFlags::DONTWAIT, mode.dontwait);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL.into());
    }
    // A packet socket takes all of it or nothing, so the count says nothing new.
    rustix::net::sendmsg(socket, parts, &mut control, flags)?;
    Ok(())
}

/// Bytes of a control message header, padded.
const CONTROL_HEADER: usize = align(size_of::<libc::cmsghdr>());

/// Bytes the credentials take in a control buffer.
const CREDENTIALS_SPACE: usize = CONTROL_HEADER + align(size_of::<libc::ucred>());

const fn align(len: usize) -> usize {
    len.next_multiple_of(size_of::<usize>())
}

/// Room for credentials and descriptors, aligned as the kernel writes them.
#[repr(C, align(8))]
struct Control([u8; CREDENTIALS_SPACE + CONTROL_HEADER + align(4 * PACKET_FDS_MAX)]);

/// Receives one packet with at most `max_fds` descriptors. A packet that is larger, or has more of
/// them, is reported as truncated and its descriptors are closed.
///
/// # Errors
/// Those of `recvmsg`; [`io::ErrorKind::WouldBlock`] when there is none.
pub fn recv_packet(
    socket: impl AsFd,
    buf: &mut [u8],
    max_fds: usize,
    dontwait: bool,
) -> io::Result<ReceivedPacket> {
    let max_fds = max_fds.min(PACKET_FDS_MAX);
    let mut control = Control([0; _]);
    let mut part = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let mut message = MaybeUninit::<libc::msghdr>::zeroed();
    // SAFETY: a message header is integers and pointers, for which zero is valid.
    let message = unsafe { message.assume_init_mut() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CREDENTIALS_SPACE + CONTROL_HEADER + align(4 * max_fds);
    let flags = libc::MSG_CMSG_CLOEXEC | if dontwait { libc::MSG_DONTWAIT } else { 0 };
    // SAFETY: the header points to one part that is the caller's buffer with its length, and to a
    // control buffer of at least the stated length; both outlive the call.
    let len = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), message, flags) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let mut packet = ReceivedPacket {
        len,
        fds: Vec::new(),
        credentials: None,
        truncated: message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
    };
    let written = message.msg_controllen.min(control.0.len());
    read_control(&control.0[..written], &mut packet);
    // Padding leaves room for a descriptor more than was asked for.
    if packet.fds.len() > max_fds {
        packet.truncated = true;
    }
    if packet.truncated {
        packet.fds.clear();
    }
    Ok(packet)
}

/// Reads the control messages the kernel wrote. Every descriptor in them becomes owned, whatever
/// else is wrong, so that none can leak.
fn read_control(mut bytes: &[u8], packet: &mut ReceivedPacket) {
    fn int(bytes: &[u8]) -> i32 {
        bytes.try_into().map_or(0, i32::from_ne_bytes)
    }
    while let Some((len, _)) = bytes.split_first_chunk() {
        let len = usize::from_ne_bytes(*len);
        if len < CONTROL_HEADER || len > bytes.len() {
            break;
        }
        let (level, kind) = (
            int(&bytes[CONTROL_HEADER - 8..CONTROL_HEADER - 4]),
            int(&bytes[CONTROL_HEADER - 4..CONTROL_HEADER]),
        );
        let data = &bytes[CONTROL_HEADER..len];
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            for number in data.chunks_exact(4).map(int) {
                // SAFETY: the kernel has just installed this descriptor for us and tells of it
                // once, so nothing else owns it.
                packet.fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        } else if (level, kind) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) && data.len() >= 12 {
            let id = |at: usize| int(&data[at..at + 4]);
            packet.credentials = Some(Credentials {
                pid: id(0),
                uid: id(4).cast_unsigned(),
                gid: id(8).cast_unsigned(),
            });
        }
        bytes = bytes.get(align(len)..).unwrap_or(&[]);
    }
}

/// The process at the other end of a connected Unix socket when it connected, as the kernel says.
///
/// # Errors
/// Those of `getsockopt(SO_PEERCRED)`.
pub fn peer_credentials(socket: impl AsFd) -> io::Result<Credentials> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
    // SAFETY: both pointers are to locals of the stated length. `rustix` is not used because its
    // type cannot hold the pid 0 of a process in another namespace.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Credentials { pid: credentials.pid, uid: credentials.uid, gid: credentials.gid })
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// TCP over IPv4 or IPv6.
    Inet(SocketAddr),
    /// A Unix socket in the file system, which becomes accessible to everyone.
    UnixPath(PathBuf),
    /// A Unix socket in the abstract namespace, without the leading NUL.
    UnixAbstract(Vec<u8>),
}

/// The call that failed while a listening socket was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindCall {
    /// `socket`.
    Socket,
    /// `setsockopt` for `SO_REUSEADDR`.
    ReuseAddr,
    /// `setsockopt` for `IPV6_V6ONLY`.
    V6Only,
    /// `bind`.
    Bind,
    /// `chmod` of a Unix socket.
    Chmod,
}

impl BindCall {
    /// The name of the call.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::ReuseAddr | Self::V6Only => "setsockopt",
            Self::Bind => "bind",
            Self::Chmod => "chmod",
        }
    }

    /// The option, where the call is about one.
    #[must_use]
    pub const fn option(self) -> Option<&'static str> {
        match self {
            Self::ReuseAddr => Some("SO_REUSEADDR"),
            Self::V6Only => Some("IPV6_V6ONLY"),
            Self::Socket | Self::Bind | Self::Chmod => None,
        }
    }
}

/// Why a listening socket was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{call} failed ({errno}: {})", ErrnoText(*errno))]
pub struct BindError {
    /// The call that failed.
    pub call: BindCall,
    /// Its error number.
    pub errno: i32,
}

impl fmt::Display for BindCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.option() {
            Some(option) => write!(f, "{}({option})", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

/// The system's sentence for an error number, without the number.
#[derive(Clone, Copy, Debug)]
pub struct ErrnoText(pub i32);

impl fmt::Display for ErrnoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = io::Error::from_raw_os_error(self.0).to_string();
        f.write_str(text.split(" (os error").next().unwrap_or(&text))
    }
}

/// Makes a stream socket and binds it: `SO_REUSEADDR`, `IPV6_V6ONLY` for IPv6, mode 0666 for a
/// path. Close-on-exec and not blocking; [`listen`] comes next.
///
/// # Errors
/// [`BindError`] naming the failed call. A path that was bound before `chmod` failed is removed.
pub fn bind_listener(address: &BindAddress) -> Result<OwnedFd, BindError> {
    let fail = |call| move |errno: Errno| BindError { call, errno: errno.raw_os_error() };
    let family = match address {
        BindAddress::Inet(SocketAddr::V4(_)) => AddressFamily::INET,
        BindAddress::Inet(SocketAddr::V6(_)) => AddressFamily::INET6,
        BindAddress::UnixPath(_) | BindAddress::UnixAbstract(_) => AddressFamily::UNIX,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)
        .map_err(fail(BindCall::Socket))?;
    sockopt::set_socket_reuseaddr(&socket, true).map_err(fail(BindCall::ReuseAddr))?;
    if family == AddressFamily::INET6 {
        sockopt::set_ipv6_v6only(&socket, true).map_err(fail(BindCall::V6Only))?;
    }
    match address {
        BindAddress::Inet(address) => {
            rustix::net::bind(&socket, address).map_err(fail(BindCall::Bind))?;
        }
        BindAddress::UnixPath(path) => {
            let name = SocketAddrUnix::new(path.as_path()).map_err(fail(BindCall::Bind))?;
            rustix::net::bind(&socket, &name).map_err(fail(BindCall::Bind))?;
            open_to_everyone(path).map_err(fail(BindCall::Chmod))?;
        }
        BindAddress::UnixAbstract(name) => {
            let name = SocketAddrUnix::new_abstract_name(name).map_err(fail(BindCall::Bind))?;
            rustix::net::bind(&socket, &name).map_err(fail(BindCall::Bind))?;
        }
    }
    Ok(socket)
}

/// Gives the socket under a name mode 0666, or removes it again.
fn open_to_everyone(path: &Path) -> Result<(), Errno> {
    // In a directory that others can write to, the name may lead elsewhere by now.
    let change = SocketFile::find(path).and_then(|socket| socket.set_mode(0o666));
    change.map_err(|error| {
        // The error to report is that of the change.
        let _ = rustix::fs::unlink(path);
        Errno::from_io_error(&error).unwrap_or(Errno::IO)
    })
}

/// Starts listening, or changes the backlog of a socket that listens; -1 is the kernel's limit.
///
/// # Errors
/// Those of `listen`.
pub fn listen(socket: impl AsFd, backlog: i32) -> io::Result<()> {
    Ok(rustix::net::listen(socket, backlog)?)
}

/// Finds out whether somebody listens on a Unix socket, without waiting for them if they have too
/// much to accept already. The answer is the connection made for it, complete or not.
///
/// # Errors
/// Those of `connect`: nobody does.
pub fn find_listener(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Has connections accepted only once their first data has arrived (TCP only).
///
/// # Errors
/// Those of `setsockopt(TCP_DEFER_ACCEPT)`.
pub fn defer_accept(socket: impl AsFd, seconds: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
    let len = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    // SAFETY: the pointer is to a local of the stated length. `rustix` has no wrapper for it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const value).cast(),
            len,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ends a connection both ways, for everyone who holds the socket.
///
/// # Errors
/// Those of `shutdown`.
pub fn shut_down(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(socket, rustix::net::Shutdown::Both)?)
}

#[cfg(test)]
mod tests;
