//! The state machine of the control API: which configuration is current, and whose turn it is.
//!
//! It does no I/O. It is told what happened and says what to do, as [`Effect`]s in order. At most
//! one question to the router or to main is open at a time; it bears a [`Step`], so that an answer
//! that comes too late is known for one.
//!
//! An update is prepared by the router, stored by main, then committed by the router. Storing is
//! the point of no return: before it nothing has changed, after it the configuration is current
//! even if the router is lost, and the next router gets it.

mod certificates;
mod edit;
mod initial;
mod report;
mod sync;
mod update;

use std::collections::VecDeque;
use std::time::Duration;

use conf::{Origin, Value, print_compact};
use port_proto::{
    ConfigStage, DeleteUpload, Module, Status, StoreUpload, StoredConfig, StoredUpload,
};

use crate::endpoint::Operation;
use crate::response::Response;
use crate::restore::{default_config, restore};
pub(crate) use crate::session::certificates::Certificates;
use crate::session::edit::{Requested, edited};
use crate::session::initial::Initial;
use crate::session::report::Reading;
use crate::session::sync::{Standing, SyncStage};
use crate::session::update::Update;
use crate::status::modules;
use crate::validation::Check;

/// What is said where the cause is that there is no router any more.
const ROUTER_LOST: &str = "the router process ended";
/// What is said where the cause is that the daemon is stopping.
const STOPPING: &str = "the daemon is stopping";

/// Joins an answer with the client that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// Joins the answer of a peer with the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step(u64);

/// A question to the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Prepare this configuration. Main is told before what it needs.
    Prepare(ConfigStage, Vec<u8>),
    /// Switch to what was prepared.
    Commit,
    /// Drop what was prepared.
    Abort,
    /// Report the counters.
    Status,
    /// Replace the processes of the application of this name.
    Restart(String),
}

/// The answer of the router, or of main.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// The counters.
    Status(Status),
    /// It is refused, with a sentence.
    Refused(String),
    /// It is refused because nothing has that name.
    Unknown,
    /// The question could not be sent.
    NotSent(String),
    /// The peer was lost with the question.
    Lost,
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ask the router, and hand its answer in with the step.
    Ask(Step, Question),
    /// Have main store a configuration, and hand its answer in with the step.
    Store(Step, Vec<u8>),
    /// Have main store a certificate bundle, and hand its answer in with the ticket.
    StoreUpload(Ticket, StoreUpload),
    /// Have main delete a certificate bundle, and hand its answer in with the ticket.
    DeleteUpload(Ticket, DeleteUpload),
    /// Answer a client.
    Answer(Ticket, Response),
    /// Begin to accept control connections.
    Open,
    /// Call [`Session::retry`] after this time.
    RetryAfter(Duration),
    /// Log at level alert.
    Alert(String),
    /// Log at level error.
    Error(String),
}

/// A configuration and its stored form.
#[derive(Clone, Debug)]
struct Config {
    value: Value,
    json: Vec<u8>,
    /// What a router is given instead, where a stored configuration is not valid as a whole.
    served: Option<Vec<u8>>,
}

impl Config {
    fn new(value: Value) -> Self {
        let json = print_compact(&value);
        Self { value, json, served: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Router {
    /// There is none.
    Absent,
    /// It does not run the current configuration and is to get it next.
    Behind,
    /// It does not run the current configuration, and will get it again later. Until then it can
    /// be given another one.
    Deferred,
    /// It runs the current configuration.
    InStep,
}

/// What the open question is about.
#[derive(Debug)]
enum Task {
    /// The router is being given the current configuration.
    Sync(SyncStage),
    /// The router, or main, is working on an update.
    Update(Box<Update>),
    /// Clients wait for the counters.
    Report(Vec<(Ticket, Reading)>),
    /// A client waits for the restart of an application.
    Restart(Ticket),
}

/// The state machine.
pub(crate) struct Session {
    check: Check,
    modules: Value,
    current: Config,
    standing: Standing,
    router: Router,
    task: Option<Task>,
    step: Step,
    queue: VecDeque<(Ticket, Operation)>,
    initial: Initial,
    certificates: Certificates,
    /// The clients of changes that are stored and current, but that no router runs yet, each with
    /// the answer for when one does.
    owed: Vec<(Ticket, Response)>,
    /// Whether a certificate bundle was replaced while the router was being configured.
    is_stale: bool,
    /// Routers lost in a row while they took the current configuration over.
    losses: u32,
    retry_after: Duration,
    is_open: bool,
    is_stopping: bool,
    effects: VecDeque<Effect>,
}

impl Session {
    /// A session that begins with what main found in the state directory.
    #[must_use]
    pub(crate) fn new(
        stored: &StoredConfig,
        uploads: &[StoredUpload],
        installed: &[Module],
        check: Check,
    ) -> Self {
        let (certificates, mut alerts) = Certificates::restore(uploads);
        let names = certificates.names();
        let restored = restore(stored, &|config, origin| check(config, origin, &names));
        let (initial, refusal) =
            initial::read(stored, &|config| check(config, Origin::Request, &names));
        alerts.extend(restored.alerts.into_iter().chain(refusal));
        let (config, standing) = match restored.config {
            Some(config) => {
                let served = restored.served.as_ref().map(print_compact);
                (Config { served, ..Config::new(config) }, Standing::Restored)
            }
            None => (Config::new(default_config()), Standing::Default),
        };
        Self {
            check,
            modules: modules(installed),
            current: config,
            standing,
            router: Router::Absent,
            task: None,
            step: Step(0),
            queue: VecDeque::new(),
            initial,
            certificates,
            owed: Vec::new(),
            is_stale: false,
            losses: 0,
            retry_after: sync::RETRY_FIRST,
            is_open: false,
            is_stopping: false,
            effects: alerts.into_iter().map(Effect::Alert).collect(),
        }
    }

    /// The next thing to be done outside.
    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The current configuration.
    #[must_use]
    pub(crate) fn config(&self) -> &Value {
        &self.current.value
    }

    /// Whether nobody waits for anything.
    #[must_use]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.task.is_none()
            && self.queue.is_empty()
            && self.owed.is_empty()
            && self.certificates.are_at_rest()
    }

    /// A client wants something that concerns the router.
    pub(crate) fn submit(&mut self, ticket: Ticket, operation: Operation) {
        if self.is_stopping {
            self.answer(ticket, failure(&operation, STOPPING));
            return;
        }
        self.queue.push_back((ticket, operation));
        self.proceed();
    }

    /// There is a router, in the place of any earlier one.
    pub(crate) fn router_found(&mut self) {
        self.router_lost();
        self.router = Router::Behind;
        self.defer_after_losses();
        self.proceed();
    }

    /// The router is gone.
    pub(crate) fn router_lost(&mut self) {
        if self.router == Router::Absent {
            return;
        }
        self.router = Router::Absent;
        match self.task.take() {
            None => {}
            Some(Task::Sync(_)) => self.lost_in_sync(),
            Some(Task::Update(update)) => self.lost_in_update(update),
            Some(Task::Report(clients)) => self.report(clients, None),
            Some(Task::Restart(ticket)) => self.answer(ticket, Response::not_restarted()),
        }
        if self.is_stopping {
            self.settle_owed(Err(ROUTER_LOST));
        }
    }

    /// The time that [`Effect::RetryAfter`] asked for is over.
    pub(crate) fn retry(&mut self) {
        if self.router == Router::Deferred {
            self.router = Router::Behind;
            self.proceed();
        }
    }

    /// No more operations are begun; what is in progress goes on.
    pub(crate) fn stop(&mut self) {
        self.is_stopping = true;
        for (ticket, operation) in std::mem::take(&mut self.queue) {
            self.answer(ticket, failure(&operation, STOPPING));
        }
        // Nobody waits for another try now.
        if matches!(self.router, Router::Absent | Router::Deferred) {
            self.settle_owed(Err(STOPPING));
        }
    }

    /// A peer has answered. An answer to a question that is no longer open changes nothing.
    pub(crate) fn answered(&mut self, step: Step, answer: Answer) {
        if step != self.step {
            return;
        }
        match self.task.take() {
            None => {}
            Some(Task::Update(update)) => self.update_answered(update, answer),
            // All other questions are for the router.
            Some(task) if answer == Answer::Lost => {
                self.task = Some(task);
                self.router_lost();
            }
            Some(Task::Sync(stage)) => self.sync_answered(stage, answer),
            Some(Task::Report(clients)) => self.report(clients, Some(answer)),
            Some(Task::Restart(ticket)) => {
                let response = match answer {
                    Answer::Done => Response::success("Ok"),
                    Answer::Unknown => Response::no_value(),
                    Answer::NotSent(_) => Response::restart_not_sent(),
                    Answer::Status(_) | Answer::Refused(_) | Answer::Lost => {
                        Response::not_restarted()
                    }
                };
                self.answer(ticket, response);
            }
        }
        self.proceed();
    }

    /// Begins what is next, if nothing is in progress.
    fn proceed(&mut self) {
        while self.task.is_none() {
            if self.router == Router::InStep && std::mem::take(&mut self.is_stale) {
                self.router = Router::Behind;
            }
            match self.router {
                Router::Absent => return,
                Router::Behind if self.is_stopping && self.owed.is_empty() => return,
                Router::Behind => self.begin_sync(),
                Router::Deferred | Router::InStep if self.initial.is_waiting() => {
                    self.begin_initial();
                }
                Router::Deferred | Router::InStep => match self.queue.pop_front() {
                    Some((ticket, operation)) => self.begin(ticket, operation),
                    None => return,
                },
            }
        }
    }

    fn begin(&mut self, ticket: Ticket, operation: Operation) {
        match operation {
            Operation::Edit { path, edit, preconditions, dry_run } => {
                let requested = Requested { path, edit, preconditions };
                let certificates = self.certificates.names();
                match edited(&self.current.value, requested, &self.check, &certificates) {
                    Ok(value) => self.begin_update(ticket, Config::new(value), dry_run),
                    Err(refusal) => {
                        self.effects.extend(refusal.log.map(Effect::Error));
                        self.answer(ticket, refusal.response);
                    }
                }
            }
            Operation::Overview => self.begin_report(ticket, Reading::Overview),
            Operation::Status(path) => self.begin_report(ticket, Reading::Status(path)),
            Operation::Restart { name } => {
                self.ask(Task::Restart(ticket), Question::Restart(name));
            }
        }
    }

    fn ask(&mut self, task: Task, question: Question) {
        let step = self.next_step(task);
        self.effects.push_back(Effect::Ask(step, question));
    }

    fn next_step(&mut self, task: Task) -> Step {
        self.task = Some(task);
        self.step.0 += 1;
        self.step
    }

    fn answer(&mut self, ticket: Ticket, response: Response) {
        if ticket == initial::TICKET {
            self.initial_settled(&response);
            return;
        }
        self.effects.push_back(Effect::Answer(ticket, response));
    }
}

/// The answer to an operation that will not be begun.
fn failure(operation: &Operation, cause: &str) -> Response {
    match operation {
        Operation::Edit { .. } => Response::not_applied(cause),
        Operation::Overview | Operation::Status(_) => Response::no_status(),
        Operation::Restart { .. } => Response::not_restarted(),
    }
}

/// What is said of an answer that does not belong to its question.
fn wrong(answer: Answer) -> String {
    match answer {
        Answer::Refused(text) | Answer::NotSent(text) => text,
        Answer::Lost => ROUTER_LOST.to_owned(),
        Answer::Done | Answer::Status(_) | Answer::Unknown => "unexpected answer".to_owned(),
    }
}

#[cfg(test)]
mod tests;
