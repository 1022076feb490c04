//! What users upload besides the configuration: certificate bundles and scripts, each a file of its
//! own in the state directory.

mod public_part;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use public_part::public_part;

/// The most bytes of one upload. A certificate chain has a few thousand.
pub const UPLOAD_LEN_MAX: usize = 1024 * 1024;

/// What an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UploadKind {
    /// A certificate chain with its private key, as PEM.
    Certificate,
    /// The source of a JavaScript module.
    Script,
}

/// The name of an upload: one component of a path, and no way out of its directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct UploadName(Vec<u8>);

/// Why octets are not the name of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UploadNameError {
    /// There are none.
    #[error("an empty name")]
    Empty,
    /// There are more than [`UploadName::LEN_MAX`].
    #[error("a name of more than {} octets", UploadName::LEN_MAX)]
    TooLong,
    /// A slash or NUL is among them.
    #[error("a name with a slash or NUL")]
    Octet,
    /// They name a directory: `.` or `..`.
    #[error("the name of a directory")]
    Directory,
}

impl UploadName {
    /// The most octets of a name: what file systems take.
    pub const LEN_MAX: usize = 255;

    /// Checks a name.
    ///
    /// # Errors
    /// [`UploadNameError`] when no file can have it.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, UploadNameError> {
        let octets = octets.into();
        if octets.is_empty() {
            return Err(UploadNameError::Empty);
        }
        if octets.len() > Self::LEN_MAX {
            return Err(UploadNameError::TooLong);
        }
        if octets.iter().any(|octet| matches!(octet, 0 | b'/')) {
            return Err(UploadNameError::Octet);
        }
        if octets == b"." || octets == b".." {
            return Err(UploadNameError::Directory);
        }
        Ok(Self(octets))
    }

    /// The octets of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for UploadName {
    type Error = UploadNameError;

    fn try_from(octets: Vec<u8>) -> Result<Self, UploadNameError> {
        Self::new(octets)
    }
}

impl From<UploadName> for Vec<u8> {
    fn from(name: UploadName) -> Self {
        name.0
    }
}

/// What is not UTF-8 is shown as U+FFFD.
impl std::fmt::Display for UploadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// An upload that main found in the state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredUpload {
    /// What it is.
    pub kind: UploadKind,
    /// Its name.
    pub name: UploadName,
    /// What is in the file; of a certificate bundle only its [`public_part`].
    pub content: Vec<u8>,
}

/// Store an upload durably, in place of any other of its name: when the answer is ready, it is on
/// the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreUpload {
    /// What it is.
    pub kind: UploadKind,
    /// Its name.
    pub name: UploadName,
    /// What is to be in the file.
    pub content: Vec<u8>,
}

/// Delete an upload durably. That there is none of its name is no error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteUpload {
    /// What it is.
    pub kind: UploadKind,
    /// Its name.
    pub name: UploadName,
}

/// Open an upload for reading, one that the controller has named to main; the file travels with the
/// answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenUpload {
    /// What it is.
    pub kind: UploadKind,
    /// Its name.
    pub name: UploadName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component_of_a_path() {
        for name in [&b"a"[..], b"a.pem", b"...", b".a", b"a b", b"\xff\n", b"a%2Fb", &[b'x'; 255]]
        {
            assert_eq!(UploadName::new(name).unwrap().as_bytes(), name);
        }
        for (name, error) in [
            (&b""[..], UploadNameError::Empty),
            (b".", UploadNameError::Directory),
            (b"..", UploadNameError::Directory),
            (b"/", UploadNameError::Octet),
            (b"../a", UploadNameError::Octet),
            (b"a\0b", UploadNameError::Octet),
            (&[b'x'; 256], UploadNameError::TooLong),
        ] {
            assert_eq!(UploadName::new(name), Err(error));
            let wire = postcard::to_stdvec(name).unwrap();
            assert!(postcard::from_bytes::<UploadName>(&wire).is_err(), "{name:?} was decoded");
        }
    }
}
