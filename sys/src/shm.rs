//! Memory shared with another process, which may be hostile: it is only ever copied or read through
//! atomics. Nothing here yields a slice over it, because the other side writes when it likes.

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::SealFlags;
use rustix::mm::{MapFlags, ProtFlags};
use thiserror::Error;

use crate::memfd;

/// A range that does not lie inside the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("range is outside of the shared memory")]
pub struct OutOfBounds;

/// A mapping of a whole memory file.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; it is only read and written through
// raw copies and atomics, whose meaning under races is what this module is about.
unsafe impl Send for Mapping {}
// SAFETY: as above; no method hands out a reference to plain memory.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: impl AsFd, len: usize, protection: ProtFlags) -> io::Result<Self> {
        // A file that cannot shrink cannot make an access to the mapping fail with SIGBUS.
        memfd::check_fixed(&fd, len)?;
        // SAFETY: a null hint makes the kernel choose unused addresses, so nothing is overlaid; the
        // length is the file's own and it was checked that it cannot become less.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0)
        }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }

    /// The address of a range, if it lies inside.
    #[inline]
    fn range(&self, offset: usize, len: usize) -> Result<NonNull<u8>, OutOfBounds> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => {
                // SAFETY: offset is at most the length of the mapping, so the result stays inside
                // it or one past its end.
                Ok(unsafe { self.base.add(offset) })
            }
            _ => Err(OutOfBounds),
        }
    }

    /// The address of an aligned value, if it lies inside.
    #[inline]
    fn aligned<T>(&self, offset: usize) -> Option<NonNull<T>> {
        let address = self.range(offset, size_of::<T>()).ok()?.cast::<T>();
        address.is_aligned().then_some(address)
    }

    #[inline]
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = self.range(offset, out.len())?;
        // SAFETY: `range` checked that as many bytes lie inside the mapping; `out` is memory of our
        // own, so they cannot overlap. The bytes may change while they are copied: callers check
        // the copy, never the source.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), out.as_mut_ptr(), out.len()) };
        Ok(())
    }

    #[inline]
    fn read_to(&self, offset: usize, len: usize, out: &mut Vec<u8>) -> Result<(), OutOfBounds> {
        let from = self.range(offset, len)?;
        out.reserve(len);
        let end = out.len() + len;
        let to = out.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `range` checked that as many bytes lie inside the mapping, `reserve` that as many
        // are free behind the vector's end; memory of our own cannot overlap the mapping.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, len) };
        // SAFETY: the bytes up to `end` were written just now, and the capacity reaches that far.
        unsafe { out.set_len(end) };
        Ok(())
    }

    #[inline]
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let to = self.range(offset, bytes.len())?;
        // SAFETY: `range` checked that as many bytes lie inside the mapping, which is writable
        // (only `SharedMemory` has this method); `bytes` is memory of our own.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        Ok(())
    }

    #[inline]
    fn atomic_u32(&self, offset: usize) -> Option<&AtomicU32> {
        let address = self.aligned::<u32>(offset)?;
        // SAFETY: aligned, inside the mapping, and mapped as long as the reference borrows self.
        // All accesses of this process to the word are atomic; what the peer does to it is any
        // sequence of stores, which atomic loads are made for.
        Some(unsafe { AtomicU32::from_ptr(address.as_ptr()) })
    }

    #[inline]
    fn atomic_u64(&self, offset: usize) -> Option<&AtomicU64> {
        let address = self.aligned::<u64>(offset)?;
        // SAFETY: as in `atomic_u32`.
        Some(unsafe { AtomicU64::from_ptr(address.as_ptr()) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and len are those of the mapping, and every reference into it borrows self.
        // It can only fail for addresses that were never mapped.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Memory shared for reading and writing.
///
/// A word that is used through an atomic must not be part of a range that is copied at the same
/// time; layouts keep the two apart.
#[derive(Debug)]
pub struct SharedMemory(Mapping);

impl SharedMemory {
    /// Maps a whole memory file of `len` bytes, see [`memfd::fixed_size`].
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the file can shrink or has another length; those of
    /// `mmap`.
    pub fn map(fd: impl AsFd, len: usize) -> io::Result<Self> {
        Mapping::new(fd, len, ProtFlags::READ | ProtFlags::WRITE).map(Self)
    }

    /// Makes a memory file and maps it; the descriptor is for the other side.
    ///
    /// # Errors
    /// Those of [`memfd::fixed_size`] and [`Self::map`].
    pub fn create(name: &str, len: usize) -> io::Result<(Self, std::os::fd::OwnedFd)> {
        let fd = memfd::fixed_size(name, len)?;
        Ok((Self::map(&fd, len)?, fd))
    }

    /// Makes a memory file that only this mapping can write, and maps it; the descriptor is for
    /// readers.
    ///
    /// # Errors
    /// Those of [`memfd::sealable`], [`Self::map`] and [`seal_future_write`].
    pub fn create_published(name: &str, len: usize) -> io::Result<(Self, std::os::fd::OwnedFd)> {
        let fd = memfd::sealable(name, len)?;
        let memory = Self::map(&fd, len)?;
        seal_future_write(&fd)?;
        Ok((memory, fd))
    }

    /// Bytes mapped.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether nothing is mapped, which cannot be.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// [`OutOfBounds`], and `out` is unchanged.
    #[inline]
    pub fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), OutOfBounds> {
        self.0.read(offset, out)
    }

    /// Copies bytes to the end of `out`, without filling it with zeroes first.
    ///
    /// # Errors
    /// [`OutOfBounds`], and `out` is unchanged.
    #[inline]
    pub fn read_to(&self, offset: usize, len: usize, out: &mut Vec<u8>) -> Result<(), OutOfBounds> {
        self.0.read_to(offset, len, out)
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// [`OutOfBounds`], and nothing is written.
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfBounds> {
        self.0.write(offset, bytes)
    }

    /// An aligned word that lies inside.
    #[inline]
    #[must_use]
    pub fn atomic_u32(&self, offset: usize) -> Option<&AtomicU32> {
        self.0.atomic_u32(offset)
    }

    /// An aligned double word that lies inside.
    #[inline]
    #[must_use]
    pub fn atomic_u64(&self, offset: usize) -> Option<&AtomicU64> {
        self.0.atomic_u64(offset)
    }
}

/// Memory that this process may only read: words, one at a time.
#[derive(Debug)]
pub struct ReadOnlyMemory(Mapping);

impl ReadOnlyMemory {
    /// Maps a whole memory file of `len` bytes for reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the file can shrink or has another length; those of
    /// `mmap`.
    pub fn map(fd: impl AsFd, len: usize) -> io::Result<Self> {
        Mapping::new(fd, len, ProtFlags::READ).map(Self)
    }

    /// Bytes mapped.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether nothing is mapped, which cannot be.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Loads an aligned word that lies inside. `order` is one for loads.
    #[inline]
    #[must_use]
    pub fn load_u32(&self, offset: usize, order: Ordering) -> Option<u32> {
        Some(self.0.atomic_u32(offset)?.load(order))
    }

    /// Loads an aligned double word that lies inside. `order` is one for loads.
    #[inline]
    #[must_use]
    pub fn load_u64(&self, offset: usize, order: Ordering) -> Option<u64> {
        Some(self.0.atomic_u64(offset)?.load(order))
    }
}

/// Makes a memory file read-only for everyone who has not mapped it yet; writable mappings that
/// exist go on. No seal can be added afterwards.
///
/// # Errors
/// Those of `fcntl(F_ADD_SEALS)`; `EPERM` for a file of [`memfd::fixed_size`], which takes none.
pub fn seal_future_write(fd: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(fd, SealFlags::FUTURE_WRITE | SealFlags::SEAL)?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    const LEN: usize = 8192;

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let (ours, fd) = SharedMemory::create("test", LEN).expect("makes");
        let theirs = SharedMemory::map(&fd, LEN).expect("maps");
        drop(fd);
        ours.write(4090, b"hello, worker").expect("is inside");
        let mut out = [0; 13];
        theirs.read(4090, &mut out).expect("is inside");
        assert_eq!(&out, b"hello, worker");
        let mut tail = b"> ".to_vec();
        theirs.read_to(4090, 5, &mut tail).expect("is inside");
        assert_eq!(tail, b"> hello");
        ours.atomic_u64(8).expect("is aligned").store(u64::MAX - 1, Ordering::Release);
        assert_eq!(theirs.atomic_u64(8).expect("is aligned").load(Ordering::Acquire), u64::MAX - 1);
        ours.atomic_u32(4).expect("is aligned").store(77, Ordering::Release);
        assert_eq!(theirs.atomic_u32(4).expect("is aligned").load(Ordering::Acquire), 77);
    }

    #[test]
    fn ranges_end_where_the_memory_ends() {
        let (memory, _) = SharedMemory::create("test", LEN).expect("makes");
        let mut byte = [9];
        let mut out = vec![9];
        for offset in [LEN, LEN + 1, usize::MAX] {
            assert_eq!(memory.read(offset, &mut byte), Err(OutOfBounds));
            assert_eq!(memory.read_to(offset, 1, &mut out), Err(OutOfBounds));
            assert_eq!(memory.write(offset, &byte), Err(OutOfBounds));
        }
        assert_eq!(memory.read_to(1, usize::MAX, &mut out), Err(OutOfBounds));
        assert_eq!(memory.read_to(0, LEN + 1, &mut out), Err(OutOfBounds));
        assert_eq!((byte, out), ([9], vec![9]));
        assert_eq!(memory.write(LEN - 1, &byte), Ok(()));
        assert_eq!(memory.write(LEN, &[]), Ok(()));
    }

    #[test]
    fn words_must_be_aligned_and_inside() {
        let (memory, _) = SharedMemory::create("test", LEN).expect("makes");
        for (offset, u32_fits, u64_fits) in [
            (0, true, true),
            (1, false, false),
            (2, false, false),
            (4, true, false),
            (LEN - 8, true, true),
            (LEN - 4, true, false),
            (LEN, false, false),
            (usize::MAX - 7, false, false),
        ] {
            assert_eq!(memory.atomic_u32(offset).is_some(), u32_fits, "{offset}");
            assert_eq!(memory.atomic_u64(offset).is_some(), u64_fits, "{offset}");
        }
    }

    #[test]
    fn files_that_can_shrink_or_have_another_length_are_not_mapped() {
        let refused = |fd: &std::os::fd::OwnedFd, len| {
            SharedMemory::map(fd, len).unwrap_err().kind() == io::ErrorKind::InvalidData
                && ReadOnlyMemory::map(fd, len).unwrap_err().kind() == io::ErrorKind::InvalidData
        };
        let file = tempfile::tempfile().expect("makes");
        file.set_len(LEN as u64).expect("grows");
        assert!(refused(&file.into(), LEN));
        let fd = memfd::fixed_size("test", LEN).expect("makes");
        assert!(refused(&fd, LEN - 1));
        assert!(refused(&fd, LEN + 1));
        assert!(SharedMemory::map(&fd, LEN).is_ok());
    }

    #[test]
    fn published_memory_is_written_by_its_owner_only() {
        let (ours, fd) = SharedMemory::create_published("test", LEN).expect("makes");
        let theirs = ReadOnlyMemory::map(&fd, LEN).expect("maps");
        ours.atomic_u32(64).expect("is aligned").store(5, Ordering::Release);
        ours.atomic_u64(72).expect("is aligned").store(6, Ordering::Release);
        assert_eq!(theirs.load_u32(64, Ordering::Acquire), Some(5));
        assert_eq!(theirs.load_u64(72, Ordering::Acquire), Some(6));
        assert_eq!(theirs.load_u64(LEN - 4, Ordering::Acquire), None);
        assert!(SharedMemory::map(&fd, LEN).is_err());
        assert!(File::from(fd).write_at(b"x", 0).is_err());
    }
}
