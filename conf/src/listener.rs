//! Listeners.

pub(crate) mod forwarded;
pub(crate) mod tls;

use crate::ValidationError;
use crate::crossref;
use crate::listener::forwarded::{ClientIp, Forwarded};
use crate::listener::tls::Tls;
use crate::node::{Node, Valid};
use crate::pass::Pass;
use crate::socket_address::SocketAddress;
use crate::text::Text;

const MEMBERS: &[&str] = &["pass", "application", "forwarded", "client_ip", "backlog", "tls"];

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
                _ => return Err(member.unknown(MEMBERS)),
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
