//! The routes of a configuration, made ready to be followed.

use std::collections::{HashMap, HashSet};

use conf::{
    ActionKind, ApplicationKind, Config, Match, MimeTypes, Pass, Routes, Share, SocketAddress,
    Target, Template, Text,
};
use thiserror::Error;

use super::index::StepIndex;
use super::location::push_location;

/// The place of an application among those that a loop knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppIndex(pub usize);

/// An action of a [`RouteTable`]: of a step, or the fallback of another action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionRef(usize);

/// What a listener passes its requests to.
#[derive(Clone, Debug)]
pub struct ListenerTarget(pub(super) Handler);

/// A configuration refers to something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CompileError {
    /// Nobody knows this application.
    #[error("application \"{0}\" is not known")]
    Application(Text),
    /// There is no such route.
    #[error("route \"{0}\" is not known")]
    Route(Text),
    /// There is no such upstream.
    #[error("upstream \"{0}\" is not known")]
    Upstream(Text),
}

/// The routes of one configuration. It never changes; requests on all loops share it.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    actions: Vec<Action>,
    names: Names,
    pub(super) mime_types: MimeTypes,
    pub(super) logs_routing: bool,
}

/// A route.
#[derive(Debug)]
pub(super) struct Route {
    /// What it is called in the log.
    pub(super) label: String,
    pub(super) steps: Vec<Step>,
    pub(super) index: Option<StepIndex>,
}

/// A step of a route.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) matching: Match,
    pub(super) action: ActionRef,
}

/// What is done with a request.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) kind: Kind,
    pub(super) rewrite: Option<Template>,
    response_headers: Vec<(Text, Option<Template>)>,
}

/// How a request is answered.
#[derive(Debug)]
pub(super) enum Kind {
    Pass(Handler),
    Return { status: u16, location: Option<Location> },
    Share { share: Box<Share>, fallback: Option<ActionRef> },
    Proxy(SocketAddress),
}

/// A `Location` to send.
#[derive(Debug)]
pub(super) enum Location {
    /// The same for every request, encoded.
    Encoded(Box<[u8]>),
    Template(Template),
}

/// What handles a request next.
#[derive(Clone, Debug)]
pub(super) enum Handler {
    /// What a name that each request makes stands for.
    Named(Template),
    Route(usize),
    Application(AppIndex, u16),
    Upstream(Text),
}

/// What a name of a [`Handler::Named`] stands for.
pub(super) enum Named<'t> {
    Route(&'t Route),
    Application(AppIndex, u16),
    Upstream(&'t Text),
}

/// What can be passed to, by name.
#[derive(Debug, Default)]
struct Names {
    routes: HashMap<Option<Text>, usize>,
    /// Applications with the names of their targets, in order.
    applications: HashMap<Text, (AppIndex, Vec<Text>)>,
    upstreams: HashSet<Text>,
}

impl RouteTable {
    /// Compiles the routes of a configuration; `apps` says which application has a name.
    ///
    /// # Errors
    /// When `apps` does not know an application of the configuration.
    pub fn compile(
        conf: &Config,
        apps: &dyn Fn(&Text) -> Option<AppIndex>,
    ) -> Result<RouteTable, CompileError> {
        let mut table = RouteTable {
            routes: Vec::new(),
            actions: Vec::new(),
            names: Names::collect(conf, apps)?,
            mime_types: conf.settings.http.mime_types.clone(),
            logs_routing: conf.settings.http.log_route,
        };
        match &conf.routes {
            Routes::Single(steps) => table.add_route("routes".to_owned(), steps)?,
            Routes::Named(routes) => {
                for (name, steps) in routes {
                    table.add_route(format!("routes/{name}"), steps)?;
                }
            }
        }
        Ok(table)
    }

    /// A table without routes and names.
    pub fn empty() -> RouteTable {
        RouteTable::default()
    }

    /// Compiles what a listener of the same configuration passes its requests to.
    ///
    /// # Errors
    /// When there is no such thing.
    pub fn listener_target(&self, pass: &Pass) -> Result<ListenerTarget, CompileError> {
        self.names.handler(pass).map(ListenerTarget)
    }

    /// Whether [`super::apply_response_headers`] would do anything.
    pub fn changes_response(&self, action: Option<ActionRef>, status: u16) -> bool {
        !self.response_headers(action, status).is_empty()
    }

    /// Whether [`super::apply_response_headers`] sets or removes a field.
    pub fn changes_field(&self, action: Option<ActionRef>, status: u16, name: &[u8]) -> bool {
        let mut edits = self.response_headers(action, status).iter();
        edits.any(|(field, _)| field.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The `share` of an action that answers with files.
    pub(crate) fn share(&self, action: Option<ActionRef>) -> Option<&Share> {
        let ActionRef(at) = action?;
        match &self.actions.get(at)?.kind {
            Kind::Share { share, .. } => Some(share),
            Kind::Pass(_) | Kind::Return { .. } | Kind::Proxy(_) => None,
        }
    }

    pub(super) fn response_headers(
        &self,
        action: Option<ActionRef>,
        status: u16,
    ) -> &[(Text, Option<Template>)] {
        // A reference of another configuration would be a mistake of the caller's, not a reason to
        // bring the router down.
        match action.and_then(|ActionRef(at)| self.actions.get(at)) {
            Some(action) if (200..400).contains(&status) => &action.response_headers,
            Some(_) | None => &[],
        }
    }

    /// An action that a step or another action of this table refers to.
    pub(super) fn action(&self, ActionRef(at): ActionRef) -> &Action {
        &self.actions[at]
    }

    /// A route that a handler of this table stands for.
    pub(super) fn route(&self, at: usize) -> &Route {
        &self.routes[at]
    }

    /// What a name stands for that a request has made.
    pub(super) fn named(&self, text: &[u8]) -> Option<Named<'_>> {
        let names = &self.names;
        match Target::parse(text).ok()? {
            Target::Route(name) => Some(Named::Route(self.route(*names.routes.get(&name)?))),
            Target::Application { name, target } => {
                let (app, targets) = names.applications.get(&name)?;
                let target = match target {
                    None => 0,
                    // A place without a name is not a target that could be asked for.
                    Some(target) => targets.iter().position(|other| *other == target)?,
                };
                Some(Named::Application(*app, u16::try_from(target).ok()?))
            }
            Target::Upstream(name) => names.upstreams.get(&name).map(Named::Upstream),
        }
    }

    fn add_route(&mut self, label: String, steps: &[conf::Step]) -> Result<(), CompileError> {
        // The log tells of every step that was tried, so all must be.
        let index = match self.logs_routing {
            true => None,
            false => StepIndex::build(steps.iter().map(|step| &step.matching)),
        };
        let compile = |step: &conf::Step| {
            let action = self.add_action(&step.action)?;
            Ok(Step { matching: step.matching.clone(), action })
        };
        let steps = steps.iter().map(compile).collect::<Result<_, CompileError>>()?;
        self.routes.push(Route { label, steps, index });
        Ok(())
    }

    fn add_action(&mut self, action: &conf::Action) -> Result<ActionRef, CompileError> {
        let kind = match &action.kind {
            ActionKind::Pass(pass) => Kind::Pass(self.names.handler(pass)?),
            ActionKind::Return(answer) => Kind::Return {
                status: answer.status,
                location: answer.location.as_ref().map(Location::new),
            },
            ActionKind::Share(share) => {
                let fallback = share.fallback.as_deref().map(|action| self.add_action(action));
                let share = Share { fallback: None, ..(**share).clone() };
                Kind::Share { share: Box::new(share), fallback: fallback.transpose()? }
            }
            ActionKind::Proxy(address) => Kind::Proxy(address.clone()),
        };
        let rewrite = action.rewrite.clone();
        let response_headers = action.response_headers.clone();
        self.actions.push(Action { kind, rewrite, response_headers });
        Ok(ActionRef(self.actions.len() - 1))
    }
}

impl Location {
    fn new(template: &Template) -> Location {
        match template.constant() {
            None => Location::Template(template.clone()),
            Some(text) => {
                let mut encoded = Vec::new();
                push_location(text, &mut encoded);
                Location::Encoded(encoded.into())
            }
        }
    }
}

impl Names {
    fn collect(
        conf: &Config,
        apps: &dyn Fn(&Text) -> Option<AppIndex>,
    ) -> Result<Names, CompileError> {
        let mut names = Names::default();
        match &conf.routes {
            Routes::Single(_) => {
                names.routes.insert(None, 0);
            }
            Routes::Named(routes) => {
                let named = routes.iter().map(|(name, _)| Some(name.clone()));
                names.routes.extend(named.zip(0..));
            }
        }
        for application in &conf.applications {
            let name = &application.name;
            let app = apps(name).ok_or_else(|| CompileError::Application(name.clone()))?;
            names.applications.insert(name.clone(), (app, targets(&application.kind)));
        }
        names.upstreams = conf.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        Ok(names)
    }

    fn handler(&self, pass: &Pass) -> Result<Handler, CompileError> {
        match pass {
            Pass::Template(template) => Ok(Handler::Named(template.clone())),
            Pass::Route(name) => match self.routes.get(name) {
                Some(at) => Ok(Handler::Route(*at)),
                None => Err(CompileError::Route(name.clone().unwrap_or_default())),
            },
            Pass::Application { name, target } => match self.applications.get(name) {
                Some((app, _)) => Ok(Handler::Application(*app, target.unwrap_or(0))),
                None => Err(CompileError::Application(name.clone())),
            },
            Pass::Upstream(name) => match self.upstreams.contains(name) {
                true => Ok(Handler::Upstream(name.clone())),
                false => Err(CompileError::Upstream(name.clone())),
            },
        }
    }
}

/// The names of an application's targets, in order; empty ones stand for an application as a whole.
fn targets(kind: &ApplicationKind) -> Vec<Text> {
    match kind {
        ApplicationKind::Python(python) => {
            python.targets.iter().map(|target| target.name.clone()).collect()
        }
        ApplicationKind::Php(php) => php.targets.iter().map(|target| target.name.clone()).collect(),
        ApplicationKind::External(_)
        | ApplicationKind::Perl(_)
        | ApplicationKind::Ruby(_)
        | ApplicationKind::Java(_)
        | ApplicationKind::Wasm(_)
        | ApplicationKind::WasmWasiComponent(_) => Vec::new(),
    }
}
