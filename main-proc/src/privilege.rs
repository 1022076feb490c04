//! Privilege: what main may do, whom the other roles become, and one sequence for each of them.

use caps::errors::CapsError;
use caps::{CapSet, Capability};
use port_proto::{Credentials, Role};
use sys::errno::Described;
use sys::signal::Signal;
use sys::spawn::{Capabilities, Identity, SpawnPlan};
use thiserror::Error;

/// What main may do on behalf of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Whether processes can be given another user and group.
    pub set_ids: bool,
    /// Whether processes can be given another root.
    pub change_root: bool,
}

impl Privileges {
    /// Those of this process.
    ///
    /// # Errors
    /// When the capabilities cannot be read.
    pub fn of_this_process() -> Result<Self, CapsError> {
        let has = |capability| caps::has_cap(None, CapSet::Effective, capability);
        Self::judge(sys::creds::effective_uid(), has)
    }

    fn judge(
        effective_uid: u32,
        has: impl Fn(Capability) -> Result<bool, CapsError>,
    ) -> Result<Self, CapsError> {
        if effective_uid == 0 {
            return Ok(Self { set_ids: true, change_root: true });
        }
        Ok(Self {
            set_ids: has(Capability::CAP_SETUID)? && has(Capability::CAP_SETGID)?,
            change_root: has(Capability::CAP_SYS_CHROOT)?,
        })
    }
}

/// Why nobody can be found to become.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// No such user.
    #[error("getpwnam(\"{0}\") failed, user \"{0}\" not found")]
    NoUser(String),
    /// No such group.
    #[error("getgrnam(\"{0}\") failed, group \"{0}\" not found")]
    NoGroup(String),
    /// The database cannot be read.
    #[error("{call}(\"{name}\") failed {described}")]
    Lookup {
        /// The failed call.
        call: &'static str,
        /// The user or group.
        name: String,
        /// The error.
        described: String,
    },
    /// Main may not choose, and the application chooses somebody else.
    #[error("cannot set user \"{user}\" for app \"{application}\": missing capabilities")]
    MayNotSetUser {
        /// The user.
        user: String,
        /// The application.
        application: String,
    },
    /// The same with a group.
    #[error("cannot set group \"{group}\" for app \"{application}\": missing capabilities")]
    MayNotSetGroup {
        /// The group.
        group: String,
        /// The application.
        application: String,
    },
}

impl IdentityError {
    fn lookup<'a>(
        call: &'static str,
        name: &'a str,
    ) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |error| Self::Lookup {
            call,
            name: name.to_owned(),
            described: Described(&error).to_string(),
        }
    }
}

/// The user and group of the unprivileged roles, by name and, where main may choose, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonUser {
    user: String,
    group: Option<String>,
    identity: Option<Identity>,
}

impl DaemonUser {
    /// Looks `--user` and `--group` up, unless everything stays with the starter anyway.
    ///
    /// # Errors
    /// [`IdentityError`] for unknown names.
    pub fn find(
        privileges: Privileges,
        user: &str,
        group: Option<&str>,
    ) -> Result<Self, IdentityError> {
        let identity = if privileges.set_ids { Some(look_up(user, group)?) } else { None };
        Ok(Self { user: user.to_owned(), group: group.map(str::to_owned), identity })
    }

    /// Whom an application becomes; nobody else than the starter when that is `None`.
    ///
    /// # Errors
    /// [`IdentityError`] for unknown names, or for names main may not choose.
    pub fn for_application(
        &self,
        application: &str,
        user: Option<&str>,
        group: Option<&str>,
    ) -> Result<Option<Credentials>, IdentityError> {
        let Some(daemon) = &self.identity else {
            self.check_starter(application, user, group)?;
            return Ok(None);
        };
        let Identity { uid, gid, groups } = match (user, group) {
            (None, None) => daemon.clone(),
            (user, group) => look_up(user.unwrap_or(&self.user), group)?,
        };
        Ok(Some(Credentials { uid, gid, groups }))
    }

    /// Without the right to choose, an application may only name whom it gets.
    fn check_starter(
        &self,
        application: &str,
        user: Option<&str>,
        group: Option<&str>,
    ) -> Result<(), IdentityError> {
        if let Some(user) = user.filter(|user| **user != self.user) {
            let found = sys::creds::user(user).map_err(IdentityError::lookup("getpwnam", user))?;
            if found.is_none_or(|found| found.uid != sys::creds::effective_uid()) {
                return Err(IdentityError::MayNotSetUser {
                    user: user.to_owned(),
                    application: application.to_owned(),
                });
            }
        }
        if let Some(group) = group.filter(|group| Some(*group) != self.group.as_deref()) {
            let found =
                sys::creds::group(group).map_err(IdentityError::lookup("getgrnam", group))?;
            if found != Some(sys::creds::effective_gid()) {
                return Err(IdentityError::MayNotSetGroup {
                    group: group.to_owned(),
                    application: application.to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn look_up(user: &str, group: Option<&str>) -> Result<Identity, IdentityError> {
    let found = sys::creds::user(user)
        .map_err(IdentityError::lookup("getpwnam", user))?
        .ok_or_else(|| IdentityError::NoUser(user.to_owned()))?;
    let gid = match group {
        None => found.gid,
        Some(group) => sys::creds::group(group)
            .map_err(IdentityError::lookup("getgrnam", group))?
            .ok_or_else(|| IdentityError::NoGroup(group.to_owned()))?,
    };
    let groups =
        sys::creds::groups_of(user, gid).map_err(IdentityError::lookup("getgrouplist", user))?;
    Ok(Identity { uid: found.uid, gid, groups })
}

/// Takes from a role, before it is executed, what it must not have. `docs/privileges.md` shows the
/// result as a table.
pub fn confine(role: Role, daemon_user: &DaemonUser, plan: &mut SpawnPlan<'_>) {
    match role {
        Role::Main => {}
        Role::Discovery | Role::Controller | Role::Router => {
            plan.own_process_group = true;
            plan.identity.clone_from(&daemon_user.identity);
            // Who asks for root wants the files that only root can read, and nothing else of it.
            let root = daemon_user.identity.as_ref().is_some_and(|identity| identity.uid == 0);
            plan.keep_capabilities =
                Some(if root { Capabilities::FILE_ACCESS } else { Capabilities::NONE });
            plan.no_new_privs = true;
            plan.parent_death_signal = Some(Signal::SIGKILL);
        }
        Role::Prototype => {
            // A prototype enters its isolation first and becomes the application's user then, by
            // itself, before it starts the language.
            plan.own_process_group = true;
            plan.parent_death_signal = Some(Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAY: Privileges = Privileges { set_ids: true, change_root: true };
    const MAY_NOT: Privileges = Privileges { set_ids: false, change_root: false };

    #[test]
    fn root_may_everything_and_others_what_their_capabilities_say() {
        let with = |granted: &'static [Capability]| {
            Privileges::judge(1000, |capability| Ok(granted.contains(&capability))).unwrap()
        };
        assert_eq!(Privileges::judge(0, |_| Ok(false)).unwrap(), MAY);
        assert_eq!(with(&[]), MAY_NOT);
        assert_eq!(with(&[Capability::CAP_SETUID]), MAY_NOT);
        assert!(with(&[Capability::CAP_SETUID, Capability::CAP_SETGID]).set_ids);
        assert!(with(&[Capability::CAP_SYS_CHROOT]).change_root);
    }

    #[test]
    fn unknown_names_are_told_in_the_words_of_the_log() {
        let unknown = |user, group| DaemonUser::find(MAY, user, group).unwrap_err().to_string();
        assert_eq!(
            unknown("no-such-one", None),
            "getpwnam(\"no-such-one\") failed, user \"no-such-one\" not found"
        );
        assert_eq!(
            unknown("root", Some("no-such-group")),
            "getgrnam(\"no-such-group\") failed, group \"no-such-group\" not found"
        );
        // Nothing is looked up where nothing can be chosen.
        DaemonUser::find(MAY_NOT, "no-such-one", None).unwrap();
    }

    #[test]
    fn applications_get_their_user_or_the_daemon_s() {
        let daemon = DaemonUser::find(MAY, "root", None).unwrap();
        let default = daemon.for_application("app", None, None).unwrap().unwrap();
        assert_eq!((default.uid, default.gid), (0, 0));
        let nobody = sys::creds::user("nobody").unwrap().unwrap();
        let other = daemon.for_application("app", Some("nobody"), None).unwrap().unwrap();
        assert_eq!((other.uid, other.gid), (nobody.uid, nobody.gid));
        let mixed = daemon.for_application("app", Some("nobody"), Some("root")).unwrap().unwrap();
        assert_eq!((mixed.uid, mixed.gid), (nobody.uid, 0));
        assert!(mixed.groups.contains(&0));
        assert!(daemon.for_application("app", Some("no-such-one"), None).is_err());
    }

    #[test]
    fn without_the_right_to_choose_only_the_starter_can_be_named() {
        let daemon = DaemonUser::find(MAY_NOT, "daemon-user", None).unwrap();
        let me = sys::creds::user_by_id(sys::creds::effective_uid()).unwrap().unwrap();
        for user in [None, Some("daemon-user"), Some(me.name.as_str())] {
            assert_eq!(daemon.for_application("app", user, None), Ok(None), "{user:?}");
        }
        let somebody_else = if me.name == "nobody" { "root" } else { "nobody" };
        assert_eq!(
            daemon.for_application("app", Some(somebody_else), None).unwrap_err().to_string(),
            format!("cannot set user \"{somebody_else}\" for app \"app\": missing capabilities")
        );
        assert_eq!(
            daemon.for_application("app", None, Some("no-such-group")).unwrap_err().to_string(),
            "cannot set group \"no-such-group\" for app \"app\": missing capabilities"
        );
    }

    #[test]
    fn unprivileged_roles_lose_everything_and_prototypes_only_their_group() {
        let program = sys::fs::open_executable(std::path::Path::new("/bin/true")).unwrap();
        let daemon = DaemonUser::find(MAY, "nobody", None).unwrap();
        let confined = |role, daemon| {
            let mut plan = SpawnPlan::new(std::os::fd::AsFd::as_fd(&program), Vec::new());
            confine(role, daemon, &mut plan);
            (plan.identity, plan.keep_capabilities, plan.no_new_privs)
        };
        for role in [Role::Discovery, Role::Controller, Role::Router] {
            let (identity, keep, no_new_privs) = confined(role, &daemon);
            assert_ne!(identity.unwrap().uid, 0);
            assert_eq!((keep, no_new_privs), (Some(Capabilities::NONE), true));
        }
        assert_eq!(confined(Role::Prototype, &daemon), (None, None, false));
        let root = DaemonUser::find(MAY, "root", None).unwrap();
        assert_eq!(confined(Role::Router, &root).1, Some(Capabilities::FILE_ACCESS));
    }
}
