//! Configuration: the JSON that describes it, the typed model it becomes, and its validator.
//!
//! The controller reads requests and the stored state with it, answers with its messages, and edits
//! the tree with its operations; the router and the runtimes turn the accepted text into the typed
//! model. [`Config::validate`] is the only way to a [`Config`], and a [`Config`] holds no invalid
//! value: nobody checks again.
//!
//! The crate is pure: it opens no file, asks no system and holds no privilege. What validation
//! depends on besides the text comes in as an [`Environment`]. Nothing in a text may make it panic,
//! recurse without bound or take more than about linear time.

#![forbid(unsafe_code)]

mod access_log;
mod action;
mod address_pattern;
mod application;
mod condition;
mod config;
mod crossref;
mod environment;
mod error;
mod listener;
mod locate;
mod matching;
mod node;
mod pass;
mod pattern;
mod percent;
mod print;
mod prune;
mod read;
mod regex;
mod route;
pub mod schema;
mod seconds;
mod settings;
mod socket_address;
mod template;
#[cfg(test)]
mod testing;
mod text;
pub mod tree;
mod upstream;
mod value;

pub use access_log::{AccessLog, AccessLogFormat};
pub use action::{Action, ActionKind, Return, Share};
pub use address_pattern::{AddressPattern, AddressPatternError, AddressSet, PeerAddress};
pub use application::external::External;
pub use application::isolation::{Automount, IdMap, Isolation, Namespaces};
pub use application::java::Java;
pub use application::limits::Limits;
pub use application::perl::Perl;
pub use application::php::{Php, PhpOptions, PhpTarget};
pub use application::processes::Processes;
pub use application::python::{Python, PythonProtocol, PythonTarget};
pub use application::ruby::Ruby;
pub use application::wasm::{Wasm, WasmWasiComponent};
pub use application::{Application, ApplicationKind};
pub use condition::Condition;
pub use config::Config;
pub use environment::{Environment, Features, Language, Module, Names, Origin, ScriptCheck};
pub use error::ValidationError;
pub use listener::Listener;
pub use listener::forwarded::{ClientIp, Forwarded};
pub use listener::tls::{Session, TicketKey, Tickets, Tls};
pub use locate::locate;
pub use matching::{Match, NamedPattern, NamedPatterns, Scheme};
pub use pass::{Pass, PassError, Target};
pub use pattern::{Literal, MatchError, Matcher, Pattern, PatternSet};
pub use print::{escape, print_compact, print_pretty};
pub use prune::{Pruned, prune};
pub use read::{ParseError, Position, parse};
pub use regex::{Regex, RegexError, RequiredTexts};
pub use route::{Routes, Step};
pub use settings::Settings;
pub use settings::compression::{Compression, Compressor, ContentEncoding};
pub use settings::http::Http;
pub use settings::mime_types::MimeTypes;
pub use settings::telemetry::{Telemetry, TelemetryProtocol};
pub use settings::websocket::WebSocket;
pub use socket_address::{AddressError, SocketAddress};
pub use template::{Part, Template, TemplateError, Variable};
pub use text::Text;
pub use upstream::{Server, Upstream};
pub use value::{DEPTH_MAX, Kind, Number, Object, Value};
