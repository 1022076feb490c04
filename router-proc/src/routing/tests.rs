//! Requests sent through routes as configurations describe them.

mod actions;
mod index;
mod log_lines;
mod matching;
mod regular_expressions;
mod variables;

pub(crate) use log_lines::logged;

use conf::{Config, Environment, Language, Module, PeerAddress, Text};

use super::{
    AppIndex, CompileError, Decision, ListenerTarget, RequestCache, RequestContext, RequestTimes,
    RouteTable, evaluate,
};
use crate::http::{Limits, ParseStatus, RequestHead, parse_head};
use crate::static_files::FileCache;

/// A configuration with Python in two versions.
pub(crate) fn configure(json: &str) -> Config {
    let value = conf::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error:?}"));
    let module = Module {
        language: Language::Python,
        version: "3.11".into(),
        file: "python3.11.unit".into(),
    };
    let env = Environment { modules: vec![module], ..Environment::default() };
    Config::validate(&value, &env).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// The routes of a configuration with one listener. Applications are numbered in order.
pub(crate) struct Router {
    table: RouteTable,
    target: ListenerTarget,
    pub(crate) files: FileCache,
}

impl Router {
    pub(crate) fn new(json: &str) -> Router {
        let config = configure(json);
        let place = |name: &Text| {
            let mut applications = config.applications.iter();
            applications.position(|application| application.name == *name).map(AppIndex)
        };
        let table = RouteTable::compile(&config, &place).unwrap();
        let target = table.listener_target(&config.listeners[0].target).unwrap();
        Router { table, target, files: FileCache::new(8) }
    }

    /// A listener that passes to the one route with these steps.
    pub(crate) fn with_steps(steps: &str) -> Router {
        Router::new(&format!(r#"{{"listeners":{{"*:80":{{"pass":"routes"}}}},"routes":{steps}}}"#))
    }

    pub(crate) fn decide(&self, request: &mut Request) -> Decision<'_> {
        evaluate(&self.table, &self.target, &self.files, &mut request.context())
    }

    /// The decision in a few words.
    pub(crate) fn outcome(&self, request: &mut Request) -> String {
        match self.decide(request) {
            Decision::ErrorPage(status) => status.to_string(),
            Decision::Return { status, location: None, .. } => format!("return {status}"),
            Decision::Return { status, location: Some(location), .. } => {
                format!("return {status} <{}>", String::from_utf8_lossy(&location))
            }
            Decision::File { file, .. } => {
                let content_type =
                    file.content_type.as_ref().map_or("-".to_owned(), ToString::to_string);
                format!("file {} {content_type}", file.len)
            }
            Decision::Application { app, target, .. } => format!("app {} {target}", app.0),
            Decision::Proxy { address, .. } => format!("proxy {address}"),
            Decision::Upstream { name, .. } => format!("upstream {name}"),
        }
    }
}

/// A request over a plain connection from 10.0.0.1:4000 to 10.0.0.2:80.
pub(crate) struct Request {
    pub(crate) head: RequestHead,
    pub(crate) cache: RequestCache,
    pub(crate) peer: PeerAddress,
    pub(crate) local: PeerAddress,
    pub(crate) is_tls: bool,
    pub(crate) times: RequestTimes,
}

impl Request {
    /// `start` is the request line without its version.
    pub(crate) fn new(start: &str, fields: &[&str]) -> Request {
        let mut text = format!("{start} HTTP/1.1\r\n");
        for field in fields {
            text.push_str(field);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let mut head = RequestHead::new();
        let limits = Limits { discard_unsafe_fields: false, ..Limits::default() };
        match parse_head(text.as_bytes(), &limits, &mut head) {
            ParseStatus::Complete { .. } => {}
            status => panic!("{text}: {status:?}"),
        }
        Request {
            head,
            cache: RequestCache::default(),
            peer: address("10.0.0.1:4000"),
            local: address("10.0.0.2:80"),
            is_tls: false,
            times: RequestTimes { unix_secs: 784_111_777, elapsed_ms: 1234 },
        }
    }

    pub(crate) fn get(target: &str) -> Request {
        Request::new(&format!("GET {target}"), &[])
    }

    pub(crate) fn context(&mut self) -> RequestContext<'_> {
        RequestContext {
            head: &mut self.head,
            cache: &mut self.cache,
            peer: self.peer,
            local: self.local,
            is_tls: self.is_tls,
            conn: 43,
            times: self.times,
        }
    }
}

/// An IP address with a port, or `unix`.
pub(crate) fn address(text: &str) -> PeerAddress {
    match text {
        "unix" => PeerAddress::Unix,
        text => PeerAddress::Inet(text.parse().unwrap()),
    }
}

#[test]
fn an_application_that_nobody_knows_is_an_error() {
    let config = configure(
        r#"{"listeners":{},"routes":[],
            "applications":{"a":{"type":"external","executable":"/x"}}}"#,
    );
    let error = RouteTable::compile(&config, &|_| None).unwrap_err();
    assert_eq!(error, CompileError::Application("a".into()));
    assert_eq!(error.to_string(), "application \"a\" is not known");
}

#[test]
fn an_empty_table_knows_no_target() {
    let table = RouteTable::empty();
    for pass in [
        conf::Pass::Route(None),
        conf::Pass::Route(Some("a".into())),
        conf::Pass::Application { name: "a".into(), target: None },
        conf::Pass::Upstream("a".into()),
    ] {
        assert!(table.listener_target(&pass).is_err());
    }
}
