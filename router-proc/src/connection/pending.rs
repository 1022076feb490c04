//! What was read of a connection and not used yet: the beginning of a request, or requests that a
//! client sends without waiting for answers.

use std::ops::Deref;

/// Bytes that were read and not used yet. Without any it holds no memory: a connection that waits has
/// no buffer.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    /// How many of them were used. They are moved away only when more come, so that a thousand small
    /// requests in one read do not move each other a thousand times.
    used: usize,
}

impl Pending {
    /// Appends bytes.
    pub(super) fn push(&mut self, more: &[u8]) {
        if more.is_empty() {
            return;
        }
        if self.used > 0 {
            self.bytes.drain(..self.used.min(self.bytes.len()));
            self.used = 0;
        }
        self.bytes.extend_from_slice(more);
    }

    /// Strikes off bytes at the beginning.
    pub(super) fn consume(&mut self, count: usize) {
        self.used = self.used.saturating_add(count);
        if self.used >= self.bytes.len() {
            *self = Self::default();
        }
    }

    /// Gives all of them away.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let Self { mut bytes, used } = std::mem::take(self);
        bytes.drain(..used.min(bytes.len()));
        bytes
    }
}

impl From<Vec<u8>> for Pending {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, used: 0 }
    }
}

impl Deref for Pending {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_used_in_order_and_leave_no_memory() {
        let mut pending = Pending::default();
        pending.push(b"one two three");
        pending.consume(4);
        assert_eq!(&*pending, b"two three");
        pending.push(b" four");
        assert_eq!(&*pending, b"two three four");
        pending.consume(4);
        assert_eq!(pending.take(), b"three four");
        assert!(pending.is_empty());
        pending.push(&[0; 1000]);
        pending.consume(999);
        assert!(!pending.is_empty());
        pending.consume(1);
        assert!(pending.is_empty());
        assert_eq!(pending.bytes.capacity(), 0);
        pending.consume(10);
        assert!(pending.is_empty());
    }

    /// Each of many requests in one read asks for more before it is parsed.
    #[test]
    fn nothing_is_moved_when_nothing_comes() {
        let mut pending = Pending::from(b"one two".to_vec());
        pending.consume(4);
        let place = pending.as_ptr();
        pending.push(b"");
        assert_eq!((&*pending, pending.as_ptr(), pending.used), (&b"two"[..], place, 4));
        pending.push(b"!");
        assert_eq!((&*pending, pending.used), (&b"two!"[..], 0));
    }
}
