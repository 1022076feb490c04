//! The string of a configuration: bytes that are nearly always UTF-8, but need not be.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// A string as the configuration holds it.
///
/// JSON strings are taken without a UTF-8 check, so that a file name in any encoding can be
/// written. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// The bytes of the string.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The string, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The string as a system string.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// The string as a file name.
    pub fn as_path(&self) -> &Path {
        Path::new(self.as_os_str())
    }

    /// The string with its ASCII letters in lower case.
    pub fn to_ascii_lowercase(&self) -> Self {
        Self::from(self.0.to_ascii_lowercase())
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Hashed and compared like the bytes.
impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from("")
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq<[u8]> for Text {
    fn eq(&self, other: &[u8]) -> bool {
        *self.0 == *other
    }
}

/// What is not UTF-8 is shown as U+FFFD.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*String::from_utf8_lossy(&self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_kept_and_shown_as_replacements() {
        let text = Text::from(&b"a\xffb"[..]);
        assert_eq!(text.as_bytes(), b"a\xffb");
        assert_eq!(text.to_str(), None);
        assert_eq!(text.to_string(), "a\u{fffd}b");
        assert_eq!(text.as_path().as_os_str().as_bytes(), b"a\xffb");
    }

    #[test]
    fn compares_with_plain_strings() {
        assert_eq!(Text::from("Abc"), "Abc");
        assert_eq!(Text::from("Abc").to_ascii_lowercase(), "abc");
        assert_eq!(Text::default(), "");
        assert_eq!(format!("{:?}", Text::from("a\"b")), r#""a\"b""#);
    }
}
