//! Whom a listener believes about clients and protocols: `forwarded` and the older `client_ip`.

use crate::address_pattern::AddressSet;
use crate::node::{Node, Valid};
use crate::text::Text;

/// The `forwarded` of a listener.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// The header field with the addresses of the clients, in lower case.
    pub client_ip: Option<Text>,
    /// The header field with the protocol, in lower case.
    pub protocol: Option<Text>,
    /// Which peers are believed.
    pub source: AddressSet,
    /// Whether to look past addresses that are believed, too.
    pub recursive: bool,
}

impl Forwarded {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        const MEMBERS: &[&str] = &["client_ip", "protocol", "source", "recursive"];
        let object = node.object(&[])?;
        if !object.contains(b"client_ip") && !object.contains(b"protocol") {
            return Err(node.fault(
                "The \"forwarded\" object must have either \"client_ip\" or \"protocol\" option \
                 set.",
            ));
        }
        node.object(&["source"])?;
        let mut forwarded = Self {
            client_ip: None,
            protocol: None,
            source: AddressSet::default(),
            recursive: false,
        };
        for member in node.members() {
            match member.name() {
                b"client_ip" => forwarded.client_ip = Some(member.text()?.to_ascii_lowercase()),
                b"protocol" => forwarded.protocol = Some(member.text()?.to_ascii_lowercase()),
                b"source" => forwarded.source = AddressSet::read(&member)?,
                b"recursive" => forwarded.recursive = member.boolean()?,
                _ => return Err(member.unknown(MEMBERS)),
            }
        }
        Ok(forwarded)
    }
}

/// The `client_ip` of a listener.
#[derive(Clone, Debug)]
pub struct ClientIp {
    /// The header field with the addresses of the clients, in lower case.
    pub header: Text,
    /// Which peers are believed.
    pub source: AddressSet,
    /// Whether to look past addresses that are believed, too.
    pub recursive: bool,
}

impl ClientIp {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        const MEMBERS: &[&str] = &["header", "source", "recursive"];
        node.object(&["header", "source"])?;
        let mut client_ip =
            Self { header: Text::default(), source: AddressSet::default(), recursive: false };
        for member in node.members() {
            match member.name() {
                b"header" => client_ip.header = member.text()?.to_ascii_lowercase(),
                b"source" => client_ip.source = AddressSet::read(&member)?,
                b"recursive" => client_ip.recursive = member.boolean()?,
                _ => return Err(member.unknown(MEMBERS)),
            }
        }
        Ok(client_ip)
    }
}
