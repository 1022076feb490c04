//! Telemetry: where traces go.

use crate::node::{Node, Valid};
use crate::text::Text;

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
        const MEMBERS: &[&str] = &["endpoint", "protocol", "batch_size", "sampling_ratio"];
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
                _ => return Err(member.unknown(MEMBERS)),
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
