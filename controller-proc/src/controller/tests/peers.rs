//! A main and a router that do as they are told.

use std::os::fd::OwnedFd;

use port_io::connect;
use port_proto::{
    ControllerToRouter, DeleteUpload, RouterToController, Status, StoreUpload, StreamId,
};
use tokio::task::AbortHandle;

use super::*;

/// The main process of a test: it remembers what it was to store.
pub(super) struct FakeMain {
    sender: Sender<MainToController, ControllerToMain>,
    pump: AbortHandle,
    stored: Rc<RefCell<Vec<String>>>,
    permits: Rc<RefCell<Vec<PermitConfig>>>,
    uploads: Rc<RefCell<Vec<StoreUpload>>>,
    /// With what it refuses to store.
    pub(super) refusal: Rc<RefCell<Option<String>>>,
    /// Whether it leaves the next request to store for [`FakeMain::release`].
    pub(super) hold: Rc<RefCell<bool>>,
    held: Rc<RefCell<Option<StreamId>>>,
}

impl FakeMain {
    pub(super) async fn connect(socket: OwnedFd, me: Identity, controller: Identity) -> Self {
        let (sender, mut receiver) = connect(socket, me, controller).await.unwrap();
        let stored: Rc<RefCell<Vec<String>>> = Rc::default();
        let permits: Rc<RefCell<Vec<PermitConfig>>> = Rc::default();
        let refusal: Rc<RefCell<Option<String>>> = Rc::default();
        let uploads: Rc<RefCell<Vec<StoreUpload>>> = Rc::default();
        let hold: Rc<RefCell<bool>> = Rc::default();
        let held: Rc<RefCell<Option<StreamId>>> = Rc::default();
        let pump = {
            let (sender, stored, refusal) =
                (Sender::clone(&sender), stored.clone(), refusal.clone());
            let (hold, held, permits) = (hold.clone(), held.clone(), permits.clone());
            let uploads = uploads.clone();
            spawn_local(async move {
                while let Some((stream, message)) = receiver.recv().await {
                    let json = match message {
                        ControllerToMain::StoreConfig(StoreConfig { json }) => json,
                        ControllerToMain::PermitConfig(permit) => {
                            permits.borrow_mut().push(permit);
                            sender.answer::<PermitConfig>(stream, Ok(())).unwrap();
                            continue;
                        }
                        ControllerToMain::StoreUpload(upload) => {
                            uploads.borrow_mut().push(upload);
                            sender.answer::<StoreUpload>(stream, refusable(&refusal)).unwrap();
                            continue;
                        }
                        ControllerToMain::DeleteUpload(_) => {
                            sender.answer::<DeleteUpload>(stream, refusable(&refusal)).unwrap();
                            continue;
                        }
                    };
                    let refusal = refusal.borrow().clone();
                    let result = match refusal {
                        Some(text) => Err(Refusal::new(text)),
                        None => {
                            stored.borrow_mut().push(String::from_utf8(json).unwrap());
                            Ok(())
                        }
                    };
                    if hold.take() {
                        held.replace(Some(stream));
                    } else {
                        sender.answer::<StoreConfig>(stream, result).unwrap();
                    }
                }
            })
        };
        Self { sender, pump: pump.abort_handle(), stored, permits, uploads, refusal, hold, held }
    }

    pub(super) fn tell(&self, message: MainToController) {
        self.sender.send(message).unwrap();
    }

    /// What was stored so far.
    pub(super) fn stored(&self) -> Vec<String> {
        self.stored.borrow().clone()
    }

    /// What was to be permitted so far.
    pub(super) fn permits(&self) -> Vec<PermitConfig> {
        self.permits.borrow().clone()
    }

    /// What was uploaded so far.
    pub(super) fn uploads(&self) -> Vec<StoreUpload> {
        self.uploads.borrow().clone()
    }

    /// Waits for the request that is held.
    pub(super) async fn holds(&self) {
        while self.held.borrow().is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Answers the request that is held.
    pub(super) fn release(&self) {
        let stream = self.held.take().expect("a request is held");
        self.sender.answer::<StoreConfig>(stream, Ok(())).unwrap();
    }

    /// Ends the main process.
    pub(super) fn end(&self) {
        self.pump.abort();
    }
}

/// The answer of a main that may have been told to refuse.
fn refusable(refusal: &RefCell<Option<String>>) -> Result<(), Refusal> {
    match &*refusal.borrow() {
        Some(text) => Err(Refusal::new(text.clone())),
        None => Ok(()),
    }
}

/// How a router behaves.
pub(super) struct Script {
    /// With what it refuses to prepare.
    pub(super) refusal: Option<String>,
    /// Its counters.
    pub(super) status: Result<Status, Refusal>,
    /// How restarts of applications end.
    pub(super) restart: Result<(), RestartRefusal>,
    /// The next request of this name is left for [`FakeRouter::release`].
    pub(super) hold: Option<&'static str>,
}

/// The router of a test: it remembers what it was asked. Dropping it ends it.
pub(super) struct FakeRouter {
    pub(super) identity: Identity,
    pub(super) script: Rc<RefCell<Script>>,
    sender: Sender<RouterToController, ControllerToRouter>,
    heard: Rc<RefCell<Vec<String>>>,
    held: Rc<RefCell<Option<StreamId>>>,
    pump: AbortHandle,
}

impl Drop for FakeRouter {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl FakeRouter {
    pub(super) async fn connect(socket: OwnedFd, me: Identity, controller: Identity) -> Self {
        let (sender, mut receiver) = connect(socket, me, controller).await.unwrap();
        let script =
            Script { refusal: None, status: Ok(Status::default()), restart: Ok(()), hold: None };
        let script = Rc::new(RefCell::new(script));
        let heard: Rc<RefCell<Vec<String>>> = Rc::default();
        let held: Rc<RefCell<Option<StreamId>>> = Rc::default();
        let pump = {
            let sender = Sender::clone(&sender);
            let (script, heard, held) = (script.clone(), heard.clone(), held.clone());
            spawn_local(async move {
                while let Some((stream, message)) = receiver.recv().await {
                    let request = name(&message);
                    heard.borrow_mut().push(request.clone());
                    let mut script = script.borrow_mut();
                    if script.hold.is_some_and(|hold| request.starts_with(hold)) {
                        script.hold = None;
                        held.replace(Some(stream));
                    } else {
                        reply(&sender, stream, &message, &script);
                    }
                }
            })
        };
        Self { identity: me, script, sender, heard, held, pump: pump.abort_handle() }
    }

    /// What was asked since the last [`FakeRouter::forget`].
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.borrow().clone()
    }

    pub(super) fn forget(&self) {
        self.heard.borrow_mut().clear();
    }

    /// Waits for the request that is held.
    pub(super) async fn holds(&self) {
        while self.held.borrow().is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until something was asked.
    pub(super) async fn hears(&self, request: &str) {
        while !self.heard.borrow().iter().any(|heard| heard.starts_with(request)) {
            tokio::task::yield_now().await;
        }
    }

    /// Answers the request that is held, which must be one about a configuration.
    pub(super) fn release(&self, result: Result<(), Refusal>) {
        let stream = self.held.take().expect("a request is held");
        self.sender.answer::<PrepareConfig>(stream, result).unwrap();
    }
}

fn name(message: &ControllerToRouter) -> String {
    match message {
        ControllerToRouter::PrepareConfig(PrepareConfig { json, .. }) => {
            format!("prepare {}", std::str::from_utf8(json).unwrap())
        }
        ControllerToRouter::CommitConfig(_) => "commit".to_owned(),
        ControllerToRouter::AbortConfig(_) => "abort".to_owned(),
        ControllerToRouter::GetStatus(_) => "status".to_owned(),
        ControllerToRouter::RestartApplication(RestartApplication { name }) => {
            format!("restart {name}")
        }
    }
}

fn reply(
    sender: &Sender<RouterToController, ControllerToRouter>,
    stream: StreamId,
    message: &ControllerToRouter,
    script: &Script,
) {
    match message {
        ControllerToRouter::PrepareConfig(_) => {
            let result = script.refusal.clone().map_or(Ok(()), |text| Err(Refusal::new(text)));
            sender.answer::<PrepareConfig>(stream, result)
        }
        ControllerToRouter::CommitConfig(_) => sender.answer::<CommitConfig>(stream, Ok(())),
        ControllerToRouter::AbortConfig(_) => sender.answer::<AbortConfig>(stream, Ok(())),
        ControllerToRouter::GetStatus(_) => {
            sender.answer::<GetStatus>(stream, script.status.clone())
        }
        ControllerToRouter::RestartApplication(_) => {
            sender.answer::<RestartApplication>(stream, script.restart.clone())
        }
    }
    .unwrap();
}
