//! The controller at work: what happens outside becomes events of the session, and its effects
//! happen outside. Everything runs on one thread, and nothing here waits but the one loop.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::time::Duration;

use port_io::{ConnectError, Receiver, RequestError, SendError, Sender, bootstrap};
use port_proto::{
    AbortConfig, CommitConfig, ConfigStage, ControllerToMain, GetStatus, Identity,
    MainToController, NewPeer, PeerLost, Permissions, PermitConfig, PrepareConfig, Quit, Refusal,
    Request, RestartApplication, RestartRefusal, Role, SetUpController, StoreConfig, StreamId,
    WithFds,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet, spawn_local};
use tokio::time::{Instant, sleep_until};

use crate::check_config;
use crate::endpoint::{Plan, plan};
use crate::http::{Exchange, Limits, Share};
use crate::link::{Change, RouterLink, ToRouter};
use crate::listener::Listener;
use crate::permissions::PermissionReader;
use crate::response::Response;
use crate::session::{Answer, Effect, Question, Session, Step, Ticket};
use crate::signals::Signals;
use crate::validation::check;

/// The sending half of the port to main.
pub type ToMain = Sender<ControllerToMain, MainToController>;
/// The receiving half of the port to main.
pub type FromMain = Receiver<ControllerToMain, MainToController>;

/// How long an ending controller goes on with what is in progress.
const FAST_END: Duration = Duration::from_secs(1);
const GRACEFUL_END: Duration = Duration::from_secs(10);

/// How long nobody has been answered when the memory that answers took is given back.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a controller ended that was not told to.
#[derive(Debug, Error)]
pub enum ServeError {
    /// It has no port to main.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The port to main was closed.
    #[error("the port to the main process was closed")]
    MainLost,
    /// The port to the router was closed, but the router goes on.
    #[error("the port to the router was closed")]
    RouterStranded,
    /// The control socket cannot be used.
    #[error("control socket: {0}")]
    Listen(io::Error),
    /// Signals cannot be taken over.
    #[error("signals: {0}")]
    Signals(io::Error),
}

/// Runs the role in a process that unitd started, until it is told to stop.
///
/// # Errors
/// [`ServeError`] when it had to end without being told to.
pub async fn run() -> Result<(), ServeError> {
    let mut signals = Signals::take_over().map_err(ServeError::Signals)?;
    let (me, _, to_main, from_main) = bootstrap::inherited(Role::Controller).await?;
    tokio::select! {
        ended = serve(me, to_main, from_main, Limits::default()) => ended,
        () = signals.ended() => Ok(()),
    }
}

/// Runs the role over a given port to main. To be called in a `LocalSet`.
///
/// # Errors
/// As [`run`].
pub async fn serve(
    me: Identity,
    to_main: ToMain,
    mut from_main: FromMain,
    limits: Limits,
) -> Result<(), ServeError> {
    let mut early = Vec::new();
    let set_up = loop {
        match from_main.recv().await {
            Some((_, MainToController::SetUp(set_up))) => break set_up,
            Some((_, MainToController::Quit(_))) => return Ok(()),
            Some((stream, MainToController::CheckConfig(request))) => {
                check_config::answer(&to_main, stream, &request);
            }
            Some(message) => early.push(message),
            None => return Err(ServeError::MainLost),
        }
    };
    let (mut controller, mut exchanges) = Controller::new(me, to_main, set_up, limits)?;
    for (stream, message) in early {
        controller.hear(stream, message);
    }
    while !controller.has_ended() {
        controller.perform();
        let retry_at = controller.retry_at;
        let end_at = controller.end_at;
        let give_back_at = controller.give_back_at;
        let answered = controller.answered_all();
        tokio::select! {
            message = from_main.recv() => match message {
                Some((stream, message)) => controller.hear(stream, message),
                None if controller.end_at.is_some() => return Ok(()),
                None => return Err(ServeError::MainLost),
            },
            change = controller.router.changed() => controller.router_changed(&change)?,
            Some(answer) = controller.questions.join_next() => {
                // A question that panicked has taken the process with it.
                if let Ok((step, answer)) = answer {
                    controller.session.answered(step, answer);
                }
            }
            Some(settled) = controller.uploads.join_next() => {
                if let Ok((ticket, answer)) = settled {
                    controller.session.certificate_settled(ticket, answer);
                }
            }
            Some(exchange) = exchanges.recv() => controller.take(exchange),
            () = at(retry_at) => {
                controller.retry_at = None;
                controller.session.retry();
            }
            () = at(give_back_at) => {
                controller.give_back_at = None;
                sys::memory::give_back();
            }
            () = answered, if controller.end_at.is_some() && controller.session.is_at_rest() => {
                controller.end_at = Some(Instant::now());
            }
            () = at(end_at) => {}
        }
    }
    Ok(())
}

/// Waits for a moment, if there is one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

struct Controller {
    session: Session,
    permissions: PermissionReader,
    main: ToMain,
    router: RouterLink,
    /// The question that is open, and those that nobody waits for any more.
    questions: JoinSet<(Step, Answer)>,
    /// What main is asked to do with certificate bundles.
    uploads: JoinSet<(Ticket, Answer)>,
    replies: HashMap<Ticket, oneshot::Sender<Response>>,
    last_ticket: Ticket,
    /// The control socket, until it is opened for business.
    listener: Option<Listener>,
    accepting: Option<AbortHandle>,
    share: Share,
    retry_at: Option<Instant>,
    /// When to give back what is not needed any more: an update takes several times the memory that
    /// its configuration keeps.
    give_back_at: Option<Instant>,
    /// When to end at the latest, once told to stop.
    end_at: Option<Instant>,
}

impl Controller {
    fn new(
        me: Identity,
        main: ToMain,
        set_up: WithFds<SetUpController, 1>,
        limits: Limits,
    ) -> Result<(Self, mpsc::Receiver<Exchange>), ServeError> {
        let WithFds { body: SetUpController { stored, modules, uploads }, fds: [socket] } = set_up;
        let (requests, exchanges) = mpsc::channel(16);
        let controller = Self {
            session: Session::new(&stored, &uploads, &modules, check(&modules)),
            permissions: PermissionReader::new(&modules),
            main,
            router: RouterLink::new(me),
            questions: JoinSet::new(),
            uploads: JoinSet::new(),
            replies: HashMap::new(),
            last_ticket: Ticket(0),
            listener: Some(Listener::from_fd(socket).map_err(ServeError::Listen)?),
            accepting: None,
            share: Share::new(limits, requests),
            retry_at: None,
            give_back_at: None,
            end_at: None,
        };
        Ok((controller, exchanges))
    }

    fn has_ended(&self) -> bool {
        self.end_at.is_some_and(|end_at| end_at <= Instant::now())
    }

    /// Waits until every answer is written.
    fn answered_all(&self) -> impl Future<Output = ()> + use<> {
        let share = self.share.clone();
        async move { share.answered().await }
    }

    /// Main says something.
    fn hear(&mut self, stream: StreamId, message: MainToController) {
        match message {
            MainToController::SetUp(_) => unit_log::alert!("set up twice"),
            MainToController::NewPeer(WithFds { body: NewPeer { peer }, fds: [socket] }) => {
                if peer.role == Role::Router {
                    self.session.router_lost();
                    self.router.introduce(peer, socket);
                } else {
                    unit_log::alert!("process {} is of no use here", peer.pid.0);
                }
            }
            MainToController::PeerLost(PeerLost { peer }) => {
                if self.router.forget(peer) {
                    self.session.router_lost();
                }
            }
            MainToController::ReopenLog(WithFds { fds: [file], .. }) => {
                if let Err(error) = unit_log::redirect(file) {
                    unit_log::alert!("log cannot be moved to the reopened file: {error}");
                }
            }
            MainToController::Quit(quit) => self.quit(quit),
            MainToController::CheckConfig(request) => {
                check_config::answer(&self.main, stream, &request);
            }
        }
    }

    fn quit(&mut self, quit: Quit) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        self.listener = None;
        self.session.stop();
        let end_at = Instant::now()
            + match quit {
                Quit::Fast => FAST_END,
                Quit::Graceful => GRACEFUL_END,
            };
        self.end_at = Some(self.end_at.map_or(end_at, |earlier| earlier.min(end_at)));
    }

    fn router_changed(&mut self, change: &Change) -> Result<(), ServeError> {
        match change {
            Change::Found => self.session.router_found(),
            Change::Lost => self.session.router_lost(),
            Change::Stranded if self.end_at.is_some() => {}
            Change::Stranded => return Err(ServeError::RouterStranded),
        }
        Ok(())
    }

    /// A client wants something.
    fn take(&mut self, Exchange { request, reply }: Exchange) {
        let response = match plan(request) {
            Plan::Answer(response) => response,
            Plan::ReadConfig(path, preconditions) => {
                match conf::tree::get(self.session.config(), &path) {
                    Some(value) if preconditions.is_known(Some(value)) => {
                        Response::not_modified(value)
                    }
                    Some(value) => Response::tagged(value),
                    None => Response::no_value(),
                }
            }
            Plan::ReadCertificates(None) => {
                Response::value(&self.session.certificates().describe_all())
            }
            Plan::ReadCertificates(Some((name, path))) => {
                self.session.certificates().describe(&name, path.as_ref())
            }
            Plan::UploadCertificate { name, bundle, replace } => {
                let ticket = self.ticket(reply);
                self.session.upload_certificate(ticket, &name, bundle, replace);
                return;
            }
            Plan::DeleteCertificate(name) => {
                let ticket = self.ticket(reply);
                self.session.delete_certificate(ticket, &name);
                return;
            }
            Plan::Queue(operation) => {
                let ticket = self.ticket(reply);
                self.session.submit(ticket, operation);
                return;
            }
        };
        // A client that is gone does not matter, here and below.
        let _ = reply.send(response);
    }

    /// A ticket for a client that is answered later.
    fn ticket(&mut self, reply: oneshot::Sender<Response>) -> Ticket {
        self.last_ticket.0 += 1;
        self.replies.insert(self.last_ticket, reply);
        self.last_ticket
    }

    /// Does what the session wants.
    fn perform(&mut self) {
        while let Some(effect) = self.session.next_effect() {
            match effect {
                Effect::Ask(step, question) => self.ask(step, question),
                Effect::Store(step, json) => self.store(step, json),
                Effect::StoreUpload(ticket, upload) => self.ask_main(ticket, upload),
                Effect::DeleteUpload(ticket, upload) => self.ask_main(ticket, upload),
                Effect::Answer(ticket, response) => {
                    self.give_back_at = Some(Instant::now() + PAUSE);
                    if let Some(reply) = self.replies.remove(&ticket) {
                        let _ = reply.send(response);
                    }
                }
                Effect::Open => {
                    if let Some(listener) = self.listener.take() {
                        let accepting = spawn_local(listener.serve(self.share.clone()));
                        self.accepting = Some(accepting.abort_handle());
                    }
                }
                Effect::RetryAfter(wait) => self.retry_at = Some(Instant::now() + wait),
                Effect::Alert(text) => unit_log::alert!("{text}"),
                Effect::Error(text) => unit_log::error!("{text}"),
            }
        }
    }

    fn store(&mut self, step: Step, json: Vec<u8>) {
        let main = self.main.clone();
        self.questions.spawn_local(async move {
            (step, answer(main.request(StoreConfig { json }).await, done, refused))
        });
    }

    /// Has main do something with a certificate bundle.
    fn ask_main<R>(&mut self, ticket: Ticket, request: R)
    where
        R: Request<Direction = ControllerToMain, Reply = (), Refusal = Refusal>,
    {
        let main = self.main.clone();
        self.uploads.spawn_local(async move {
            (ticket, answer(main.request(request).await, done, refused))
        });
    }

    fn ask(&mut self, step: Step, question: Question) {
        let Some(router) = self.router.sender() else {
            self.questions.spawn_local(async move { (step, Answer::Lost) });
            return;
        };
        // Main has to know what a configuration needs before a router asks it for that.
        let permit = match &question {
            Question::Prepare(stage, json) => Some(
                self.permissions
                    .read(json)
                    .map(|permissions| PermitConfig { stage: *stage, permissions }),
            ),
            // What was only tried is not to be done for the router any more.
            Question::Abort => Some(Ok(nothing_proposed())),
            Question::Commit | Question::Status | Question::Restart(_) => None,
        };
        let is_proposal =
            matches!(question, Question::Prepare(ConfigStage::Proposed | ConfigStage::Tried, _));
        let main = self.main.clone();
        self.questions.spawn_local(async move {
            if let Some(permit) = permit
                && let Err(text) = ask_permission(&main, permit).await
            {
                return (step, Answer::NotSent(text));
            }
            let answer = ask_router(&router, question).await;
            if is_proposal && answer != Answer::Done {
                // It is as good as nothing that main is told: the next proposal takes its place.
                let _ = ask_permission(&main, Ok(nothing_proposed())).await;
            }
            (step, answer)
        });
    }
}

/// Takes back what a proposed configuration would have needed.
fn nothing_proposed() -> PermitConfig {
    PermitConfig { stage: ConfigStage::Proposed, permissions: Permissions::default() }
}

/// Has main do for the router what a configuration needs. The error is why it does not.
async fn ask_permission(main: &ToMain, permit: Result<PermitConfig, String>) -> Result<(), String> {
    main.request(permit?).await.map_err(|error| match error {
        RequestError::Refused(refusal) => refusal.text,
        RequestError::Lost | RequestError::Send(SendError::Closed) => {
            "the main process ended".to_owned()
        }
        RequestError::Send(error) => error.to_string(),
    })
}

async fn ask_router(router: &ToRouter, question: Question) -> Answer {
    match question {
        Question::Prepare(stage, json) => {
            answer(router.request(PrepareConfig { stage, json }).await, done, refused)
        }
        Question::Commit => answer(router.request(CommitConfig).await, done, refused),
        Question::Abort => answer(router.request(AbortConfig).await, done, refused),
        Question::Status => answer(router.request(GetStatus).await, Answer::Status, refused),
        Question::Restart(name) => {
            answer(router.request(RestartApplication { name }).await, done, not_restarted)
        }
    }
}

fn answer<T, F>(
    result: Result<T, RequestError<F>>,
    done: impl FnOnce(T) -> Answer,
    refused: impl FnOnce(F) -> Answer,
) -> Answer {
    match result {
        Ok(reply) => done(reply),
        Err(RequestError::Refused(refusal)) => refused(refusal),
        Err(RequestError::Lost | RequestError::Send(SendError::Closed)) => Answer::Lost,
        Err(RequestError::Send(
            error @ (SendError::Full
            | SendError::Encode(_)
            | SendError::WantsAnswer(_)
            | SendError::Io(_)),
        )) => Answer::NotSent(error.to_string()),
    }
}

fn done((): ()) -> Answer {
    Answer::Done
}

fn refused(refusal: Refusal) -> Answer {
    Answer::Refused(refusal.text)
}

fn not_restarted(refusal: RestartRefusal) -> Answer {
    match refusal {
        RestartRefusal::Unknown => Answer::Unknown,
        RestartRefusal::Failed(text) => Answer::Refused(text),
    }
}

#[cfg(test)]
mod tests;
