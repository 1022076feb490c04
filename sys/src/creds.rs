//! Users and groups of the system's database, and the ids of the calling process.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Group, Uid, User};

/// A user of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundUser {
    /// The name.
    pub name: String,
    /// The id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

/// Looks a user up by name.
///
/// # Errors
/// What getpwnam_r(3) says; an unknown name is `None`.
pub fn user(name: &str) -> io::Result<Option<FoundUser>> {
    Ok(User::from_name(name)?.map(found))
}

/// Looks a user up by id.
///
/// # Errors
/// What getpwuid_r(3) says; an unknown id is `None`.
pub fn user_by_id(uid: u32) -> io::Result<Option<FoundUser>> {
    Ok(User::from_uid(Uid::from_raw(uid))?.map(found))
}

/// Looks the id of a group up by name.
///
/// # Errors
/// What getgrnam_r(3) says; an unknown name is `None`.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// Looks the name of a group up by id.
///
/// # Errors
/// What getgrgid_r(3) says; an unknown id is `None`.
pub fn group_name(gid: u32) -> io::Result<Option<String>> {
    Ok(Group::from_gid(Gid::from_raw(gid))?.map(|group| group.name))
}

/// All groups a user is a member of, `gid` among them.
///
/// # Errors
/// What getgrouplist(3) says, or a name with a NUL byte.
pub fn groups_of(user: &str, gid: u32) -> io::Result<Vec<u32>> {
    let name = CString::new(user)?;
    let groups = nix::unistd::getgrouplist(&name, Gid::from_raw(gid))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

/// The effective user of this process.
#[must_use]
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The effective group of this process.
#[must_use]
pub fn effective_gid() -> u32 {
    nix::unistd::getegid().as_raw()
}

fn found(user: User) -> FoundUser {
    FoundUser { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_root_and_not_what_does_not_exist() {
        let root = user("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_by_id(0).unwrap().unwrap(), root);
        assert_eq!(group("root").unwrap(), Some(0));
        assert_eq!(group_name(0).unwrap().as_deref(), Some("root"));
        assert_eq!(user("no-such-user-here").unwrap(), None);
        assert_eq!(group("no-such-group-here").unwrap(), None);
    }

    #[test]
    fn the_given_group_is_among_the_groups() {
        assert!(groups_of("root", 4711).unwrap().contains(&4711));
        assert!(groups_of("a\0b", 1).is_err());
    }
}
