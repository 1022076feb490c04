//! The access log: which requests are logged, when, what their entries say, and where they go.

mod ends;
mod files;
mod hostile;
mod moving;
mod variables;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use blackbox::{Connection, Unitd, request, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// A daemon with an access log.
struct Logging {
    unitd: Unitd,
    port: u16,
    path: PathBuf,
}

impl Logging {
    /// With these members of the log besides its path, and these of the configuration.
    fn with(log: &Value, members: &Value) -> Self {
        let unitd = Unitd::start();
        let (port, path) = (unitd.port(), unitd.path("access.log"));
        let mut config = json!({
            "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
            "routes": [{ "action": { "return": 200 } }],
            "access_log": { "path": path },
        });
        for (name, value) in members.as_object().unwrap() {
            config[name] = value.clone();
        }
        for (name, value) in log.as_object().unwrap() {
            config["access_log"][name] = value.clone();
        }
        unitd.configure(&config);
        Self { unitd, port, path }
    }

    /// With a format and the application `tools` behind `/app/…`, a file behind `/file`, and `return`s.
    fn with_everything(format: &Value, http: &Value) -> Self {
        let logging =
            Self::with(&json!({ "format": format }), &json!({ "settings": { "http": http } }));
        let directory = logging.unitd.application("tools");
        let file = logging.unitd.write("www/file.bin", vec![b'f'; 100_000]);
        let large = logging.unitd.sparse("www/large.bin", 200_000_000);
        let applications =
            json!({ "app": { "type": "python", "module": "tools", "path": directory } });
        logging.unitd.put("/config/applications", applications).expect_success();
        let routes = json!([
            { "match": { "uri": "/file" }, "action": { "share": file } },
            { "match": { "uri": "/large" }, "action": { "share": large } },
            { "match": { "uri": "/none" }, "action": { "return": 404 } },
            { "match": { "uri": "/empty" }, "action": { "return": 204 } },
            { "match": { "uri": "/moved" }, "action": { "return": 301, "location": "/x" } },
            { "match": { "uri": "/ok" }, "action": { "return": 200 } },
            { "action": { "pass": "applications/app" } },
        ]);
        logging.unitd.put("/config/routes", routes).expect_success();
        logging
    }

    /// One request on a connection of its own, seen to be closed.
    #[track_caller]
    fn visit(&self, target: &str) {
        let mut connection = Connection::tcp(self.port);
        connection.ask(&request("GET", target, &["Connection: close"], b""));
        connection.expect_close();
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap_or_default()
    }

    /// All entries, once there are so many. Of a long one a reader may see the beginning first.
    #[track_caller]
    fn entries(&self, count: usize) -> Vec<String> {
        wait_until(&format!("{count} entries"), LIMIT, || {
            let text = self.text();
            (text.is_empty() || text.ends_with('\n')) && text.matches('\n').count() >= count
        });
        let entries: Vec<String> = self.text().lines().map(str::to_owned).collect();
        assert!(entries.len() == count, "{} entries: {:.2000}", entries.len(), self.text());
        entries
    }
}
