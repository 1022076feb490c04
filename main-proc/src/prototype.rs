//! Starting a prototype: everything between the router's request and its answer.

use std::os::fd::OwnedFd;
use std::time::Duration;

use port_io::RequestError;
use port_proto::{
    Credentials, Direction, Identity, MainToPrototype, PermittedApplication, PrototypeToMain,
    Refusal, Role, SetUpPrototype, StreamId, WithFds,
};
use sys::errno::Described;
use sys::process::Pid;
use tokio::time::{Instant, timeout_at};

use crate::daemon::{Event, Events};
use crate::environment::Environment;
use crate::modules::Modules;
use crate::peer::Peer;
use crate::start::{Program, Starter};

/// How long a prototype may take from its execution to its answer: a language may have much to load.
const LIMIT: Duration = Duration::from_secs(60);

/// What a prototype is started with, besides the request.
pub struct Surroundings<'a> {
    /// Who executes it.
    pub starter: &'a Starter,
    /// The runtimes.
    pub modules: &'a Modules,
    /// The daemon's environment.
    pub environment: &'a Environment,
    /// Whether the daemon is in the background: only then are output files used.
    pub in_background: bool,
}

/// A prototype that was executed and does not know yet whose it is.
pub struct Executed {
    /// Its process.
    pub pid: Pid,
    /// Main's end of the port to it.
    port: OwnedFd,
    /// The router's end of the port between the two.
    router_end: OwnedFd,
    /// The other end.
    prototype_end: OwnedFd,
    set_up: SetUpPrototype,
}

/// The request of a router: who asks, and where the answer goes.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The router.
    pub router: Identity,
    /// The stream of its request.
    pub stream: StreamId,
}

/// The title of a prototype without `unit: `.
fn name_of(application: &str) -> String {
    format!("\"{application}\" prototype")
}

/// Executes a prototype for a router.
///
/// # Errors
/// The refusal to answer; what has to be in the log is there then.
pub fn execute(
    surroundings: &Surroundings<'_>,
    router: Identity,
    application: &PermittedApplication,
) -> Result<Executed, Refusal> {
    let Surroundings { starter, modules, environment, in_background } = surroundings;
    let refuse = |text: String| {
        unit_log::alert!("{text}");
        Refusal { text }
    };
    let credentials = starter
        .daemon_user()
        .for_application(
            &application.name,
            application.user.as_deref(),
            application.group.as_deref(),
        )
        .map_err(|error| refuse(error.to_string()))?;
    let executable = modules.executable(&application.module_file).map_err(|_| {
        refuse(format!("\"{}\" is not an application module", application.module_file))
    })?;
    let environment = environment.variables().to_vec();
    let (router_end, prototype_end) = port_io::bootstrap::pair()
        .map_err(|error| refuse(format!("socketpair() failed {}", Described(&error))))?;
    let name = name_of(&application.name);
    let program = Program { role: Role::Prototype, name, executable, environment, is_quiet: false };
    let (pid, port) = starter.start(program).map_err(|error| refuse(error.to_string()))?;
    let set_up = set_up(application, router, credentials, *in_background);
    Ok(Executed { pid, port, router_end, prototype_end, set_up })
}

fn set_up(
    application: &PermittedApplication,
    router: Identity,
    credentials: Option<Credentials>,
    in_background: bool,
) -> SetUpPrototype {
    SetUpPrototype {
        name: application.name.clone(),
        router,
        credentials,
        working_directory: application.working_directory.clone().filter(|path| !path.is_empty()),
        stdout: application.stdout.clone().filter(|_| in_background),
        stderr: application.stderr.clone().filter(|_| in_background),
        new_privs: application.new_privs,
        application: application.application.clone(),
    }
}

/// What became of a prototype: the router's port to it, or why there is none.
pub type Outcome = Result<OwnedFd, Refusal>;

/// Makes an executed prototype the application's. Ends with [`Event::PrototypeSettled`].
pub async fn settle(
    executed: Executed,
    asked: Asked,
    main: Identity,
    identity: Identity,
    events: Events,
) {
    let Executed { port, router_end, prototype_end, set_up, .. } = executed;
    let name = name_of(&set_up.name);
    let request = WithFds { body: set_up, fds: [prototype_end] };
    let deadline = Instant::now() + LIMIT;
    let outcome = match timeout_at(deadline, ask(port, request, main, identity, &events)).await {
        Ok(Ok(())) => Ok(router_end),
        // The prototype has logged its own reason.
        Ok(Err(Failure::Refused(refusal))) => Err(refusal),
        Ok(Err(Failure::Unheard(text))) => {
            unit_log::alert!("{name} failed to start: {text}");
            Err(Refusal { text: format!("{name} failed to start: {text}") })
        }
        Err(_) => {
            let text = format!("{name} failed to start: not ready after {} s", LIMIT.as_secs());
            unit_log::alert!("{text}");
            Err(Refusal { text })
        }
    };
    events.send(Event::PrototypeSettled { identity, asked, outcome }).await;
}

/// Why a prototype is not the application's.
enum Failure {
    /// It said so.
    Refused(Refusal),
    /// It could not be talked to.
    Unheard(String),
}

async fn ask(
    port: OwnedFd,
    request: WithFds<SetUpPrototype, 1>,
    main: Identity,
    identity: Identity,
    events: &Events,
) -> Result<(), Failure> {
    let (sender, receiver) =
        port_io::connect::<MainToPrototype, PrototypeToMain>(port, main, identity)
            .await
            .map_err(|error| Failure::Unheard(error.to_string()))?;
    events.send(Event::Connected(identity, Peer::Prototype(sender.clone()))).await;
    // A prototype says nothing of its own accord, but its answer comes through here.
    tokio::task::spawn_local(events.clone().forward(receiver, identity, never));
    sender.request(request).await.map_err(|error| match error {
        RequestError::Refused(refusal) => Failure::Refused(refusal),
        RequestError::Lost => Failure::Unheard("it has ended".to_owned()),
        RequestError::Send(error) => Failure::Unheard(error.to_string()),
    })
}

const _: () = assert!(PrototypeToMain::KINDS.is_empty());

fn never(_: Identity, _: StreamId, message: PrototypeToMain) -> Event {
    match message {}
}

#[cfg(test)]
mod tests {
    use port_proto::Generation;

    use super::*;

    fn application() -> PermittedApplication {
        PermittedApplication {
            name: "app".into(),
            module_file: "/m/python3.unit".into(),
            user: None,
            group: None,
            working_directory: Some(String::new()),
            stdout: Some("out".into()),
            stderr: Some("err".into()),
            new_privs: true,
            application: b"{}".to_vec(),
        }
    }

    #[test]
    fn output_files_are_for_the_background() {
        let router =
            Identity { role: Role::Router, pid: port_proto::Pid(7), generation: Generation(2) };
        let background = set_up(&application(), router, None, true);
        assert_eq!(
            (background.stdout.as_deref(), background.stderr.as_deref()),
            (Some("out"), Some("err"))
        );
        let foreground = set_up(&application(), router, None, false);
        assert_eq!((foreground.stdout, foreground.stderr), (None, None));
        assert_eq!(foreground.working_directory, None);
    }
}
