//! Packets over real pairs, and listening sockets on real addresses.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use super::*;

fn send(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_packet(socket, &[IoSlice::new(bytes)], fds, SendMode::PROMPT)
}

fn file_with(text: &str) -> File {
    let mut file = tempfile::tempfile().expect("makes");
    file.write_all(text.as_bytes()).expect("writes");
    file
}

#[test]
fn packets_keep_their_bounds_descriptors_and_sender() {
    let (ours, theirs) = seqpacket_pair().expect("makes");
    let file = file_with("carried");
    let parts = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")];
    send_packet(&ours, &parts, &[file.as_fd(), ours.as_fd()], SendMode::PROMPT).expect("sends");
    send(&ours, b"second", &[]).expect("sends");
    let mut buf = [0; 64];
    let mut packet = recv_packet(&theirs, &mut buf, 2, true).expect("arrives");
    assert_eq!(&buf[..packet.len], b"headbody");
    assert!(!packet.truncated);
    let credentials = packet.credentials.expect("is passed");
    assert_eq!(i64::from(credentials.pid), i64::from(std::process::id()));
    assert_eq!(credentials.uid, rustix::process::geteuid().as_raw());
    assert_eq!(packet.fds.len(), 2);
    for fd in &packet.fds {
        assert!(crate::fd::is_close_on_exec(fd.as_fd()).expect("is open"));
    }
    let mut carried = File::from(packet.fds.remove(0));
    let mut text = String::new();
    carried.rewind().expect("seeks");
    carried.read_to_string(&mut text).expect("reads");
    assert_eq!(text, "carried");
    let packet = recv_packet(&theirs, &mut buf, 2, true).expect("arrives");
    assert_eq!((&buf[..packet.len], packet.fds.len()), (&b"second"[..], 0));
    let nothing = recv_packet(&theirs, &mut buf, 2, true).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn the_end_differs_from_an_empty_packet() {
    let (ours, theirs) = seqpacket_pair().expect("makes");
    send(&ours, b"", &[]).expect("sends");
    drop(ours);
    let mut buf = [0; 8];
    let empty = recv_packet(&theirs, &mut buf, 1, true).expect("arrives");
    assert_eq!((empty.len, empty.credentials.is_some()), (0, true));
    let end = recv_packet(&theirs, &mut buf, 1, true).expect("is the end");
    assert_eq!((end.len, end.credentials), (0, None));
    let error = send(&theirs, b"x", &[]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// A pipe end in a packet is closed when the other end sees the end of the pipe.
fn sent_pipes(socket: &OwnedFd, bytes: &[u8], count: usize) -> Vec<std::io::PipeReader> {
    let (readers, writers): (Vec<_>, Vec<_>) =
        (0..count).map(|_| std::io::pipe().expect("makes")).unzip();
    let borrowed: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
    send(socket, bytes, &borrowed).expect("sends");
    readers
}

fn all_closed(readers: Vec<std::io::PipeReader>) {
    for mut reader in readers {
        assert_eq!(reader.read(&mut [0]).expect("reads"), 0);
    }
}

#[test]
fn a_packet_too_long_is_truncated_and_its_descriptors_are_closed() {
    let (ours, theirs) = seqpacket_pair().expect("makes");
    let pipes = sent_pipes(&ours, b"too long", 2);
    let packet = recv_packet(&theirs, &mut [0; 4], 2, true).expect("arrives");
    assert!(packet.truncated && packet.fds.is_empty());
    all_closed(pipes);
}

#[test]
fn descriptors_over_the_limit_truncate_and_are_closed() {
    for limit in 0..=PACKET_FDS_MAX - 1 {
        for count in limit + 1..=PACKET_FDS_MAX {
            let (ours, theirs) = seqpacket_pair().expect("makes");
            let pipes = sent_pipes(&ours, b"x", count);
            let packet = recv_packet(&theirs, &mut [0; 4], limit, true).expect("arrives");
            assert!(packet.truncated && packet.fds.is_empty(), "{count} of {limit}");
            assert!(packet.credentials.is_some());
            all_closed(pipes);
        }
    }
}

#[test]
fn as_many_descriptors_as_allowed_arrive() {
    for count in 0..=PACKET_FDS_MAX {
        let (ours, theirs) = seqpacket_pair().expect("makes");
        let pipes = sent_pipes(&ours, b"x", count);
        let packet = recv_packet(&theirs, &mut [0; 4], count, true).expect("arrives");
        assert_eq!((packet.fds.len(), packet.truncated), (count, false));
        drop(packet);
        all_closed(pipes);
    }
    let (ours, _theirs) = seqpacket_pair().expect("makes");
    let many = [ours.as_fd(); PACKET_FDS_MAX + 1];
    assert_eq!(send(&ours, b"x", &many).unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_full_socket_is_an_error_even_when_it_blocks() {
    let (ours, _theirs) = seqpacket_pair().expect("makes");
    crate::fd::set_nonblocking(&ours, false).expect("clears");
    let error = loop {
        if let Err(error) = send(&ours, &[0; 4096], &[]) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn only_packet_sockets_are_taken_as_ports() {
    use std::os::fd::IntoRawFd;
    let inherit = |fd: OwnedFd| {
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).expect("clears");
        fd.into_raw_fd()
    };
    let (ours, theirs) = seqpacket_pair().expect("makes");
    let port = take_inherited_seqpacket(inherit(ours)).expect("is one");
    send(&theirs, b"x", &[]).expect("sends");
    assert!(recv_packet(&port, &mut [0; 4], 0, false).expect("arrives").credentials.is_some());
    let stream: OwnedFd = UnixStream::pair().expect("makes").0.into();
    for other in [File::open("/dev/null").expect("opens").into(), stream] {
        let number = inherit(other);
        let error = take_inherited_seqpacket(number).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        drop(crate::fd::take_inherited(number).expect("was left alone"));
    }
}

#[test]
fn tcp_listeners_accept_and_name_the_failed_call() {
    for ip in [Ipv4Addr::LOCALHOST.into(), std::net::IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let listener = match bind_listener(&BindAddress::Inet(SocketAddr::new(ip, 0))) {
            Ok(listener) => listener,
            // A machine without IPv6.
            Err(error) if ip.is_ipv6() && error.call != BindCall::V6Only => continue,
            Err(error) => panic!("{error}"),
        };
        defer_accept(&listener, 1).expect("sets");
        listen(&listener, -1).expect("listens");
        let listener = std::net::TcpListener::from(listener);
        let address = listener.local_addr().expect("is bound");
        TcpStream::connect(address).expect("connects");
        let again = bind_listener(&BindAddress::Inet(address)).unwrap_err();
        assert_eq!(again, BindError { call: BindCall::Bind, errno: libc::EADDRINUSE });
        assert_eq!(again.to_string(), "bind failed (98: Address already in use)");
    }
    let elsewhere = BindAddress::Inet("192.0.2.1:80".parse().expect("is an address"));
    let error = bind_listener(&elsewhere).unwrap_err();
    assert_eq!(error, BindError { call: BindCall::Bind, errno: libc::EADDRNOTAVAIL });
}

#[test]
fn unix_listeners_are_open_to_everyone() {
    let dir = tempfile::tempdir().expect("makes");
    let path = dir.path().join("sock");
    let listener = bind_listener(&BindAddress::UnixPath(path.clone())).expect("binds");
    listen(&listener, 8).expect("listens");
    let mode = std::fs::metadata(&path).expect("exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let stream = UnixStream::connect(&path).expect("connects");
    let peer = peer_credentials(&stream).expect("is connected");
    assert_eq!(i64::from(peer.pid), i64::from(std::process::id()));
    let error = bind_listener(&BindAddress::UnixPath(path)).unwrap_err();
    assert_eq!(error.errno, libc::EADDRINUSE);
    let nowhere = BindAddress::UnixPath(dir.path().join("no/sock"));
    assert_eq!(bind_listener(&nowhere).unwrap_err().errno, libc::ENOENT);
    let long = BindAddress::UnixPath(dir.path().join("x".repeat(200)));
    let error = bind_listener(&long).unwrap_err();
    assert_eq!(error, BindError { call: BindCall::Bind, errno: libc::ENAMETOOLONG });
}

#[test]
fn n3_a_name_that_was_swapped_changes_nobody_elses_mode() {
    let dir = tempfile::tempdir().expect("makes");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "").expect("writes");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("sets");
    let name = dir.path().join("sock");
    std::os::unix::fs::symlink(&secret, &name).expect("links");
    assert_eq!(open_to_everyone(&name), Err(Errno::NOTSOCK));
    let mode = std::fs::metadata(&secret).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn abstract_listeners_have_no_path() {
    let name = format!("unit-sys-test-{}", std::process::id()).into_bytes();
    let listener = bind_listener(&BindAddress::UnixAbstract(name.clone())).expect("binds");
    listen(&listener, 8).expect("listens");
    let again = bind_listener(&BindAddress::UnixAbstract(name)).unwrap_err();
    assert_eq!(again.errno, libc::EADDRINUSE);
}
