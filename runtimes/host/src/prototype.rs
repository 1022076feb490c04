//! The prototype: set up by main, then forks, signals and reaps workers for the router.

mod set_up;
mod stop;
mod workers;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use port_io::blocking::Port;
use port_io::{PortError, bootstrap};
use port_proto::{
    MainToPrototype, Pid, PrototypeToMain, PrototypeToRouter, Quit, Refusal, Role,
    RouterToPrototype, SetUpPrototype, StartWorker, StreamId, WithFds, WorkerStarted,
};
use sys::poll::{PollFd, PollFlags};
use sys::process::{Fork, Title};
use sys::signal::{Ending, Signal};
use sys::signal_fd::SignalQueue;

use crate::prototype::set_up::{BeforeWork, set_up};
use crate::prototype::stop::{Stop, Strike};
use crate::prototype::workers::Workers;
use crate::{Application, Facts, Language, worker};

/// How long a prototype waits for its instructions.
const SET_UP_TIMEOUT: Duration = Duration::from_secs(60);

const SIGNALS: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGCHLD,
];

type MainPort = Port<PrototypeToMain, MainToPrototype>;
type RouterPort = Port<PrototypeToRouter, RouterToPrototype>;

/// Runs a prototype, and in the processes it forks, the workers.
pub(crate) fn run<L: Language>(mut language: L, facts: &Facts<'_>) -> ExitCode {
    let (prototype, application) = match start(&mut language, facts) {
        Ok(Some(started)) => started,
        Ok(None) => return ExitCode::SUCCESS,
        Err(Failure) => return ExitCode::FAILURE,
    };
    match prototype.work(&mut language, &application) {
        Finished::Prototype(code) => code,
        Finished::Worker(before_work, parts) => match before_work.run(&application.name) {
            Ok(termination) => {
                worker::run(&mut language, &application, parts.complete(termination))
            }
            Err(error) => {
                unit_log::alert!("\"{}\" application failed to start: {error}", application.name);
                ExitCode::FAILURE
            }
        },
    }
}

/// What went wrong has been logged.
struct Failure;

struct Prototype {
    main: MainPort,
    router: RouterPort,
    signals: SignalQueue,
    workers: Workers,
    stop: Stop,
    before_work: BeforeWork,
}

enum Finished {
    Prototype(ExitCode),
    /// This is the new process.
    Worker(BeforeWork, WorkerParts),
}

/// What a worker gets of its prototype.
struct WorkerParts {
    first_channel: [OwnedFd; 3],
    channels: u32,
    own_stderr: bool,
}

impl WorkerParts {
    fn complete(self, termination: sys::termination::Termination) -> worker::Parts {
        let Self { first_channel, channels, own_stderr } = self;
        worker::Parts { first_channel, channels, own_stderr, termination }
    }
}

/// Waits for main's instructions and follows them; `None` when it was told to stop instead.
fn start<L: Language>(
    language: &mut L,
    facts: &Facts<'_>,
) -> Result<Option<(Prototype, Application)>, Failure> {
    let (me, _, mut main) =
        bootstrap::inherited_blocking(Role::Prototype).map_err(|error| fail(&error))?;
    let signals = SignalQueue::new(&SIGNALS).map_err(|error| fail(&error))?;
    let mut title = Title::claim()
        .inspect_err(|error| unit_log::warn!("the process keeps its title: {error}"))
        .ok();
    let Some((stream, WithFds { body, fds: [router] })) = wait_for_set_up(&mut main, &signals)?
    else {
        return Ok(None);
    };
    let router = Port::new(router, me, body.router);
    let name = body.name.clone();
    if let Some(title) = &mut title {
        // It has it already, but padded, to leave room for the longer one of the workers.
        title.set(&format!("unit: \"{name}\" prototype"));
    }
    let before_work = BeforeWork::new(title, &body);
    let application = match set_up(language, facts, body) {
        Ok(application) => application,
        Err(text) => {
            let refusal = Refusal::new(text);
            main.answer::<WithFds<SetUpPrototype, 1>>(stream, Err(refusal))
                .map_err(|error| fail(&error))?;
            return Err(Failure);
        }
    };
    let router = router.map_err(|error| fail(&error))?;
    unit_log::info!("\"{name}\" prototype started");
    main.answer::<WithFds<SetUpPrototype, 1>>(stream, Ok(())).map_err(|error| fail(&error))?;
    let prototype = Prototype {
        main,
        router,
        signals,
        workers: Workers::default(),
        stop: Stop::default(),
        before_work,
    };
    Ok(Some((prototype, application)))
}

fn fail(error: &dyn std::error::Error) -> Failure {
    unit_log::alert!("prototype failed to start: {error}");
    Failure
}

type SetUpRequest = (StreamId, WithFds<SetUpPrototype, 1>);

fn wait_for_set_up(
    main: &mut MainPort,
    signals: &SignalQueue,
) -> Result<Option<SetUpRequest>, Failure> {
    let deadline = Instant::now() + SET_UP_TIMEOUT;
    loop {
        match main.recv() {
            Ok(Some((stream, MainToPrototype::SetUp(request)))) => {
                return Ok(Some((stream, request)));
            }
            Ok(Some((_, MainToPrototype::ReopenLog(WithFds { fds: [log], .. })))) => {
                take_log(&log);
                continue;
            }
            Ok(Some((_, MainToPrototype::Quit(_)))) | Err(PortError::HungUp) => return Ok(None),
            Ok(None) => {}
            // The port has logged it.
            Err(_) => return Err(Failure),
        }
        while let Some(signal) = signals.take().map_err(|error| fail(&error))? {
            if matches!(signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT) {
                unit_log::notice!("signal {} received", Shown(signal));
                return Ok(None);
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(fail(&io::Error::from(io::ErrorKind::TimedOut)));
        }
        let mut fds = [PollFd::new(main, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        poll(&mut fds, Some(left)).map_err(|error| fail(&error))?;
    }
}

impl Prototype {
    /// Serves main and the router until all is over, or until this is a worker.
    fn work<L: Language>(mut self, language: &mut L, application: &Application) -> Finished {
        loop {
            match self.turn(language, application) {
                Ok(None) => {}
                Ok(Some(parts)) => return Finished::Worker(self.before_work, parts),
                Err(error) => {
                    unit_log::alert!("\"{}\" prototype cannot go on: {error}", application.name);
                    self.workers.signal_all(Signal::SIGTERM);
                    return Finished::Prototype(ExitCode::FAILURE);
                }
            }
            if self.stop.is_requested() && self.workers.is_empty() {
                return Finished::Prototype(ExitCode::SUCCESS);
            }
        }
    }

    /// Waits for something to happen and deals with it. Returns something in a new worker.
    fn turn<L: Language>(
        &mut self,
        language: &mut L,
        application: &Application,
    ) -> io::Result<Option<WorkerParts>> {
        let now = Instant::now();
        match self.stop.due(now) {
            Some(Strike::Terminate) => self.workers.signal_all(Signal::SIGTERM),
            Some(Strike::Kill) => self.workers.signal_all(Signal::SIGKILL),
            None => {}
        }
        // A port that has hung up stays readable: it is not looked at again.
        let ports = if self.stop.is_fast() { PollFlags::empty() } else { PollFlags::IN };
        let mut fds = [
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.main, ports),
            PollFd::new(&self.router, ports),
        ];
        let count = if self.stop.is_fast() { 1 } else { fds.len() };
        poll(&mut fds[..count], self.stop.wait(now))?;
        self.take_signals()?;
        if self.stop.is_fast() {
            return Ok(None);
        }
        self.hear_main();
        self.hear_router(language, application)
    }

    fn take_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.take()? {
            if signal == Signal::SIGCHLD {
                self.reap()?;
            } else if matches!(signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT) {
                unit_log::notice!("signal {} received", Shown(signal));
                self.stop.request(Quit::Fast, Instant::now());
            } else {
                unit_log::notice!("signal {} received, ignored", Shown(signal));
            }
        }
        Ok(())
    }

    fn reap(&mut self) -> io::Result<()> {
        while let Some((pid, ending)) = sys::signal::reap()? {
            match ending {
                Ending::Code(code) => {
                    unit_log::notice!("app process {pid} exited with code {code}");
                }
                Ending::Signal { number, core_dumped } => {
                    let core = if core_dumped { " (core dumped)" } else { "" };
                    unit_log::alert!("app process {pid} exited on signal {number}{core}");
                }
            }
            if let Some(exited) = self.workers.remove(pid, ending) {
                // A router that is gone needs no news.
                let _ = self.router.send(PrototypeToRouter::WorkerExited(exited));
            }
        }
        Ok(())
    }

    fn hear_main(&mut self) {
        loop {
            match self.main.recv() {
                Ok(None) => return,
                Ok(Some((_, MainToPrototype::Quit(quit)))) => {
                    self.stop.request(quit, Instant::now());
                }
                Ok(Some((_, MainToPrototype::ReopenLog(WithFds { fds: [log], .. })))) => {
                    take_log(&log);
                }
                Ok(Some((stream, MainToPrototype::SetUp(_)))) => {
                    let refusal = Refusal::new("the prototype was set up before");
                    let _ = self.main.answer::<WithFds<SetUpPrototype, 1>>(stream, Err(refusal));
                }
                // The port has logged what there is to say.
                Err(_) => {
                    self.stop.request(Quit::Fast, Instant::now());
                    return;
                }
            }
        }
    }

    fn hear_router<L: Language>(
        &mut self,
        language: &mut L,
        application: &Application,
    ) -> io::Result<Option<WorkerParts>> {
        loop {
            match self.router.recv() {
                Ok(None) => return Ok(None),
                Ok(Some((stream, RouterToPrototype::StartWorker(request)))) => {
                    if let Some(parts) =
                        self.start_worker(language, application, stream, request)?
                    {
                        return Ok(Some(parts));
                    }
                }
                Ok(Some((_, RouterToPrototype::SignalWorker(signal)))) => {
                    self.workers.signal(signal);
                }
                Ok(Some((_, RouterToPrototype::Quit(quit)))) => {
                    self.stop.request(quit, Instant::now());
                }
                Err(_) => {
                    self.stop.request(Quit::Fast, Instant::now());
                    return Ok(None);
                }
            }
        }
    }

    /// Forks a worker and answers. Returns something in the new process.
    fn start_worker<L: Language>(
        &mut self,
        language: &mut L,
        application: &Application,
        stream: StreamId,
        request: WithFds<StartWorker, 3>,
    ) -> io::Result<Option<WorkerParts>> {
        let WithFds { body: StartWorker { worker, channels }, fds } = request;
        let answer = if self.stop.is_requested() {
            Err(Refusal::new("the prototype is stopping"))
        } else {
            language.before_fork();
            let forked = sys::process::fork();
            if matches!(forked, Ok(Fork::Child)) {
                language.after_fork_in_worker();
                return Ok(Some(WorkerParts {
                    first_channel: fds,
                    channels,
                    own_stderr: self.before_work.has_stderr(),
                }));
            }
            language.after_fork_in_prototype();
            match forked {
                Ok(Fork::Parent { child }) => {
                    self.workers.add(worker, child);
                    Ok(WorkerStarted { pid: Pid(child.as_raw()) })
                }
                Ok(Fork::Child) => return Ok(None),
                Err(error) => {
                    let text = format!(
                        "fork() failed for \"{}\" application {}",
                        application.name,
                        sys::errno::Described(&error)
                    );
                    unit_log::alert!("{text}");
                    Err(Refusal::new(text))
                }
            }
        };
        if let Err(error) = self.router.answer::<WithFds<StartWorker, 3>>(stream, answer) {
            unit_log::alert!("the router was not told of a worker: {error}");
            self.stop.request(Quit::Fast, Instant::now());
        }
        Ok(None)
    }
}

fn take_log(log: &OwnedFd) {
    if let Err(error) = unit_log::redirect(log.as_fd()) {
        unit_log::alert!("the reopened log was not taken over: {error}");
    }
}

fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    match sys::poll::poll(fds, timeout) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error),
    }
}

/// A signal in the words of the log.
struct Shown(Signal);

impl std::fmt::Display for Shown {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "signo:{} ({})", self.0 as i32, self.0.as_str())
    }
}
