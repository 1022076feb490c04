//! Files that somebody has compressed beforehand: `style.css.br` beside `style.css`.

use std::rc::Rc;

use conf::{ContentEncoding, Share};
use rustix::fs::FileType;

use super::open::Place;
use super::{FileCache, OpenedFile, chroot_of};
use crate::routing::RequestContext;

/// What the names of files in an encoding end in.
fn suffix(encoding: ContentEncoding) -> Option<&'static [u8]> {
    match encoding {
        ContentEncoding::Brotli => Some(b".br"),
        ContentEncoding::Zstd => Some(b".zst"),
        ContentEncoding::Gzip => Some(b".gz"),
        ContentEncoding::Identity | ContentEncoding::Deflate => None,
    }
}

/// The file in an encoding that stands beside the file that `serve` has found last. It is opened by
/// the same rules, and taken if it is a regular file that has something in it and is not older:
/// else it may be what an earlier version was compressed to.
pub(crate) fn find_precompressed(
    share: &Share,
    files: &FileCache,
    ctx: &mut RequestContext<'_>,
    file: &OpenedFile,
    encoding: ContentEncoding,
) -> Option<Rc<OpenedFile>> {
    let suffix = suffix(encoding)?;
    let chroot = chroot_of(share, ctx).ok()?;
    let path = &mut ctx.cache.path;
    let len = path.len();
    path.extend_from_slice(suffix);
    let place = Place {
        path,
        chroot: (!chroot.is_empty()).then_some(&*chroot),
        follow_symlinks: share.follow_symlinks,
        traverse_mounts: share.traverse_mounts,
    };
    let found = open(&place, files, ctx.times.unix_secs);
    path.truncate(len);
    let time = |file: &OpenedFile| (file.mtime, file.mtime_nanos);
    found.filter(|found| time(found) >= time(file) && found.len > 0)
}

fn open(place: &Place<'_>, files: &FileCache, unix_secs: i64) -> Option<Rc<OpenedFile>> {
    let is_cached = place.is_unrestricted();
    if is_cached && let Some(file) = files.get(place.path, None) {
        return Some(file);
    }
    // That there is none is what is usual, and a file that must not be opened need not be missed.
    let (file, stat) = place.open().ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let file = Rc::new(OpenedFile::new(file, &stat, None));
    if is_cached {
        files.insert(place.path, &stat, &file, unix_secs);
    }
    Some(file)
}
