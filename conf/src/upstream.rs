//! Upstreams: servers that share the requests passed to them.

use crate::ValidationError;
use crate::node::{Kinds, Node, Valid};
use crate::schema::{Map, Member, Object, map, number, object};
use crate::socket_address::SocketAddress;
use crate::text::Text;

pub(crate) static UPSTREAM: Object = Object::new(
    "upstream",
    "A group of servers that share the requests passed to it.",
    &[Member::new("servers", map(&SERVERS))
        .required_or(r#"The "<name>" upstream must contain "servers" object value."#)
        .about("The servers; with none, requests are answered 502.")
        .example(r#"{"127.0.0.1:9001": {"weight": 2}, "unix:/run/b.sock": {}}"#)
        .refuses(&[
            (r#"{"localhost": {}}"#, r#"The "localhost" is not valid server address."#),
            (
                r#"{"127.0.0.1:9001": 2}"#,
                r#"The "127.0.0.1:9001" value must be an object, but not an integer number."#,
            ),
        ])],
);

static SERVERS: Map = Map::new("address", "127.0.0.1:9001", object(&SERVER)).refuses(&[
    ("127.0.0.1", r#"The "127.0.0.1" is not valid server address."#),
    ("example.com:80", r#"The "example.com:80" is not valid server address."#),
]);

static SERVER: Object = Object::new(
    "server",
    "A server of an upstream.",
    &[Member::new("weight", number(0, 1_000_000))
        .about("Its share of the requests; 0 is none.")
        .default("1")
        .example("0.5")
        .refuses(&[
            ("-0.5", r#"The "weight" number must be positive."#),
            ("1000000.5", r#"The "weight" number must not exceed 1,000,000"#),
        ])],
);

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
                _ => return Err(member.unknown(&UPSTREAM)),
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
                _ => return Err(member.unknown(&SERVER)),
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

#[cfg(test)]
mod tests {
    use crate::testing::{accepts, config, refusal, refuses};

    #[test]
    fn members_are_accepted_or_refused() {
        let frame = r#"{"upstreams":{"u":@}}"#;
        accepts(
            frame,
            &[
                r#"{"servers":{}}"#,
                r#"{"servers":{"127.0.0.1:80":{},"unix:/a":{"weight":0},"[::1]:1":{"weight":1e6}}}"#,
            ],
        );
        refuses(
            frame,
            &[
                ("[]", r#"The "u" value must be an object, but not an array."#),
                ("{}", r#"The "u" upstream must contain "servers" object value."#),
                (
                    r#"{"servers":[]}"#,
                    r#"The "servers" value must be an object, but not an array."#,
                ),
                (r#"{"servers":{},"x":1}"#, r#"Unknown parameter "x"."#),
                (r#"{"servers":{"a:1":1}}"#, r#"The "a:1" is not valid server address."#),
                (
                    r#"{"servers":{"*:1":1}}"#,
                    r#"The "*:1" value must be an object, but not an integer number."#,
                ),
                (r#"{"servers":{"*:1":{"x":1}}}"#, r#"Unknown parameter "x"."#),
                (
                    r#"{"servers":{"*:1":{"weight":"1"}}}"#,
                    r#"The "weight" value must be either an integer number or a fractional number, but not a string."#,
                ),
                (
                    r#"{"servers":{"*:1":{"weight":-0.1}}}"#,
                    r#"The "weight" number must be positive."#,
                ),
                (
                    r#"{"servers":{"*:1":{"weight":1000000.1}}}"#,
                    r#"The "weight" number must not exceed 1,000,000"#,
                ),
            ],
        );
    }

    #[test]
    fn a_bad_server_address_leaves_a_line_for_the_log() {
        let error = refusal(r#"{"upstreams":{"u":{"servers":{"*:x":{}}}}}"#);
        assert_eq!(error.log.as_deref(), Some("invalid port in \"*:x\""));
        assert_eq!(error.path, "/upstreams/u/servers/*:x");
    }

    #[test]
    fn servers_keep_their_order_and_weigh_one() {
        let text = r#"{"upstreams":{"u":{"servers":{"*:2":{},"*:1":{"weight":0.25}}}}}"#;
        let config = config(text);
        let upstream = config.upstream(&"u".into()).expect("is there");
        let weights: Vec<_> = upstream.servers.iter().map(|s| (&*s.key, s.weight)).collect();
        assert_eq!(weights, [(&b"*:2"[..], 1.0), (b"*:1", 0.25)]);
    }
}
