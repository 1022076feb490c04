//! One configuration, compiled and immutable: what every request is served by from its first byte
//! to its last.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conf::Config;

use crate::access_log::AccessLog;
use crate::compression::Compression;
use crate::http::{Limits, ServerField};
use crate::routing::{AppIndex, CompileError, ListenerTarget, RouteTable};

/// The number of a listening address; an address keeps its number as long as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);

/// How HTTP is spoken: `settings.http` in the form the connections need it.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// What a request may take.
    pub limits: Limits,
    /// For the whole head of a request.
    pub header_read_timeout: Option<Duration>,
    /// Between two reads of a body.
    pub body_read_timeout: Option<Duration>,
    /// Between two writes of a response.
    pub send_timeout: Option<Duration>,
    /// Without a request.
    pub idle_timeout: Option<Duration>,
    /// Bytes per second that a client must send or take; 0 is any number.
    pub min_rate: u64,
    /// The largest body kept in memory, in bytes.
    pub body_buffer_size: usize,
    /// Where larger bodies go.
    pub body_temp_path: PathBuf,
    /// What the `Server` field says.
    pub server: ServerField,
    /// How WebSocket sessions are served.
    pub websocket: conf::WebSocket,
}

/// A listening address and what its requests are passed to.
#[derive(Debug)]
pub struct ListenerEntry {
    /// The listener as configured.
    pub listener: conf::Listener,
    /// What its requests are passed to.
    pub target: ListenerTarget,
}

/// An application of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppEntry {
    /// Its number, never used again.
    pub id: u32,
    /// Its name.
    pub name: conf::Text,
}

/// One configuration, compiled.
#[derive(Debug)]
pub struct Snapshot {
    /// How HTTP is spoken.
    pub http: HttpSettings,
    /// The routes.
    pub routes: RouteTable,
    /// The listening addresses.
    pub listeners: HashMap<ListenerId, ListenerEntry>,
    /// The applications, in the order [`AppIndex`] counts them.
    pub apps: Vec<AppEntry>,
    /// Where requests are logged.
    pub access_log: Option<AccessLog>,
    /// How responses are compressed; none if they are not.
    pub compression: Option<Compression>,
}

impl HttpSettings {
    /// Takes over the settings; `tmp_dir` is where large bodies go unless they say otherwise.
    pub fn new(http: &conf::Http, tmp_dir: &Path) -> Self {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            limits: Limits {
                large_header_buffer_size: size(http.large_header_buffer_size),
                large_header_buffers: size(http.large_header_buffers),
                max_body_size: http.max_body_size,
                discard_unsafe_fields: http.discard_unsafe_fields,
                chunked_transform: http.chunked_transform,
            },
            header_read_timeout: http.header_read_timeout,
            body_read_timeout: http.body_read_timeout,
            send_timeout: http.send_timeout,
            idle_timeout: http.idle_timeout,
            min_rate: http.min_rate,
            body_buffer_size: size(http.body_buffer_size),
            body_temp_path: http
                .body_temp_path
                .as_ref()
                .map_or_else(|| tmp_dir.to_owned(), |path| path.as_path().to_owned()),
            server: if http.server_version { ServerField::Versioned } else { ServerField::Bare },
            websocket: http.websocket.clone(),
        }
    }
}

impl Snapshot {
    /// A configuration that serves nothing.
    pub fn empty() -> Self {
        Self {
            http: HttpSettings::new(&conf::Http::default(), Path::new("/tmp")),
            routes: RouteTable::empty(),
            listeners: HashMap::new(),
            apps: Vec::new(),
            access_log: None,
            compression: None,
        }
    }

    /// Compiles a configuration, all but its access log. `listeners` gives the number of each of its listeners in order,
    /// `apps` the number of each of its applications.
    ///
    /// # Errors
    /// [`CompileError`] when routes or listeners name what is not there.
    pub fn compile(
        config: &Config,
        listeners: &[ListenerId],
        apps: Vec<AppEntry>,
        tmp_dir: &Path,
    ) -> Result<Self, CompileError> {
        let by_name: HashMap<&conf::Text, AppIndex> =
            apps.iter().enumerate().map(|(at, app)| (&app.name, AppIndex(at))).collect();
        let routes = RouteTable::compile(config, &|name| by_name.get(name).copied())?;
        let listeners = config
            .listeners
            .iter()
            .zip(listeners)
            .map(|(listener, id)| {
                let target = routes.listener_target(&listener.target)?;
                Ok((*id, ListenerEntry { listener: listener.clone(), target }))
            })
            .collect::<Result<_, CompileError>>()?;
        let http = HttpSettings::new(&config.settings.http, tmp_dir);
        let compression = config.settings.http.compression.as_ref();
        let compression = compression.and_then(|conf| Compression::new(conf, tmp_dir));
        drop(by_name);
        Ok(Self { http, routes, listeners, apps, access_log: None, compression })
    }
}
