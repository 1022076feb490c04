//! Randomness that can be repeated: everything follows from a seed, which a failure prints.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of random numbers (SplitMix64), good enough to choose among things to try.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// From the seed in `UNIT_TEST_SEED`, or from the clock.
    ///
    /// # Panics
    /// When that is no number.
    #[must_use]
    pub fn new() -> Self {
        let seed = match std::env::var("UNIT_TEST_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                now.as_secs() << 20 ^ u64::from(now.subsec_nanos())
            }
        };
        println!("UNIT_TEST_SEED={seed}");
        Self { seed, state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`, which is not zero.
    ///
    /// # Panics
    /// When it is.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// Whether something happens that happens once in `count` times.
    pub fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// One of several things.
    ///
    /// # Panics
    /// When there are none.
    pub fn choose<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UNIT_TEST_SEED={}", self.seed)
    }
}
