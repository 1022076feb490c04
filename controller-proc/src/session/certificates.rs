//! The certificate bundles: which there are, and what is being done to them.
//!
//! Unlike updates they do not wait for the router: only main is asked. A bundle that is on its way
//! cannot be used yet, and one that the configuration uses cannot be deleted.

use std::collections::{BTreeMap, HashMap};

use conf::tree::{self, Path};
use conf::{Names, Text, Value};
use port_proto::{DeleteUpload, StoreUpload, StoredUpload, UploadKind, UploadName};

use crate::certificate::{self, BundleError, Completeness};
use crate::response::Response;
use crate::session::{Answer, Effect, ROUTER_LOST, Router, STOPPING, Session, Task, Ticket, wrong};

/// What is said of a bundle that somebody else changes at this moment.
const BUSY: &str = "it is being changed";

/// The certificate bundles of a daemon.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    entries: BTreeMap<UploadName, Entry>,
    /// Who waits for what is being done to which bundle.
    waiting: HashMap<Ticket, UploadName>,
}

/// A bundle, by its description.
#[derive(Debug)]
enum Entry {
    /// It is on the disk.
    Stored(Value),
    /// It is on its way to the disk, in the place of an old one if there is one.
    Storing { new: Value, old: Option<Value> },
    /// It is being deleted.
    Deleting(Value),
}

impl Entry {
    /// What is shown of it, and what can be used.
    fn stored(&self) -> Option<&Value> {
        match self {
            Self::Stored(description) | Self::Deleting(description) => Some(description),
            Self::Storing { old, .. } => old.as_ref(),
        }
    }
}

impl Certificates {
    /// The bundles that main found, and a line for the log about each that cannot be used.
    pub(crate) fn restore(uploads: &[StoredUpload]) -> (Self, Vec<String>) {
        let mut certificates = Self::default();
        let mut alerts = Vec::new();
        for StoredUpload { kind, name, content } in uploads {
            match kind {
                UploadKind::Certificate => {}
                // Nothing runs scripts in this release.
                UploadKind::Script => continue,
            }
            match certificate::read(content, Completeness::WithoutKey) {
                Ok(description) => {
                    certificates.entries.insert(name.clone(), Entry::Stored(description));
                }
                Err(error) => alerts.push(complaint(&error, name)),
            }
        }
        (certificates, alerts)
    }

    /// The names of those that a configuration can use.
    pub(crate) fn names(&self) -> Names {
        let usable = self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Stored(_) | Entry::Storing { old: Some(_), .. } => {
                Some(Text::from(name.as_bytes()))
            }
            Entry::Storing { old: None, .. } | Entry::Deleting(_) => None,
        });
        usable.collect()
    }

    /// Every bundle with its description.
    #[must_use]
    pub(crate) fn describe_all(&self) -> Value {
        let stored = self.entries.iter().filter_map(|(name, entry)| {
            Some((Text::from(name.as_bytes()), entry.stored()?.clone()))
        });
        stored.collect()
    }

    /// The answer to who asks for a bundle, or for something of its description.
    #[must_use]
    pub(crate) fn describe(&self, name: &[u8], path: Option<&Path>) -> Response {
        let entry = UploadName::new(name).ok().and_then(|name| self.entries.get(&name));
        let Some(description) = entry.and_then(Entry::stored) else {
            return Response::no_certificate();
        };
        match path.and_then(|path| tree::get(description, path)) {
            Some(value) => Response::value(value),
            None => Response::invalid_path(),
        }
    }

    /// Whether nothing is being done to any of them.
    pub(super) fn are_at_rest(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// What is wrong with a bundle, for the log.
fn complaint(error: &BundleError, name: &UploadName) -> String {
    format!("{error} in certificate \"{name}\"")
}

impl Session {
    /// The certificate bundles.
    #[must_use]
    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A client uploads a bundle.
    pub(crate) fn upload_certificate(
        &mut self,
        ticket: Ticket,
        name: &[u8],
        bundle: Vec<u8>,
        replace: bool,
    ) {
        match self.new_certificate(name, &bundle, replace) {
            Err(response) => self.answer(ticket, response),
            Ok((name, description)) => {
                let old = match self.certificates.entries.remove(&name) {
                    Some(Entry::Stored(old)) => Some(old),
                    // The first would have been refused, and there is nothing old in the others.
                    Some(Entry::Storing { .. } | Entry::Deleting(_)) | None => None,
                };
                let entry = Entry::Storing { new: description, old };
                self.certificates.entries.insert(name.clone(), entry);
                self.certificates.waiting.insert(ticket, name.clone());
                let upload = StoreUpload { kind: UploadKind::Certificate, name, content: bundle };
                self.effects.push_back(Effect::StoreUpload(ticket, upload));
            }
        }
    }

    /// Checks whether a bundle can be taken.
    fn new_certificate(
        &mut self,
        name: &[u8],
        bundle: &[u8],
        replace: bool,
    ) -> Result<(UploadName, Value), Response> {
        if self.is_stopping {
            return Err(Response::certificate_not_stored(STOPPING));
        }
        let name = UploadName::new(name).map_err(|_| Response::invalid_certificate_name())?;
        match self.certificates.entries.get(&name) {
            None => {}
            Some(Entry::Stored(_)) if replace => {}
            Some(Entry::Storing { .. } | Entry::Deleting(_)) if replace => {
                return Err(Response::certificate_not_stored(BUSY));
            }
            Some(Entry::Stored(_) | Entry::Storing { .. } | Entry::Deleting(_)) => {
                return Err(Response::certificate_exists());
            }
        }
        match certificate::read(bundle, Completeness::Whole) {
            Ok(description) => Ok((name, description)),
            Err(error) => {
                self.effects.push_back(Effect::Alert(complaint(&error, &name)));
                Err(Response::invalid_certificate(&error.to_string()))
            }
        }
    }

    /// A client deletes a bundle.
    pub(crate) fn delete_certificate(&mut self, ticket: Ticket, name: &[u8]) {
        if self.is_stopping {
            self.answer(ticket, Response::certificate_not_deleted(STOPPING));
            return;
        }
        if self.is_certificate_used(name) {
            self.answer(ticket, Response::certificate_in_use());
            return;
        }
        let name = UploadName::new(name).ok();
        let Some((name, entry)) = name
            .and_then(|name| self.certificates.entries.get_mut(&name).map(|entry| (name, entry)))
        else {
            self.answer(ticket, Response::no_certificate());
            return;
        };
        match entry {
            Entry::Stored(description) => {
                *entry = Entry::Deleting(description.clone());
                self.certificates.waiting.insert(ticket, name.clone());
                let upload = DeleteUpload { kind: UploadKind::Certificate, name };
                self.effects.push_back(Effect::DeleteUpload(ticket, upload));
            }
            Entry::Storing { old: Some(_), .. } => {
                self.answer(ticket, Response::certificate_not_deleted(BUSY));
            }
            // What is not there yet, or soon no more, is not deleted.
            Entry::Storing { old: None, .. } | Entry::Deleting(_) => {
                self.answer(ticket, Response::no_certificate());
            }
        }
    }

    /// Main has stored or deleted a bundle, or failed to.
    pub(crate) fn certificate_settled(&mut self, ticket: Ticket, answer: Answer) {
        let Some(name) = self.certificates.waiting.remove(&ticket) else { return };
        let failure = match answer {
            Answer::Done => None,
            Answer::Lost => Some("the main process ended".to_owned()),
            answer => Some(wrong(answer)),
        };
        let Some(entry) = self.certificates.entries.remove(&name) else { return };
        let entries = &mut self.certificates.entries;
        match (entry, failure) {
            (Entry::Storing { new, old }, None) => {
                entries.insert(name.clone(), Entry::Stored(new));
                if old.is_some() && self.is_certificate_used(name.as_bytes()) {
                    self.refresh(ticket);
                } else {
                    self.answer(ticket, Response::certificate_uploaded());
                }
            }
            (Entry::Storing { old, .. }, Some(failure)) => {
                if let Some(old) = old {
                    entries.insert(name, Entry::Stored(old));
                }
                self.answer(ticket, Response::certificate_not_stored(&failure));
            }
            (Entry::Deleting(_), None) => self.answer(ticket, Response::certificate_deleted()),
            (Entry::Deleting(description), Some(failure)) => {
                entries.insert(name, Entry::Stored(description));
                self.answer(ticket, Response::certificate_not_deleted(&failure));
            }
            (entry @ Entry::Stored(_), _) => {
                entries.insert(name, entry);
            }
        }
        self.proceed();
    }

    /// Whether the configuration uses a bundle, or one that is to become current does.
    fn is_certificate_used(&self, name: &[u8]) -> bool {
        let updating = match &self.task {
            Some(Task::Update(update)) => Some(update.config()),
            Some(Task::Sync(_) | Task::Report(_) | Task::Restart(_)) | None => None,
        };
        let mut configs = [Some(&self.current.value), updating].into_iter().flatten();
        configs.any(|config| uses(config, name))
    }

    /// Has the router read a replaced bundle, then answers who replaced it.
    fn refresh(&mut self, ticket: Ticket) {
        self.owed.push((ticket, Response::certificate_uploaded()));
        match (self.router, &self.task) {
            // It is being configured, and may have read the old one.
            (_, Some(Task::Sync(_) | Task::Update(_))) => self.is_stale = true,
            (Router::InStep, _) => self.router = Router::Behind,
            // The next router is given the configuration anyway.
            (Router::Behind, _) => {}
            (Router::Absent, _) if self.is_stopping => self.settle_owed(Err(ROUTER_LOST)),
            (Router::Absent | Router::Deferred, _) => {}
        }
    }
}

/// Whether a listener of this configuration uses a certificate bundle.
fn uses(config: &Value, name: &[u8]) -> bool {
    let is_it = |value: &Value| value.as_text().is_some_and(|text| text.as_bytes() == name);
    let listeners = config.member(b"listeners").and_then(Value::as_object);
    listeners.into_iter().flatten().any(|(_, listener)| {
        let certificate = listener.member(b"tls").and_then(|tls| tls.member(b"certificate"));
        certificate.is_some_and(|value| {
            is_it(value) || value.as_array().is_some_and(|names| names.iter().any(is_it))
        })
    })
}
