//! Files answered with: the `share` of an action.
//!
//! A file is looked for, opened and looked at; who sends it is not decided here.

mod file_cache;
mod open;
mod opened_file;
mod precompressed;
mod under;

use std::borrow::Cow;
use std::io;
use std::mem;
use std::rc::Rc;

use conf::{MimeTypes, Share, Template};
use rustix::fs::FileType;

use crate::routing::{EvaluationError, RequestContext, ResponseFacts, encode_path, variables};
use crate::shortage::{Told, is_shortage};
pub use file_cache::FileCache;
use open::{Fault, Place};
pub use opened_file::{ETag, OpenedFile};
pub(crate) use precompressed::find_precompressed;

/// What a `share` came to.
#[derive(Debug)]
pub(crate) enum Served {
    /// This file is the answer.
    File(Rc<OpenedFile>),
    /// The path is that of a directory; this is where it is with a slash behind it.
    Redirect(Vec<u8>),
    /// There is nothing; the status, unless there is a fallback.
    Refused(u16),
    /// The system failed, and no fallback makes up for it.
    Failed,
}

/// Looks for the file of a request: the first of the paths that gives one.
pub(crate) fn serve(
    share: &Share,
    mime_types: &MimeTypes,
    files: &FileCache,
    ctx: &mut RequestContext<'_>,
) -> Result<Served, EvaluationError> {
    if !matches!(ctx.head.method(), b"GET" | b"HEAD") {
        return Ok(Served::Refused(405));
    }
    let chroot = chroot_of(share, ctx)?;
    let chroot = (!chroot.is_empty()).then_some(&*chroot);
    let mut path = mem::take(&mut ctx.cache.path);
    let search = Search { share, mime_types, chroot, files };
    let result = search.try_paths(ctx, &mut path);
    ctx.cache.path = path;
    result
}

/// The directory that paths must lie under; empty if they need not.
fn chroot_of<'s>(
    share: &'s Share,
    ctx: &mut RequestContext<'_>,
) -> Result<Cow<'s, [u8]>, EvaluationError> {
    Ok(match &share.chroot {
        None => Cow::Borrowed(&b""[..]),
        Some(Template::Constant(text)) => Cow::Borrowed(text.as_bytes()),
        Some(template) => Cow::Owned(ctx.with_text(template, |_, text| text.to_vec())?),
    })
}

/// The search for the file of one request.
struct Search<'a> {
    share: &'a Share,
    mime_types: &'a MimeTypes,
    chroot: Option<&'a [u8]>,
    files: &'a FileCache,
}

impl Search<'_> {
    fn try_paths(
        &self,
        ctx: &mut RequestContext<'_>,
        path: &mut Vec<u8>,
    ) -> Result<Served, EvaluationError> {
        let mut status = 404;
        for template in &self.share.paths {
            path.clear();
            variables::expand(template, ctx, &ResponseFacts::default(), b"", path)?;
            match self.try_path(ctx, path)? {
                Served::Refused(refusal) => status = refusal,
                served @ (Served::File(_) | Served::Redirect(_) | Served::Failed) => {
                    return Ok(served);
                }
            }
        }
        Ok(Served::Refused(status))
    }

    fn try_path(
        &self,
        ctx: &RequestContext<'_>,
        path: &mut Vec<u8>,
    ) -> Result<Served, EvaluationError> {
        let Search { share, mime_types, chroot, files } = *self;
        let is_index = path.ends_with(b"/");
        let content_type = if is_index {
            path.extend_from_slice(&share.index);
            mime_types.of_path(&share.index)
        } else {
            mime_types.of_path(path)
        };
        // The system would cut a path short at a NUL, and open another file than was asked for.
        if path.is_empty() || memchr::memchr(0, path).is_some() {
            return Ok(Served::Refused(404));
        }
        if !is_index && !share.types.matches(content_type.map_or(b"", |text| text.as_bytes()))? {
            return Ok(Served::Refused(403));
        }
        let place = Place {
            path,
            chroot,
            follow_symlinks: share.follow_symlinks,
            traverse_mounts: share.traverse_mounts,
        };
        let is_cached = place.is_unrestricted();
        if is_cached && let Some(file) = files.get(path, content_type) {
            return Ok(Served::File(file));
        }
        let opened = match place.open() {
            // Descriptors may be had where files are kept open without need.
            Err(fault) if is_shortage(&fault.error) && files.clear() > 0 => place.open(),
            opened => opened,
        };
        let (file, stat) = match opened {
            Ok(opened) => opened,
            Err(fault) => return Ok(refuse(&place, &fault, ctx)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let file = Rc::new(OpenedFile::new(file, &stat, content_type.cloned()));
                if is_cached {
                    files.insert(path, &stat, &file, ctx.times.unix_secs);
                }
                Ok(Served::File(file))
            }
            FileType::Directory if !is_index => Ok(Served::Redirect(with_slash(ctx))),
            FileType::Directory
            | FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {
                unit_log::error!(conn = ctx.conn, "\"{}\" is not a regular file", place.shown());
                Ok(Served::Refused(404))
            }
        }
    }
}

/// That there were no descriptors for a file.
static SHORTAGE_TOLD: Told = Told::never();

/// What becomes of a path that cannot be opened.
fn refuse(place: &Place<'_>, fault: &Fault, ctx: &RequestContext<'_>) -> Served {
    let Fault { error, kind } = fault;
    let shown = || Opening { place, error };
    match kind {
        open::FaultKind::Absent => Served::Refused(404),
        open::FaultKind::Forbidden => {
            unit_log::error!(conn = ctx.conn, "{}", shown());
            Served::Refused(403)
        }
        open::FaultKind::System => {
            if !is_shortage(error) || SHORTAGE_TOLD.tell() {
                unit_log::alert!(conn = ctx.conn, "{}", shown());
            }
            Served::Failed
        }
    }
}

/// The line about a file that could not be opened.
struct Opening<'a> {
    place: &'a Place<'a>,
    error: &'a io::Error,
}

impl std::fmt::Display for Opening<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Opening { place, error } = self;
        write!(f, "opening \"{}\"", place.shown())?;
        if let Some(chroot) = place.chroot {
            write!(f, " at \"{}\"", String::from_utf8_lossy(chroot))?;
        }
        write!(f, " failed {}", sys::errno::Described(error))
    }
}

/// The path of the request with a slash behind it, as a `Location`.
fn with_slash(ctx: &RequestContext<'_>) -> Vec<u8> {
    let mut location = Vec::new();
    encode_path(ctx.head.path(), &mut location);
    location.push(b'/');
    if let Some(query) = ctx.head.query().filter(|query| !query.is_empty()) {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    location
}

#[cfg(test)]
mod tests;
