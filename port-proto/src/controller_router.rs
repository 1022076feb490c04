//! Controller and router: a configuration is prepared, stored, then committed, so that what is
//! visible is always on the disk.

use serde::{Deserialize, Serialize};

use crate::message::{direction, request};
use crate::{ConfigStage, Direction, Refusal};

/// Build a configuration beside the running one: open its listeners, start its applications. When
/// the answer is ready, committing it cannot fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareConfig {
    /// Which configuration it is. An application that does not start is a reason to refuse a
    /// proposed or tried one. In the current one it is started later, and the rest is served meanwhile.
    pub stage: ConfigStage,
    /// The compact JSON text, validated by the controller.
    pub json: Vec<u8>,
}

/// Make the prepared configuration the running one. When the answer is ready, every event loop
/// has switched and the sockets that are no longer used are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitConfig;

/// Drop the prepared configuration and everything made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortConfig;

/// Report the counters of `/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetStatus;

/// The counters of `/status`, all since the start of the router.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections with a request in progress.
    pub active: u64,
    /// Connections without one.
    pub idle: u64,
    /// Connections closed.
    pub closed: u64,
    /// Requests begun.
    pub requests: u64,
    /// The configured applications, in their order.
    pub applications: Vec<ApplicationStatus>,
}

/// The counters of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationStatus {
    /// Its name.
    pub name: String,
    /// Workers that are ready.
    pub running: u32,
    /// Workers that are not ready yet.
    pub starting: u32,
    /// Ready workers without a request.
    pub idle: u32,
    /// Requests queued or being processed.
    pub active_requests: u64,
}

/// Replace the processes of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartApplication {
    /// The application.
    pub name: String,
}

/// Why an application was not restarted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartRefusal {
    /// No application has this name.
    Unknown,
    /// It could not be done.
    Failed(String),
}

direction! {
    /// What the controller says to the router.
    pub enum ControllerToRouter: Controller => Router {
        /// Build a configuration.
        request PrepareConfig(PrepareConfig) = PrepareConfig,
        /// Switch to it.
        request CommitConfig(CommitConfig) = CommitConfig,
        /// Drop it.
        request AbortConfig(AbortConfig) = AbortConfig,
        /// Report the counters.
        request GetStatus(GetStatus) = GetStatus,
        /// Replace the processes of an application.
        request RestartApplication(RestartApplication) = RestartApplication,
    }
}

direction! {
    /// What the router says to the controller of its own accord: nothing. It only answers.
    pub enum RouterToController: Router => Controller {
    }
}

request!(PrepareConfig => ControllerToRouter::PrepareConfig, reply (), refusal Refusal);
request!(CommitConfig => ControllerToRouter::CommitConfig, reply (), refusal Refusal);
request!(AbortConfig => ControllerToRouter::AbortConfig, reply (), refusal Refusal);
request!(GetStatus => ControllerToRouter::GetStatus, reply Status, refusal Refusal);
request!(RestartApplication => ControllerToRouter::RestartApplication, reply (), refusal RestartRefusal);

const _: () = assert!(RouterToController::KINDS.is_empty());
