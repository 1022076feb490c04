//! WebSocket connections.

use std::time::Duration;

use crate::node::{Node, Valid};
use crate::schema::{INTEGER, Member, Object};
use crate::seconds;

pub(crate) static WEBSOCKET: Object = Object::new(
    "websocket",
    "WebSocket connections. A time of 0 is no limit.",
    &[
        Member::new("read_timeout", INTEGER)
            .seconds()
            .about("Between two reads from a client; then the session is closed with 1001.")
            .default("60")
            .example("30")
            .refuses(&[(
                "[]",
                r#"The "read_timeout" value must be an integer number, but not an array."#,
            )]),
        Member::new("keepalive_interval", INTEGER)
            .seconds()
            .about("How long nothing comes from a client before it is pinged, once.")
            .default("30")
            .example("15")
            .refuses(&[(
                "{}",
                r#"The "keepalive_interval" value must be an integer number, but not an object."#,
            )]),
        Member::new("max_frame_size", INTEGER)
            .bytes()
            .about("The largest frame that is accepted, its header included.")
            .default("1048576")
            .example("65536")
            .refuses(&[(
                r#""1M""#,
                r#"The "max_frame_size" value must be an integer number, but not a string."#,
            )]),
    ],
);

/// The `websocket` of the HTTP settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// The time between two reads from a client.
    pub read_timeout: Option<Duration>,
    /// How long nothing comes from a client before it is pinged.
    pub keepalive_interval: Option<Duration>,
    /// The largest frame accepted, its header included.
    pub max_frame_size: u64,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self {
            read_timeout: Some(Duration::from_secs(60)),
            keepalive_interval: Some(Duration::from_secs(30)),
            max_frame_size: 1024 * 1024,
        }
    }
}

impl WebSocket {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut websocket = Self::default();
        for member in node.members() {
            match member.name() {
                b"read_timeout" => websocket.read_timeout = seconds::limit(member.integer()?),
                b"keepalive_interval" => {
                    websocket.keepalive_interval = seconds::limit(member.integer()?);
                }
                b"max_frame_size" => {
                    websocket.max_frame_size = u64::try_from(member.integer()?).unwrap_or(0);
                }
                _ => return Err(member.unknown(&WEBSOCKET)),
            }
        }
        Ok(websocket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, refuses};

    #[test]
    fn members_are_accepted_or_refused() {
        let frame = r#"{"settings":{"http":{"websocket":{@}}}}"#;
        for member in ["read_timeout", "keepalive_interval", "max_frame_size"] {
            accepts(frame, &[&format!(r#""{member}":0"#), &format!(r#""{member}":-1"#)]);
            let detail =
                format!(r#"The "{member}" value must be an integer number, but not a null."#);
            refuses(frame, &[(&format!(r#""{member}":null"#), &detail)]);
        }
        refuses(frame, &[(r#""timeout":1"#, r#"Unknown parameter "timeout"."#)]);
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let text = r#"{"settings":{"http":{"websocket":{"read_timeout":0,"max_frame_size":9}}}}"#;
        let websocket = config(text).settings.http.websocket;
        assert_eq!(
            websocket,
            WebSocket { read_timeout: None, max_frame_size: 9, ..WebSocket::default() }
        );
        assert_eq!(websocket.keepalive_interval, Some(Duration::from_secs(30)));
    }
}
