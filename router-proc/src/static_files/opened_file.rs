//! An open file, and what a response says about it.

use std::io::Write;
use std::os::fd::OwnedFd;

use conf::Text;
use rustix::fs::Stat;

use crate::http::http_date;

/// A regular file to answer with. What responses say about it is made once, as it may be the answer
/// to many requests.
#[derive(Debug)]
pub struct OpenedFile {
    /// The file, open for reading.
    pub file: OwnedFd,
    /// How long it is.
    pub len: u64,
    /// When it was last changed, in seconds since 1970.
    pub mtime: i64,
    /// How many nanoseconds after that.
    pub mtime_nanos: i64,
    /// The seconds, as HTTP writes it.
    pub last_modified: [u8; 29],
    /// The tag of this version of it.
    pub etag: ETag,
    /// Its MIME type, if that is known.
    pub content_type: Option<Text>,
}

/// An entity tag with its quotes, and `W/` in front of them if it is weak.
#[derive(Clone, Copy, Debug)]
pub struct ETag {
    octets: [u8; ETag::LEN_MAX],
    len: usize,
}

impl ETag {
    /// Two numbers of sixteen digits, a dash, the quotes and `W/`.
    const LEN_MAX: usize = 37;

    /// The tag of a file that was changed at that time and has that length, a strong one.
    pub fn of_file(mtime: i64, len: u64) -> ETag {
        let mut octets = [0; ETag::LEN_MAX];
        let mut room = &mut octets[..];
        // The longest tag fits.
        let _ = write!(room, "\"{mtime:x}-{len:x}\"");
        let len = ETag::LEN_MAX - room.len();
        ETag { octets, len }
    }

    /// The tag of what means the same in other octets (RFC 9110, 8.8.1).
    pub fn weak(&self) -> ETag {
        let strong = self.as_bytes();
        if strong.starts_with(b"W/") {
            return *self;
        }
        let mut octets = [0; ETag::LEN_MAX];
        let mut room = &mut octets[..];
        // A strong tag leaves room for it.
        let _ = room.write_all(b"W/").and_then(|()| room.write_all(strong));
        let len = ETag::LEN_MAX - room.len();
        ETag { octets, len }
    }

    /// The octets of the tag.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

impl OpenedFile {
    pub(super) fn new(file: OwnedFd, stat: &Stat, content_type: Option<Text>) -> OpenedFile {
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        let mtime = stat.st_mtime;
        let mtime_nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let last_modified = http_date(u64::try_from(mtime).unwrap_or(0));
        let etag = ETag::of_file(mtime, len);
        OpenedFile { file, len, mtime, mtime_nanos, last_modified, etag, content_type }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_unpadded_and_fit_whatever_the_numbers() {
        for (len, mtime, tag) in [
            (0, 0, "\"0-0\""),
            (10, 255, "\"ff-a\""),
            (0x1F0, 784_111_777, "\"2ebc98a1-1f0\""),
            (u64::MAX, -1, "\"ffffffffffffffff-ffffffffffffffff\""),
        ] {
            let etag = ETag::of_file(mtime, len);
            assert_eq!(etag.as_bytes(), tag.as_bytes());
            let weak = etag.weak();
            assert_eq!(weak.as_bytes(), format!("W/{tag}").as_bytes());
            assert_eq!(weak.weak().as_bytes(), weak.as_bytes());
        }
    }
}
