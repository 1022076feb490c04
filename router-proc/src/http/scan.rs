//! Octet classes and the search for control octets that the parsers share.

/// Characters of a field name: letters, digits and `-`.
pub(super) const NAME_SAFE: u8 = 0;
/// Characters that RFC 9110 allows in a field name but that CGI variables cannot tell apart.
pub(super) const NAME_UNSAFE: u8 = 1;
/// Everything else, the colon included.
pub(super) const NAME_END: u8 = 2;

/// Class of each octet inside a field name.
pub(super) const NAME_CLASS: [u8; 256] = {
    let mut table = [NAME_END; 256];
    let mut octet = 0u8;
    while octet < 128 {
        if octet.is_ascii_alphanumeric() || octet == b'-' {
            table[octet as usize] = NAME_SAFE;
        }
        octet += 1;
    }
    let others = b"!#$%&'*+.^_`|~";
    let mut i = 0;
    while i < others.len() {
        table[others[i] as usize] = NAME_UNSAFE;
        i += 1;
    }
    table
};

const WORD: usize = size_of::<u64>();
const SPACES: u64 = 0x2020_2020_2020_2020;
const TOP_BITS: u64 = 0x8080_8080_8080_8080;

/// The first octet below 0x20 at or after `from`.
///
/// Eight octets are tested at once: subtracting 0x20 sets the top bit of an octet that was below
/// it. A borrow can only disturb octets after the first hit, so the lowest set bit is exact.
pub(super) fn find_control(buf: &[u8], from: usize) -> Option<usize> {
    let rest = buf.get(from..)?;
    let (words, tail) = rest.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below = word.wrapping_sub(SPACES) & !word & TOP_BITS;
        if below != 0 {
            return Some(from + index * WORD + (below.trailing_zeros() / 8) as usize);
        }
    }
    let tail_at = from + words.len() * WORD;
    tail.iter().position(|&octet| octet < b' ').map(|at| tail_at + at)
}

/// Whether `needle` (lower case, not empty) occurs in `octets`, whatever the case of the latter.
pub(super) fn contains_ignore_case(octets: &[u8], needle: &[u8]) -> bool {
    octets.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// `digits` as a number of at most 2^63 - 1; `None` unless it is one or more decimal digits.
pub(super) fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut number: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    i64::try_from(number).is_ok().then_some(number)
}

/// Appends `number` in decimal.
pub(super) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_control_octet_at_each_offset() {
        for len in 0..40 {
            for at in 0..len {
                for octet in 0..=255u8 {
                    let mut buf = vec![0xffu8; len];
                    buf[at] = octet;
                    for from in 0..=len {
                        let naive = (from..len).find(|&i| buf[i] < 0x20);
                        assert_eq!(find_control(&buf, from), naive);
                    }
                }
            }
        }
        assert_eq!(find_control(b"abc", 4), None);
    }

    #[test]
    fn numbers_are_digits_and_fit_63_bits() {
        assert_eq!(parse_decimal(b"0"), Some(0));
        assert_eq!(parse_decimal(b"007"), Some(7));
        assert_eq!(parse_decimal(b"9223372036854775807"), Some(i64::MAX as u64));
        for bad in ["", "9223372036854775808", "18446744073709551616", "+1", "-1", "1,1", "1 ", "x"]
        {
            assert_eq!(parse_decimal(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn decimal_output_matches_the_standard_library() {
        for number in [0, 9, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
