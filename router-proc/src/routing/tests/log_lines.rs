//! What is logged while something runs, and the lines of the route log.

use std::fmt;
use std::sync::{Arc, Mutex};

use unit_log::__tracing::field::{Field, Visit};
use unit_log::__tracing::span::{Attributes, Id, Record};
use unit_log::__tracing::subscriber::with_default;
use unit_log::__tracing::{Event, Metadata, Subscriber};

use super::{Request, Router};

/// The lines that `run` logs, such as `notice *43 text`.
pub(crate) fn logged(run: impl FnOnce()) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    with_default(Recorder(Arc::clone(&lines)), run);
    let lines = lines.lock().unwrap();
    lines.clone()
}

struct Recorder(Arc<Mutex<Vec<String>>>);

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("unit::")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().target().trim_start_matches("unit::");
        self.0.lock().unwrap().push(format!("{level} *{} {}", line.conn, line.message));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    conn: u64,
    message: String,
}

impl Visit for Line {
    fn record_u64(&mut self, _: &Field, value: u64) {
        self.conn = value;
    }

    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.message = format!("{value:?}");
    }
}

#[test]
fn every_step_tried_is_logged_if_that_is_wanted() {
    let config = r#"{
        "settings": {"http": {"log_route": true}},
        "listeners": {"*:80": {"pass": "routes/main"}},
        "routes": {
            "main": [
                {"match": {"uri": "/a"}, "action": {"return": 200}},
                {"match": {"method": "POST"}, "action": {"return": 201}},
                {"action": {"pass": "routes/a b", "rewrite": "/x$uri"}},
                {"action": {"return": 500}}
            ],
            "a b": [{"action": {"share": "/nonexistent$uri", "fallback": {"return": 204}}}]
        }
    }"#;
    let router = Router::new(config);
    let mut request = Request::get("/b%0Ac?d");
    let lines = logged(|| assert_eq!(router.outcome(&mut request), "return 204"));
    assert_eq!(
        lines,
        [
            "notice *43 http request line \"GET /b%0Ac?d HTTP/1.1\"",
            "info *43 \"routes/main/0\" discarded",
            "info *43 \"routes/main/1\" discarded",
            "notice *43 \"routes/main/2\" selected",
            "notice *43 URI rewritten to \"/x/b\nc\"",
            "notice *43 \"routes/a b/0\" selected",
            "notice *43 \"fallback\" taken",
        ]
    );
    let router = Router::new(&config.replace("true", "false"));
    let lines = logged(|| assert_eq!(router.outcome(&mut Request::get("/b")), "return 204"));
    assert_eq!(lines, [] as [&str; 0]);
}

#[test]
fn the_route_without_a_name_is_called_routes() {
    let router = Router::new(
        r#"{
            "settings": {"http": {"log_route": true}},
            "listeners": {"*:80": {"pass": "routes"}},
            "routes": [{"action": {"return": 200}}]
        }"#,
    );
    let lines = logged(|| assert_eq!(router.outcome(&mut Request::get("/")), "return 200"));
    assert_eq!(
        lines,
        ["notice *43 http request line \"GET / HTTP/1.1\"", "notice *43 \"routes/0\" selected"]
    );
}
