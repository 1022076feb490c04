//! Reading and writing at ring positions, over the wrap.

use sys::shm::{OutOfBounds, SharedMemory};

/// A ring inside a channel's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

pub(crate) const REQUEST: Ring =
    Ring { offset: app_proto::REQUEST_RING, len: app_proto::REQUEST_RING_LEN };
pub(crate) const RESPONSE: Ring =
    Ring { offset: app_proto::RESPONSE_RING, len: app_proto::RESPONSE_RING_LEN };
pub(crate) const SESSION: Ring =
    Ring { offset: app_proto::SESSION_RING, len: app_proto::SESSION_RING_LEN };

impl Ring {
    /// Where position `at` lies, and how many bytes there are before the wrap.
    fn place(self, at: u64) -> (usize, usize) {
        // The mask keeps the value below `len`, a usize.
        #[allow(clippy::cast_possible_truncation, reason = "masked to below the ring's length")]
        let index = (at & (self.len as u64 - 1)) as usize;
        (self.offset + index, self.len - index)
    }

    pub(crate) fn write(
        self,
        memory: &SharedMemory,
        at: u64,
        bytes: &[u8],
    ) -> Result<(), OutOfBounds> {
        let (offset, before_wrap) = self.place(at);
        if bytes.len() <= before_wrap {
            return memory.write(offset, bytes);
        }
        let (first, second) = bytes.split_at(before_wrap);
        memory.write(offset, first)?;
        memory.write(self.offset, second)
    }

    pub(crate) fn read(
        self,
        memory: &SharedMemory,
        at: u64,
        out: &mut [u8],
    ) -> Result<(), OutOfBounds> {
        let (offset, before_wrap) = self.place(at);
        if out.len() <= before_wrap {
            return memory.read(offset, out);
        }
        let (first, second) = out.split_at_mut(before_wrap);
        memory.read(offset, first)?;
        memory.read(self.offset, second)
    }

    /// Appends `len` bytes at position `at` to `out`.
    pub(crate) fn read_to(
        self,
        memory: &SharedMemory,
        at: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), OutOfBounds> {
        let (offset, before_wrap) = self.place(at);
        if len <= before_wrap {
            return memory.read_to(offset, len, out);
        }
        memory.read_to(offset, before_wrap, out)?;
        memory.read_to(self.offset, len - before_wrap, out)
    }
}
