//! Upstreams: servers that share the requests passed to them.

use crate::ValidationError;
use crate::node::{Kinds, Node, Valid};
use crate::socket_address::SocketAddress;
use crate::text::Text;

/// A group of servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// The name.
    pub name: Text,
    /// The servers, in order; there may be none.
    pub servers: Vec<Server>,
}

/// A server of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The address as it is written.
    pub key: Text,
    /// Where to connect.
    pub address: SocketAddress,
    /// The share of the requests, from 0 (none) to a million.
    pub weight: f64,
}

impl Upstream {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        let name = node.name_text();
        if !node.object(&[])?.contains(b"servers") {
            return Err(node
                .fault(format!("The \"{name}\" upstream must contain \"servers\" object value.")));
        }
        let mut servers = Vec::new();
        for member in node.members() {
            match member.name() {
                b"servers" => {
                    member.expect(Kinds::OBJECT)?;
                    servers = member
                        .members()
                        .map(|server| Server::read(&server))
                        .collect::<Valid<_>>()?;
                }
                _ => return Err(member.unknown(&["servers"])),
            }
        }
        Ok(Self { name, servers })
    }
}

impl Server {
    fn read(node: &Node<'_>) -> Valid<Self> {
        let key = node.name_text();
        let address = SocketAddress::parse(&key).map_err(|error| ValidationError {
            log: Some(error.to_string()),
            ..node.fault(format!("The \"{key}\" is not valid server address."))
        })?;
        node.object(&[])?;
        let mut weight = 1.0;
        for member in node.members() {
            match member.name() {
                b"weight" => weight = read_weight(&member)?,
                _ => return Err(member.unknown(&["weight"])),
            }
        }
        Ok(Self { key, address, weight })
    }
}

fn read_weight(node: &Node<'_>) -> Valid<f64> {
    let weight = node.number()?;
    if weight < 0.0 {
        return Err(node.fault("The \"weight\" number must be positive."));
    }
    if weight > 1_000_000.0 {
        return Err(node.fault("The \"weight\" number must not exceed 1,000,000"));
    }
    Ok(weight)
}
