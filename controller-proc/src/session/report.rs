//! Reading the status: clients that wait together share one report.

use conf::Value;
use conf::tree::{self, Path};

use crate::endpoint::Operation;
use crate::response::Response;
use crate::session::{Answer, Question, Session, Task, Ticket};
use crate::status;

/// What of a report a client wants to see.
#[derive(Debug)]
pub(super) enum Reading {
    /// All of it, and the configuration.
    Overview,
    /// What is at this path.
    Status(Path),
}

impl Session {
    /// Asks for a report for this client, and for those that come right after it. The router is
    /// asked after all of them came, so that none sees anything stale.
    pub(super) fn begin_report(&mut self, ticket: Ticket, reading: Reading) {
        let mut clients = vec![(ticket, reading)];
        while let Some((ticket, operation)) = self.queue.pop_front() {
            match operation {
                Operation::Overview => clients.push((ticket, Reading::Overview)),
                Operation::Status(path) => clients.push((ticket, Reading::Status(path))),
                Operation::Edit { .. } | Operation::Restart { .. } => {
                    self.queue.push_front((ticket, operation));
                    break;
                }
            }
        }
        self.ask(Task::Report(clients), Question::Status);
    }

    /// Shows each client what it wants to see of a report.
    pub(super) fn report(&mut self, clients: Vec<(Ticket, Reading)>, answer: Option<Answer>) {
        let status = match answer {
            Some(Answer::Status(status)) => Some(status::report(&self.modules, &status)),
            Some(
                Answer::Done
                | Answer::Refused(_)
                | Answer::Unknown
                | Answer::NotSent(_)
                | Answer::Lost,
            )
            | None => None,
        };
        for (ticket, reading) in clients {
            let response = match (&status, reading) {
                (None, _) => Response::no_status(),
                (Some(status), Reading::Overview) => Response::value(&Value::from_iter([
                    ("certificates", self.certificates.describe_all()),
                    ("config", self.current.value.clone()),
                    ("status", status.clone()),
                ])),
                (Some(status), Reading::Status(path)) => match tree::get(status, &path) {
                    Some(value) => Response::value(value),
                    None => Response::invalid_path(),
                },
            };
            self.answer(ticket, response);
        }
    }
}
