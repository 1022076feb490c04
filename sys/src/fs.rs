//! What std's file functions leave out: opening for execution only, files in directories that
//! others may change at any moment, and the file mode mask.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use rustix::fs::{Access, AtFlags, FileType, FlockOperation, Gid, OFlags, Uid};
use rustix::io::Errno;

/// The flags of open(2) for a path that others chose: it neither waits, for the other end of a FIFO
/// for instance, nor makes a terminal the controlling one.
pub const OPEN_WARILY: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// Finds out whether files can be made in a directory. What is opened is a file without a name, or,
/// where the file system has no such files, `/dev/null`.
///
/// # Errors
/// What open(2) says.
pub fn try_making_files(directory: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
    match options.open(directory) {
        // Kernels and file systems that do not know the flag say that it is a directory.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {
            rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK)?;
            File::options().write(true).open("/dev/null")
        }
        opened => opened,
    }
}

/// Opens a program so that it can be executed by descriptor later, whatever happens to its name
/// until then.
///
/// # Errors
/// What open(2) says; `EACCES` for anything but a regular file that someone may execute.
pub fn open_executable(path: &Path) -> io::Result<OwnedFd> {
    let file = File::options().read(true).custom_flags(libc::O_PATH).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(file.into())
}

/// Sets the file mode mask of the process and returns the one before.
pub fn set_umask(mask: u32) -> u32 {
    umask(Mode::from_bits_truncate(mask)).bits()
}

/// A socket in the file system, held by its inode: whoever may change the directory can put a link
/// in its place, but not lead us astray with it.
#[derive(Debug)]
pub struct SocketFile {
    fd: OwnedFd,
}

impl SocketFile {
    /// Finds the socket under a name.
    ///
    /// # Errors
    /// What open(2) says; `ENOTSOCK` when something else, a link for instance, has the name.
    pub fn find(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        let found = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
        if found != FileType::Socket {
            return Err(Errno::NOTSOCK.into());
        }
        Ok(Self { fd })
    }

    /// Sets its mode.
    ///
    /// # Errors
    /// What chmod(2) says.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        // A path descriptor cannot be changed itself; its name here leads to the same inode.
        let name = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        std::fs::set_permissions(name, Permissions::from_mode(mode))
    }

    /// Sets its owner, its group or both.
    ///
    /// # Errors
    /// What fchownat(2) says.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        Ok(rustix::fs::chownat(&self.fd, "", uid, gid, AtFlags::EMPTY_PATH)?)
    }
}

/// What a file or directory is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode {
    device: u64,
    number: u64,
}

/// The place of a file that this process made, to remove that file and no other later.
#[derive(Debug)]
pub struct OwnFile {
    directory: PathBuf,
    directory_inode: Inode,
    name: OsString,
    inode: Inode,
}

impl OwnFile {
    /// Remembers the file that has this name now.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(Errno::INVAL)?.to_owned();
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            Some(_) | None => PathBuf::from("."),
        };
        let opened = open_directory(&directory)?;
        let (directory_inode, inode) = (inode_of(&opened)?, inode_at(&opened, &name)?);
        Ok(Self { directory, directory_inode, name, inode })
    }

    /// Whether another place has the same file in it, as after a change of its name.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        self.inode == other.inode
    }

    /// Removes the file, if its directory and itself are still what they were. Otherwise it is gone
    /// already, which is no error.
    ///
    /// # Errors
    /// What unlinkat(2) says.
    pub fn remove(&self) -> io::Result<()> {
        let Ok(directory) = open_directory(&self.directory) else { return Ok(()) };
        // Beneath this descriptor nobody can exchange the directory any more.
        let unchanged = inode_of(&directory)? == self.directory_inode
            && inode_at(&directory, &self.name).is_ok_and(|inode| inode == self.inode);
        if !unchanged {
            return Ok(());
        }
        match rustix::fs::unlinkat(&directory, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A directory that this process has for itself among those that lock it. There is no file to it,
/// and nothing is left of it when the process ends, however it does.
#[derive(Debug)]
pub struct LockedDirectory {
    _directory: File,
}

impl LockedDirectory {
    /// Locks a directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another process has locked it; else what open(2) and
    /// flock(2) say, such as that the file system cannot do it.
    pub fn lock(path: &Path) -> io::Result<Self> {
        let directory = File::options().read(true).custom_flags(libc::O_DIRECTORY).open(path)?;
        rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { _directory: directory })
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    File::options().read(true).custom_flags(flags).open(path)
}

fn inode_of(directory: &File) -> io::Result<Inode> {
    let metadata = directory.metadata()?;
    Ok(Inode { device: metadata.dev(), number: metadata.ino() })
}

fn inode_at(directory: &File, name: &OsString) -> io::Result<Inode> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Inode { device: stat.st_dev, number: stat.st_ino })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_socket_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let precious = directory.path().join("precious");
        std::fs::write(&precious, b"").unwrap();
        std::fs::set_permissions(&precious, Permissions::from_mode(0o600)).unwrap();
        let name = directory.path().join("socket");
        std::os::unix::fs::symlink(&precious, &name).unwrap();
        assert_eq!(SocketFile::find(&name).unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
        std::fs::remove_file(&name).unwrap();
        let _listener = UnixListener::bind(&name).unwrap();
        let socket = SocketFile::find(&name).unwrap();
        // Exchanged after it was found: what was found is changed, not what the link leads to.
        std::fs::rename(&name, directory.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(&precious, &name).unwrap();
        socket.set_mode(0o666).unwrap();
        socket.set_owner(None, Some(nix::unistd::getegid().as_raw())).unwrap();
        let mode = |name: &str| {
            std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode("precious"), mode("moved")), (0o600, 0o666));
    }

    #[test]
    fn only_the_own_file_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (inside, outside) = (directory.path().join("inside"), directory.path().join("outside"));
        for parent in [&inside, &outside] {
            std::fs::create_dir(parent).unwrap();
            std::fs::write(parent.join("name"), b"").unwrap();
        }
        let own = || OwnFile::at(&inside.join("name")).unwrap();
        // The directory is exchanged for a link to another one.
        let exchanged = own();
        std::fs::rename(&inside, directory.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(&outside, &inside).unwrap();
        exchanged.remove().unwrap();
        assert!(outside.join("name").exists());
        // The file is exchanged for another one.
        let exchanged = own();
        std::fs::write(outside.join("other"), b"").unwrap();
        std::fs::rename(outside.join("other"), outside.join("name")).unwrap();
        exchanged.remove().unwrap();
        assert!(outside.join("name").exists());
        // Nothing is exchanged, and a second time it is gone.
        let (first, second) = (own(), own());
        first.remove().unwrap();
        assert!(!outside.join("name").exists());
        second.remove().unwrap();
    }

    #[test]
    fn a_directory_is_locked_once_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = LockedDirectory::lock(directory.path()).unwrap();
        let second = LockedDirectory::lock(directory.path()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        LockedDirectory::lock(directory.path()).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(LockedDirectory::lock(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn opens_programs_and_nothing_else() {
        assert!(open_executable(Path::new("/bin/sh")).is_ok());
        for path in ["/etc/passwd", "/tmp", "/dev/null", "/nonexistent"] {
            assert!(open_executable(Path::new(path)).is_err(), "{path}");
        }
    }
}
