//! Whom a request is really from: what `forwarded` and `client_ip` of a listener make of what
//! trusted peers say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use conf::{AddressSet, ClientIp, Forwarded, Listener, PeerAddress};

use crate::http::RequestHead;

/// Where a request comes from and by which scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client.
    pub peer: PeerAddress,
    /// Whether the scheme is `https`.
    pub is_tls: bool,
}

/// Applies what the listener is configured with to the origin as the connection shows it.
pub fn apply(listener: &Listener, head: &RequestHead, origin: &mut Origin) {
    apply_parts(listener.forwarded.as_ref(), listener.client_ip.as_ref(), head, origin);
}

/// As [`apply`]: first `forwarded`, then `client_ip` on what that came to.
pub fn apply_parts(
    forwarded: Option<&Forwarded>,
    client_ip: Option<&ClientIp>,
    head: &RequestHead,
    origin: &mut Origin,
) {
    if let Some(Forwarded { client_ip, protocol, source, recursive }) = forwarded
        && source.matches(&origin.peer)
    {
        if let Some(name) = client_ip {
            origin.peer = replaced(origin.peer, head, name, source, *recursive);
        }
        if let Some(name) = protocol {
            origin.is_tls = replaced_scheme(head, name).unwrap_or(origin.is_tls);
        }
    }
    if let Some(ClientIp { header, source, recursive }) = client_ip
        && source.matches(&origin.peer)
    {
        origin.peer = replaced(origin.peer, head, header, source, *recursive);
    }
}

/// The address that the fields of that name give instead of `peer`.
///
/// The rightmost address was written by the peer itself. Recursively, as long as an address is a
/// trusted one, the one before it is believed too.
fn replaced(
    peer: PeerAddress,
    head: &RequestHead,
    name: &[u8],
    source: &AddressSet,
    is_recursive: bool,
) -> PeerAddress {
    let is_separator = |octet: &u8| matches!(octet, b' ' | b',');
    // Counted from behind: fields and the tokens in them were appended one after the other.
    let mut tokens = values(head, name)
        .rev()
        .flat_map(|value| value.rsplit(is_separator))
        .filter(|token| !token.is_empty());
    let mut found = peer;
    while let Some(address) = tokens.next().and_then(parse) {
        found = address;
        if !is_recursive || !source.matches(&found) {
            break;
        }
    }
    found
}

/// Whether the first field of that name says `https`; nothing if it names no scheme.
fn replaced_scheme(head: &RequestHead, name: &[u8]) -> Option<bool> {
    let value = values(head, name).next()?;
    let is = |scheme: &[u8]| value.eq_ignore_ascii_case(scheme);
    if is(b"https") || is(b"on") {
        return Some(true);
    }
    is(b"http").then_some(false)
}

/// The values of the fields of that name that are not empty.
fn values<'a>(head: &'a RequestHead, name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    let named = head.fields().filter(move |field| field.is(name) && !field.value.is_empty());
    named.map(|field| field.value)
}

/// An address with or without a port; IPv6 with a port in brackets.
fn parse(token: &[u8]) -> Option<PeerAddress> {
    let text = std::str::from_utf8(token).ok()?;
    let address = if let Ok(ip) = text.parse::<IpAddr>() {
        SocketAddr::new(ip, 0)
    } else {
        let address = match text.parse::<SocketAddrV4>() {
            Ok(address) => SocketAddr::V4(address),
            // A zone has a meaning on the peer's machine only.
            Err(_) if text.contains('%') => return None,
            Err(_) => SocketAddr::V6(text.parse::<SocketAddrV6>().ok()?),
        };
        if address.port() == 0 {
            return None;
        }
        address
    };
    let is_usable = !address.ip().is_unspecified() && address.ip() != Ipv4Addr::BROADCAST;
    is_usable.then_some(PeerAddress::Inet(address))
}

#[cfg(test)]
mod tests;
