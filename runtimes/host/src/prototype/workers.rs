//! The workers a prototype has, under the router's number and their process id.

use port_proto::{ExitStatus, SignalWorker, WorkerExited, WorkerId, WorkerSignal};
use sys::process::Pid;
use sys::signal::{Ending, Signal};

#[derive(Debug, Default)]
pub(crate) struct Workers(Vec<(WorkerId, Pid)>);

impl Workers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, worker: WorkerId, pid: Pid) {
        self.0.push((worker, pid));
    }

    /// Forgets a process that ended, and returns what to tell of it. Other children than workers
    /// there may be too: those that workers left behind in a pid namespace of the application.
    pub(crate) fn remove(&mut self, pid: Pid, ending: Ending) -> Option<WorkerExited> {
        let at = self.0.iter().position(|(_, known)| *known == pid)?;
        let (worker, pid) = self.0.swap_remove(at);
        let status = match ending {
            Ending::Code(code) => ExitStatus::Code(code),
            Ending::Signal { number, .. } => ExitStatus::Signal(number),
        };
        Some(WorkerExited { worker, pid: port_proto::Pid(pid.as_raw()), status })
    }

    /// Sends a signal to one worker. One that ended meanwhile is reported anyway.
    pub(crate) fn signal(&self, request: SignalWorker) {
        let signal = match request.signal {
            WorkerSignal::Term => Signal::SIGTERM,
            WorkerSignal::Kill => Signal::SIGKILL,
        };
        for (_, pid) in self.0.iter().filter(|(worker, _)| *worker == request.worker) {
            send(*pid, signal);
        }
    }

    pub(crate) fn signal_all(&self, signal: Signal) {
        for (_, pid) in &self.0 {
            send(*pid, signal);
        }
    }
}

fn send(pid: Pid, signal: Signal) {
    if let Err(error) = sys::signal::send(pid, signal) {
        unit_log::alert!("kill({pid}, {}) failed {}", signal as i32, sys::errno::Described(&error));
    }
}
