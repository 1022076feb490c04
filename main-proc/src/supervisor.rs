//! Who runs, who is started again and when, who is told of a loss, and when it is over. No I/O: the
//! daemon reports what happened and does what [`Supervisor::next_action`] says.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use port_proto::{Generation, INTRODUCED, Identity, Pid, Quit, Role, TOLD_OF_LOSS};
use sys::signal::{Ending, Signal};

use crate::executables::CoreRole;

/// How long discovery may take before the daemon goes on without language runtimes.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(30);

/// How long a process may go on after its port hung up, or after discovery was told to end.
const LINGER_LIMIT: Duration = Duration::from_secs(2);

/// A process that lived this long did not fail at its start.
const LIVED: Duration = Duration::from_secs(3);

/// The first and the last delay of a process that keeps failing at its start.
const DELAY_MIN: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(30);

/// The most delay for one that others keep killing.
const DELAY_KILLED_MAX: Duration = Duration::from_millis(250);

/// How long a prototype may take to end its workers when its router is gone.
const PROTOTYPE_LIMIT: Duration = Duration::from_secs(5);

/// How long a stop may take before SIGTERM is sent.
const STOP_FAST_LIMIT: Duration = Duration::from_secs(10);
const STOP_GRACEFUL_LIMIT: Duration = Duration::from_secs(30);

/// How long SIGTERM has before SIGKILL.
const TERM_LIMIT: Duration = Duration::from_secs(2);

/// What is to be done. Actions come in the order they are to be done in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Execute a role; report [`Supervisor::started`] or [`Supervisor::start_failed`].
    Start(CoreRole),
    /// Say what a process that has just connected needs to know; a prototype is told by the one
    /// who started it.
    SetUp(Identity),
    /// Give two processes a port to each other.
    Introduce(Identity, Identity),
    /// Tell a process that another is gone.
    TellLost {
        /// Who is told.
        told: Identity,
        /// Who is gone.
        lost: Identity,
    },
    /// Tell a process to stop.
    Quit(Identity, Quit),
    /// Send a signal.
    Signal(Identity, Signal),
    /// A process is gone: drop what belonged to it.
    Forget(Identity),
    /// Discovery did not report in time: say so.
    DiscoveryFailed,
    /// A role is started again after a delay: say so.
    Delayed(CoreRole, Duration),
    /// Nothing is left to do: exit with this status.
    Exit {
        /// Whether something went wrong at start.
        failed: bool,
    },
}

/// What the supervisor knows of a process.
#[derive(Clone, Debug)]
struct Process {
    identity: Identity,
    since: Instant,
    phase: Phase,
    /// The router that has been given this prototype.
    known_to: Option<Identity>,
    /// When it gets the next signal, and which.
    sentence: Option<(Instant, Signal)>,
}

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Executed, no hello yet.
    Starting,
    /// It can be talked to.
    Connected,
    /// Its port hung up.
    HungUp,
}

/// Where discovery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Discovery {
    /// Its report is waited for, until then.
    Awaited(Instant),
    /// It has reported, or will not any more; the others may run.
    Over,
}

/// When a role that is restarted is due again.
#[derive(Clone, Copy, Debug, Default)]
struct Restart {
    due: Option<Instant>,
    /// The delay of the next failure at start.
    next_delay: Duration,
}

/// How the daemon is stopping.
#[derive(Clone, Copy, Debug)]
struct Stop {
    how: Quit,
    /// When SIGTERM is sent to what is left.
    until: Instant,
    /// Whether prototypes have been told: they go on while the router needs them.
    prototypes_told: bool,
    failed: bool,
    exit_told: bool,
}

/// The state of the whole daemon.
#[derive(Debug)]
pub struct Supervisor {
    main: Pid,
    generation: u32,
    discovery: Discovery,
    /// Whether discovery was started a second time, as the first did not come to its report.
    discovery_again: bool,
    processes: BTreeMap<Pid, Process>,
    controller: Restart,
    router: Restart,
    /// Whether controller and router have both connected once: a failure before that is final.
    established: bool,
    stop: Option<Stop>,
    actions: VecDeque<Action>,
}

impl Supervisor {
    /// A daemon that is about to start discovery.
    #[must_use]
    pub fn new(main: Pid, now: Instant) -> Self {
        let mut supervisor = Self {
            main,
            generation: 0,
            discovery: Discovery::Awaited(now + DISCOVERY_LIMIT),
            discovery_again: false,
            processes: BTreeMap::new(),
            controller: Restart::default(),
            router: Restart::default(),
            established: false,
            stop: None,
            actions: VecDeque::new(),
        };
        supervisor.actions.push_back(Action::Start(CoreRole::Discovery));
        supervisor
    }

    /// Main itself.
    #[must_use]
    pub fn main(&self) -> Identity {
        Identity { role: Role::Main, pid: self.main, generation: Generation(0) }
    }

    /// What is to be done next.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::tick`] is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let sentences = self.processes.values().filter_map(|process| process.sentence);
        let discovery = match self.discovery {
            Discovery::Awaited(until) if self.stop.is_none() => Some(until),
            Discovery::Awaited(_) | Discovery::Over => None,
        };
        sentences
            .map(|(when, _)| when)
            .chain(self.controller.due)
            .chain(self.router.due)
            .chain(discovery)
            .min()
    }

    /// Whether the daemon is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// The processes that can be talked to.
    pub fn reachable(&self) -> impl Iterator<Item = Identity> {
        self.processes
            .values()
            .filter(|process| process.phase == Phase::Connected)
            .map(|p| p.identity)
    }

    /// The processes that have not said hello yet.
    pub fn starting(&self) -> impl Iterator<Item = Identity> {
        self.processes
            .values()
            .filter(|process| process.phase == Phase::Starting)
            .map(|process| process.identity)
    }

    /// Whether this very process, not a later one with its number, can be talked to.
    #[must_use]
    pub fn is_reachable(&self, identity: Identity) -> bool {
        self.get(identity).is_some_and(|process| process.phase == Phase::Connected)
    }

    fn get(&self, identity: Identity) -> Option<&Process> {
        self.processes.get(&identity.pid).filter(|process| process.identity == identity)
    }

    fn get_mut(&mut self, identity: Identity) -> Option<&mut Process> {
        self.processes.get_mut(&identity.pid).filter(|process| process.identity == identity)
    }

    fn of_role(&self, role: Role) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(move |process| process.identity.role == role)
    }

    fn has(&self, role: Role) -> bool {
        self.of_role(role).next().is_some()
    }

    fn restart_of(&mut self, role: CoreRole) -> Option<&mut Restart> {
        match role {
            CoreRole::Discovery => None,
            CoreRole::Controller => Some(&mut self.controller),
            CoreRole::Router => Some(&mut self.router),
        }
    }

    /// A process was executed. The answer is who it is from now on.
    pub fn started(&mut self, role: Role, pid: Pid, now: Instant) -> Identity {
        self.generation = self.generation.wrapping_add(1);
        let identity = Identity { role, pid, generation: Generation(self.generation) };
        let process = Process {
            identity,
            since: now,
            phase: Phase::Starting,
            known_to: None,
            sentence: None,
        };
        self.processes.insert(pid, process);
        if let Some(Stop { until, prototypes_told, .. }) = self.stop {
            // While a router finishes what it accepted it may need another prototype for it.
            let when = if prototypes_told { now } else { until };
            self.condemn(identity, when, Signal::SIGTERM);
        }
        identity
    }

    /// A role could not be executed.
    pub fn start_failed(&mut self, role: CoreRole, now: Instant) {
        match role {
            CoreRole::Discovery => self.discovery_over(true),
            CoreRole::Controller | CoreRole::Router if !self.established => self.fail(now),
            CoreRole::Controller | CoreRole::Router => self.schedule(role, Failed::Start, now),
        }
    }

    /// The hellos were exchanged. Whether the process is still there.
    pub fn connected(&mut self, identity: Identity) -> bool {
        let Some(process) = self.get_mut(identity) else { return false };
        process.phase = Phase::Connected;
        if let Some(Stop { how, prototypes_told, .. }) = self.stop {
            if identity.role != Role::Prototype || prototypes_told {
                self.actions.push_back(Action::Quit(identity, how));
            }
            return true;
        }
        self.actions.push_back(Action::SetUp(identity));
        let peers: Vec<Identity> = self
            .processes
            .values()
            .filter(|peer| {
                peer.phase == Phase::Connected
                    && INTRODUCED.contains(&(identity.role, peer.identity.role))
            })
            .map(|peer| peer.identity)
            .collect();
        for peer in peers {
            self.actions.push_back(Action::Introduce(identity, peer));
        }
        let connected = |role| self.reachable().any(|peer| peer.role == role);
        if connected(Role::Controller) && connected(Role::Router) {
            self.established = true;
        }
        true
    }

    /// The hellos were not exchanged.
    pub fn connect_failed(&mut self, identity: Identity, now: Instant) {
        let core = match identity.role {
            Role::Controller | Role::Router => true,
            Role::Main | Role::Discovery | Role::Prototype => false,
        };
        self.condemn(identity, now, Signal::SIGKILL);
        if core && !self.established {
            self.fail(now);
        }
    }

    /// A router has been given a prototype.
    pub fn prototype_known(&mut self, identity: Identity, router: Identity) {
        if let Some(process) = self.get_mut(identity) {
            process.known_to = Some(router);
        }
    }

    /// A prototype cannot become what it was started for. One that said so ends by itself.
    pub fn prototype_failed(&mut self, identity: Identity, now: Instant) {
        self.condemn(identity, now + LINGER_LIMIT, Signal::SIGKILL);
    }

    /// A port hung up, or its other end broke the rules. The process should be gone very soon.
    pub fn hung_up(&mut self, identity: Identity, now: Instant) {
        if let Some(process) = self.get_mut(identity) {
            process.phase = Phase::HungUp;
        }
        self.condemn(identity, now + LINGER_LIMIT, Signal::SIGKILL);
    }

    /// Discovery reported. Whether the report counts: it comes from the discovery that is waited
    /// for, and the daemon is not stopping.
    pub fn report_arrived(&mut self, from: Identity, now: Instant) -> bool {
        let awaited = matches!(self.discovery, Discovery::Awaited(_));
        let known = from.role == Role::Discovery && self.get(from).is_some();
        if !(awaited && known && self.stop.is_none()) {
            return false;
        }
        self.actions.push_back(Action::Quit(from, Quit::Fast));
        self.condemn(from, now + LINGER_LIMIT, Signal::SIGKILL);
        self.discovery_over(false);
        true
    }

    /// Without modules no application of a stored configuration is valid, and the configuration is
    /// given up as a whole: that somebody killed discovery is not worth that.
    fn discovery_died(&mut self) {
        if self.stop.is_none() && !self.discovery_again {
            self.discovery_again = true;
            self.actions.push_back(Action::Start(CoreRole::Discovery));
        } else {
            self.discovery_over(true);
        }
    }

    fn discovery_over(&mut self, failed: bool) {
        self.discovery = Discovery::Over;
        if self.stop.is_none() {
            if failed {
                self.actions.push_back(Action::DiscoveryFailed);
            }
            self.actions.push_back(Action::Start(CoreRole::Controller));
            self.actions.push_back(Action::Start(CoreRole::Router));
        }
    }

    /// A process was reaped. The answer is who it was; nothing for a process nobody knows.
    pub fn exited(&mut self, pid: Pid, ending: Ending, now: Instant) -> Option<Identity> {
        let process = self.processes.remove(&pid)?;
        let identity = process.identity;
        let lived = now.saturating_duration_since(process.since);
        self.actions.push_back(Action::Forget(identity));
        self.tell_of_loss(identity, process.known_to);
        match identity.role {
            Role::Discovery => {
                if matches!(self.discovery, Discovery::Awaited(_)) {
                    self.discovery_died();
                }
            }
            Role::Controller => self.core_exited(CoreRole::Controller, ending, lived, now),
            Role::Router => {
                if self.stop.is_none() {
                    self.dismiss_prototypes(Quit::Fast, now);
                }
                self.core_exited(CoreRole::Router, ending, lived, now);
            }
            Role::Main | Role::Prototype => {}
        }
        self.proceed_with_stop(now);
        Some(identity)
    }

    fn tell_of_loss(&mut self, lost: Identity, known_to: Option<Identity>) {
        // Of prototypes a router has only heard when it was given them.
        let knows = |peer| lost.role != Role::Prototype || known_to == Some(peer);
        let told: Vec<Identity> = self
            .reachable()
            .filter(|peer| TOLD_OF_LOSS.contains(&(peer.role, lost.role)) && knows(*peer))
            .collect();
        for told in told {
            self.actions.push_back(Action::TellLost { told, lost });
        }
    }

    fn core_exited(&mut self, role: CoreRole, ending: Ending, lived: Duration, now: Instant) {
        if self.stop.is_some() {
            return;
        }
        let how = match ending {
            _ if lived >= LIVED => Failed::Later,
            // It was asked to end, if not by us.
            Ending::Code(0) => Failed::Killed,
            Ending::Signal { number, .. } if number == Signal::SIGKILL as i32 => Failed::Killed,
            Ending::Code(_) | Ending::Signal { .. } => Failed::Start,
        };
        if !self.established && how == Failed::Start {
            self.fail(now);
        } else {
            self.schedule(role, how, now);
        }
    }

    fn schedule(&mut self, role: CoreRole, how: Failed, now: Instant) {
        if self.stop.is_some() {
            return;
        }
        let Some(restart) = self.restart_of(role) else { return };
        let delay = match how {
            Failed::Later => Duration::ZERO,
            Failed::Start => restart.next_delay,
            Failed::Killed => restart.next_delay.min(DELAY_KILLED_MAX),
        };
        restart.next_delay = match how {
            Failed::Later => Duration::ZERO,
            Failed::Start => (restart.next_delay * 2).clamp(DELAY_MIN, DELAY_MAX),
            Failed::Killed => restart.next_delay.max(DELAY_MIN),
        };
        if delay.is_zero() {
            self.actions.push_back(Action::Start(role));
        } else {
            restart.due = Some(now + delay);
            self.actions.push_back(Action::Delayed(role, delay));
        }
    }

    /// Tells every prototype to end, and sets a limit to it.
    fn dismiss_prototypes(&mut self, how: Quit, now: Instant) {
        let prototypes: Vec<(Identity, Phase)> = self
            .of_role(Role::Prototype)
            .map(|process| (process.identity, process.phase))
            .collect();
        for (identity, phase) in prototypes {
            match phase {
                Phase::Connected => {
                    self.actions.push_back(Action::Quit(identity, how));
                    self.condemn(identity, now + PROTOTYPE_LIMIT, Signal::SIGTERM);
                }
                Phase::Starting => self.condemn(identity, now, Signal::SIGKILL),
                // It is on its way out, and has had its limit since it hung up.
                Phase::HungUp => {}
            }
        }
    }

    /// Sets when a process is signalled, unless that is set for an earlier time already.
    fn condemn(&mut self, identity: Identity, when: Instant, signal: Signal) {
        if let Some(process) = self.get_mut(identity)
            && process.sentence.is_none_or(|(already, _)| when < already)
        {
            process.sentence = Some((when, signal));
        }
    }

    /// The daemon cannot start: everything ends.
    fn fail(&mut self, now: Instant) {
        self.stop_as(Quit::Fast, self.stop.is_none(), now);
    }

    /// The daemon is to stop. Asked again it does not start anew; a fast stop replaces a graceful
    /// one.
    pub fn stop(&mut self, how: Quit, now: Instant) {
        self.stop_as(how, false, now);
    }

    fn stop_as(&mut self, how: Quit, failed: bool, now: Instant) {
        let until = match how {
            Quit::Fast => now + STOP_FAST_LIMIT,
            Quit::Graceful => now + STOP_GRACEFUL_LIMIT,
        };
        let stop = match self.stop {
            None => Stop { how, until, prototypes_told: false, failed, exit_told: false },
            Some(stop) if stop.how == Quit::Graceful && how == Quit::Fast => {
                Stop { how, until, ..stop }
            }
            Some(_) => return,
        };
        self.stop = Some(stop);
        self.controller.due = None;
        self.router.due = None;
        self.actions.retain(|action| !matches!(action, Action::Start(_) | Action::Delayed(..)));
        let processes: Vec<(Identity, Phase)> =
            self.processes.values().map(|process| (process.identity, process.phase)).collect();
        for (identity, phase) in processes {
            self.condemn(identity, until, Signal::SIGTERM);
            let tell_now = match identity.role {
                Role::Discovery | Role::Controller | Role::Router | Role::Main => true,
                // While there is a router it may have requests for them.
                Role::Prototype => stop.prototypes_told,
            };
            if tell_now && phase == Phase::Connected {
                self.actions.push_back(Action::Quit(identity, how));
            }
        }
        self.proceed_with_stop(now);
    }

    /// The next step of a stop, if it is time for it.
    fn proceed_with_stop(&mut self, now: Instant) {
        let Some(stop) = self.stop else { return };
        if !stop.prototypes_told && !self.has(Role::Router) {
            self.stop = Some(Stop { prototypes_told: true, ..stop });
            self.dismiss_prototypes(stop.how, now);
        }
        if self.processes.is_empty()
            && let Some(stop) = &mut self.stop
            && !stop.exit_told
        {
            stop.exit_told = true;
            self.actions.push_back(Action::Exit { failed: stop.failed });
        }
    }

    /// Does what time has come for.
    pub fn tick(&mut self, now: Instant) {
        if let Discovery::Awaited(until) = self.discovery
            && self.stop.is_none()
            && now >= until
        {
            let late: Vec<Identity> =
                self.of_role(Role::Discovery).map(|process| process.identity).collect();
            for identity in late {
                self.condemn(identity, now, Signal::SIGKILL);
            }
            self.discovery_over(true);
        }
        for role in [CoreRole::Controller, CoreRole::Router] {
            if let Some(restart) = self.restart_of(role)
                && restart.due.is_some_and(|due| now >= due)
            {
                restart.due = None;
                self.actions.push_back(Action::Start(role));
            }
        }
        for process in self.processes.values_mut() {
            if let Some((when, signal)) = process.sentence
                && now >= when
            {
                self.actions.push_back(Action::Signal(process.identity, signal));
                // SIGKILL is repeated: it costs nothing, and something has to come next.
                process.sentence = Some((now + TERM_LIMIT, Signal::SIGKILL));
            }
        }
    }
}

/// How a role that is restarted failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    /// It could not be executed, or failed soon after.
    Start,
    /// Somebody ended it soon after its start.
    Killed,
    /// It had worked.
    Later,
}

#[cfg(test)]
mod tests;
