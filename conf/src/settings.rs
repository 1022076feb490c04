//! The settings that hold for all listeners.

pub(crate) mod compression;
pub(crate) mod http;
pub(crate) mod mime_types;
pub(crate) mod telemetry;
pub(crate) mod websocket;

use crate::node::{Node, Valid};
use crate::settings::http::Http;
use crate::settings::telemetry::Telemetry;
use crate::text::Text;

const MEMBERS: &[&str] = &["listen_threads", "http", "telemetry", "js_module"];

/// The `settings` of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How many event loops serve; nothing is one for each CPU.
    pub listen_threads: Option<u32>,
    /// How HTTP is spoken.
    pub http: Http,
    /// Where traces go.
    pub telemetry: Option<Telemetry>,
    /// The JavaScript modules that templates can use.
    pub js_modules: Vec<Text>,
}

impl Settings {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut settings = Self::default();
        for member in node.members() {
            let features = &member.env().features;
            match member.name() {
                b"listen_threads" => settings.listen_threads = Some(member.count()?),
                b"http" => settings.http = Http::read(&member)?,
                b"telemetry" if features.otel => {
                    settings.telemetry = Some(Telemetry::read(&member)?);
                }
                b"js_module" if features.njs.is_some() => {
                    settings.js_modules = read_js_modules(&member)?;
                }
                _ => return Err(member.unknown(MEMBERS)),
            }
        }
        Ok(settings)
    }
}

fn read_js_modules(node: &Node<'_>) -> Valid<Vec<Text>> {
    let names = node.texts("The \"js_module\" array must contain only string values.")?;
    match names.iter().find(|name| !node.env().scripts.permit(name)) {
        Some(name) => Err(node.fault(format!("JS module \"{name}\" is not found."))),
        None => Ok(names),
    }
}
