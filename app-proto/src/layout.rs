//! Where things lie in the memory of a channel: one router loop and one worker context.
//!
//! | offset | written by | content |
//! |---|---|---|
//! | 0 | router | router page |
//! | 4096 | worker | worker page |
//! | 8192 | both | slot table |
//! | then | router | request ring |
//! | then | worker | response ring |
//! | then | router | session ring |
//!
//! Ring positions are byte counts that only grow; the byte at position `p` lies at `p` modulo the
//! ring's length. A record may wrap. Words that different sides write never share a cache line.

/// In the router page: bytes put into the request ring so far (`u64`).
pub const REQUEST_HEAD: usize = 0x40;
/// In the router page: bytes taken from the response ring so far (`u64`).
pub const RESPONSE_TAIL: usize = 0x80;
/// In the router page: counts changes of slot flags and credits that a worker waits for (`u32`).
pub const NOTICE: usize = 0xc0;
/// In the router page: bytes put into the session ring so far (`u64`).
pub const SESSION_HEAD: usize = 0x100;
/// In the router page: not zero while the router waits for room in the session ring (`u32`).
pub const ROUTER_WANTS_ROOM: usize = 0x140;

/// In the worker page: bytes taken from the request ring so far (`u64`).
pub const REQUEST_TAIL: usize = 0x1040;
/// In the worker page: bytes put into the response ring so far (`u64`).
pub const RESPONSE_HEAD: usize = 0x1080;
/// In the worker page: sleep counter, odd while the worker sleeps (`u32`). Ring once per value.
pub const WORKER_SLEEP: usize = 0x10c0;
/// In the worker page: requests the worker is running, over all of its channels (`u32`). A hint.
pub const WORKER_BUSY: usize = 0x1100;
/// In the worker page: not zero while the worker waits for room in the response ring (`u32`).
pub const WORKER_WANTS_ROOM: usize = 0x1140;
/// In the worker page: bytes taken from the session ring so far (`u64`).
pub const SESSION_TAIL: usize = 0x1180;

/// Where the slot table begins.
pub const SLOT_TABLE: usize = 0x2000;
/// How many requests one channel can have in flight.
pub const SLOTS: usize = 1024;
/// Bytes of one slot: a cache line.
pub const SLOT_LEN: usize = 64;
/// In a slot: the state word (`u32`), see [`crate::SlotState`]. Both sides change it, by
/// compare-and-swap only.
pub const SLOT_STATE: usize = 0;
/// In a slot: flags for the worker (`u32`), see [`FLAG_CANCELLED`]. Written by the router.
pub const SLOT_FLAGS: usize = 4;
/// In a slot: response body bytes the router has passed on so far (`u64`). Written by the router.
pub const SLOT_CONSUMED: usize = 8;
/// In a slot: not zero while the worker waits for credit (`u32`). Written by the worker.
pub const SLOT_WANTS_CREDIT: usize = 32;

/// The client is gone or its deadline passed: nobody reads the answer.
pub const FLAG_CANCELLED: u32 = 1;

/// Where the request ring begins.
pub const REQUEST_RING: usize = SLOT_TABLE + SLOTS * SLOT_LEN;
/// Bytes of the request ring.
pub const REQUEST_RING_LEN: usize = 128 * 1024;
/// Where the response ring begins.
pub const RESPONSE_RING: usize = REQUEST_RING + REQUEST_RING_LEN;
/// Bytes of the response ring.
pub const RESPONSE_RING_LEN: usize = 256 * 1024;
/// Where the session ring begins.
pub const SESSION_RING: usize = RESPONSE_RING + RESPONSE_RING_LEN;
/// Bytes of the session ring.
pub const SESSION_RING_LEN: usize = 64 * 1024;
/// Bytes of a channel's memory.
pub const CHANNEL_LEN: usize = SESSION_RING + SESSION_RING_LEN;

/// The most response body bytes of one request that the router holds for a slow client. A worker
/// that is further ahead waits.
pub const WINDOW: u64 = 256 * 1024;

/// The most octets of one session that are on their way to the application, and as many to the
/// client. Who is further ahead waits.
pub const SESSION_WINDOW: u64 = 64 * 1024;

/// The most payload of one data record of a session.
pub const SESSION_RECORD_MAX: usize = 16 * 1024;

/// A request record larger than this travels in a memory file instead of the ring.
pub const REQUEST_INLINE_MAX: usize = REQUEST_RING_LEN / 2;

/// The most payload of one body record.
pub const BODY_RECORD_MAX: usize = 64 * 1024;

/// The largest response head record.
pub const RESPONSE_HEAD_MAX: usize = RESPONSE_RING_LEN / 2;

/// Bytes of the page in which a router loop shows all of its workers whether it sleeps.
pub const LOOP_PAGE_LEN: usize = 4096;
/// In the loop page: sleep counter, odd while the loop sleeps (`u32`). Ring once per value.
pub const LOOP_SLEEP: usize = 0;

const _: () = {
    assert!(REQUEST_RING_LEN.is_power_of_two() && RESPONSE_RING_LEN.is_power_of_two());
    assert!(REQUEST_RING.is_multiple_of(4096) && RESPONSE_RING.is_multiple_of(4096));
    assert!(BODY_RECORD_MAX + crate::RESPONSE_RECORD_LEN <= RESPONSE_RING_LEN / 2);
    assert!(WINDOW >= BODY_RECORD_MAX as u64);
    assert!(SESSION_RING_LEN.is_power_of_two() && SESSION_RING.is_multiple_of(4096));
    assert!(SESSION_RECORD_MAX + crate::SESSION_RECORD_LEN <= SESSION_RING_LEN / 2);
    assert!(
        SESSION_WINDOW >= SESSION_RECORD_MAX as u64 && SESSION_WINDOW >= BODY_RECORD_MAX as u64
    );
};

/// Where slot `index` begins.
#[must_use]
pub const fn slot_offset(index: usize) -> usize {
    SLOT_TABLE + index * SLOT_LEN
}

/// The free bytes of a ring with these positions; `None` when they cannot be: the tail is ahead
/// of the head, or further behind than the ring is long.
#[must_use]
pub const fn ring_free(ring_len: usize, head: u64, tail: u64) -> Option<usize> {
    match ring_used(ring_len, head, tail) {
        Some(used) => Some(ring_len - used),
        None => None,
    }
}

/// The bytes in a ring with these positions; `None` when they cannot be.
#[must_use]
pub const fn ring_used(ring_len: usize, head: u64, tail: u64) -> Option<usize> {
    let used = head.wrapping_sub(tail);
    if used > ring_len as u64 {
        return None;
    }
    // Fits: it is at most the length of the ring.
    #[allow(clippy::cast_possible_truncation, reason = "bounded by ring_len, a usize")]
    Some(used as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_pinned() {
        assert_eq!(SLOT_TABLE, 0x2000);
        assert_eq!(REQUEST_RING, 0x12000);
        assert_eq!(RESPONSE_RING, 0x32000);
        assert_eq!(SESSION_RING, 0x72000);
        assert_eq!(CHANNEL_LEN, 0x82000);
    }

    #[test]
    fn impossible_positions_are_refused() {
        assert_eq!(ring_used(64, 10, 4), Some(6));
        assert_eq!(ring_free(64, 10, 4), Some(58));
        assert_eq!(ring_used(64, 4, 10), None);
        assert_eq!(ring_used(64, 65, 0), None);
        assert_eq!(ring_used(64, 64, 0), Some(64));
        assert_eq!(ring_used(64, u64::MAX, 0), None);
        assert_eq!(ring_used(64, 3, u64::MAX - 3), Some(7), "positions may wrap");
    }
}
