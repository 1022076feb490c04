//! The TLS side of a listener.

use std::fmt;
use std::time::Duration;

use crate::node::{Kinds, Node, Valid};
use crate::schema::{
    BOOLEAN, Feature, Map, Member, Object, STRING, Shape, array, at_least, filled_array, like, map,
    object, one_of,
};
use crate::seconds;
use crate::text::Text;
use crate::value::Value;

pub(crate) static TLS: Object = Object::new(
    "tls",
    "The TLS side of a listener.",
    &[
        Member::new(
            "certificate",
            one_of(&[STRING, filled_array(&STRING, CERTIFICATE_DETAIL)]),
        )
        .required()
        .about(
            "The names of uploaded certificate bundles. Which of them a connection gets is chosen \
             by the server name it asks for; the first is the default.",
        )
        .example(r#"["example.com", "example.org"]"#)
        .refuses(&[
            (r#""absent""#, r#"Certificate "absent" is not found."#),
            ("[]", r#"The "certificate" array must contain at least one element."#),
            ("[1]", CERTIFICATE_DETAIL),
        ]),
        Member::new("conf_commands", map(&CONF_COMMANDS))
            .about("Commands to the TLS library with their values.")
            .default("{}")
            .example(r#"{"MinProtocol": "TLSv1.3"}"#)
            .refuses(&[(
                r#"{"MinProtocol": 1.3}"#,
                r#"The "MinProtocol" value must be a string, but not a fractional number."#,
            )])
            .needs(Feature::ConfCommands),
        Member::new("session", object(&SESSION))
            .about("How sessions are resumed.")
            .default("{}")
            .example(r#"{"cache_size": 10240, "timeout": 60}"#)
            .refuses(&[(r#"{"cache": 1}"#, r#"Unknown parameter "cache"."#)]),
    ],
);

const CERTIFICATE_DETAIL: &str = "The \"certificate\" array must contain only string values.";

static CONF_COMMANDS: Map = Map::new("command", "MinProtocol", STRING);

static SESSION: Object = Object::new(
    "session",
    "How TLS sessions are resumed.",
    &[
        Member::new("cache_size", at_least(0))
            .about("How many sessions are kept; 0 switches the cache off.")
            .default("0")
            .example("10240")
            .refuses(&[("-1", r#"The "cache_size" number must not be negative."#)]),
        Member::new("timeout", at_least(1))
            .seconds()
            .about("How long a session can be resumed.")
            .default("300")
            .example("60")
            .refuses(&[("0", r#"The "timeout" number must be greater than zero."#)]),
        Member::new("tickets", one_of(&[BOOLEAN, TICKET_KEY, array(&TICKET_KEY, TICKETS_DETAIL)]))
            .about(
                "Whether sessions are handed to clients as tickets. `true` leaves the keys to the \
                 library; keys of 48 or 80 bytes in Base64 are shared with other servers: the last \
                 one encrypts, all of them decrypt.",
            )
            .default("false")
            .example("true")
            .refuses(&[
                (
                    r#""secret""#,
                    r#"Invalid length 4 of the ticket key "secret".  Must be 48 or 80 bytes."#,
                ),
                (r#"["a key"]"#, r#"Invalid Base64 format for the ticket key "a key"."#),
                ("[48]", TICKETS_DETAIL),
            ])
            .needs(Feature::Tickets),
    ],
);

const TICKET_KEY: Shape = like("Base64 key", "^[A-Za-z0-9+/]{64,107}={0,2}$");
const TICKETS_DETAIL: &str = "The \"key\" array must contain only string values.";

/// The `tls` of a listener.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate bundles; the first is the default. Never empty.
    pub certificates: Vec<Text>,
    /// Commands to the TLS library with their values, in order.
    pub conf_commands: Vec<(Text, Text)>,
    /// How sessions are resumed.
    pub session: Session,
}

impl Tls {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&["certificate"])?;
        let mut tls = Self {
            certificates: Vec::new(),
            conf_commands: Vec::new(),
            session: Session::default(),
        };
        for member in node.members() {
            match member.name() {
                b"certificate" => tls.certificates = read_certificates(&member)?,
                b"conf_commands" if !member.env().features.conf_commands => {
                    return Err(member.not_built());
                }
                b"conf_commands" => {
                    member.expect(Kinds::OBJECT)?;
                    let commands = member
                        .members()
                        .map(|command| Ok((command.name_text(), command.text()?.clone())));
                    tls.conf_commands = commands.collect::<Valid<_>>()?;
                }
                b"session" => tls.session = Session::read(&member)?,
                _ => return Err(member.unknown(&TLS)),
            }
        }
        Ok(tls)
    }
}

fn read_certificates(node: &Node<'_>) -> Valid<Vec<Text>> {
    let names = node.texts(CERTIFICATE_DETAIL)?;
    if names.is_empty() {
        return Err(node.fault("The \"certificate\" array must contain at least one element."));
    }
    match names.iter().find(|name| !node.env().certificates.permit(name)) {
        Some(name) => Err(node.fault(format!("Certificate \"{name}\" is not found."))),
        None => Ok(names),
    }
}

/// How TLS sessions are resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// How many sessions are kept; none switches the cache off.
    pub cache_size: u64,
    /// How long a session can be resumed.
    pub timeout: Duration,
    /// Whether sessions are handed to clients as tickets.
    pub tickets: Tickets,
}

impl Default for Session {
    fn default() -> Self {
        Self { cache_size: 0, timeout: Duration::from_secs(300), tickets: Tickets::Disabled }
    }
}

/// Session tickets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tickets {
    /// None are handed out.
    Disabled,
    /// Their keys are made and kept by the library.
    Automatic,
    /// They are decrypted with any of these keys and encrypted with the last. Never empty.
    Keys(Vec<TicketKey>),
}

/// A key for session tickets.
#[derive(Clone, PartialEq, Eq)]
pub enum TicketKey {
    /// For AES with 128 bits.
    Aes128(Box<[u8; 48]>),
    /// For AES with 256 bits.
    Aes256(Box<[u8; 80]>),
}

/// A key is a secret.
impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128(_) => "Aes128(..)",
            Self::Aes256(_) => "Aes256(..)",
        })
    }
}

impl Session {
    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut session = Self::default();
        for member in node.members() {
            match member.name() {
                b"cache_size" => {
                    session.cache_size = u64::try_from(member.integer()?).map_err(|_| {
                        member.fault("The \"cache_size\" number must not be negative.")
                    })?;
                }
                b"timeout" => {
                    session.timeout = seconds::limit(member.integer()?).ok_or_else(|| {
                        member.fault("The \"timeout\" number must be greater than zero.")
                    })?;
                }
                b"tickets" if !member.env().features.tickets => return Err(member.not_built()),
                b"tickets" => session.tickets = read_tickets(&member)?,
                _ => return Err(member.unknown(&SESSION)),
            }
        }
        Ok(session)
    }
}

fn read_tickets(node: &Node<'_>) -> Valid<Tickets> {
    node.expect(Kinds::BOOLEAN | Kinds::STRING | Kinds::ARRAY)?;
    if let Value::Boolean(enabled) = node.value() {
        return Ok(if *enabled { Tickets::Automatic } else { Tickets::Disabled });
    }
    let keys: Vec<TicketKey> = if node.value().as_array().is_some() {
        let key = |element: Node<'_>| match element.value().as_text() {
            Some(key) => read_key(&element, key),
            None => Err(element.fault(TICKETS_DETAIL)),
        };
        node.elements().map(key).collect::<Valid<_>>()?
    } else {
        vec![read_key(node, node.text()?)?]
    };
    Ok(if keys.is_empty() { Tickets::Disabled } else { Tickets::Keys(keys) })
}

fn read_key(node: &Node<'_>, text: &Text) -> Valid<TicketKey> {
    let bytes = decode_base64(text).ok_or_else(|| {
        node.fault(format!("Invalid Base64 format for the ticket key \"{text}\"."))
    })?;
    if let Ok(key) = <[u8; 48]>::try_from(&bytes[..]) {
        return Ok(TicketKey::Aes128(Box::new(key)));
    }
    if let Ok(key) = <[u8; 80]>::try_from(&bytes[..]) {
        return Ok(TicketKey::Aes256(Box::new(key)));
    }
    let len = bytes.len();
    Err(node.fault(format!(
        "Invalid length {len} of the ticket key \"{text}\".  Must be 48 or 80 bytes."
    )))
}

/// Decodes the standard alphabet. Padding may be left out, but must be exact if there is any.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let digits = &text[..text.len() - padding];
    if digits.len() % 4 == 1 || (padding > 0 && (padding > 2 || !text.len().is_multiple_of(4))) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for &digit in group {
            bits = bits << 6 | base64_digit(digit)?;
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn base64_digit(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, bare_environment, config, refuses, refuses_in};

    const FRAME: &str = r#"{"listeners":{"*:80":{"pass":"routes","tls":@}},"routes":[]}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        let key = "A".repeat(64);
        accepts(
            FRAME,
            &[
                r#"{"certificate":["cert","other","cert"],"session":{},"conf_commands":{}}"#,
                r#"{"certificate":"cert","conf_commands":{"A":"b","":""}}"#,
                r#"{"certificate":"cert","session":{"cache_size":0,"timeout":1,"tickets":true}}"#,
                &format!(r#"{{"certificate":"cert","session":{{"tickets":"{key}"}}}}"#),
                &format!(r#"{{"certificate":"cert","session":{{"tickets":["{key}",]}}}}"#),
            ],
        );
        let empty = r#"The "certificate" array must contain at least one element."#;
        refuses(
            FRAME,
            &[
                ("{}", r#"Required parameter "certificate" is missing."#),
                (
                    r#"{"certificate":1}"#,
                    r#"The "certificate" value must be either a string or an array, but not an integer number."#,
                ),
                (r#"{"certificate":[]}"#, empty),
                (
                    r#"{"certificate":["cert",1]}"#,
                    r#"The "certificate" array must contain only string values."#,
                ),
                (r#"{"certificate":"x"}"#, r#"Certificate "x" is not found."#),
                (r#"{"certificate":["cert","y","x"]}"#, r#"Certificate "y" is not found."#),
                (r#"{"certificate":""}"#, r#"Certificate "" is not found."#),
                (r#"{"certificate":"cert","x":1}"#, r#"Unknown parameter "x"."#),
                (
                    r#"{"certificate":"cert","conf_commands":[]}"#,
                    r#"The "conf_commands" value must be an object, but not an array."#,
                ),
                (
                    r#"{"certificate":"cert","conf_commands":{"MinProtocol":1}}"#,
                    r#"The "MinProtocol" value must be a string, but not an integer number."#,
                ),
                (
                    r#"{"certificate":"cert","session":1}"#,
                    r#"The "session" value must be an object, but not an integer number."#,
                ),
            ],
        );
        refuses(
            &FRAME.replace('@', r#"{"certificate":"cert","session":{@}}"#),
            &[
                (r#""x":1"#, r#"Unknown parameter "x"."#),
                (r#""cache_size":-1"#, r#"The "cache_size" number must not be negative."#),
                (
                    r#""cache_size":1.5"#,
                    r#"The "cache_size" value must be an integer number, but not a fractional number."#,
                ),
                (r#""timeout":0"#, r#"The "timeout" number must be greater than zero."#),
                (r#""timeout":-1"#, r#"The "timeout" number must be greater than zero."#),
                (
                    r#""timeout":"1""#,
                    r#"The "timeout" value must be an integer number, but not a string."#,
                ),
                (
                    r#""tickets":1"#,
                    r#"The "tickets" value must be either a boolean, a string, or an array, but not an integer number."#,
                ),
                (r#""tickets":[1]"#, r#"The "key" array must contain only string values."#),
                (r#""tickets":"a b""#, r#"Invalid Base64 format for the ticket key "a b"."#),
                (
                    r#""tickets":"""#,
                    r#"Invalid length 0 of the ticket key "".  Must be 48 or 80 bytes."#,
                ),
                (
                    r#""tickets":["AAAA"]"#,
                    r#"Invalid length 3 of the ticket key "AAAA".  Must be 48 or 80 bytes."#,
                ),
            ],
        );
    }

    #[test]
    fn features_that_are_not_built_are_told() {
        let mut env = bare_environment();
        env.features.tls = true;
        refuses_in(
            &env,
            FRAME,
            &[
                (
                    r#"{"certificate":"cert","conf_commands":1}"#,
                    r#"Unit is built without the "conf_commands" option support."#,
                ),
                (
                    r#"{"certificate":"cert","session":{"tickets":1}}"#,
                    r#"Unit is built without the "tickets" option support."#,
                ),
            ],
        );
    }

    #[test]
    fn sessions_have_defaults_and_keys_their_sizes() {
        let session = |session: &str| {
            let tls = format!(r#"{{"certificate":"cert","session":{session}}}"#);
            let config = config(&FRAME.replace('@', &tls));
            config.listeners[0].tls.clone().expect("is set").session
        };
        assert_eq!(session("{}"), Session::default());
        assert_eq!(session(r#"{"tickets":true}"#).tickets, Tickets::Automatic);
        assert_eq!(session(r#"{"tickets":false}"#).tickets, Tickets::Disabled);
        assert_eq!(session(r#"{"tickets":[]}"#).tickets, Tickets::Disabled);
        let (short, long) = ("A".repeat(64), "A".repeat(107));
        assert_eq!(
            session(&format!(r#"{{"tickets":["{short}","{long}"]}}"#)).tickets,
            Tickets::Keys(vec![
                TicketKey::Aes128(Box::new([0; 48])),
                TicketKey::Aes256(Box::new([0; 80])),
            ])
        );
    }

    #[test]
    fn base64_is_the_standard_alphabet_with_exact_or_no_padding() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zg", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYg", Some(b"foob")),
            ("+/+/", Some(b"\xfb\xff\xbf")),
            ("Zg=", None),
            ("Zg===", None),
            ("Zm9v=", None),
            ("Zm9v====", None),
            ("=", None),
            ("====", None),
            ("Z", None),
            ("Zm9vY", None),
            ("Zm 8=", None),
            ("-_-_", None),
            ("Z=g=", None),
        ] {
            assert_eq!(decode_base64(text.as_bytes()).as_deref(), bytes, "{text}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", TicketKey::Aes128(Box::new([1; 48]))), "Aes128(..)");
    }
}
