//! The whole configuration.

use crate::access_log::{ACCESS_LOG, AccessLog};
use crate::application::{APPLICATION, Application};
use crate::environment::Environment;
use crate::error::ValidationError;
use crate::listener::{LISTENER, Listener};
use crate::node::{Context, Kinds, Node, Valid};
use crate::route::{ROUTES, Routes};
use crate::schema::{Map, Member, Object, STRING, map, object, one_of};
use crate::settings::{SETTINGS, Settings};
use crate::text::Text;
use crate::upstream::{UPSTREAM, Upstream};
use crate::value::{DEPTH_MAX, Value};

pub(crate) static CONFIG: Object = Object::new(
    "config",
    "The whole configuration.",
    &[
        Member::new("settings", object(&SETTINGS))
            .about("What holds for all listeners.")
            .example(r#"{"http": {"max_body_size": 1048576}}"#)
            .refuses(&[(r#"{"htp": {}}"#, r#"Unknown parameter "htp"."#)]),
        Member::new("listeners", map(&LISTENERS))
            .about("Sockets to listen on.")
            .default("{}")
            .example(r#"{"*:8080": {"pass": "applications/app"}}"#)
            .refuses(&[(r#"{"8080": {}}"#, r#"The listener address "8080" is invalid."#)]),
        Member::new("routes", ROUTES)
            .about("What is done with requests: one route without a name, or named ones.")
            .default("{}")
            .example(r#"[{"action": {"return": 404}}]"#)
            .refuses(&[("[404]", r#"The "routes" array must contain only object values."#)]),
        Member::new("applications", map(&APPLICATIONS))
            .about("Programs that answer requests.")
            .default("{}")
            .example(r#"{"app": {"type": "python", "module": "wsgi"}}"#)
            .refuses(&[(r#"{"app": {}}"#, r#"Application must have the "type" property set."#)]),
        Member::new("upstreams", map(&UPSTREAMS))
            .about("Groups of servers that share requests.")
            .default("{}")
            .example(r#"{"pool": {"servers": {"127.0.0.1:9001": {}, "127.0.0.1:9002": {}}}}"#)
            .refuses(&[(
                r#"{"pool": {}}"#,
                r#"The "pool" upstream must contain "servers" object value."#,
            )])
            .partly("A `pass` to one is refused by this release."),
        Member::new("access_log", one_of(&[STRING, object(&ACCESS_LOG)]))
            .about("What is written about each request, and where; a string is the path.")
            .default_is("off")
            .example(r#""/var/log/unit/access.log""#)
            .refuses(&[(r#"{}"#, r#"The "path" string must not be empty."#)]),
    ],
);

static LISTENERS: Map = Map::new("address", "*:8080", object(&LISTENER)).refuses(&[
    ("8080", r#"The listener address "8080" is invalid."#),
    ("localhost:8080", r#"The listener address "localhost:8080" is invalid."#),
    ("*:0", r#"The listener address "*:0" is invalid."#),
]);

static APPLICATIONS: Map = Map::new("name", "app", APPLICATION);

static UPSTREAMS: Map = Map::new("name", "pool", object(&UPSTREAM));

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
                b"listeners" => config.listeners = read_map(&member, Listener::read)?,
                b"routes" => config.routes = Routes::read(&member)?,
                b"applications" => config.applications = read_map(&member, Application::read)?,
                b"upstreams" => config.upstreams = read_map(&member, Upstream::read)?,
                b"access_log" => config.access_log = Some(AccessLog::read(&member)?),
                _ => return Err(member.unknown(&CONFIG)),
            }
        }
        Ok(config)
    }
}

fn read_map<T>(node: &Node<'_>, read: fn(&Node<'_>) -> Valid<T>) -> Valid<Vec<T>> {
    node.expect(Kinds::OBJECT)?;
    node.members().map(|member| read(&member)).collect()
}

#[cfg(test)]
mod tests;
