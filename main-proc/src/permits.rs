//! What main does for the router: what a configuration needs that the controller has named, and
//! nothing else. A router that somebody has taken over gains no privilege by asking.

use std::mem;

use port_proto::{
    ConfigStage, Identity, Kind, ListenAddress, OpenUpload, Permissions, PermitConfig,
    PermittedApplication, Refusal, StartPrototype, UploadKind,
};

/// The most access logs that are permitted although no configuration needs them any more.
const LEFT_LOGS_MAX: usize = 8;

/// How the file of an access log may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPermit {
    /// To be written to, and made if there is none.
    Real,
    /// To find out whether it can be.
    Trial,
}

/// What is permitted now.
#[derive(Debug, Default)]
pub struct Permits {
    current: Permissions,
    /// Those of the configuration before. Its last requests may need processes yet.
    previous: Permissions,
    proposed: Option<Permissions>,
    /// Whether the proposed one is only tried.
    is_trial: bool,
    /// The access logs of configurations before that, the last one last: requests that take long are
    /// logged there, and a rotation is to reach them.
    left_logs: Vec<String>,
}

impl Permits {
    /// The controller names what a configuration needs.
    pub fn permit(&mut self, PermitConfig { stage, permissions }: PermitConfig) {
        match stage {
            ConfigStage::Current => {
                self.proposed = None;
                self.make_current(permissions);
            }
            ConfigStage::Proposed => {
                self.proposed = Some(permissions);
                self.is_trial = false;
            }
            ConfigStage::Tried => {
                self.proposed = Some(permissions);
                self.is_trial = true;
            }
        }
    }

    /// The proposed configuration is on the disk, and so the current one.
    pub fn proposal_was_stored(&mut self) {
        if let Some(permissions) = self.proposed.take()
            && !self.is_trial
        {
            self.make_current(permissions);
        }
    }

    fn make_current(&mut self, permissions: Permissions) {
        // A router that is started again gets the same once more; what was before that stays.
        if permissions != self.current {
            let current = mem::replace(&mut self.current, permissions);
            let left = mem::replace(&mut self.previous, current);
            self.left_logs.retain(|log| !left.access_logs.contains(log));
            self.left_logs.extend(left.access_logs);
            let surplus = self.left_logs.len().saturating_sub(LEFT_LOGS_MAX);
            self.left_logs.drain(..surplus);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Permissions> {
        [&self.current, &self.previous].into_iter().chain(&self.proposed)
    }

    /// Whether there may be a listening socket of this address.
    #[must_use]
    pub fn listener(&self, address: &ListenAddress) -> bool {
        self.all().any(|permissions| permissions.listeners.contains(address))
    }

    /// Whether and how this may be opened as the file of an access log.
    #[must_use]
    pub fn access_log(&self, path: &str) -> Option<LogPermit> {
        let is_in = |logs: &[String]| logs.iter().any(|log| log == path);
        let known = [&self.current.access_logs, &self.previous.access_logs, &self.left_logs];
        if known.into_iter().any(|logs| is_in(logs)) {
            return Some(LogPermit::Real);
        }
        let permit = if self.is_trial { LogPermit::Trial } else { LogPermit::Real };
        self.proposed.as_ref().filter(|it| is_in(&it.access_logs)).map(|_| permit)
    }

    /// Whether a router may read this certificate bundle or script.
    #[must_use]
    pub fn upload(&self, OpenUpload { kind, name }: &OpenUpload) -> bool {
        self.all().any(|permissions| match kind {
            UploadKind::Certificate => permissions.certificates.contains(name),
            UploadKind::Script => permissions.scripts.contains(name),
        })
    }

    /// The application that a router wants to be started.
    #[must_use]
    pub fn application(&self, request: &StartPrototype) -> Option<&PermittedApplication> {
        let is_it = |application: &&PermittedApplication| {
            application.name == request.name && application.application == request.application
        };
        self.all().find_map(|permissions| permissions.applications.iter().find(is_it))
    }
}

/// Logs that a process asked for what no configuration needs; the answer to it.
#[must_use]
pub fn refuse(from: Identity, kind: Kind, what: &str) -> Refusal {
    let text = format!("process {} cannot {}: {what} is not configured", from.pid.0, kind.deed());
    unit_log::alert!("{text}");
    Refusal { text }
}

#[cfg(test)]
mod tests {
    use port_proto::UploadName;

    use super::*;

    fn application(name: &str, object: &str) -> PermittedApplication {
        PermittedApplication {
            name: name.into(),
            module_file: "/m/python3.unit".into(),
            user: None,
            group: None,
            working_directory: None,
            stdout: None,
            stderr: None,
            new_privs: true,
            application: object.into(),
        }
    }

    fn upload_name(text: &str) -> UploadName {
        UploadName::new(text).unwrap()
    }

    /// What a configuration needs with one listener, application and access log named so.
    fn named(name: &str) -> Permissions {
        Permissions {
            listeners: vec![ListenAddress::UnixPath(name.into())],
            applications: vec![application(name, "{}")],
            access_logs: vec![name.into()],
            certificates: vec![upload_name(name)],
            scripts: vec![upload_name(name)],
        }
    }

    fn upload(kind: UploadKind, name: &str) -> OpenUpload {
        OpenUpload { kind, name: upload_name(name) }
    }

    fn permit(permits: &mut Permits, stage: ConfigStage, name: &str) {
        permits.permit(PermitConfig { stage, permissions: named(name) });
    }

    /// Which of these names are permitted, in every respect or in none but that of access logs.
    fn permitted(permits: &Permits) -> String {
        let names = ["a", "b", "c", "d"].into_iter().filter(|name| {
            let request = StartPrototype { name: (*name).into(), application: b"{}".to_vec() };
            let answers = [
                permits.listener(&ListenAddress::UnixPath((*name).into())),
                permits.application(&request).is_some(),
                permits.upload(&upload(UploadKind::Certificate, name)),
                permits.upload(&upload(UploadKind::Script, name)),
            ];
            assert!(answers == [true; 4] || answers == [false; 4]);
            assert!(permits.access_log(name).is_some() || !answers[0], "{name}");
            answers[0]
        });
        names.collect()
    }

    /// Which of these access logs are permitted.
    fn permitted_logs(permits: &Permits) -> String {
        ('a'..='z').filter(|name| permits.access_log(&name.to_string()).is_some()).collect()
    }

    #[test]
    fn nothing_is_permitted_that_was_not_named() {
        let mut permits = Permits::default();
        assert_eq!(permitted(&permits), "");
        permit(&mut permits, ConfigStage::Current, "a");
        assert_eq!(permitted(&permits), "a");
        assert!(!permits.listener(&ListenAddress::UnixAbstract("a".into())));
    }

    #[test]
    fn an_application_is_its_name_and_its_object() {
        let mut permits = Permits::default();
        let applications = vec![application("a", "{1}"), application("b", "{2}")];
        let permissions = Permissions { applications, ..Permissions::default() };
        permits.permit(PermitConfig { stage: ConfigStage::Current, permissions });
        let found = |name: &str, object: &str| {
            let request = StartPrototype { name: name.into(), application: object.into() };
            permits.application(&request).map(|application| application.name.clone())
        };
        assert_eq!(found("a", "{1}").as_deref(), Some("a"));
        assert_eq!(found("b", "{2}").as_deref(), Some("b"));
        assert_eq!((found("a", "{2}"), found("c", "{1}"), found("a", "")), (None, None, None));
    }

    #[test]
    fn a_proposal_is_permitted_beside_the_current_until_another_comes() {
        let mut permits = Permits::default();
        permit(&mut permits, ConfigStage::Current, "a");
        permit(&mut permits, ConfigStage::Proposed, "b");
        assert_eq!(permitted(&permits), "ab");
        permit(&mut permits, ConfigStage::Proposed, "c");
        assert_eq!(permitted(&permits), "ac");
        // The router is given the current one again: the proposal has come to nothing.
        permit(&mut permits, ConfigStage::Current, "a");
        assert_eq!(permitted(&permits), "a");
    }

    #[test]
    fn a_stored_proposal_leaves_the_one_before_for_its_last_requests() {
        let mut permits = Permits::default();
        permit(&mut permits, ConfigStage::Current, "a");
        permit(&mut permits, ConfigStage::Proposed, "b");
        permits.proposal_was_stored();
        assert_eq!(permitted(&permits), "ab");
        // A router or controller that is started again changes nothing about that.
        permit(&mut permits, ConfigStage::Current, "b");
        assert_eq!(permitted(&permits), "ab");
        permit(&mut permits, ConfigStage::Proposed, "c");
        assert_eq!(permitted(&permits), "abc");
        permits.proposal_was_stored();
        assert_eq!(permitted(&permits), "bc");
        permits.proposal_was_stored();
        assert_eq!(permitted(&permits), "bc");
    }

    #[test]
    fn what_is_only_tried_makes_no_access_log_and_is_never_the_current_one() {
        let mut permits = Permits::default();
        permit(&mut permits, ConfigStage::Current, "a");
        permit(&mut permits, ConfigStage::Tried, "b");
        assert_eq!(permitted(&permits), "ab");
        assert_eq!(permits.access_log("b"), Some(LogPermit::Trial));
        permits.proposal_was_stored();
        assert_eq!(permitted(&permits), "a");
        permit(&mut permits, ConfigStage::Tried, "a");
        assert_eq!(permits.access_log("a"), Some(LogPermit::Real));
        permit(&mut permits, ConfigStage::Proposed, "b");
        assert_eq!(permits.access_log("b"), Some(LogPermit::Real));
        assert_eq!(permits.access_log("c"), None);
        permits.proposal_was_stored();
        assert_eq!(permitted(&permits), "ab");
    }

    /// A rotation is to reach requests that began long ago.
    #[test]
    fn the_last_access_logs_are_permitted_on() {
        let mut permits = Permits::default();
        for name in ["a", "b", "c"] {
            permit(&mut permits, ConfigStage::Current, name);
        }
        assert_eq!(
            (permitted(&permits).as_str(), permitted_logs(&permits).as_str()),
            ("bc", "abc")
        );
        // One that was only proposed never had requests.
        permit(&mut permits, ConfigStage::Proposed, "z");
        permit(&mut permits, ConfigStage::Proposed, "d");
        permits.proposal_was_stored();
        assert_eq!(permitted_logs(&permits), "abcd");
        // Those of one name are one.
        for name in ["a", "b", "a", "b"] {
            permit(&mut permits, ConfigStage::Current, name);
        }
        assert_eq!(permitted_logs(&permits), "abcd");
        for name in 'e'..='m' {
            permit(&mut permits, ConfigStage::Current, &name.to_string());
        }
        // The current one, the previous one and eight before.
        assert_eq!(permitted_logs(&permits), "befghijklm");
        assert_eq!(permitted(&permits), "");
    }
}
