//! Memory files: sealed messages, and fixed-size memory to share.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;

/// What a memory file must promise so that its bytes can be read without surprise.
const IMMUTABLE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE);

/// What it must promise so that it can be mapped without SIGBUS.
const FIXED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// A memory file with these bytes that nobody can change any more.
///
/// # Errors
/// Those of `memfd_create`, `write` and `fcntl(F_ADD_SEALS)`.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(create(name)?);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(&file, IMMUTABLE | SealFlags::SEAL)?;
    Ok(file.into())
}

/// Reads a memory file of a peer, if it is sealed against every change and has the length that
/// was announced. The descriptor's file position does not matter.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] when it is not such a file; those of `fstat` and `pread`.
pub fn open_sealed(fd: impl AsFd, expected_len: usize) -> io::Result<Vec<u8>> {
    check(&fd, IMMUTABLE, expected_len)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(expected_len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    while bytes.len() < expected_len {
        let at = bytes.len() as u64;
        match rustix::io::pread(&fd, rustix::buffer::spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(expected_len);
    Ok(bytes)
}

/// A memory file of `len` zeroes, all of it allocated now, that can neither shrink nor grow and
/// takes no further seals.
///
/// # Errors
/// Those of `memfd_create`, `ftruncate`, `fallocate` and `fcntl(F_ADD_SEALS)`.
pub fn fixed_size(name: &str, len: usize) -> io::Result<OwnedFd> {
    let fd = sealable(name, len)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SEAL)?;
    Ok(fd)
}

/// As [`fixed_size`], but open to [`crate::shm::seal_future_write`] once its owner has mapped it.
///
/// # Errors
/// As [`fixed_size`].
pub fn sealable(name: &str, len: usize) -> io::Result<OwnedFd> {
    let fd = create(name)?;
    let len = u64::try_from(len).map_err(|_| Errno::FBIG)?;
    rustix::fs::ftruncate(&fd, len)?;
    allocate(&fd, 0, len)?;
    rustix::fs::fcntl_add_seals(&fd, FIXED)?;
    Ok(fd)
}

/// Gives the pages of a range back to the system; they read as zeroes afterwards, and touching
/// them again may run out of memory unless [`allocate`] came first.
///
/// # Errors
/// Those of `fallocate`.
pub fn punch_hole(fd: impl AsFd, offset: u64, len: u64) -> io::Result<()> {
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(fd, mode, offset, len)?)
}

/// Allocates the pages of a range, so that touching them cannot fail.
///
/// # Errors
/// Those of `fallocate`.
pub fn allocate(fd: impl AsFd, offset: u64, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    Ok(rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, len)?)
}

fn create(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Some hosts refuse memory files that could be executed; older kernels do not know the flag.
    match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create(name, flags)?),
        result => Ok(result?),
    }
}

/// Refuses a descriptor that is not a memory file with these seals and this length.
pub(crate) fn check_fixed(fd: impl AsFd, len: usize) -> io::Result<()> {
    check(fd, FIXED, len)
}

fn check(fd: impl AsFd, needed: SealFlags, len: usize) -> io::Result<()> {
    let refuse = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
    let seals = match rustix::fs::fcntl_get_seals(&fd) {
        Ok(seals) => seals,
        Err(Errno::INVAL) => return refuse("not a memory file".to_owned()),
        Err(error) => return Err(error.into()),
    };
    if !seals.contains(needed) {
        return refuse(format!("memory file lacks seals: {:?}", needed - seals));
    }
    let size = rustix::fs::fstat(&fd)?.st_size;
    if u64::try_from(size).ok() != u64::try_from(len).ok() {
        return refuse(format!("memory file of {size} bytes instead of {len}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn sealed_bytes_are_read_back_and_cannot_change() {
        let bytes = vec![7; 300_000];
        let fd = sealed("test", &bytes).expect("makes");
        assert_eq!(open_sealed(&fd, bytes.len()).expect("reads"), bytes);
        let file = File::from(fd);
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
        assert!(file.set_len(1 << 20).is_err());
        assert_eq!(open_sealed(&file, bytes.len()).expect("reads again"), bytes);
    }

    #[test]
    fn nothing_travels_as_nothing() {
        let fd = sealed("test", b"").expect("makes");
        assert_eq!(open_sealed(&fd, 0).expect("reads"), b"");
    }

    #[test]
    fn files_without_every_seal_are_refused() {
        let refused =
            |fd: &OwnedFd| open_sealed(fd, 4).unwrap_err().kind() == io::ErrorKind::InvalidData;
        let open = create("test").expect("makes");
        rustix::io::write(&open, b"abcd").expect("writes");
        assert!(refused(&open));
        for seals in [
            SealFlags::SHRINK | SealFlags::GROW,
            SealFlags::SHRINK | SealFlags::WRITE,
            SealFlags::GROW | SealFlags::WRITE,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE,
        ] {
            let fd = create("test").expect("makes");
            rustix::io::write(&fd, b"abcd").expect("writes");
            rustix::fs::fcntl_add_seals(&fd, seals).expect("seals");
            assert!(refused(&fd), "{seals:?}");
        }
        assert!(refused(&tempfile::tempfile().expect("makes").into()));
        assert!(refused(&File::open("/dev/zero").expect("opens").into()));
    }

    #[test]
    fn another_length_than_announced_is_refused() {
        let fd = sealed("test", b"abcd").expect("makes");
        for len in [0, 3, 5, usize::MAX] {
            let error = open_sealed(&fd, len).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{len}");
        }
    }

    #[test]
    fn fixed_files_keep_their_size_and_take_no_seals() {
        let file = File::from(fixed_size("test", 8192).expect("makes"));
        assert_eq!(file.metadata().expect("is open").len(), 8192);
        assert!(file.set_len(4096).is_err());
        assert!(file.set_len(16_384).is_err());
        assert!(file.write_at(b"x", 8191).is_ok());
        assert!(rustix::fs::fcntl_add_seals(&file, SealFlags::FUTURE_WRITE).is_err());
    }

    #[test]
    fn holes_give_memory_back_and_can_be_filled_again() {
        use std::os::unix::fs::MetadataExt;
        let file = File::from(fixed_size("test", 1 << 20).expect("makes"));
        let blocks = || file.metadata().expect("is open").blocks();
        let full = blocks();
        punch_hole(&file, 0, 1 << 19).expect("punches");
        assert!(blocks() < full);
        allocate(&file, 0, 1 << 19).expect("fills");
        assert_eq!(blocks(), full);
    }
}
