//! Slots: the requests one channel has in flight, and the state word that makes handing out a
//! request ahead revocable.
//!
//! ```text
//!   router: free -> offered -------> (worker) claimed -> free (router, at the end)
//!                         \--------> (router) revoked -> free (router)
//! ```

/// A request on one channel: the slot, and which use of it. A slot that is used again has another
/// generation, so a late word about the earlier request is recognised as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// Index in the slot table, below [`crate::SLOTS`].
    pub slot: u32,
    /// Counts the uses of the slot; 30 bits.
    pub generation: u32,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SlotState {
    /// Nowhere: the slot has no request.
    Free = 0,
    /// In the ring: the worker may claim it, the router may take it back.
    Offered = 1,
    /// The worker has it.
    Claimed = 2,
    /// The router took it back; the worker passes over its record.
    Revoked = 3,
}

/// Generations wrap at this number.
pub const GENERATION_LIMIT: u32 = 1 << 30;

impl RequestId {
    /// The state word of this request in `state`.
    #[must_use]
    pub const fn word(self, state: SlotState) -> u32 {
        (self.generation << 2) | state as u32
    }

    /// The request that comes after this one in the same slot.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { slot: self.slot, generation: (self.generation + 1) % GENERATION_LIMIT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_different_generations_differ() {
        let id = RequestId { slot: 3, generation: 7 };
        assert_eq!(id.word(SlotState::Offered), 29);
        assert_ne!(id.word(SlotState::Offered), id.next().word(SlotState::Offered));
        let last = RequestId { slot: 3, generation: GENERATION_LIMIT - 1 };
        assert_eq!(last.next().generation, 0);
        assert_eq!(last.word(SlotState::Revoked), u32::MAX);
    }
}
