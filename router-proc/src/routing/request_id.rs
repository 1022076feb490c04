//! Random identifiers of requests.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// 32 lower-case hexadecimal digits.
pub(super) type RequestId = [u8; 32];

thread_local! {
    /// Each thread draws from a sequence of its own.
    static GENERATOR: Cell<Xoshiro256> = Cell::new(Xoshiro256::seeded());
}

/// A new identifier. They are unique, not secret.
pub(super) fn draw() -> RequestId {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (high, low) = GENERATOR.with(|generator| {
        let mut state = generator.get();
        let drawn = (state.next(), state.next());
        generator.set(state);
        drawn
    });
    let number = u128::from(high) << 64 | u128::from(low);
    let mut id = [0; 32];
    for (octet, digit) in id.iter_mut().zip(number.to_be_bytes().into_iter().flat_map(nibbles)) {
        *octet = DIGITS[usize::from(digit)];
    }
    id
}

fn nibbles(octet: u8) -> [u8; 2] {
    [octet >> 4, octet & 0xF]
}

/// xoshiro256** of Blackman and Vigna: fast, with a period that no number of requests exhausts.
#[derive(Clone, Copy)]
struct Xoshiro256([u64; 4]);

impl Xoshiro256 {
    /// Seeded by std's hash keys, which come from the system's random numbers.
    fn seeded() -> Xoshiro256 {
        let random = RandomState::new();
        let mut seed = [0, 1, 2, 3].map(|number: u64| random.hash_one(number));
        // All zeroes is the one state it never leaves.
        seed[0] |= 1;
        Xoshiro256(seed)
    }

    fn next(&mut self) -> u64 {
        let [s0, s1, s2, s3] = &mut self.0;
        let drawn = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *s1 << 17;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= shifted;
        *s3 = s3.rotate_left(45);
        drawn
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn identifiers_are_32_hexadecimal_digits_and_never_the_same() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1000).map(|_| draw()).collect::<Vec<_>>()))
            .collect();
        let mut seen = HashSet::new();
        for thread in threads {
            for id in thread.join().unwrap() {
                assert!(id.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut generator = Xoshiro256([1, 2, 3, 4]);
        let drawn: Vec<u64> = (0..4).map(|_| generator.next()).collect();
        assert_eq!(drawn, [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]);
    }
}
