//! Address patterns: what connections come from, or arrive at.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use crate::node::{Kinds, Node, Valid};
use crate::schema::{ADDRESS_PATTERN, Shape, array, one_of};
use crate::socket_address::{decimal, parse_ipv4};

/// An address pattern, or an array of them.
pub(crate) const ADDRESS_PATTERNS: Shape =
    one_of(&[ADDRESS_PATTERN, array(&ADDRESS_PATTERN, ADDRESS_DETAIL)]);

const ADDRESS_DETAIL: &str = "The \"match\" pattern for \"address\" must be a string.";

/// One end of a connection, as far as patterns can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// An IP address and a port.
    Inet(SocketAddr),
    /// A UNIX socket.
    Unix,
}

/// One address pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPattern {
    negated: bool,
    hosts: Hosts,
    /// A port restriction; UNIX sockets have no port to restrict.
    ports: Option<RangeInclusive<u16>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Unix,
    AnyInet,
    /// Both ends are of one family.
    Range(RangeInclusive<IpAddr>),
}

/// Why a text is not an address pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressPatternError {
    /// Fewer than two characters.
    #[error("The \"address\" is too short.")]
    TooShort,
    /// The syntax is wrong.
    #[error("The \"address\" format is invalid.")]
    Format,
    /// A range ends before it starts.
    #[error("The \"address\" range is overlapping.")]
    Range,
    /// What follows the slash is not a number of bits of the address.
    #[error("The \"address\" has an invalid CIDR prefix.")]
    Prefix,
    /// What should be a port or a range of ports is not.
    #[error("The \"address\" port an invalid port.")]
    Port,
}

impl AddressPattern {
    /// Parses a pattern.
    pub fn parse(text: &[u8]) -> Result<Self, AddressPatternError> {
        let (negated, text) = match text.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (hosts, ports) = parse(text)?;
        Ok(Self { negated, hosts, ports })
    }

    /// Whether the pattern is negated.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// Whether the address is as the pattern wants it, negation included.
    pub fn matches(&self, address: &PeerAddress) -> bool {
        let hit = match (address, &self.hosts) {
            (PeerAddress::Unix, hosts) => *hosts == Hosts::Unix,
            (PeerAddress::Inet(_), Hosts::Unix) => false,
            (PeerAddress::Inet(address), hosts) => {
                let host_hit = match hosts {
                    Hosts::Unix => false,
                    Hosts::AnyInet => true,
                    // Addresses of one family are ordered by their bytes, and all of IPv4 comes
                    // before all of IPv6, so a range holds its own family only.
                    Hosts::Range(range) => range.contains(&address.ip()),
                };
                host_hit && self.ports.as_ref().is_none_or(|range| range.contains(&address.port()))
            }
        };
        hit != self.negated
    }
}

type Parsed<T> = Result<T, AddressPatternError>;

fn parse(text: &[u8]) -> Parsed<(Hosts, Option<RangeInclusive<u16>>)> {
    if text.len() < 2 {
        return Err(AddressPatternError::TooShort);
    }
    if text == b"unix" {
        return Ok((Hosts::Unix, None));
    }
    if let Some(rest) = text.strip_prefix(b"*") {
        let ports = rest.strip_prefix(b":").ok_or(AddressPatternError::Format)?;
        return Ok((Hosts::AnyInet, Some(parse_ports(ports)?)));
    }
    if let Some(rest) = text.strip_prefix(b"[") {
        let bracket = memchr::memchr(b']', rest).ok_or(AddressPatternError::Format)?;
        let ports = rest[bracket + 1..].strip_prefix(b":").ok_or(AddressPatternError::Format)?;
        let hosts = parse_hosts(&rest[..bracket], ipv6)?;
        return Ok((hosts, Some(parse_ports(ports)?)));
    }
    match memchr::memchr_iter(b':', text).collect::<Vec<_>>()[..] {
        [] => Ok((parse_hosts(text, ipv4)?, None)),
        [colon] => {
            let hosts = parse_hosts(&text[..colon], ipv4)?;
            Ok((hosts, Some(parse_ports(&text[colon + 1..])?)))
        }
        [..] => Ok((parse_hosts(text, ipv6)?, None)),
    }
}

/// An address, a range of them, or the addresses that share a prefix.
fn parse_hosts(text: &[u8], parse: fn(&[u8]) -> Option<IpAddr>) -> Parsed<Hosts> {
    let parse = |text: &[u8]| parse(text).ok_or(AddressPatternError::Format);
    if let Some(slash) = memchr::memchr(b'/', text) {
        let address = parse(&text[..slash])?;
        return prefix_range(address, &text[slash + 1..]).map(Hosts::Range);
    }
    if let Some(dash) = memchr::memchr(b'-', text) {
        let (start, end) = (parse(&text[..dash])?, parse(&text[dash + 1..])?);
        if start > end {
            return Err(AddressPatternError::Range);
        }
        return Ok(Hosts::Range(start..=end));
    }
    let address = parse(text)?;
    Ok(Hosts::Range(address..=address))
}

fn prefix_range(address: IpAddr, prefix: &[u8]) -> Parsed<RangeInclusive<IpAddr>> {
    let bits = decimal(prefix).ok_or(AddressPatternError::Prefix)?;
    match address {
        IpAddr::V4(address) => {
            if bits > 32 {
                return Err(AddressPatternError::Prefix);
            }
            let host_mask = u32::MAX.checked_shr(bits).unwrap_or(0);
            let start = u32::from(address) & !host_mask;
            Ok(IpAddr::V4(start.into())..=IpAddr::V4((start | host_mask).into()))
        }
        IpAddr::V6(address) => {
            if bits > 128 {
                return Err(AddressPatternError::Prefix);
            }
            let host_mask = u128::MAX.checked_shr(bits).unwrap_or(0);
            let start = u128::from(address) & !host_mask;
            Ok(IpAddr::V6(start.into())..=IpAddr::V6((start | host_mask).into()))
        }
    }
}

fn ipv4(text: &[u8]) -> Option<IpAddr> {
    parse_ipv4(text).map(IpAddr::V4)
}

/// An IPv6 address. A dotted IPv4 tail has never been taken here.
fn ipv6(text: &[u8]) -> Option<IpAddr> {
    if text.contains(&b'.') {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn parse_ports(text: &[u8]) -> Parsed<RangeInclusive<u16>> {
    // A colon with nothing behind it is a matter of form.
    if text.is_empty() {
        return Err(AddressPatternError::Format);
    }
    let port = |text: &[u8]| {
        let port = decimal(text).and_then(|port| u16::try_from(port).ok());
        port.ok_or(AddressPatternError::Port)
    };
    let Some(dash) = memchr::memchr(b'-', text) else {
        let port = port(text)?;
        return Ok(port..=port);
    };
    let (start, end) = (port(&text[..dash])?, port(&text[dash + 1..])?);
    if start > end {
        return Err(AddressPatternError::Port);
    }
    Ok(start..=end)
}

/// The address patterns of a member: one, or an array of them.
#[derive(Clone, Debug, Default)]
pub struct AddressSet {
    negative: Box<[AddressPattern]>,
    positive: Box<[AddressPattern]>,
}

impl AddressSet {
    /// Whether the address matches none of the negated patterns' addresses and, if there are any
    /// others, one of those. Without patterns nothing matches.
    pub fn matches(&self, address: &PeerAddress) -> bool {
        if self.negative.is_empty() && self.positive.is_empty() {
            return false;
        }
        self.negative.iter().all(|pattern| pattern.matches(address))
            && (self.positive.is_empty()
                || self.positive.iter().any(|pattern| pattern.matches(address)))
    }

    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.expect(Kinds::STRING | Kinds::ARRAY)?;
        let read = |node: &Node<'_>| {
            let text = node.value().as_text().ok_or_else(|| node.fault(ADDRESS_DETAIL))?;
            AddressPattern::parse(text).map_err(|error| node.fault(error.to_string()))
        };
        let patterns = if node.value().as_array().is_some() {
            node.elements().map(|element| read(&element)).collect::<Valid<Vec<_>>>()?
        } else {
            vec![read(node)?]
        };
        let (negative, positive): (Vec<_>, Vec<_>) =
            patterns.into_iter().partition(AddressPattern::is_negated);
        Ok(Self { negative: negative.into(), positive: positive.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> PeerAddress {
        match text {
            "unix" => PeerAddress::Unix,
            text => PeerAddress::Inet(text.parse().expect("is an address with a port")),
        }
    }

    #[test]
    fn patterns_match_what_they_describe() {
        for (pattern, address, expected) in [
            ("unix", "unix", true),
            ("unix", "1.2.3.4:5", false),
            ("!unix", "1.2.3.4:5", true),
            ("*:80", "1.2.3.4:80", true),
            ("*:80", "[::1]:80", true),
            ("*:80", "unix", false),
            ("*:80-82", "1.2.3.4:82", true),
            ("*:80-82", "1.2.3.4:83", false),
            ("*:0-65535", "1.2.3.4:83", true),
            ("1.2.3.4", "1.2.3.4:9", true),
            ("1.2.3.4:9", "1.2.3.4:8", false),
            ("!1.2.3.4:9", "1.2.3.4:8", true),
            ("1.2.3.4-1.2.4.0", "1.2.3.255:9", true),
            ("1.2.3.4-1.2.4.0", "1.2.4.1:9", false),
            ("1.2.3.4-1.2.3.4", "1.2.3.4:9", true),
            ("10.1.1.1/8", "10.255.0.1:9", true),
            ("10.1.1.1/8", "11.0.0.0:9", false),
            ("10.1.1.1/32", "10.1.1.1:9", true),
            ("0.0.0.0/0", "255.255.255.255:9", true),
            ("0.0.0.0/0", "[::1]:9", false),
            ("!0.0.0.0/0", "[::1]:9", true),
            ("!0.0.0.0/0", "unix", true),
            ("10.0.0.0/8:1-5", "10.0.0.1:5", true),
            ("10.0.0.0-10.0.0.9:1-5", "10.0.0.1:6", false),
            ("::/0", "[fe80::1]:9", true),
            ("::/0", "1.2.3.4:9", false),
            ("::1", "[::1]:9", true),
            ("fe80::1-fe80::f", "[fe80::a]:9", true),
            ("[fe80::1-fe80::f]:9", "[fe80::a]:8", false),
            ("[fe80::/10]:7-9", "[fe81::a]:8", true),
            ("2001:db8::1/128", "[2001:db8::1]:8", true),
        ] {
            let parsed = AddressPattern::parse(pattern.as_bytes());
            let parsed = parsed.unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(parsed.matches(&peer(address)), expected, "{pattern} on {address}");
        }
    }

    #[test]
    fn faults_have_their_messages() {
        for (pattern, error) in [
            ("", AddressPatternError::TooShort),
            ("*", AddressPatternError::TooShort),
            ("!*", AddressPatternError::TooShort),
            ("ab", AddressPatternError::Format),
            ("**", AddressPatternError::Format),
            ("1.2.3", AddressPatternError::Format),
            ("1.2.3.4.", AddressPatternError::Format),
            ("1.2.3.4:", AddressPatternError::Format),
            ("255.255.255.255", AddressPatternError::Format),
            ("1.2.3.4-", AddressPatternError::Format),
            ("foo/0", AddressPatternError::Format),
            ("[::1]", AddressPatternError::Format),
            ("[::1]:", AddressPatternError::Format),
            ("[::1", AddressPatternError::Format),
            ("::ffff:1.2.3.4", AddressPatternError::Format),
            ("::g", AddressPatternError::Format),
            (" 1.2.3.4", AddressPatternError::Format),
            ("1.2.3.4-1.2.3.3", AddressPatternError::Range),
            ("::2-::1", AddressPatternError::Range),
            ("1.2.3.4/33", AddressPatternError::Prefix),
            ("1.2.3.4/", AddressPatternError::Prefix),
            ("1.2.3.4/x", AddressPatternError::Prefix),
            ("::/129", AddressPatternError::Prefix),
            ("*:x", AddressPatternError::Port),
            ("*:65536", AddressPatternError::Port),
            ("*:2-1", AddressPatternError::Port),
            ("1.2.3.4:1-", AddressPatternError::Port),
            ("[::1]:x", AddressPatternError::Port),
        ] {
            assert_eq!(AddressPattern::parse(pattern.as_bytes()), Err(error), "{pattern}");
        }
    }

    #[test]
    fn sets_put_negated_patterns_first_and_an_empty_one_matches_nothing() {
        let set = |patterns: &[&str]| {
            let parse = |text: &&str| AddressPattern::parse(text.as_bytes()).expect("is valid");
            let (negative, positive): (Vec<_>, Vec<_>) =
                patterns.iter().map(parse).partition(AddressPattern::is_negated);
            AddressSet { negative: negative.into(), positive: positive.into() }
        };
        let address = peer("10.0.0.1:80");
        assert!(!set(&[]).matches(&address));
        assert!(set(&["!1.1.1.1"]).matches(&address));
        assert!(set(&["1.1.1.1", "10.0.0.0/8"]).matches(&address));
        assert!(!set(&["10.0.0.0/8", "!10.0.0.1"]).matches(&address));
        assert!(!set(&["!1.1.1.1", "2.2.2.2"]).matches(&address));
    }
}
