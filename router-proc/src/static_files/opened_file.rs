//! An open file, and what a response says about it.

use std::io::Write;
use std::os::fd::OwnedFd;

use conf::Text;
use rustix::fs::Stat;

use crate::http::http_date;

/// A regular file to answer with.
#[derive(Debug)]
pub struct OpenedFile {
    /// The file, open for reading.
    pub file: OwnedFd,
    /// How long it is.
    pub len: u64,
    /// When it was last changed, in seconds since 1970.
    pub mtime: i64,
    /// Its MIME type, if that is known.
    pub content_type: Option<Text>,
}

/// A strong entity tag with its quotes.
#[derive(Clone, Copy, Debug)]
pub struct ETag {
    octets: [u8; ETag::LEN_MAX],
    len: usize,
}

impl ETag {
    /// Two numbers of sixteen digits, a dash and the quotes.
    const LEN_MAX: usize = 35;

    /// The octets of the tag.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

impl OpenedFile {
    pub(super) fn new(file: OwnedFd, stat: &Stat, content_type: Option<Text>) -> OpenedFile {
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        OpenedFile { file, len, mtime: stat.st_mtime, content_type }
    }

    /// The tag of this version of the file.
    pub fn etag(&self) -> ETag {
        let mut octets = [0; ETag::LEN_MAX];
        let mut room = &mut octets[..];
        // The longest tag fits.
        let _ = write!(room, "\"{:x}-{:x}\"", self.mtime, self.len);
        let len = ETag::LEN_MAX - room.len();
        ETag { octets, len }
    }

    /// When it was last changed, as HTTP writes it.
    pub fn last_modified(&self) -> [u8; 29] {
        http_date(u64::try_from(self.mtime).unwrap_or(0))
    }

    /// Hands over the fields that describe the file, in order.
    pub fn for_each_field(&self, mut field: impl FnMut(&[u8], &[u8])) {
        field(b"Last-Modified", &self.last_modified());
        field(b"ETag", self.etag().as_bytes());
        if let Some(content_type) = &self.content_type {
            field(b"Content-Type", content_type);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(len: u64, mtime: i64, content_type: Option<&str>) -> OpenedFile {
        let file = std::fs::File::open("/dev/null").unwrap().into();
        OpenedFile { file, len, mtime, content_type: content_type.map(Text::from) }
    }

    #[test]
    fn fields_come_in_order_with_the_date_in_utc() {
        let mut fields = Vec::new();
        file(0x1F0, 784_111_777, Some("text/html")).for_each_field(|name, value| {
            fields.push((
                String::from_utf8(name.to_vec()).unwrap(),
                String::from_utf8(value.to_vec()).unwrap(),
            ));
        });
        let expected = [
            ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("ETag", "\"2ebc98a1-1f0\""),
            ("Content-Type", "text/html"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields, expected);
    }

    #[test]
    fn tags_are_unpadded_and_fit_whatever_the_numbers() {
        for (len, mtime, tag) in [
            (0, 0, "\"0-0\""),
            (10, 255, "\"ff-a\""),
            (u64::MAX, -1, "\"ffffffffffffffff-ffffffffffffffff\""),
        ] {
            assert_eq!(file(len, mtime, None).etag().as_bytes(), tag.as_bytes());
        }
        assert_eq!(&file(1, -5, None).last_modified(), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
