//! Giving a router the current configuration, and what becomes of one that it cannot take.

use std::time::Duration;

use port_proto::ConfigStage;

use crate::response::Response;
use crate::restore::default_config;
use crate::session::initial::Initial;
use crate::session::{Answer, Config, Effect, Question, ROUTER_LOST, Router, Session, Task, wrong};

/// How many routers in a row may be lost while they take a configuration over. After that it is
/// taken to be the cause, and the API is opened so that it can be mended.
pub(super) const LOSSES_MAX: u32 = 3;

/// How long to wait before a configuration that a router could not take is tried again.
pub(super) const RETRY_FIRST: Duration = Duration::from_secs(1);
/// How long the wait becomes at most, doubling each time.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(30);

/// How far the router has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncStage {
    Preparing,
    Committing,
}

/// What is known of the current configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was restored at the start, and no router of this controller has taken it yet.
    Restored,
    /// It is the default one.
    Default,
    /// A router has taken it since this controller started.
    Proven,
}

/// What becomes of a current configuration that the router cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fallback {
    /// The default configuration takes its place.
    Default,
    /// It stays current, and is tried again later.
    Retry,
}

/// The one place that decides what such a failure costs. An application that does not start is none:
/// the router serves the rest of a current configuration without it. Whatever else it is, a
/// configuration is given up only at the start of a controller: what has run since then stays, and
/// comes back.
fn fallback(standing: Standing) -> Fallback {
    match standing {
        Standing::Restored => Fallback::Default,
        Standing::Default | Standing::Proven => Fallback::Retry,
    }
}

impl Session {
    pub(super) fn begin_sync(&mut self) {
        let Config { json, served, .. } = &self.current;
        let json = served.as_ref().unwrap_or(json).clone();
        let question = Question::Prepare(ConfigStage::Current, json);
        self.ask(Task::Sync(SyncStage::Preparing), question);
    }

    pub(super) fn sync_answered(&mut self, stage: SyncStage, answer: Answer) {
        match (stage, answer) {
            (SyncStage::Preparing, Answer::Done) => {
                self.ask(Task::Sync(SyncStage::Committing), Question::Commit);
            }
            (SyncStage::Committing, Answer::Done) => {
                if self.standing == Standing::Restored {
                    self.standing = Standing::Proven;
                }
                self.in_step();
            }
            (SyncStage::Preparing | SyncStage::Committing, answer) => {
                match self.not_taken(&wrong(answer)) {
                    Fallback::Default => {}
                    Fallback::Retry => self.defer(),
                }
            }
        }
    }

    pub(super) fn lost_in_sync(&mut self) {
        self.losses += 1;
        if self.losses == LOSSES_MAX {
            // A default configuration starts counting anew; any other waits from now on.
            let _ = self.not_taken(ROUTER_LOST);
        }
    }

    /// Puts a configuration off that seems to end the routers that take it over.
    pub(super) fn defer_after_losses(&mut self) {
        if self.losses >= LOSSES_MAX {
            self.defer();
        }
    }

    /// Leaves the router without the current configuration for some time.
    pub(super) fn defer(&mut self) {
        self.router = Router::Deferred;
        self.effects.push_back(Effect::RetryAfter(self.retry_after));
        self.retry_after = (self.retry_after * 2).min(RETRY_MAX);
        self.open();
    }

    /// The router runs the current configuration.
    pub(super) fn in_step(&mut self) {
        self.router = Router::InStep;
        self.losses = 0;
        self.retry_after = RETRY_FIRST;
        self.open();
        // It may have read a certificate bundle just before that was replaced; then it reads again.
        if !self.is_stale {
            self.settle_owed(Ok(()));
        }
    }

    /// Answers the clients whose change is on the disk, and waited for a router to take it.
    pub(super) fn settle_owed(&mut self, outcome: Result<(), &str>) {
        for (ticket, success) in std::mem::take(&mut self.owed) {
            self.answer(
                ticket,
                match outcome {
                    Ok(()) => success,
                    Err(cause) => Response::not_applied(cause),
                },
            );
        }
    }

    /// The router cannot take the current configuration.
    fn not_taken(&mut self, cause: &str) -> Fallback {
        self.settle_owed(Err(cause));
        self.effects.push_back(Effect::Alert("failed to apply previous configuration".to_owned()));
        let fallback = fallback(self.standing);
        match fallback {
            Fallback::Default => {
                self.current = Config::new(default_config());
                self.standing = Standing::Default;
                self.losses = 0;
            }
            Fallback::Retry => {}
        }
        fallback
    }

    /// Opens the API, once there is nothing more to be done before.
    pub(super) fn open(&mut self) {
        if matches!(self.initial, Initial::Done) && !std::mem::replace(&mut self.is_open, true) {
            self.effects.push_back(Effect::Open);
        }
    }
}
