//! The whole configuration.

use crate::access_log::AccessLog;
use crate::application::Application;
use crate::environment::Environment;
use crate::error::ValidationError;
use crate::listener::Listener;
use crate::node::{Context, Kinds, Node, Valid};
use crate::route::Routes;
use crate::settings::Settings;
use crate::text::Text;
use crate::upstream::Upstream;
use crate::value::{DEPTH_MAX, Value};

const MEMBERS: &[&str] =
    &["settings", "listeners", "routes", "applications", "upstreams", "access_log"];

/// A valid configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What holds for all listeners.
    pub settings: Settings,
    /// The sockets to listen on, in order.
    pub listeners: Vec<Listener>,
    /// The routes.
    pub routes: Routes,
    /// The applications, in order.
    pub applications: Vec<Application>,
    /// The upstreams, in order.
    pub upstreams: Vec<Upstream>,
    /// The access log, unless it is off.
    pub access_log: Option<AccessLog>,
}

impl Config {
    /// Checks a configuration and makes it typed. The first fault in stored order is reported.
    pub fn validate(root: &Value, env: &Environment) -> Result<Self, ValidationError> {
        let cx = Context { root, env };
        let node = Node::root(&cx);
        // A tree can grow deeper than any one text, by edits; what is stored must be readable.
        if !root.is_within_depth(DEPTH_MAX) {
            return Err(node.fault("The configuration is nested too deeply."));
        }
        Self::read(&node)
    }

    /// The configuration without anything in it, as a new installation has it.
    pub fn initial() -> Value {
        Value::from_iter([
            ("listeners", Value::empty_object()),
            ("routes", Value::from(Vec::new())),
            ("applications", Value::empty_object()),
        ])
    }

    /// The application of this name.
    pub fn application(&self, name: &Text) -> Option<&Application> {
        self.applications.iter().find(|application| application.name == *name)
    }

    /// The upstream of this name.
    pub fn upstream(&self, name: &Text) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.name == *name)
    }

    fn read(node: &Node<'_>) -> Valid<Self> {
        let mut config = Self::default();
        node.object(&[])?;
        for member in node.members() {
            match member.name() {
                b"settings" => config.settings = Settings::read(&member)?,
                b"listeners" => config.listeners = map(&member, Listener::read)?,
                b"routes" => config.routes = Routes::read(&member)?,
                b"applications" => config.applications = map(&member, Application::read)?,
                b"upstreams" => config.upstreams = map(&member, Upstream::read)?,
                b"access_log" => config.access_log = Some(AccessLog::read(&member)?),
                _ => return Err(member.unknown(MEMBERS)),
            }
        }
        Ok(config)
    }
}

fn map<T>(node: &Node<'_>, read: fn(&Node<'_>) -> Valid<T>) -> Valid<Vec<T>> {
    node.expect(Kinds::OBJECT)?;
    node.members().map(|member| read(&member)).collect()
}

#[cfg(test)]
mod tests;
