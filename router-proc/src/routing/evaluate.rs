//! Following a request from its listener to what is to be done about it.

use std::borrow::Cow;
use std::rc::Rc;

use conf::{MatchError, SocketAddress, Text};
use thiserror::Error;

use super::context::RequestContext;
use super::location::push_location;
use super::matching::matches;
use super::route_log;
use super::table::{
    Action, ActionRef, AppIndex, Handler, Kind, ListenerTarget, Location, Named, Route, RouteTable,
};
use crate::static_files::{self, FileCache, OpenedFile, Served};

/// How often a request may be handed over, which ends the circles that routes can be led in.
const HAND_OVERS_MAX: u32 = 255;

/// What is to be done about a request. `action` is the action that was selected last, whose
/// `response_headers` apply.
#[derive(Debug)]
pub enum Decision<'t> {
    /// Answer with the page for an error.
    ErrorPage(u16),
    /// Answer without a body.
    Return {
        /// The status.
        status: u16,
        /// The `Location`, encoded; it may be empty.
        location: Option<Cow<'t, [u8]>>,
        /// The action.
        action: Option<ActionRef>,
    },
    /// Answer with a file.
    File {
        /// The file.
        file: Rc<OpenedFile>,
        /// The action.
        action: Option<ActionRef>,
    },
    /// Have an application answer.
    Application {
        /// The application.
        app: AppIndex,
        /// The place of its target.
        target: u16,
        /// The action; none if the listener passes to the application.
        action: Option<ActionRef>,
    },
    /// Have another server answer.
    Proxy {
        /// Its address.
        address: &'t SocketAddress,
        /// The action.
        action: Option<ActionRef>,
    },
    /// Have one of several servers answer.
    Upstream {
        /// What they are called together.
        name: &'t Text,
        /// The action; none if the listener passes to the upstream.
        action: Option<ActionRef>,
    },
}

/// Why a request cannot be led to its end, or its response not be finished: the answer is 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EvaluationError {
    /// A pattern takes too long.
    #[error(transparent)]
    Regex(#[from] MatchError),
    /// A template is a script.
    #[error("templates in JavaScript are not supported")]
    Script,
    /// A path comes out of a `rewrite` that is none.
    #[error("the rewritten path is malformed")]
    Rewrite,
    /// Routes pass to one another without end.
    #[error("the request was handed over more than {HAND_OVERS_MAX} times")]
    Loop,
}

/// Decides what is to be done about a request that a listener passes to `target`. Paths are
/// rewritten in `ctx` on the way, and files taken from `files` or left there.
pub fn evaluate<'t>(
    table: &'t RouteTable,
    target: &'t ListenerTarget,
    files: &FileCache,
    ctx: &mut RequestContext<'_>,
) -> Decision<'t> {
    if table.logs_routing {
        route_log::request_line(ctx);
    }
    let mut journey = Journey { table, files, current: None, hand_overs: 0 };
    match journey.follow(&target.0, ctx) {
        Ok(decision) => decision,
        Err(error) => {
            log_failure(ctx, error);
            Decision::ErrorPage(500)
        }
    }
}

fn log_failure(ctx: &RequestContext<'_>, error: EvaluationError) {
    match error {
        // Any client can bring that about where a path is made of what it sends.
        EvaluationError::Rewrite => unit_log::info!(conn = ctx.conn, "{error}"),
        EvaluationError::Regex(_) | EvaluationError::Script | EvaluationError::Loop => {
            unit_log::error!(conn = ctx.conn, "{error}");
        }
    }
}

/// One request on its way.
struct Journey<'t, 'f> {
    table: &'t RouteTable,
    files: &'f FileCache,
    /// The action selected last.
    current: Option<ActionRef>,
    hand_overs: u32,
}

/// What an action leads to.
enum Next<'t> {
    Handler(&'t Handler),
    Action(ActionRef),
    End(Decision<'t>),
}

impl<'t> Journey<'t, '_> {
    fn follow(
        &mut self,
        handler: &'t Handler,
        ctx: &mut RequestContext<'_>,
    ) -> Result<Decision<'t>, EvaluationError> {
        let mut next = Next::Handler(handler);
        loop {
            next = match next {
                Next::Handler(handler) => self.handle(handler, ctx)?,
                Next::Action(action) => {
                    let action = self.take_up(action, ctx)?;
                    self.carry_out(action, ctx)?
                }
                Next::End(decision) => return Ok(decision),
            };
        }
    }

    fn handle(
        &self,
        handler: &'t Handler,
        ctx: &mut RequestContext<'_>,
    ) -> Result<Next<'t>, EvaluationError> {
        let table = self.table;
        let named = match handler {
            Handler::Named(template) => ctx.with_text(template, |_, text| table.named(text))?,
            Handler::Route(at) => Some(Named::Route(table.route(*at))),
            Handler::Application(app, target) => Some(Named::Application(*app, *target)),
            Handler::Upstream(name) => Some(Named::Upstream(name)),
        };
        let action = self.current;
        let decision = match named {
            Some(Named::Route(route)) => match self.select(route, ctx)? {
                Some(action) => return Ok(Next::Action(action)),
                None => Decision::ErrorPage(404),
            },
            Some(Named::Application(app, target)) => Decision::Application { app, target, action },
            Some(Named::Upstream(name)) => Decision::Upstream { name, action },
            None => Decision::ErrorPage(404),
        };
        Ok(Next::End(decision))
    }

    /// The action of the first step that is for the request.
    fn select(
        &self,
        route: &Route,
        ctx: &mut RequestContext<'_>,
    ) -> Result<Option<ActionRef>, EvaluationError> {
        let index = route.index.as_ref();
        let candidates = index.and_then(|index| index.candidates(ctx.head.host(), ctx.head.path()));
        if let Some(candidates) = candidates {
            for step in candidates.filter_map(|at| route.steps.get(at)) {
                if matches(&step.matching, ctx)? {
                    return Ok(Some(step.action));
                }
            }
            return Ok(None);
        }
        for (at, step) in route.steps.iter().enumerate() {
            let is_match = matches(&step.matching, ctx)?;
            if self.table.logs_routing {
                match is_match {
                    true => route_log::selected(ctx, &route.label, at),
                    false => route_log::discarded(ctx, &route.label, at),
                }
            }
            if is_match {
                return Ok(Some(step.action));
            }
        }
        Ok(None)
    }

    /// Makes an action the current one and applies its `rewrite`.
    fn take_up(
        &mut self,
        action: ActionRef,
        ctx: &mut RequestContext<'_>,
    ) -> Result<&'t Action, EvaluationError> {
        self.hand_overs += 1;
        if self.hand_overs > HAND_OVERS_MAX {
            return Err(EvaluationError::Loop);
        }
        self.current = Some(action);
        let action = self.table.action(action);
        if let Some(rewrite) = &action.rewrite {
            ctx.with_text(rewrite, |ctx, text| ctx.head.rewrite_path(text))?
                .map_err(|_| EvaluationError::Rewrite)?;
            if self.table.logs_routing {
                route_log::rewritten(ctx);
            }
        }
        Ok(action)
    }

    fn carry_out(
        &self,
        action: &'t Action,
        ctx: &mut RequestContext<'_>,
    ) -> Result<Next<'t>, EvaluationError> {
        let current = self.current;
        let decision = match &action.kind {
            Kind::Pass(handler) => return Ok(Next::Handler(handler)),
            Kind::Return { status: status @ 400..600, .. } => Decision::ErrorPage(*status),
            Kind::Return { status, location } => {
                let location = match location {
                    None => None,
                    Some(Location::Encoded(text)) => Some(Cow::Borrowed(&**text)),
                    Some(Location::Template(template)) => {
                        let mut out = Vec::new();
                        ctx.with_text(template, |_, text| push_location(text, &mut out))?;
                        Some(Cow::Owned(out))
                    }
                };
                Decision::Return { status: *status, location, action: current }
            }
            Kind::Proxy(address) => Decision::Proxy { address, action: current },
            Kind::Share { share, fallback } => {
                match static_files::serve(share, &self.table.mime_types, self.files, ctx)? {
                    Served::File(file) => Decision::File { file, action: current },
                    Served::Redirect(location) => {
                        let location = Some(Cow::Owned(location));
                        Decision::Return { status: 301, location, action: current }
                    }
                    Served::Failed => Decision::ErrorPage(500),
                    Served::Refused(status) => match fallback {
                        None => Decision::ErrorPage(status),
                        Some(fallback) => {
                            if self.table.logs_routing {
                                route_log::fallback_taken(ctx);
                            }
                            return Ok(Next::Action(*fallback));
                        }
                    },
                }
            }
        };
        Ok(Next::End(decision))
    }
}
