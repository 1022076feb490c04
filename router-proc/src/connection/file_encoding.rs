//! The encoding of a file: whether there is to be one, and where the encoded octets come from.

use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;

use conf::ContentEncoding;

use super::file::{FileReply, Representation};
use super::{Buffers, Connection};
use crate::compression::{Choice, EncodedFile, Subject};
use crate::http::RequestHead;
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
    /// What is sent for `file`. Its marks stay what they are.
    pub(super) fn represent<'f>(&'f self, file: &'f OpenedFile) -> Representation<'f> {
        let (octets, len) = match &self.source {
            Source::Precompressed(beside) => (beside.file.as_fd(), beside.len),
            Source::Made(made) => (made.octets(), made.encoded_len()),
        };
        let content_encoding = Some(self.encoding.name().as_bytes());
        Representation { octets, len, etag: file.etag, file, content_encoding }
    }
}

/// Decides whether the file is to be encoded. The answer to HEAD tells of the file as it is.
pub(super) fn choose_encoding<'r>(reply: &FileReply<'r>, request: &RequestHead) -> Choice<'r> {
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
        let snapshot = &reply.conf.snapshot;
        let Some(compression) = &snapshot.compression else { return Ok(None) };
        let encoding = compressor.encoding;
        let file = reply.representation.file;
        let beside = snapshot.routes.share(reply.action).and_then(|share| {
            let files = &self.event_loop.files;
            find_precompressed(share, files, &mut reply.client.context(buffers), file, encoding)
        });
        if let Some(beside) = beside {
            return Ok(Some(Encoded { source: Source::Precompressed(beside), encoding }));
        }
        match Box::pin(compression.encoded_file(reply.representation.octets, compressor)).await {
            Ok(made) => Ok(Some(Encoded { source: Source::Made(made), encoding })),
            // The log knows of it.
            Err(_) if or_identity => Ok(None),
            Err(_) => Err(500),
        }
    }
}
