//! Socket addresses: read from the command line, written into log lines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use port_proto::ListenAddress;
use thiserror::Error;

/// The longest name of a Unix socket: `sun_path` less its terminator.
const UNIX_NAME_LEN_MAX: usize = 107;

/// Why a text is not a socket address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Nothing at all.
    #[error("socket address cannot be empty")]
    Empty,
    /// A Unix name longer than the kernel takes.
    #[error("unix domain socket \"{0}\" name is too long")]
    NameTooLong(String),
    /// No port.
    #[error("The address \"{0}\" must specify a port.")]
    PortMissing(String),
    /// A port that is none.
    #[error("invalid port in \"{0}\"")]
    Port(String),
    /// Brackets around something else than IPv6.
    #[error("invalid IPv6 address in \"{0}\"")]
    Ipv6(String),
    /// Anything else.
    #[error("invalid address \"{0}\"")]
    Invalid(String),
}

/// Reads `*:PORT`, `IPV4:PORT`, `[IPV6]:PORT`, `unix:PATH` or `unix:@NAME`.
///
/// # Errors
/// [`AddressError`], in the words of the log.
pub fn parse(text: &str) -> Result<ListenAddress, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if let Some(name) = text.strip_prefix("unix:") {
        return parse_unix(text, name);
    }
    let (ip, port): (IpAddr, Option<&str>) = if let Some(bracketed) = text.strip_prefix('[') {
        let (ip, rest) =
            bracketed.split_once(']').ok_or_else(|| AddressError::Ipv6(text.to_owned()))?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| AddressError::Ipv6(text.to_owned()))?;
        (ip.into(), rest.strip_prefix(':'))
    } else {
        let (ip, port) = match text.split_once(':') {
            Some((ip, port)) => (ip, Some(port)),
            None => (text, None),
        };
        let ip = match ip {
            "*" => Ipv4Addr::UNSPECIFIED,
            ip => ip.parse().map_err(|_| AddressError::Invalid(text.to_owned()))?,
        };
        if ip == Ipv4Addr::BROADCAST {
            return Err(AddressError::Invalid(text.to_owned()));
        }
        (ip.into(), port)
    };
    let port = port.ok_or_else(|| AddressError::PortMissing(text.to_owned()))?;
    // Digits only: the standard parser would take a sign.
    match port.parse() {
        Ok(number @ 1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(ListenAddress::Inet(SocketAddr::new(ip, number)))
        }
        Ok(_) | Err(_) => Err(AddressError::Port(text.to_owned())),
    }
}

fn parse_unix(text: &str, name: &str) -> Result<ListenAddress, AddressError> {
    if name.len() > UNIX_NAME_LEN_MAX {
        return Err(AddressError::NameTooLong(text.to_owned()));
    }
    match name.strip_prefix('@') {
        _ if name.len() < 2 || name.contains('\0') => Err(AddressError::Invalid(text.to_owned())),
        Some(name) => Ok(ListenAddress::UnixAbstract(name.to_owned())),
        None => Ok(ListenAddress::UnixPath(name.to_owned())),
    }
}

/// The address as log lines show it.
#[must_use]
pub fn show(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Inet(address) => address.to_string(),
        ListenAddress::UnixPath(path) => format!("unix:{path}"),
        ListenAddress::UnixAbstract(name) => format!("unix:@{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_shows_it_again() {
        for (text, shown) in [
            ("*:80", "0.0.0.0:80"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:65535", "[::1]:65535"),
            ("unix:/run/control.sock", "unix:/run/control.sock"),
            ("unix:@name", "unix:@name"),
        ] {
            assert_eq!(show(&parse(text).unwrap()), shown);
        }
    }

    #[test]
    fn refuses_each_fault_in_its_words() {
        let long = format!("unix:/{}", "x".repeat(107));
        for (text, words) in [
            ("", "socket address cannot be empty".to_owned()),
            ("127.0.0.1", "The address \"127.0.0.1\" must specify a port.".into()),
            ("[::1]", "The address \"[::1]\" must specify a port.".into()),
            ("127.0.0.1:0", "invalid port in \"127.0.0.1:0\"".into()),
            ("127.0.0.1:+80", "invalid port in \"127.0.0.1:+80\"".into()),
            ("*:65536", "invalid port in \"*:65536\"".into()),
            ("[::zz]:80", "invalid IPv6 address in \"[::zz]:80\"".into()),
            ("localhost:80", "invalid address \"localhost:80\"".into()),
            ("255.255.255.255:80", "invalid address \"255.255.255.255:80\"".into()),
            ("unix:", "invalid address \"unix:\"".into()),
            ("unix:@", "invalid address \"unix:@\"".into()),
            (&long, format!("unix domain socket \"{long}\" name is too long")),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), words);
        }
    }
}
