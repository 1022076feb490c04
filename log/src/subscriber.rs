//! From `tracing` events to lines.

use std::fmt::Write as _;
use std::panic::PanicHookInfo;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};

use crate::{Level, Line, output};

/// Makes this process log, panics included. A second call changes nothing.
pub fn init() {
    if tracing::subscriber::set_global_default(LineSubscriber).is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// Writes a panic as one line at alert; aborting is left to the profile.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let mut line = output::start(Level::Alert);
    // A line cuts what does not fit and never fails.
    let _ = line.write_str("panic");
    if let Some(place) = panic.location() {
        let _ = write!(line, " at {}:{}", place.file(), place.line());
    }
    if let Some(text) = panic.payload_as_str() {
        let _ = write!(line, ": {text}");
    }
    output::write(line.finish());
}

/// Writes each event as a line. It has no spans.
struct LineSubscriber;

impl LineSubscriber {
    fn wants(metadata: &Metadata<'_>) -> bool {
        match Level::of(metadata) {
            _ if metadata.is_span() => false,
            (level, true) => level <= Level::THRESHOLD,
            (level, false) => level <= Level::Warn,
        }
    }
}

impl Subscriber for LineSubscriber {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if Level::THRESHOLD == Level::Debug { LevelFilter::DEBUG } else { LevelFilter::INFO })
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        // No span is enabled, so none is asked for; the number only has to be one.
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let (level, _) = Level::of(event.metadata());
        let mut line = output::start(level);
        fill(&mut line, event);
        output::write(line.finish());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Adds connection and message, in this order, however the event holds them.
fn fill(line: &mut Line, event: &Event<'_>) {
    let mut connection = Connection(None);
    event.record(&mut connection);
    if let Connection(Some(number)) = connection {
        line.mark_connection(number);
    }
    event.record(&mut Message(line));
}

/// Looks for the field `conn`.
struct Connection(Option<u64>);

impl Visit for Connection {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "conn" {
            self.0 = Some(value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.record_u64(field, value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// Writes the message.
struct Message<'a>(&'a mut Line);

impl Visit for Message<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let _ = self.0.write_str(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}
