//! The encoding of a file: whether there is to be one, and where the encoded octets come from.

use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;

use conf::ContentEncoding;

use super::file::{FileReply, Representation};
use super::{Buffers, Connection};
use crate::compression::{Choice, EncodeFileError, EncodedFile, SOURCE_LEN_MAX, Subject};
use crate::http::RequestHead;
use crate::shortage::Told;
use crate::static_files::{OpenedFile, find_precompressed};

/// What a file is in an encoding.
#[derive(Debug)]
pub(super) struct Encoded {
    source: Source,
    encoding: ContentEncoding,
}

#[derive(Debug)]
enum Source {
    /// Somebody has put it there.
    Precompressed(Rc<OpenedFile>),
    /// We have made it.
    Made(Arc<EncodedFile>),
}

impl Encoded {
    /// What is sent for `file`. Its time stays what it is; its tag becomes a weak one, as it is that
    /// of other octets.
    pub(super) fn represent<'f>(&'f self, file: &'f OpenedFile) -> Representation<'f> {
        let (octets, len) = match &self.source {
            Source::Precompressed(beside) => (beside.file.as_fd(), beside.len),
            Source::Made(made) => (made.octets(), made.encoded_len()),
        };
        let content_encoding = Some(self.encoding.name().as_bytes());
        Representation { octets, len, etag: file.etag.weak(), file, content_encoding }
    }
}

/// That files cannot be compressed.
static FAILURE_TOLD: Told = Told::never();

/// Decides by the request whether the file is to be encoded. The answer to HEAD tells of the file as
/// it is.
fn choose<'r>(reply: &FileReply<'r>, request: &RequestHead) -> Choice<'r> {
    let snapshot = &reply.conf.snapshot;
    let file = reply.representation.file;
    let (Some(compression), Some(content_type), false) =
        (&snapshot.compression, &file.content_type, request.is_head())
    else {
        return Choice::Identity;
    };
    // A configured field says that the files are encoded as they are.
    if snapshot.routes.changes_field(reply.action, 200, b"Content-Encoding") {
        return Choice::Identity;
    }
    let subject = Subject { len: file.len, content_type };
    compression.choose_or_identity(request.field(b"accept-encoding"), subject, reply.client.conn)
}

impl Connection {
    /// Decides whether the file is to be encoded. One that is too long is only if somebody has done
    /// it already.
    pub(super) fn choose_encoding<'r>(
        &self,
        reply: &FileReply<'r>,
        buffers: &mut Buffers,
    ) -> Choice<'r> {
        let choice = choose(reply, &buffers.head);
        let Choice::Encode { compressor, or_identity } = choice else { return choice };
        let is_too_long = reply.representation.file.len > SOURCE_LEN_MAX;
        if !is_too_long || self.find_beside(reply, buffers, compressor.encoding).is_some() {
            return choice;
        }
        if or_identity { Choice::Identity } else { Choice::NotAcceptable }
    }

    /// The file in that encoding that somebody has put beside it.
    fn find_beside(
        &self,
        reply: &FileReply<'_>,
        buffers: &mut Buffers,
        encoding: ContentEncoding,
    ) -> Option<Rc<OpenedFile>> {
        let share = reply.conf.snapshot.routes.share(reply.action)?;
        let ctx = &mut reply.client.context(buffers);
        find_precompressed(share, &self.event_loop.files, ctx, reply.representation.file, encoding)
    }

    /// Has the file encoded as was chosen. `None`: it is to be sent as it is. `Err`: the status of
    /// an error page.
    pub(super) async fn encode_file(
        &self,
        reply: &FileReply<'_>,
        buffers: &mut Buffers,
        choice: Choice<'_>,
    ) -> Result<Option<Encoded>, u16> {
        let (compressor, or_identity) = match choice {
            Choice::Identity => return Ok(None),
            Choice::NotAcceptable => return Err(406),
            Choice::Encode { compressor, or_identity } => (compressor, or_identity),
        };
        let Some(compression) = &reply.conf.snapshot.compression else { return Ok(None) };
        let encoding = compressor.encoding;
        if let Some(beside) = self.find_beside(reply, buffers, encoding) {
            return Ok(Some(Encoded { source: Source::Precompressed(beside), encoding }));
        }
        let encode = || {
            let octets = reply.representation.octets;
            Box::pin(compression.encoded_file(octets, compressor, or_identity))
        };
        let made = match encode().await {
            // Descriptors may be had where files are kept open without need.
            Err(error) if error.is_shortage() && self.event_loop.files.clear() > 0 => {
                encode().await
            }
            made => made,
        };
        let error = match made {
            Ok(made) => return Ok(Some(Encoded { source: Source::Made(made), encoding })),
            Err(error) => error,
        };
        // That there is much to do is no fault; all else may be true of each request.
        if !matches!(*error, EncodeFileError::Busy) && FAILURE_TOLD.tell() {
            unit_log::alert!("cannot compress files: {error}");
        }
        match (or_identity, error.is_temporary()) {
            (true, _) => Ok(None),
            (false, true) => Err(503),
            (false, false) => Err(500),
        }
    }
}
