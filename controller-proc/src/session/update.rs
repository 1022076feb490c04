//! One update on its way: prepared by the router, stored by main, committed by the router.

use conf::Value;
use port_proto::ConfigStage;

use crate::response::Response;
use crate::session::sync::{RETRY_FIRST, Standing};
use crate::session::{
    Answer, Config, Effect, Question, ROUTER_LOST, Router, Session, Task, Ticket, wrong,
};

/// An update on its way.
#[derive(Debug)]
pub(super) struct Update {
    ticket: Ticket,
    config: Config,
    /// Whether it is only tried.
    dry_run: bool,
    stage: Stage,
}

impl Update {
    /// The configuration that is to become current.
    pub(super) fn config(&self) -> &Value {
        &self.config.value
    }
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// The router builds it beside the running configuration.
    Preparing,
    /// Main writes it to the disk, while the router that prepared it waits.
    Storing,
    /// Main writes it to the disk, and the router that prepared it is lost.
    StoringAlone,
    /// It is on the disk, and the router switches to it.
    Committing,
    /// It is not on the disk, or not meant to be, and the router drops it; then the client gets this
    /// answer.
    Aborting(Response),
}

impl Session {
    pub(super) fn begin_update(&mut self, ticket: Ticket, config: Config, dry_run: bool) {
        let json = config.json.clone();
        let update = Update { ticket, config, dry_run, stage: Stage::Preparing };
        let stage = if dry_run { ConfigStage::Tried } else { ConfigStage::Proposed };
        let question = Question::Prepare(stage, json);
        self.ask(Task::Update(Box::new(update)), question);
    }

    pub(super) fn update_answered(&mut self, mut update: Box<Update>, answer: Answer) {
        let of_router = match update.stage {
            Stage::Preparing | Stage::Committing | Stage::Aborting(_) => true,
            Stage::Storing | Stage::StoringAlone => false,
        };
        if of_router && answer == Answer::Lost {
            self.task = Some(Task::Update(update));
            self.router_lost();
            return;
        }
        match (update.stage, answer) {
            (Stage::Preparing, Answer::Done) if update.dry_run => {
                update.stage = Stage::Aborting(Response::dry_run_passed());
                self.ask(Task::Update(update), Question::Abort);
            }
            (Stage::Preparing, Answer::Done) => {
                let json = update.config.json.clone();
                update.stage = Stage::Storing;
                let step = self.next_step(Task::Update(update));
                self.effects.push_back(Effect::Store(step, json));
            }
            (Stage::Preparing, answer) => {
                self.answer(update.ticket, Response::not_applied(&wrong(answer)));
            }
            (Stage::Storing, Answer::Done) => {
                update.stage = Stage::Committing;
                self.ask(Task::Update(update), Question::Commit);
            }
            (Stage::Storing, answer) => {
                update.stage = Stage::Aborting(not_stored(answer));
                self.ask(Task::Update(update), Question::Abort);
            }
            (Stage::StoringAlone, Answer::Done) => {
                self.owed.push((update.ticket, Response::reconfigured()));
                self.now_current(update.config);
                if self.is_stopping && self.router == Router::Absent {
                    self.settle_owed(Err(ROUTER_LOST));
                }
            }
            (Stage::StoringAlone, answer) => self.answer(update.ticket, not_stored(answer)),
            (Stage::Committing, Answer::Done) => {
                self.now_current(update.config);
                self.in_step();
                self.answer(update.ticket, Response::reconfigured());
            }
            (Stage::Committing, answer) => {
                self.now_current(update.config);
                self.defer();
                self.answer(update.ticket, Response::not_applied(&wrong(answer)));
            }
            (Stage::Aborting(response), _) => self.answer(update.ticket, response),
        }
    }

    pub(super) fn lost_in_update(&mut self, mut update: Box<Update>) {
        match update.stage {
            Stage::Preparing => self.answer(update.ticket, Response::not_applied(ROUTER_LOST)),
            // Main cannot be stopped any more, and what it says decides.
            Stage::Storing | Stage::StoringAlone => {
                update.stage = Stage::StoringAlone;
                self.task = Some(Task::Update(update));
            }
            Stage::Committing => {
                self.owed.push((update.ticket, Response::reconfigured()));
                self.now_current(update.config);
            }
            Stage::Aborting(response) => self.answer(update.ticket, response),
        }
    }

    /// A stored configuration takes the place of the current one. A router has prepared it.
    fn now_current(&mut self, config: Config) {
        self.current = config;
        self.standing = Standing::Proven;
        self.losses = 0;
        self.retry_after = RETRY_FIRST;
        if self.router == Router::Deferred {
            self.router = Router::Behind;
        }
    }
}

fn not_stored(answer: Answer) -> Response {
    Response::not_stored(&match answer {
        Answer::Lost => "the main process ended".to_owned(),
        answer => wrong(answer),
    })
}
