//! What the targets share: from a packet to a message or an answer, and back.
//!
//! A packet is decoded as a port does it, with as many descriptors as it announces. Whatever it
//! says, decoding must end in a message or an error. What was decoded must encode, and that must
//! decode to the same message again; the bytes may differ, since a number can be written longer
//! than it needs to be.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::OwnedFd;

use port_proto::{Direction, Frame, Packet, Request, decode_packet, read_answer};

/// The frame in a packet, if it is one. A bulk payload is not in the packet; it is taken as empty.
pub fn frame(bytes: &[u8]) -> Option<Frame> {
    let Packet { header, payload } = decode_packet(bytes).ok()?;
    let null = || File::open("/dev/null").map(OwnedFd::from).ok();
    let fds = (0..header.fds).map_while(|_| null()).collect();
    Some(Frame { kind: header.kind, stream: header.stream, last: header.last, payload, fds })
}

/// Decodes a packet as a message of a direction.
pub fn message<D: Direction>(bytes: &[u8]) {
    let Some(frame) = frame(bytes) else { return };
    let (kind, fds) = (frame.kind, frame.fds.len());
    let Ok((stream, message)) = D::from_frame(frame) else { return };
    assert!(D::KINDS.contains(&kind) && message.kind() == kind);
    let again = message.into_frame(stream).expect("was small enough to arrive");
    assert_eq!((again.kind, again.stream, again.fds.len()), (kind, stream, fds));
    let payload = again.payload.clone();
    let (_, message) = D::from_frame(again).expect("was encoded just now");
    assert_eq!(message.into_frame(stream).expect("encodes").payload, payload);
}

/// Decodes a packet as the answer to a request.
pub fn answer<R: Request>(bytes: &[u8]) {
    let Some(frame) = frame(bytes) else { return };
    let stream = frame.stream;
    let Ok(result) = read_answer::<R>(frame) else { return };
    let again = port_proto::answer::<R>(stream, result).expect("was small enough to arrive");
    let payload = again.payload.clone();
    let result = read_answer::<R>(again).expect("was encoded just now");
    let once_more = port_proto::answer::<R>(stream, result).expect("encodes");
    assert_eq!(once_more.payload, payload);
}
