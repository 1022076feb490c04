//! Answering with a file: a representation is selected, preconditions are tested against it, the
//! ranges asked for are cut out of it, then head and body are written.

use std::os::fd::{AsFd, BorrowedFd};

use super::respond::{Client, Response, next_after};
use super::write::SendFailed;
use super::{Buffers, Connection, Next};
use crate::event_loop::LoopConf;
use crate::http::Delivery;
use crate::routing::{ActionRef, ResponseFields};
use crate::static_files::OpenedFile;

/// What stands for a file in this response: its own octets, or those that an encoding made of them.
#[derive(Clone, Copy, Debug)]
struct Representation<'f> {
    /// Where the octets are.
    octets: BorrowedFd<'f>,
    /// How many there are.
    len: u64,
    /// The file, which gives the other fields.
    file: &'f OpenedFile,
    /// The encoding they are in.
    content_encoding: Option<&'static [u8]>,
}

impl<'f> Representation<'f> {
    /// The file as it is.
    fn identity(file: &'f OpenedFile) -> Self {
        Self { octets: file.file.as_fd(), len: file.len, file, content_encoding: None }
    }

    /// Appends the fields that describe it.
    fn push_fields(&self, fields: &mut ResponseFields) {
        self.file.for_each_field(|name, value| fields.push(name, value));
        if let Some(encoding) = self.content_encoding {
            fields.push(b"Content-Encoding", encoding);
        }
    }
}

impl Connection {
    /// Answers with a file.
    pub(super) async fn respond_file(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        client: &Client,
        file: &OpenedFile,
        action: Option<ActionRef>,
    ) -> Next {
        let representation = Representation::identity(file);
        self.respond_whole(conf, buffers, client, &representation, action).await
    }

    /// Answers with all of a representation.
    async fn respond_whole(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        client: &Client,
        representation: &Representation<'_>,
        action: Option<ActionRef>,
    ) -> Next {
        let delivery = Delivery::decide(self.facts(buffers), 200, Some(representation.len));
        buffers.out.clear();
        buffers.fields.clear();
        representation.push_fields(&mut buffers.fields);
        let response = Response { status: 200, delivery, action };
        if self.push_head(conf, buffers, client, response).is_err() {
            return self.respond_error(conf, buffers, 500, Next::Close).await;
        }
        let len = if delivery.has_body { representation.len } else { 0 };
        let patience = conf.snapshot.http.send_timeout;
        let octets = representation.octets;
        let sent = self.write_with_file(&buffers.out, octets, 0, len, patience).await;
        if sent == Err(SendFailed::File) {
            unit_log::alert!(conn = self.number, "a file shrank or failed while it was sent");
        }
        next_after(sent.is_ok(), delivery)
    }
}
