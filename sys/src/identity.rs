//! Becoming another user for good, in a process that goes on running the same program.

use std::io;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::spawn::Identity;

/// Which change of ids was refused, and why.
#[derive(Debug)]
pub enum AssumeError {
    /// The group.
    Group(io::Error),
    /// The supplementary groups.
    Groups(io::Error),
    /// The user.
    User(io::Error),
}

/// Takes on all three kinds of ids of user and group. There is no way back.
///
/// # Errors
/// [`AssumeError`]; what was changed before stays changed, so the process must end.
pub fn assume(identity: &Identity) -> Result<(), AssumeError> {
    // The groups first: once the user is changed, the right to change them is gone.
    let gid = Gid::from_raw(identity.gid);
    setresgid(gid, gid, gid).map_err(|error| AssumeError::Group(error.into()))?;
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).map_err(|error| AssumeError::Groups(error.into()))?;
    let uid = Uid::from_raw(identity.uid);
    setresuid(uid, uid, uid).map_err(|error| AssumeError::User(error.into()))
}

/// Gives up that set-id programs have any power, for this process and all it starts.
///
/// # Errors
/// What prctl(2) says.
pub fn forbid_new_privileges() -> io::Result<()> {
    Ok(nix::sys::prctl::set_no_new_privs()?)
}

/// Says whether processes of the same user may look into this one, and whether its own links under
/// `/proc/self/fd` can be opened. A change of user without executing anything turns both off.
///
/// # Errors
/// What prctl(2) says.
pub fn set_inspectable(inspectable: bool) -> io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(inspectable)?)
}
