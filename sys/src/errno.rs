//! Errors of system calls in the words of the log: `(98: Address already in use)`.

use std::fmt;
use std::io;

use crate::socket::ErrnoText;

/// Shows an error as the log does: number and text in brackets, or the text alone when there is
/// no number.
#[derive(Debug)]
pub struct Described<'a>(pub &'a io::Error);

impl fmt::Display for Described<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(number) = self.0.raw_os_error() else {
            return write!(out, "({})", self.0);
        };
        write!(out, "({number}: {})", ErrnoText(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_number_and_text_in_brackets() {
        let in_use = io::Error::from_raw_os_error(98);
        assert_eq!(Described(&in_use).to_string(), "(98: Address already in use)");
        let own = io::Error::other("no such thing");
        assert_eq!(Described(&own).to_string(), "(no such thing)");
    }
}
