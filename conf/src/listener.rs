//! Listeners.

pub(crate) mod forwarded;
pub(crate) mod tls;

use crate::ValidationError;
use crate::crossref;
use crate::listener::forwarded::{CLIENT_IP, ClientIp, FORWARDED, FORWARDED_DETAIL, Forwarded};
use crate::listener::tls::{TLS, Tls};
use crate::node::{Node, Valid};
use crate::pass::Pass;
use crate::schema::{Feature, Member, Object, STRING, TEMPLATE, number, object};
use crate::socket_address::SocketAddress;
use crate::text::Text;

pub(crate) static LISTENER: Object = Object::new(
    "listener",
    "A socket to listen on.",
    &[
        Member::new("pass", TEMPLATE)
            .required_unless("application")
            .about("[Where requests go](#pass).")
            .example(r#""applications/app""#)
            .refuses(&[
                (r#""""#, r#"Request "pass" value "" is invalid."#),
                (r#""nowhere""#, r#"Request "pass" points to invalid location "nowhere"."#),
                (r#""$nothing""#, r#"Unknown variable "nothing" in the "pass" value."#),
            ]),
        Member::new("application", STRING)
            .about("The name of an application: the older form of `pass`, which goes before it.")
            .example(r#""app""#)
            .refuses(&[(
                r#""absent""#,
                r#"Listening socket is assigned for a non existing application "absent"."#,
            )]),
        Member::new("forwarded", object(&FORWARDED))
            .about("Whom to believe about clients and protocols.")
            .default_is("nobody")
            .example(r#"{"client_ip": "X-Forwarded-For", "source": "10.0.0.0/8"}"#)
            .refuses(&[(r#"{"source": "10.0.0.0/8"}"#, FORWARDED_DETAIL)]),
        Member::new("client_ip", object(&CLIENT_IP))
            .about("The older form of `forwarded`; with both, it is applied after it.")
            .default_is("nobody")
            .example(r#"{"header": "X-Real-IP", "source": "10.0.0.0/8"}"#)
            .refuses(&[(
                r#"{"header": "X-Real-IP"}"#,
                r#"Required parameter "source" is missing."#,
            )]),
        Member::new("backlog", number(-1, 2_147_483_647))
            .about(
                "Connections that may wait to be accepted; -1 is the system's limit, and so is a \
                 fraction.",
            )
            .default("-1")
            .example("1024")
            .refuses(&[
                ("-2", r#"The "backlog" number must be equal to or greater than -1."#),
                ("2147483648", r#"The "backlog" number must not exceed 2147483647."#),
            ]),
        Member::new("tls", object(&TLS))
            .about("TLS on all connections.")
            .default_is("plain connections")
            .example(r#"{"certificate": "example.com"}"#)
            .refuses(&[
                ("{}", r#"Required parameter "certificate" is missing."#),
                (r#"{"certificate": "absent"}"#, r#"Certificate "absent" is not found."#),
            ])
            .needs(Feature::Tls)
            .not_yet("TLS"),
    ],
);

/// A socket to listen on.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address as it is written.
    pub key: Text,
    /// Where to listen.
    pub address: SocketAddress,
    /// What handles the requests.
    pub target: Pass,
    /// How many connections may wait to be accepted; nothing is the system's limit.
    pub backlog: Option<u32>,
    /// Whom to believe about clients and protocols.
    pub forwarded: Option<Forwarded>,
    /// The older form of the same, applied after it.
    pub client_ip: Option<ClientIp>,
    /// TLS, unless connections are plain.
    pub tls: Option<Tls>,
}

impl Listener {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        let key = node.name_text();
        let address = SocketAddress::parse(&key).map_err(|error| ValidationError {
            log: Some(error.to_string()),
            ..node.fault(format!("The listener address \"{key}\" is invalid."))
        })?;
        node.object(&[])?;
        let mut pass = None;
        let mut application = None;
        let mut backlog = None;
        let mut forwarded = None;
        let mut client_ip = None;
        let mut tls = None;
        for member in node.members() {
            match member.name() {
                b"pass" => pass = Some(Pass::read(&member)?),
                b"application" => application = Some(read_application(&member)?),
                b"forwarded" => forwarded = Some(Forwarded::read(&member)?),
                b"client_ip" => client_ip = Some(ClientIp::read(&member)?),
                b"backlog" => backlog = read_backlog(&member)?,
                b"tls" if member.env().features.tls => tls = Some(Tls::read(&member)?),
                _ => return Err(member.unknown(&LISTENER)),
            }
        }
        let target = pass.or(application).ok_or_else(|| node.missing("pass"))?;
        Ok(Self { key, address, target, backlog, forwarded, client_ip, tls })
    }
}

/// The older way to name an application.
fn read_application(node: &Node<'_>) -> Valid<Pass> {
    let name = node.text()?;
    if !crossref::has_application(node.root_value(), name) {
        return Err(node.fault(format!(
            "Listening socket is assigned for a non existing application \"{name}\"."
        )));
    }
    Ok(Pass::Application { name: name.clone(), target: None })
}

fn read_backlog(node: &Node<'_>) -> Valid<Option<u32>> {
    node.number()?;
    // A fraction has always been taken, and ignored.
    let Some(backlog) = node.as_integer() else {
        return Ok(None);
    };
    if backlog < -1 {
        return Err(node.fault("The \"backlog\" number must be equal to or greater than -1."));
    }
    if backlog > i64::from(i32::MAX) {
        return Err(node.fault("The \"backlog\" number must not exceed 2147483647."));
    }
    Ok(u32::try_from(backlog).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, bare_environment, config, refusal, refuses, refuses_in};

    const FRAME: &str = r#"{"listeners":{"*:80":@},"routes":[],"applications":{"a":{"type":"go",
                           "executable":"/a"}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#"{"pass":"routes"}"#,
                r#"{"pass":"applications/a","application":"a"}"#,
                r#"{"application":"a"}"#,
                r#"{"pass":"$host"}"#,
                r#"{"pass":"`x`"}"#,
                r#"{"pass":"routes","backlog":-1}"#,
                r#"{"pass":"routes","backlog":2147483647}"#,
                r#"{"pass":"routes","backlog":1.5}"#,
                r#"{"pass":"routes","tls":{"certificate":"cert"}}"#,
            ],
        );
        refuses(
            FRAME,
            &[
                ("1", r#"The "*:80" value must be an object, but not an integer number."#),
                ("{}", r#"Required parameter "pass" is missing."#),
                (r#"{"pas":"routes"}"#, r#"Unknown parameter "pas"."#),
                (r#"{"pass":null}"#, r#"The "pass" value must be a string, but not a null."#),
                (r#"{"pass":""}"#, r#"Request "pass" value "" is invalid."#),
                (r#"{"pass":"routes/"}"#, r#"Request "pass" value "routes/" is invalid."#),
                (r#"{"pass":"a/b/c/d"}"#, r#"Request "pass" value "a/b/c/d" is invalid."#),
                (r#"{"pass":"routes/%zz"}"#, r#"Request "pass" value "routes/%zz" is invalid."#),
                (
                    r#"{"pass":"routes/x"}"#,
                    r#"Request "pass" points to invalid location "routes/x"."#,
                ),
                (
                    r#"{"pass":"applications/b"}"#,
                    r#"Request "pass" points to invalid location "applications/b"."#,
                ),
                (
                    r#"{"pass":"upstreams/u"}"#,
                    r#"Request "pass" points to invalid location "upstreams/u"."#,
                ),
                (r#"{"pass":"nope`"}"#, r#"Request "pass" points to invalid location "nope`"."#),
                (r#"{"pass":"$"}"#, r#"Invalid variable at position 0 in the "pass" value."#),
                (r#"{"pass":"a$b"}"#, r#"Unknown variable "b" in the "pass" value."#),
                (
                    r#"{"pass":"`bad"}"#,
                    r#""SyntaxError: Unterminated template literal in default:1" in the "pass" value."#,
                ),
                (
                    r#"{"application":"b"}"#,
                    r#"Listening socket is assigned for a non existing application "b"."#,
                ),
                (
                    r#"{"application":1}"#,
                    r#"The "application" value must be a string, but not an integer number."#,
                ),
                (
                    r#"{"pass":"routes","backlog":-2}"#,
                    r#"The "backlog" number must be equal to or greater than -1."#,
                ),
                (
                    r#"{"pass":"routes","backlog":2147483648}"#,
                    r#"The "backlog" number must not exceed 2147483647."#,
                ),
                (
                    r#"{"pass":"routes","backlog":"1"}"#,
                    r#"The "backlog" value must be either an integer number or a fractional number, but not a string."#,
                ),
                (
                    r#"{"pass":"routes","tls":[]}"#,
                    r#"The "tls" value must be an object, but not an array."#,
                ),
            ],
        );
    }

    #[test]
    fn features_that_are_not_built_are_told() {
        refuses_in(
            &bare_environment(),
            FRAME,
            &[
                (r#"{"pass":"routes","tls":{}}"#, r#"Unknown parameter "tls"."#),
                (
                    r#"{"pass":"`x`"}"#,
                    r#"Unit is built without support of njs: "--njs" ./configure option is missing. in the "pass" value."#,
                ),
            ],
        );
    }

    #[test]
    fn keys_are_checked_before_values() {
        for (key, log) in [
            ("80", "The address \"80\" must specify a port."),
            ("*:0", "invalid port in \"*:0\""),
            ("localhost:80", "invalid address \"localhost:80\""),
            ("", "socket address cannot be empty"),
        ] {
            let error = refusal(&format!(r#"{{"listeners":{{"{key}":1}}}}"#));
            assert_eq!(error.detail, format!("The listener address \"{key}\" is invalid."));
            assert_eq!(error.log.as_deref(), Some(log));
        }
    }

    #[test]
    fn a_pass_wins_over_an_application() {
        let config =
            config(&FRAME.replace('@', r#"{"application":"a","pass":"routes","backlog":7}"#));
        assert_eq!(config.listeners[0].target, Pass::Route(None));
        assert_eq!(config.listeners[0].backlog, Some(7));
        assert_eq!(config.listeners[0].key, "*:80");
    }
}
