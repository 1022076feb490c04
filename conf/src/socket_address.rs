//! Socket addresses: listener keys, upstream servers, `proxy` and the control socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::text::Text;

/// The longest file name of a UNIX socket, which is one less than the system's address has room
/// for, so that a terminating null fits.
const UNIX_PATH_LEN_MAX: usize = 107;

/// Where a socket is bound or connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SocketAddress {
    /// An IPv4 or IPv6 address with a port; `*` is the IPv4 wildcard.
    Inet(SocketAddr),
    /// A UNIX socket in the file system.
    UnixPath(Text),
    /// A UNIX socket with an abstract name, which does not contain the leading `@`.
    UnixAbstract(Text),
}

/// Why a text is not a socket address. The texts are the lines the log has for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is nothing.
    #[error("socket address cannot be empty")]
    Empty,
    /// There is no port.
    #[error("The address \"{0}\" must specify a port.")]
    NoPort(Text),
    /// The host is no IPv4 address, or the whole is malformed.
    #[error("invalid address \"{0}\"")]
    Invalid(Text),
    /// The port is not a number from 1 to 65535.
    #[error("invalid port in \"{0}\"")]
    InvalidPort(Text),
    /// What is in brackets is no IPv6 address.
    #[error("invalid IPv6 address in \"{0}\"")]
    InvalidIpv6(Text),
    /// The file name does not fit.
    #[error("unix domain socket \"{0}\" name is too long")]
    UnixTooLong(Text),
}

impl SocketAddress {
    /// Parses an address.
    pub fn parse(text: &[u8]) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(path) = text.strip_prefix(b"unix:")
            && path.len() > 1
        {
            return parse_unix(text, path);
        }
        if let Some(rest) = text.strip_prefix(b"[") {
            return parse_ipv6(text, rest);
        }
        let mut parts = text.split(|&byte| byte == b':');
        let host = parts.next().unwrap_or_default();
        let (Some(port), None) = (parts.next(), parts.next()) else {
            // Nothing after the host, or an IPv6 address without brackets.
            return Err(AddressError::NoPort(text.into()));
        };
        let host = if host == b"*" {
            Ipv4Addr::UNSPECIFIED
        } else {
            parse_ipv4(host).ok_or_else(|| AddressError::Invalid(text.into()))?
        };
        Ok(Self::Inet(SocketAddr::new(host.into(), parse_port(text, port)?)))
    }

    /// The IP address and port, if it is one.
    pub fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
            Self::UnixPath(_) | Self::UnixAbstract(_) => None,
        }
    }
}

fn parse_unix(text: &[u8], path: &[u8]) -> Result<SocketAddress, AddressError> {
    if path.len() > UNIX_PATH_LEN_MAX {
        return Err(AddressError::UnixTooLong(text.into()));
    }
    // A null would cut the name short, and another socket would be meant.
    if path.contains(&0) {
        return Err(AddressError::Invalid(text.into()));
    }
    Ok(match path.strip_prefix(b"@") {
        Some(name) => SocketAddress::UnixAbstract(name.into()),
        None => SocketAddress::UnixPath(path.into()),
    })
}

fn parse_ipv6(text: &[u8], rest: &[u8]) -> Result<SocketAddress, AddressError> {
    let Some(bracket) = memchr::memchr(b']', rest) else {
        return Err(AddressError::InvalidIpv6(text.into()));
    };
    let (host, rest) = (&rest[..bracket], &rest[bracket + 1..]);
    let host: Option<Ipv6Addr> = std::str::from_utf8(host).ok().and_then(|host| host.parse().ok());
    let host = host.ok_or_else(|| AddressError::InvalidIpv6(text.into()))?;
    if rest.is_empty() {
        return Err(AddressError::NoPort(text.into()));
    }
    let port = rest.strip_prefix(b":").ok_or_else(|| AddressError::Invalid(text.into()))?;
    Ok(SocketAddress::Inet(SocketAddr::new(host.into(), parse_port(text, port)?)))
}

fn parse_port(text: &[u8], port: &[u8]) -> Result<u16, AddressError> {
    decimal(port)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|&port| port > 0)
        .ok_or_else(|| AddressError::InvalidPort(text.into()))
}

/// Four decimal octets. The address of all ones is not one to use.
pub(crate) fn parse_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|&byte| byte == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.len() <= 3)?;
        *octet = u8::try_from(decimal(part)?).ok()?;
    }
    let address = Ipv4Addr::from(octets);
    (parts.next().is_none() && address != Ipv4Addr::BROADCAST).then_some(address)
}

/// Decimal digits and nothing else.
pub(crate) fn decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |number, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                write!(f, "*:{}", address.port())
            }
            Self::Inet(address) => address.fmt(f),
            Self::UnixPath(path) => write!(f, "unix:{path}"),
            Self::UnixAbstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_every_form_and_shows_it_again() {
        for text in [
            "*:80",
            "127.0.0.1:8080",
            "1.2.3.4:65535",
            "[::1]:80",
            "[2001:db8::]:1",
            "unix:/var/run/a.sock",
            "unix:ab",
            "unix:@a",
            "unix:@a/b:c",
        ] {
            let address = SocketAddress::parse(text.as_bytes());
            assert_eq!(address.map(|address| address.to_string()), Ok(text.into()));
        }
        assert_eq!(SocketAddress::parse(b"0.0.0.0:80"), SocketAddress::parse(b"*:80"));
        assert_eq!(SocketAddress::parse(b"unix:@x"), Ok(SocketAddress::UnixAbstract("x".into())));
        assert!(SocketAddress::parse(format!("unix:{}", "a".repeat(107)).as_bytes()).is_ok());
    }

    #[test]
    fn refuses_the_rest_with_a_line_for_the_log() {
        for (text, error) in [
            ("", "socket address cannot be empty"),
            ("127.0.0.1", "The address \"127.0.0.1\" must specify a port."),
            ("*", "The address \"*\" must specify a port."),
            ("::1", "The address \"::1\" must specify a port."),
            ("::1:80", "The address \"::1:80\" must specify a port."),
            ("[::1]", "The address \"[::1]\" must specify a port."),
            ("localhost:80", "invalid address \"localhost:80\""),
            (":80", "invalid address \":80\""),
            ("1.2.3:80", "invalid address \"1.2.3:80\""),
            ("1.2.3.4.:80", "invalid address \"1.2.3.4.:80\""),
            ("1.2.3.4.5:80", "invalid address \"1.2.3.4.5:80\""),
            ("1.2.3.256:80", "invalid address \"1.2.3.256:80\""),
            ("255.255.255.255:80", "invalid address \"255.255.255.255:80\""),
            ("[::1]80", "invalid address \"[::1]80\""),
            ("[::1:80", "invalid IPv6 address in \"[::1:80\""),
            ("[zz]:80", "invalid IPv6 address in \"[zz]:80\""),
            ("*:", "invalid port in \"*:\""),
            ("*:0", "invalid port in \"*:0\""),
            ("*:65536", "invalid port in \"*:65536\""),
            ("*:+80", "invalid port in \"*:+80\""),
            ("[::1]:x", "invalid port in \"[::1]:x\""),
            ("unix:", "invalid address \"unix:\""),
            ("unix:a", "invalid address \"unix:a\""),
            ("unix:@", "invalid address \"unix:@\""),
            ("unix:a\0b", "invalid address \"unix:a\0b\""),
        ] {
            let result = SocketAddress::parse(text.as_bytes());
            assert_eq!(result.map_err(|error| error.to_string()), Err(error.into()), "{text:?}");
        }
        let long = format!("unix:{}", "a".repeat(108));
        assert_eq!(
            SocketAddress::parse(long.as_bytes()),
            Err(AddressError::UnixTooLong(long.as_str().into()))
        );
    }
}
