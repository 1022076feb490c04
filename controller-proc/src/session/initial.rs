//! The configuration that a daemon without a stored one was started with: the first update, before
//! the API is open. What is visible is on the disk, here too.

use conf::{ValidationError, Value};
use port_proto::StoredConfig;

use crate::response::{Response, StatusCode};
use crate::session::{Config, Effect, Session, Ticket};

/// The ticket of that update; those of clients begin behind it.
pub(super) const TICKET: Ticket = Ticket(0);

/// How far the initial configuration has come.
#[derive(Debug)]
pub(super) enum Initial {
    /// It waits for a router that runs the default one.
    Waiting(Config),
    /// It is on its way.
    Applying,
    /// There was none, or it is settled.
    Done,
}

impl Initial {
    /// Whether it is to be begun.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }
}

/// What is to become of what main found in the state directory, and what the log is told.
pub(super) fn read(
    stored: &StoredConfig,
    check: &dyn Fn(&Value) -> Result<(), ValidationError>,
) -> (Initial, Option<String>) {
    let StoredConfig::Initial { json } = stored else { return (Initial::Done, None) };
    // Main had it checked already, in the foreground, by another controller.
    let checked = conf::parse(json).map_err(|error| error.detail.to_owned()).and_then(|value| {
        check(&value).map_err(|error| error.detail)?;
        Ok(value)
    });
    match checked {
        Ok(value) => (Initial::Waiting(Config::new(value)), None),
        Err(detail) => (Initial::Done, Some(not_applied(&detail))),
    }
}

fn not_applied(detail: &str) -> String {
    format!("the initial configuration was not applied: {detail}")
}

impl Session {
    /// Begins to apply it, unless the daemon is stopping.
    pub(super) fn begin_initial(&mut self) {
        match std::mem::replace(&mut self.initial, Initial::Done) {
            Initial::Waiting(config) if !self.is_stopping => {
                self.initial = Initial::Applying;
                self.begin_update(TICKET, config, false);
            }
            Initial::Waiting(_) | Initial::Applying | Initial::Done => {}
        }
    }

    /// It is applied, or it is not: the daemon goes on with the default one then.
    pub(super) fn initial_settled(&mut self, response: &Response) {
        self.initial = Initial::Done;
        if response.status != StatusCode::Ok {
            let body = conf::parse(&response.body).unwrap_or(Value::Null);
            let detail = body.member(b"detail").or_else(|| body.member(b"error"));
            let detail = detail.and_then(Value::as_text).map(ToString::to_string);
            self.effects.push_back(Effect::Alert(not_applied(&detail.unwrap_or_default())));
        }
        self.open();
    }
}
