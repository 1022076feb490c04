//! Router and prototype: workers are forked, signalled and reported.

use serde::{Deserialize, Serialize};

use crate::message::{direction, request};
use crate::{Pid, Quit, Refusal, WithFds};

/// The router's number for a worker of one application; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkerId(pub u32);

/// Fork a worker. With it travel the shared memory, the doorbell and the loop page of the worker's
/// first channel; the other channels arrive over that doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartWorker {
    /// The worker.
    pub worker: WorkerId,
    /// How many channels it will have in all before it reports ready.
    pub channels: u32,
}

/// The answer to [`StartWorker`]: the worker was forked. That it is ready is told over its doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStarted {
    /// Its process id.
    pub pid: Pid,
}

/// What a worker can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerSignal {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// Send a signal to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalWorker {
    /// The worker.
    pub worker: WorkerId,
    /// The signal.
    pub signal: WorkerSignal,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// A worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerExited {
    /// The worker.
    pub worker: WorkerId,
    /// Its process id.
    pub pid: Pid,
    /// How it ended.
    pub status: ExitStatus,
}

direction! {
    /// What the router says to a prototype.
    pub enum RouterToPrototype: Router => Prototype {
        /// Fork a worker; the descriptors are memory, doorbell and loop page of its first channel.
        request StartWorker(StartWorker; 3) = StartWorker,
        /// Send a signal to a worker.
        notice SignalWorker(SignalWorker) = SignalWorker,
        /// Stop the workers, then stop.
        notice Quit(Quit) = Quit,
    }
}

direction! {
    /// What a prototype says to the router.
    pub enum PrototypeToRouter: Prototype => Router {
        /// A worker ended.
        notice WorkerExited(WorkerExited) = WorkerExited,
    }
}

request!(WithFds<StartWorker, 3> => RouterToPrototype::StartWorker, reply WorkerStarted, refusal Refusal);
