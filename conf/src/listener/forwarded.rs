//! Whom a listener believes about clients and protocols: `forwarded` and the older `client_ip`.

use crate::address_pattern::{ADDRESS_PATTERNS, AddressSet};
use crate::node::{Node, Valid};
use crate::schema::{BOOLEAN, Member, Object, STRING};
use crate::text::Text;

pub(crate) static FORWARDED: Object = Object::new(
    "forwarded",
    "Whom a listener believes about clients and protocols. Of an address list in the header field \
     the right-most one is taken.",
    &[
        Member::new("client_ip", STRING)
            .about("The header field with the address of the client.")
            .example(r#""X-Forwarded-For""#)
            .refuses(&[("null", r#"The "client_ip" value must be a string, but not a null."#)]),
        Member::new("protocol", STRING)
            .about("The header field with the protocol: `http`, or `https` or `on`.")
            .example(r#""X-Forwarded-Proto""#)
            .refuses(&[(
                "443",
                r#"The "protocol" value must be a string, but not an integer number."#,
            )]),
        SOURCE,
        RECURSIVE,
    ],
)
.any_of(&["client_ip", "protocol"], FORWARDED_DETAIL);

pub(crate) const FORWARDED_DETAIL: &str =
    "The \"forwarded\" object must have either \"client_ip\" or \"protocol\" option set.";

pub(crate) static CLIENT_IP: Object = Object::new(
    "client_ip",
    "Whom a listener believes about clients; the older form of `forwarded`.",
    &[
        Member::new("header", STRING)
            .required()
            .about("The header field with the address of the client.")
            .example(r#""X-Forwarded-For""#)
            .refuses(&[(
                r#"["A", "B"]"#,
                r#"The "header" value must be a string, but not an array."#,
            )]),
        SOURCE,
        RECURSIVE,
    ],
);

const SOURCE: Member = Member::new("source", ADDRESS_PATTERNS)
    .required()
    .about("The peers that are believed.")
    .example(r#"["10.0.0.0/8", "192.168.1.2-192.168.1.9", "unix"]"#)
    .refuses(&[
        (r#""10.0.0.0/33""#, r#"The "address" has an invalid CIDR prefix."#),
        (r#"["10.0.0.9-10.0.0.1"]"#, r#"The "address" range is overlapping."#),
    ]);

const RECURSIVE: Member = Member::new("recursive", BOOLEAN)
    .about("Whether to go on to the left over addresses that match `source`.")
    .default("false")
    .example("true")
    .refuses(&[("1", r#"The "recursive" value must be a boolean, but not an integer number."#)]);

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
        let object = node.object(&[])?;
        if !object.contains(b"client_ip") && !object.contains(b"protocol") {
            return Err(node.fault(FORWARDED_DETAIL));
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
                _ => return Err(member.unknown(&FORWARDED)),
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
        node.object(&["header", "source"])?;
        let mut client_ip =
            Self { header: Text::default(), source: AddressSet::default(), recursive: false };
        for member in node.members() {
            match member.name() {
                b"header" => client_ip.header = member.text()?.to_ascii_lowercase(),
                b"source" => client_ip.source = AddressSet::read(&member)?,
                b"recursive" => client_ip.recursive = member.boolean()?,
                _ => return Err(member.unknown(&CLIENT_IP)),
            }
        }
        Ok(client_ip)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str = r#"{"listeners":{"*:80":{"pass":"routes",@}},"routes":[]}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#""forwarded":{"client_ip":"X-A","source":"1.2.3.4"}"#,
                r#""forwarded":{"protocol":"X-A","source":[],"recursive":true}"#,
                r#""client_ip":{"header":"X-A","source":["!unix","::/0"],"recursive":false}"#,
            ],
        );
        let either =
            r#"The "forwarded" object must have either "client_ip" or "protocol" option set."#;
        refuses(
            FRAME,
            &[
                (
                    r#""forwarded":1"#,
                    r#"The "forwarded" value must be an object, but not an integer number."#,
                ),
                (r#""forwarded":{}"#, either),
                (r#""forwarded":{"source":1,"x":2}"#, either),
                (r#""forwarded":{"protocol":1}"#, r#"Required parameter "source" is missing."#),
                (
                    r#""forwarded":{"protocol":1,"source":[]}"#,
                    r#"The "protocol" value must be a string, but not an integer number."#,
                ),
                (
                    r#""forwarded":{"client_ip":[],"source":[]}"#,
                    r#"The "client_ip" value must be a string, but not an array."#,
                ),
                (
                    r#""forwarded":{"client_ip":"a","source":1}"#,
                    r#"The "source" value must be either a string or an array, but not an integer number."#,
                ),
                (
                    r#""forwarded":{"client_ip":"a","source":[1]}"#,
                    r#"The "match" pattern for "address" must be a string."#,
                ),
                (r#""forwarded":{"client_ip":"a","source":"x"}"#, r#"The "address" is too short."#),
                (
                    r#""forwarded":{"client_ip":"a","source":[],"recursive":1}"#,
                    r#"The "recursive" value must be a boolean, but not an integer number."#,
                ),
                (r#""forwarded":{"client_ip":"a","source":[],"x":1}"#, r#"Unknown parameter "x"."#),
                (
                    r#""client_ip":"a""#,
                    r#"The "client_ip" value must be an object, but not a string."#,
                ),
                (r#""client_ip":{"source":[]}"#, r#"Required parameter "header" is missing."#),
                (r#""client_ip":{"header":1}"#, r#"Required parameter "source" is missing."#),
                (
                    r#""client_ip":{"header":1,"source":[]}"#,
                    r#"The "header" value must be a string, but not an integer number."#,
                ),
                (
                    r#""client_ip":{"header":"a","source":"1.2.3.4/33"}"#,
                    r#"The "address" has an invalid CIDR prefix."#,
                ),
                (r#""client_ip":{"header":"a","source":[],"x":1}"#, r#"Unknown parameter "x"."#),
            ],
        );
    }

    #[test]
    fn header_names_are_kept_in_lower_case() {
        let config = config(&FRAME.replace(
            '@',
            r#""forwarded":{"client_ip":"X-For","source":[]},
               "client_ip":{"header":"X-IP","source":[],"recursive":true}"#,
        ));
        let forwarded = config.listeners[0].forwarded.as_ref().expect("is set");
        assert!(forwarded.client_ip.as_ref().is_some_and(|name| *name == "x-for"));
        assert!(forwarded.protocol.is_none() && !forwarded.recursive);
        let client_ip = config.listeners[0].client_ip.as_ref().expect("is set");
        assert_eq!(client_ip.header, "x-ip");
        assert!(client_ip.recursive);
    }
}
