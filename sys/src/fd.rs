//! Descriptors: taking over inherited ones, moving one onto a standard stream, flags.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// A standard stream, as a target of [`dup_onto`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// Descriptor 0.
    Input,
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

/// Takes ownership of a descriptor that this process was started with, and makes it close-on-exec.
///
/// A descriptor can be taken once. Whatever this process opened itself is close-on-exec already,
/// and so is what was taken before; an inherited descriptor cannot be, or `execve` had closed it.
/// That is how a second call, or one for a number that this process happened to open, is refused.
/// Call it early, before anything is opened without close-on-exec.
///
/// # Errors
/// `EBADF` when nothing is open under the number, [`io::ErrorKind::AlreadyExists`] when what is
/// open there was not inherited.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    check_inherited(number)?;
    // SAFETY: the descriptor is open and not close-on-exec, so it was inherited and nothing in this
    // process owns it; setting the flag below keeps a second call from getting here.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    set_close_on_exec(&fd)?;
    Ok(fd)
}

/// Refuses a number under which there is no untaken inherited descriptor.
pub(crate) fn check_inherited(number: RawFd) -> io::Result<()> {
    if number < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: F_GETFD takes no argument and touches no memory; a number that is not open is EBADF.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("descriptor {number} was not inherited, or was taken before"),
        ));
    }
    Ok(())
}

/// Makes a standard stream a duplicate of `fd`. It stays open over an exec, as standard streams do.
///
/// # Errors
/// Those of `dup2`.
pub fn dup_onto(fd: impl AsFd, target: Standard) -> io::Result<()> {
    match target {
        Standard::Input => rustix::stdio::dup2_stdin(fd)?,
        Standard::Output => rustix::stdio::dup2_stdout(fd)?,
        Standard::Error => rustix::stdio::dup2_stderr(fd)?,
    }
    Ok(())
}

/// Writes to a standard stream with one system call, without std's lock, and returns how much was
/// taken. Only an interrupted call is repeated, when nothing was written yet.
///
/// # Errors
/// Those of `write`.
pub fn write_once(target: Standard, bytes: &[u8]) -> io::Result<usize> {
    let stream = match target {
        Standard::Input => rustix::stdio::stdin(),
        Standard::Output => rustix::stdio::stdout(),
        Standard::Error => rustix::stdio::stderr(),
    };
    Ok(rustix::io::retry_on_intr(|| rustix::io::write(stream, bytes))?)
}

/// A duplicate of `fd`, close-on-exec.
///
/// # Errors
/// Those of `fcntl(F_DUPFD_CLOEXEC)`.
pub fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

/// Sets or clears `O_NONBLOCK`, for everyone who shares the description.
///
/// # Errors
/// Those of `fcntl`.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> io::Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(&fd)?;
    flags.set(rustix::fs::OFlags::NONBLOCK, on);
    Ok(rustix::fs::fcntl_setfl(&fd, flags)?)
}

/// Makes the descriptor close on exec.
///
/// # Errors
/// Those of `fcntl`.
pub fn set_close_on_exec(fd: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?)
}

/// Whether the descriptor closes on exec.
///
/// # Errors
/// Those of `fcntl`.
pub fn is_close_on_exec(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::io::fcntl_getfd(fd)?.contains(rustix::io::FdFlags::CLOEXEC))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::IntoRawFd;

    use super::*;

    /// A descriptor as exec would have left it, out of everyone's hands.
    fn inherited() -> RawFd {
        let file = File::open("/dev/null").expect("opens");
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("clears");
        file.into_raw_fd()
    }

    #[test]
    fn an_inherited_descriptor_is_taken_once() {
        let number = inherited();
        let fd = take_inherited(number).expect("is there");
        assert!(is_close_on_exec(fd.as_fd()).expect("is open"));
        let again = take_inherited(number).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_this_process_opened_is_not_taken() {
        let file = File::open("/dev/null").expect("opens");
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert_eq!(take_inherited(number).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(file.metadata().is_ok(), "still open");
    }

    #[test]
    fn a_number_with_nothing_open_is_an_error() {
        for number in [-1, i32::MAX] {
            let error = take_inherited(number).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{number}");
        }
    }

    #[test]
    fn duplicates_close_on_exec_and_blocking_can_be_changed() {
        let file = File::open("/dev/null").expect("opens");
        let copy = duplicate(&file).expect("duplicates");
        assert!(is_close_on_exec(copy.as_fd()).expect("is open"));
        let nonblocking = || {
            let flags = rustix::fs::fcntl_getfl(&copy).expect("is open");
            flags.contains(rustix::fs::OFlags::NONBLOCK)
        };
        set_nonblocking(&copy, true).expect("sets");
        assert!(nonblocking());
        set_nonblocking(&copy, false).expect("clears");
        assert!(!nonblocking());
    }
}
