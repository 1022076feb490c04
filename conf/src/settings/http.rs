//! How HTTP is spoken: timeouts, sizes and switches.

use std::time::Duration;

use crate::Origin;
use crate::node::{Node, Valid};
use crate::schema::{BOOLEAN, INTEGER, Member, Object, STRING, at_least, map, object};
use crate::seconds;
use crate::settings::compression::{COMPRESSION, Compression};
use crate::settings::mime_types::{MIME_TYPES, MimeTypes};
use crate::settings::websocket::{WEBSOCKET, WebSocket};
use crate::text::Text;

pub(crate) static HTTP: Object = Object::new(
    "http",
    "How HTTP is spoken, on every listener. A time of 0 is no limit.",
    &[
        Member::new("header_read_timeout", INTEGER)
            .seconds()
            .about("For the whole head of a request; then it is answered 408.")
            .default("30")
            .example("10")
            .refuses(&[(
                r#""10s""#,
                r#"The "header_read_timeout" value must be an integer number, but not a string."#,
            )]),
        Member::new("body_read_timeout", INTEGER)
            .seconds()
            .about("Between two reads of a body; then the request is answered 408.")
            .default("30")
            .example("10")
            .refuses(&[(
                "0.5",
                r#"The "body_read_timeout" value must be an integer number, but not a fractional number."#,
            )]),
        Member::new("send_timeout", INTEGER)
            .seconds()
            .about("Between two writes of a response; then the connection is closed.")
            .default("30")
            .example("10")
            .refuses(&[(
                "null",
                r#"The "send_timeout" value must be an integer number, but not a null."#,
            )]),
        Member::new("idle_timeout", at_least(0))
            .seconds()
            .about("Without a request; then the connection is closed.")
            .default("180")
            .example("60")
            .refuses(&[("-1", r#"The "idle_timeout" number must not be negative."#)]),
        Member::new("min_rate", at_least(0))
            .about(
                "How many bytes per second a client must send of a body and take of a response at \
                 least, on average over the time in which it is waited for; 0 is any number. One \
                 that is behind by two of `body_read_timeout` or `send_timeout` is treated as if \
                 it had sent or taken nothing.",
            )
            .default("240")
            .example("1000")
            .refuses(&[("-1", r#"The "min_rate" number must not be negative."#)]),
        Member::new("large_header_buffer_size", at_least(1))
            .bytes()
            .about("The size of each further buffer for a head; a longer line is answered 431.")
            .default("8192")
            .example("16384")
            .refuses(&[(
                "0",
                r#"The "large_header_buffer_size" number must be equal to or greater than 1."#,
            )]),
        Member::new("large_header_buffers", at_least(1))
            .about("How many of those one request may take; one that needs more is answered 431.")
            .default("4")
            .example("8")
            .refuses(&[(
                "0",
                r#"The "large_header_buffers" number must be equal to or greater than 1."#,
            )]),
        Member::new("body_buffer_size", INTEGER)
            .bytes()
            .about("The largest body that is kept in memory; a larger one goes to a file.")
            .default("16384")
            .example("65536")
            .refuses(&[(
                r#""64k""#,
                r#"The "body_buffer_size" value must be an integer number, but not a string."#,
            )]),
        Member::new("max_body_size", at_least(0))
            .bytes()
            .about("The largest body that is accepted; a larger one is answered 413.")
            .default("8388608")
            .example("33554432")
            .refuses(&[("-1", r#"The "max_body_size" number must not be negative."#)]),
        Member::new("body_temp_path", STRING)
            .about("The directory of the files for large bodies; they have no name there.")
            .default_is("`--tmpdir`")
            .example(r#""/var/tmp""#)
            .refuses(&[(
                "true",
                r#"The "body_temp_path" value must be a string, but not a boolean."#,
            )]),
        Member::new("discard_unsafe_fields", BOOLEAN)
            .about(
                "Whether request fields are dropped that have anything but letters, digits and \
                 dashes in their names.",
            )
            .default("true")
            .example("false")
            .refuses(&[(
                "0",
                r#"The "discard_unsafe_fields" value must be a boolean, but not an integer number."#,
            )]),
        Member::new("websocket", object(&WEBSOCKET))
            .about("WebSocket connections.")
            .default("{}")
            .example(r#"{"keepalive_interval": 15}"#)
            .refuses(&[(r#"{"timeout": 1}"#, r#"Unknown parameter "timeout"."#)]),
        Member::new("static", object(&STATIC))
            .about("Static files.")
            .default("{}")
            .example(r#"{"mime_types": {"text/x-code": ".rs"}}"#)
            .refuses(&[(r#"{"types": {}}"#, r#"Unknown parameter "types"."#)]),
        Member::new("log_route", BOOLEAN)
            .about("Whether the step that was selected for a request is logged.")
            .default("false")
            .example("true")
            .refuses(&[(
                r#""yes""#,
                r#"The "log_route" value must be a boolean, but not a string."#,
            )]),
        Member::new("server_version", BOOLEAN)
            .about("Whether the field `Server` of responses tells the version.")
            .default("true")
            .example("false")
            .refuses(&[(
                r#""off""#,
                r#"The "server_version" value must be a boolean, but not a string."#,
            )]),
        Member::new("chunked_transform", BOOLEAN)
            .about("Whether chunked request bodies are taken; otherwise they are answered 411.")
            .default("false")
            .example("true")
            .refuses(&[(
                "{}",
                r#"The "chunked_transform" value must be a boolean, but not an object."#,
            )]),
        Member::new("compression", object(&COMPRESSION))
            .about("Compression of responses.")
            .default_is("off")
            .example(r#"{"types": "text/*", "compressors": [{"encoding": "gzip"}]}"#)
            .refuses(&[(
                r#"{"compressors": "gzip"}"#,
                r#"The "compressors" value must be either an array or an object, but not a string."#,
            )]),
    ],
);

static STATIC: Object = Object::new(
    "static",
    "How static files are served.",
    &[Member::new("mime_types", map(&MIME_TYPES))
        .about(
            "File name extensions for each MIME type, beside the built-in ones or in place of \
             them. An extension has its dot (`.js`), or is a whole name (`README`); letter case \
             does not count.",
        )
        .default("{}")
        .example(r#"{"text/plain": [".log", "README"]}"#)
        .refuses(&[
            (
                r#"{"text/plain": ""}"#,
                r#"An empty file extension for the "text/plain" MIME type."#,
            ),
            (
                r#"{"a/b": ".x", "c/d": [".y", ".X"]}"#,
                r#"The ".X" file extension has been declared for "a/b" and "c/d" MIME types at the same time."#,
            ),
        ])],
);

/// The `http` of the settings. A timeout of nothing is none.
#[derive(Clone, Debug)]
pub struct Http {
    /// For the whole head of a request.
    pub header_read_timeout: Option<Duration>,
    /// Between two reads of a body.
    pub body_read_timeout: Option<Duration>,
    /// Between two writes of a response.
    pub send_timeout: Option<Duration>,
    /// Without a request.
    pub idle_timeout: Option<Duration>,
    /// Bytes per second that a client must send or take on average; 0 is any number.
    pub min_rate: u64,
    /// The size of each buffer for a head that does not fit the first.
    pub large_header_buffer_size: u64,
    /// How many of those there may be.
    pub large_header_buffers: u64,
    /// The largest body kept in memory.
    pub body_buffer_size: u64,
    /// The largest body accepted.
    pub max_body_size: u64,
    /// Where larger bodies are kept; nothing is the daemon's temporary directory.
    pub body_temp_path: Option<Text>,
    /// Whether header fields with unusual names are dropped.
    pub discard_unsafe_fields: bool,
    /// WebSocket connections.
    pub websocket: WebSocket,
    /// MIME types of static files.
    pub mime_types: MimeTypes,
    /// Whether routing is logged.
    pub log_route: bool,
    /// Whether responses tell the version of the server.
    pub server_version: bool,
    /// Whether chunked request bodies are taken.
    pub chunked_transform: bool,
    /// Compression of responses.
    pub compression: Option<Compression>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            header_read_timeout: Some(Duration::from_secs(30)),
            body_read_timeout: Some(Duration::from_secs(30)),
            send_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(180)),
            min_rate: 240,
            large_header_buffer_size: 8192,
            large_header_buffers: 4,
            body_buffer_size: 16384,
            max_body_size: 8 * 1024 * 1024,
            body_temp_path: None,
            discard_unsafe_fields: true,
            websocket: WebSocket::default(),
            mime_types: MimeTypes::default(),
            log_route: false,
            server_version: true,
            chunked_transform: false,
            compression: None,
        }
    }
}

impl Http {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut http = Self::default();
        for member in node.members() {
            match member.name() {
                b"header_read_timeout" => {
                    http.header_read_timeout = seconds::limit(member.integer()?);
                }
                b"body_read_timeout" => http.body_read_timeout = seconds::limit(member.integer()?),
                b"send_timeout" => http.send_timeout = seconds::limit(member.integer()?),
                b"idle_timeout" => http.idle_timeout = seconds::limit(useful(&member, 0)?),
                b"min_rate" => http.min_rate = size(useful(&member, 0)?),
                b"large_header_buffer_size" => {
                    http.large_header_buffer_size = size(useful(&member, 1)?);
                }
                b"large_header_buffers" => http.large_header_buffers = size(useful(&member, 1)?),
                b"body_buffer_size" => http.body_buffer_size = size(member.integer()?),
                b"max_body_size" => http.max_body_size = size(useful(&member, 0)?),
                b"body_temp_path" => http.body_temp_path = Some(member.text()?.clone()),
                b"discard_unsafe_fields" => http.discard_unsafe_fields = member.boolean()?,
                b"websocket" => http.websocket = WebSocket::read(&member)?,
                b"static" => http.mime_types = read_static(&member)?,
                b"log_route" => http.log_route = member.boolean()?,
                b"server_version" => http.server_version = member.boolean()?,
                b"chunked_transform" => http.chunked_transform = member.boolean()?,
                b"compression" => http.compression = Some(Compression::read(&member)?),
                _ => return Err(member.unknown(&HTTP)),
            }
        }
        Ok(http)
    }
}

/// A number whose smaller values are useless or harmful. They used to be taken, so a stored one is
/// not refused; it acts as before.
fn useful(node: &Node<'_>, min: i64) -> Valid<i64> {
    let value = node.integer()?;
    if value >= min || node.env().origin == Origin::Stored {
        return Ok(value);
    }
    let label = node.label();
    Err(node.fault(match min {
        0 => format!("The \"{label}\" number must not be negative."),
        min => format!("The \"{label}\" number must be equal to or greater than {min}."),
    }))
}

/// A size or a count; a negative one, where those are taken, is none.
fn size(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn read_static(node: &Node<'_>) -> Valid<MimeTypes> {
    node.object(&[])?;
    let mut mime_types = MimeTypes::default();
    for member in node.members() {
        match member.name() {
            b"mime_types" => mime_types = MimeTypes::read(&member)?,
            _ => return Err(member.unknown(&STATIC)),
        }
    }
    Ok(mime_types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, refuses, stored_environment, validate};

    const FRAME: &str = r#"{"settings":{"http":{@}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        for member in [
            "header_read_timeout",
            "body_read_timeout",
            "send_timeout",
            "idle_timeout",
            "min_rate",
            "large_header_buffer_size",
            "large_header_buffers",
            "body_buffer_size",
            "max_body_size",
        ] {
            accepts(FRAME, &[&format!(r#""{member}":1"#), &format!(r#""{member}":9e18"#)]);
            let detail =
                format!(r#"The "{member}" value must be an integer number, but not a string."#);
            refuses(FRAME, &[(&format!(r#""{member}":"1""#), &detail)]);
        }
        for member in ["discard_unsafe_fields", "log_route", "server_version", "chunked_transform"]
        {
            accepts(FRAME, &[&format!(r#""{member}":true"#), &format!(r#""{member}":false"#)]);
            let detail =
                format!(r#"The "{member}" value must be a boolean, but not an integer number."#);
            refuses(FRAME, &[(&format!(r#""{member}":1"#), &detail)]);
        }
        accepts(
            FRAME,
            &[
                r#""header_read_timeout":-1"#,
                r#""body_buffer_size":-1"#,
                r#""max_body_size":0,"idle_timeout":0"#,
                r#""body_temp_path":"/tmp","websocket":{},"static":{},"compression":{}"#,
            ],
        );
        refuses(
            FRAME,
            &[
                (r#""header_buffer_size":1"#, r#"Unknown parameter "header_buffer_size"."#),
                (r#""max_body_size":-1"#, r#"The "max_body_size" number must not be negative."#),
                (r#""min_rate":-1"#, r#"The "min_rate" number must not be negative."#),
                (r#""idle_timeout":-1"#, r#"The "idle_timeout" number must not be negative."#),
                (
                    r#""large_header_buffer_size":-1"#,
                    r#"The "large_header_buffer_size" number must be equal to or greater than 1."#,
                ),
                (
                    r#""large_header_buffers":0"#,
                    r#"The "large_header_buffers" number must be equal to or greater than 1."#,
                ),
                (
                    r#""body_temp_path":1"#,
                    r#"The "body_temp_path" value must be a string, but not an integer number."#,
                ),
                (
                    r#""websocket":1"#,
                    r#"The "websocket" value must be an object, but not an integer number."#,
                ),
                (
                    r#""static":1"#,
                    r#"The "static" value must be an object, but not an integer number."#,
                ),
                (r#""static":{"x":1}"#, r#"Unknown parameter "x"."#),
                (
                    r#""compression":1"#,
                    r#"The "compression" value must be an object, but not an integer number."#,
                ),
            ],
        );
    }

    #[test]
    fn values_and_defaults_are_typed() {
        let http = config("{}").settings.http;
        assert_eq!(http.header_read_timeout, Some(Duration::from_secs(30)));
        assert_eq!(http.idle_timeout, Some(Duration::from_secs(180)));
        assert_eq!(http.max_body_size, 8_388_608);
        assert!(http.discard_unsafe_fields && http.server_version);
        assert!(!http.log_route && !http.chunked_transform && http.compression.is_none());
        let text = r#""send_timeout":0,"idle_timeout":7,"max_body_size":1e3,"body_temp_path":"/t""#;
        let http = config(&FRAME.replace('@', text)).settings.http;
        assert_eq!(http.send_timeout, None);
        assert_eq!(http.idle_timeout, Some(Duration::from_secs(7)));
        assert_eq!(http.max_body_size, 1000);
        assert!(http.body_temp_path.is_some_and(|path| path == "/t"));
    }

    #[test]
    fn stored_values_that_are_refused_today_are_clamped() {
        let text = FRAME.replace(
            '@',
            r#""max_body_size":-1,"idle_timeout":-1,"large_header_buffer_size":-1,
               "large_header_buffers":0"#,
        );
        let http = validate(&text, &stored_environment()).expect("is accepted").settings.http;
        assert_eq!(http.max_body_size, 0);
        assert_eq!(http.idle_timeout, None);
        assert_eq!((http.large_header_buffer_size, http.large_header_buffers), (0, 0));
    }
}
