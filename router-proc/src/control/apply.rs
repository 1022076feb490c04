//! Applying a configuration in two steps: everything that can fail happens beside the running
//! configuration; then all loops switch.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use conf::{Config, SocketAddress};
use port_io::RequestError;
use port_proto::{ConfigStage, KeepListeners, ListenAddress, OpenListener, Refusal, WithFds};
use tokio::sync::oneshot;

use super::application::App;
use super::{Control, available_threads, needs, unsupported};
use crate::compression::Compression;
use crate::event_loop::Command;
use crate::snapshot::{AppEntry, ListenerId, Snapshot};

/// The most event loops there can be. A number in the configuration may be larger than any machine
/// has use for.
const LOOPS_MAX: usize = 1024;

/// A configuration that is ready to become the running one.
#[derive(Debug)]
pub(crate) struct Prepared {
    snapshot: Arc<Snapshot>,
    apps: Vec<Rc<App>>,
    listeners: Vec<(ListenAddress, ListenerId)>,
    /// The sockets that were opened for it.
    opened: Vec<(ListenerId, OwnedFd)>,
    threads: usize,
}

/// What was done for a configuration so far, to be undone if it comes to nothing.
#[derive(Debug, Default)]
struct Attempt {
    apps: Vec<Rc<App>>,
    started: Vec<Rc<App>>,
    listeners: Vec<(ListenAddress, ListenerId)>,
    opened: Vec<(ListenerId, OwnedFd)>,
}

impl Control {
    /// Builds a configuration beside the running one.
    pub(super) async fn prepare(
        self: &Rc<Self>,
        stage: ConfigStage,
        json: &[u8],
    ) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        // A controller that was replaced in mid-update has left one behind.
        self.drop_prepared().await;
        let value = conf::parse(json).map_err(|error| {
            Refusal::new(format!("the configuration is not JSON: {}", error.detail))
        })?;
        let mut config = Config::validate(&value, &self.environment)
            .map_err(|error| Refusal::new(error.detail))?;
        match stage {
            ConfigStage::Proposed | ConfigStage::Tried => {
                if let Some(text) = unsupported::find(&config) {
                    return Err(Refusal::new(plain(&text)));
                }
            }
            ConfigStage::Current => {
                for text in unsupported::leave_out(&mut config) {
                    unit_log::alert!("the previous configuration is served in part: {text}");
                }
            }
        }
        let wanted = config.settings.listen_threads.map(u64::from);
        let threads = match wanted {
            None => available_threads(),
            Some(wanted) => usize::try_from(wanted).unwrap_or(usize::MAX).min(LOOPS_MAX),
        };
        needs::check(&config, threads, stage)?;
        if wanted.is_some_and(|wanted| wanted > threads as u64) {
            unit_log::warn!("there will be {LOOPS_MAX} event loops, the most there can be");
        }
        let mut attempt = Attempt::default();
        match self.build(&mut config, stage, &mut attempt).await {
            Ok(snapshot) => {
                let Attempt { apps, listeners, opened, .. } = attempt;
                let snapshot = Arc::new(snapshot);
                self.prepared.replace(Some(Prepared {
                    snapshot,
                    apps,
                    listeners,
                    opened,
                    threads,
                }));
                Ok(())
            }
            Err(refusal) => {
                for app in &attempt.started {
                    self.drop_app(app);
                }
                drop(attempt);
                self.keep_current_listeners().await;
                Err(refusal)
            }
        }
    }

    async fn build(
        self: &Rc<Self>,
        config: &mut Config,
        stage: ConfigStage,
        attempt: &mut Attempt,
    ) -> Result<Snapshot, Refusal> {
        let mut left_out = Vec::new();
        for listener in &config.listeners {
            match (self.open(listener, attempt).await, stage) {
                (Ok(()), _) => {}
                (Err(refusal), ConfigStage::Proposed | ConfigStage::Tried) => return Err(refusal),
                // One address must not take the others down with it.
                (Err(Refusal { text }), ConfigStage::Current) => {
                    unit_log::alert!(
                        "the previous configuration is served in part: listener \"{}\" is left \
                         out: {text}",
                        listener.key
                    );
                    left_out.push(listener.key.clone());
                }
            }
        }
        config.listeners.retain(|listener| !left_out.contains(&listener.key));
        let access_log = match &config.access_log {
            Some(log) => Some(self.access_log(log, stage).await?),
            None => None,
        };
        for application in &config.applications {
            let known = self.current.borrow().iter().find(|app| app.is(application)).map(Rc::clone);
            let app = match known {
                Some(app) => app,
                None => {
                    let app = self.add_app(application.clone());
                    attempt.started.push(Rc::clone(&app));
                    app
                }
            };
            attempt.apps.push(app);
        }
        // All at once: sixty slow applications take as long as the slowest.
        let starts: Vec<_> =
            attempt.started.iter().map(|app| app.prestart(Rc::clone(self))).collect();
        let mut failed = Vec::new();
        for (app, start) in attempt.started.iter().zip(starts) {
            let started = start.await.unwrap_or_else(|_| Err(Refusal::new("a start was cut off")));
            if let Err(refusal) = started {
                failed.push((app, refusal));
            }
        }
        match stage {
            ConfigStage::Proposed | ConfigStage::Tried => {
                if let Some((_, refusal)) = failed.into_iter().next() {
                    return Err(refusal);
                }
            }
            // One application must not take the others down with it.
            ConfigStage::Current => {
                for (app, refusal) in failed {
                    unit_log::alert!(
                        "application \"{}\" is started later: {}",
                        app.config.name,
                        refusal.text
                    );
                    app.replenish();
                }
            }
        }
        let ids: Vec<ListenerId> = attempt.listeners.iter().map(|(_, id)| *id).collect();
        let apps = attempt
            .apps
            .iter()
            .map(|app| AppEntry { id: app.id, name: app.config.name.clone() })
            .collect();
        let snapshot = Snapshot::compile(config, &ids, apps, &self.tmp_dir)
            .map_err(|error| Refusal::new(error.to_string()))?;
        Ok(Snapshot { access_log, ..snapshot })
    }

    /// Opens the socket of a listener, unless it is open already.
    async fn open(&self, listener: &conf::Listener, attempt: &mut Attempt) -> Result<(), Refusal> {
        let address = listen_address(&listener.address)?;
        if attempt.listeners.iter().any(|(other, _)| *other == address) {
            let text = format!(
                "bind(\\\"{}\\\") failed (98: {})",
                listener.address,
                sys::socket::ErrnoText(98)
            );
            unit_log::alert!("{text}");
            return Err(Refusal::new(text));
        }
        if let Some(id) = self.listeners.borrow().get(&address) {
            attempt.listeners.push((address, *id));
            return Ok(());
        }
        let backlog =
            listener.backlog.map_or(-1, |backlog| i32::try_from(backlog).unwrap_or(i32::MAX));
        let request = OpenListener { address: address.clone(), backlog };
        let WithFds { fds: [socket], .. } =
            self.main.request(request).await.map_err(|error| match error {
                RequestError::Refused(refusal) => Refusal::new(plain(&refusal.text)),
                RequestError::Lost | RequestError::Send(_) => lost(),
            })?;
        let id = {
            let mut next = self.next_listener.borrow_mut();
            *next += 1;
            ListenerId(*next)
        };
        attempt.listeners.push((address, id));
        attempt.opened.push((id, socket));
        Ok(())
    }

    /// Makes the prepared configuration the running one.
    pub(super) async fn commit(self: &Rc<Self>) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let Some(prepared) = self.prepared.borrow_mut().take() else {
            return Err(Refusal::new("no configuration is prepared"));
        };
        let Prepared { snapshot, apps, listeners, opened, threads } = prepared;
        for notice in snapshot.compression.iter().flat_map(Compression::notices) {
            unit_log::notice!("{notice}");
        }
        if let Err(error) = self.ensure_loops(threads) {
            unit_log::alert!("{error}");
        }
        let mut opened = Some(opened);
        let mut switched = Vec::new();
        // The first loop accepts for all. It switches last: what it gives to others from a new
        // listener finds that listener known.
        let indices = self.loops.borrow().indices();
        for index in indices.into_iter().rev() {
            let (done, is_done) = oneshot::channel();
            let sockets = if index == 0 { opened.take().unwrap_or_default() } else { Vec::new() };
            let snapshot = Arc::clone(&snapshot);
            self.tell(index, Command::Switch { snapshot, loops: threads, sockets, done });
            switched.push(is_done);
        }
        for is_done in switched {
            // A loop that ended has no old configuration left either.
            let _ = is_done.await;
        }
        self.log_files.committed(snapshot.access_log.as_ref());
        // A new loop is given connections only now: before, it knew no listener to serve them by.
        self.settle_loops(threads);
        self.listeners.replace(listeners.into_iter().collect());
        self.has_committed.set(true);
        let before = self.current.replace(apps);
        for app in before {
            let stays = self.current.borrow().iter().any(|kept| Rc::ptr_eq(kept, &app));
            if !stays {
                self.drop_app(&app);
            }
        }
        self.keep_current_listeners().await;
        Ok(())
    }

    /// Drops the prepared configuration, if there is one.
    pub(super) async fn abort(&self) {
        let _changing = self.changing.lock().await;
        self.drop_prepared().await;
    }

    async fn drop_prepared(&self) {
        let Some(prepared) = self.prepared.borrow_mut().take() else { return };
        for app in &prepared.apps {
            let stays = self.current.borrow().iter().any(|kept| Rc::ptr_eq(kept, app));
            if !stays {
                self.drop_app(app);
            }
        }
        drop(prepared);
        self.keep_current_listeners().await;
    }

    /// Has main close the sockets that the running configuration does not use. While none has run, the
    /// sockets of the one before are kept: clients wait in them.
    async fn keep_current_listeners(&self) {
        if !self.has_committed.get() {
            return;
        }
        let addresses: HashSet<ListenAddress> = self.listeners.borrow().keys().cloned().collect();
        let request = KeepListeners { addresses: addresses.into_iter().collect() };
        if let Err(error) = self.main.request(request).await {
            unit_log::alert!("cannot close unused listening sockets: {error}");
        }
    }

    fn add_app(self: &Rc<Self>, config: conf::Application) -> Rc<App> {
        let id = {
            let mut next = self.next_app.borrow_mut();
            *next += 1;
            *next
        };
        let app = App::new(id, config, Rc::downgrade(self));
        self.apps.borrow_mut().insert(id, Rc::clone(&app));
        let spec = app.spec();
        self.tell_all(|| Command::AddApps(vec![spec.clone()]));
        app
    }

    /// Lets an application go: its workers end when nothing of it is left on any loop.
    fn drop_app(&self, app: &Rc<App>) {
        app.leave(self.loops.borrow().indices());
        self.tell_all(|| Command::DropApp(app.id));
    }
}

pub(super) fn lost() -> Refusal {
    Refusal::new("the main process is gone")
}

/// A text of the log, whose quotes have backslashes that tools look for, as a person reads it.
pub(super) fn plain(text: &str) -> String {
    text.replace("\\\"", "\"")
}

/// The address in the form main takes it.
fn listen_address(address: &SocketAddress) -> Result<ListenAddress, Refusal> {
    let text = |text: &conf::Text| {
        text.to_str().map(str::to_owned).ok_or_else(|| {
            Refusal::new(format!("the name of the Unix socket \"{text}\" is not UTF-8"))
        })
    };
    match address {
        SocketAddress::Inet(address) => Ok(ListenAddress::Inet(*address)),
        SocketAddress::UnixPath(path) => text(path).map(ListenAddress::UnixPath),
        SocketAddress::UnixAbstract(name) => text(name).map(ListenAddress::UnixAbstract),
    }
}
