//! Opening a file where a `share` allows it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2};
use rustix::io::Errno;

use super::under::path_under;
use crate::shortage::is_reserved;

/// Reading only, and never waiting: for the writer of a FIFO, for instance.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// A race with a rename outside makes openat2 give up; that often in a row is no race.
const ATTEMPTS_MAX: u32 = 8;

/// Where a file should be, and how to get there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The path, without NUL and not empty.
    pub(super) path: &'a [u8],
    /// The directory it must lie under, which is the root of all it leads to.
    pub(super) chroot: Option<&'a [u8]>,
    pub(super) follow_symlinks: bool,
    pub(super) traverse_mounts: bool,
}

/// Why a file was not opened.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: io::Error,
    pub(super) kind: FaultKind,
}

/// What a fault means to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// There is no such file.
    Absent,
    /// It must not be opened.
    Forbidden,
    /// The system is at fault.
    System,
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        let kind = match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO => FaultKind::Absent,
            Errno::ACCESS | Errno::LOOP | Errno::XDEV => FaultKind::Forbidden,
            _ => FaultKind::System,
        };
        Fault { error: errno.into(), kind }
    }
}

impl Place<'_> {
    /// Whether nothing matters but where the path leads.
    pub(super) fn is_unrestricted(&self) -> bool {
        self.chroot.is_none() && self.follow_symlinks && self.traverse_mounts
    }

    /// Opens the file, whatever it is, and says what it is.
    pub(super) fn open(&self) -> Result<(OwnedFd, Stat), Fault> {
        let file = match self.chroot {
            None => self.open_at(CWD, self.path)?,
            Some(chroot) => {
                let path = path_under(self.path, chroot).ok_or(Errno::ACCESS)?;
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                // Search permission is enough.
                let dir = open(chroot, flags, Mode::empty())?;
                self.open_at(dir.as_fd(), path)?
            }
        };
        let stat = fstat(&file)?;
        Ok((file, stat))
    }

    fn open_at(&self, dir: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut resolve = ResolveFlags::empty();
        resolve.set(ResolveFlags::IN_ROOT, self.chroot.is_some());
        resolve.set(ResolveFlags::NO_SYMLINKS, !self.follow_symlinks);
        resolve.set(ResolveFlags::NO_XDEV, !self.traverse_mounts);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let opened = match resolve.is_empty() {
                true => open(path, FLAGS, Mode::empty()),
                false => openat2(dir, path, FLAGS, Mode::empty(), resolve),
            };
            match opened {
                Err(Errno::AGAIN | Errno::INTR) if attempts < ATTEMPTS_MAX => {}
                // The last descriptors are not for clients.
                Ok(file) if is_reserved(&file) => return Err(Errno::MFILE),
                opened => return opened,
            }
        }
    }

    /// The path as the log shows it: below the directory, if it is.
    pub(super) fn shown(&self) -> impl fmt::Display {
        let below = self.chroot.and_then(|chroot| path_under(self.path, chroot));
        String::from_utf8_lossy(below.unwrap_or(self.path))
    }
}
