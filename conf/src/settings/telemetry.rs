//! Telemetry: where traces go.

use crate::node::{Node, Valid};
use crate::schema::{Member, Object, STRING, at_least, choice, number};
use crate::text::Text;

pub(crate) static TELEMETRY: Object = Object::new(
    "telemetry",
    "Where traces of requests are sent.",
    &[
        Member::new("endpoint", STRING)
            .required()
            .about("The URL of the collector.")
            .example(r#""http://127.0.0.1:4318/v1/traces""#)
            .refuses(&[(
                "4318",
                r#"The "endpoint" value must be a string, but not an integer number."#,
            )]),
        Member::new("protocol", choice(&["http", "HTTP", "grpc", "GRPC"]))
            .required()
            .about("How the collector is spoken to.")
            .example(r#""http""#)
            .refuses(&[(r#""Http""#, r#"The "protocol" can either be "http" or "grpc"."#)]),
        Member::new("batch_size", at_least(1))
            .about("How many spans are sent at once.")
            .default("128")
            .example("20")
            .refuses(&[("0", r#"The "batch_size" number must be greater than zero."#)]),
        Member::new("sampling_ratio", number(0, 1))
            .about("The share of the requests that are traced.")
            .default("1")
            .example("0.1")
            .refuses(&[
                ("-0.1", r#"The "sampling_ratio" number must be between 0 and 1."#),
                ("1.1", r#"The "sampling_ratio" number must be between 0 and 1."#),
            ]),
    ],
);

/// The `telemetry` of the settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// The URL of the collector.
    pub endpoint: Text,
    /// How the collector is spoken to.
    pub protocol: TelemetryProtocol,
    /// How many spans are sent at once.
    pub batch_size: u64,
    /// The share of the requests that are traced, from 0 to 1.
    pub sampling_ratio: f64,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TelemetryProtocol {
    /// OTLP over HTTP.
    Http,
    /// OTLP over gRPC.
    Grpc,
}

impl Telemetry {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&["endpoint", "protocol"])?;
        let mut telemetry = Self {
            endpoint: Text::default(),
            protocol: TelemetryProtocol::Http,
            batch_size: 128,
            sampling_ratio: 1.0,
        };
        for member in node.members() {
            match member.name() {
                b"endpoint" => telemetry.endpoint = member.text()?.clone(),
                b"protocol" => telemetry.protocol = TelemetryProtocol::read(&member)?,
                b"batch_size" => {
                    let size = u64::try_from(member.integer()?).ok().filter(|&size| size > 0);
                    telemetry.batch_size = size.ok_or_else(|| {
                        member.fault("The \"batch_size\" number must be greater than zero.")
                    })?;
                }
                b"sampling_ratio" => {
                    telemetry.sampling_ratio = member.number()?;
                    if !(0.0..=1.0).contains(&telemetry.sampling_ratio) {
                        return Err(
                            member.fault("The \"sampling_ratio\" number must be between 0 and 1.")
                        );
                    }
                }
                _ => return Err(member.unknown(&TELEMETRY)),
            }
        }
        Ok(telemetry)
    }
}

impl TelemetryProtocol {
    fn read(node: &Node<'_>) -> Valid<Self> {
        match node.text()?.as_bytes() {
            b"http" | b"HTTP" => Ok(Self::Http),
            b"grpc" | b"GRPC" => Ok(Self::Grpc),
            _ => Err(node.fault("The \"protocol\" can either be \"http\" or \"grpc\".")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str = r#"{"settings":{"telemetry":{"endpoint":"http://c",@}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#""protocol":"http""#,
                r#""protocol":"HTTP","batch_size":1"#,
                r#""protocol":"grpc","sampling_ratio":0"#,
                r#""protocol":"GRPC","sampling_ratio":1"#,
            ],
        );
        let protocol = r#"The "protocol" can either be "http" or "grpc"."#;
        let ratio = r#"The "sampling_ratio" number must be between 0 and 1."#;
        refuses(
            FRAME,
            &[
                (r#""batch_size":1"#, r#"Required parameter "protocol" is missing."#),
                (r#""protocol":"Http""#, protocol),
                (
                    r#""protocol":1"#,
                    r#"The "protocol" value must be a string, but not an integer number."#,
                ),
                (
                    r#""protocol":"http","batch_size":0"#,
                    r#"The "batch_size" number must be greater than zero."#,
                ),
                (
                    r#""protocol":"http","batch_size":"a""#,
                    r#"The "batch_size" value must be an integer number, but not a string."#,
                ),
                (r#""protocol":"http","sampling_ratio":1.1"#, ratio),
                (r#""protocol":"http","sampling_ratio":-0.1"#, ratio),
                (
                    r#""protocol":"http","sampling_ratio":"1""#,
                    r#"The "sampling_ratio" value must be either an integer number or a fractional number, but not a string."#,
                ),
                (r#""protocol":"http","x":1"#, r#"Unknown parameter "x"."#),
            ],
        );
        refuses(
            r#"{"settings":{"telemetry":@}}"#,
            &[
                (r#"{"protocol":"http"}"#, r#"Required parameter "endpoint" is missing."#),
                (
                    r#"{"protocol":"http","endpoint":1}"#,
                    r#"The "endpoint" value must be a string, but not an integer number."#,
                ),
            ],
        );
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let text = FRAME.replace('@', r#""protocol":"GRPC","sampling_ratio":0.5"#);
        assert_eq!(
            config(&text).settings.telemetry,
            Some(Telemetry {
                endpoint: "http://c".into(),
                protocol: TelemetryProtocol::Grpc,
                batch_size: 128,
                sampling_ratio: 0.5,
            })
        );
    }
}
