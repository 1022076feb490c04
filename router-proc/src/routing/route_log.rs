//! The lines of `settings.http.log_route`.

use std::fmt;

use super::context::RequestContext;

/// Octets as text; what is not UTF-8 is shown as U+FFFD. The log escapes control characters.
struct Lossy<'a>(&'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}

pub(super) fn request_line(ctx: &RequestContext<'_>) {
    let line = Lossy(ctx.head.request_line().unwrap_or_default());
    unit_log::notice!(conn = ctx.conn, "http request line \"{line}\"");
}

pub(super) fn selected(ctx: &RequestContext<'_>, route: &str, step: usize) {
    unit_log::notice!(conn = ctx.conn, "\"{route}/{step}\" selected");
}

pub(super) fn discarded(ctx: &RequestContext<'_>, route: &str, step: usize) {
    unit_log::info!(conn = ctx.conn, "\"{route}/{step}\" discarded");
}

pub(super) fn fallback_taken(ctx: &RequestContext<'_>) {
    unit_log::notice!(conn = ctx.conn, "\"fallback\" taken");
}

pub(super) fn rewritten(ctx: &RequestContext<'_>) {
    unit_log::notice!(conn = ctx.conn, "URI rewritten to \"{}\"", Lossy(ctx.head.path()));
}
