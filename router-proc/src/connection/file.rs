//! Answering with a file: a representation is selected, preconditions are tested against it, the
//! ranges asked for are cut out of it, then head and body are written.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use sys::errno::Described;

use super::respond::{Client, HeaderFailed, Response, edit_fields, next_after};
use super::write::{SendFailed, WriteFailed};
use super::{Buffers, Connection, Next};
use crate::compression::Choice;
use crate::event_loop::LoopConf;
use crate::http::precondition::{Conditions, Validators, Verdict};
use crate::http::range::{self, Boundary, Multipart, Part, Selection};
use crate::http::{Delivery, RequestHead};
use crate::routing::{ActionRef, ResponseFields};
use crate::static_files::{ETag, OpenedFile};

/// What stands for a file in this response: its own octets, or those that an encoding made of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Representation<'f> {
    /// Where the octets are.
    pub(super) octets: BorrowedFd<'f>,
    /// How many there are.
    pub(super) len: u64,
    /// The tag of these octets.
    pub(super) etag: ETag,
    /// The file, which gives the other fields.
    pub(super) file: &'f OpenedFile,
    /// The encoding they are in.
    pub(super) content_encoding: Option<&'static [u8]>,
}

/// What is sent of a representation.
#[derive(Debug)]
enum Answer {
    /// 200: all of it.
    Whole,
    /// 206: this part.
    Part(Part),
    /// 206: these parts.
    Parts(Vec<Part>, Boundary),
    /// 304: nothing, the client has it.
    NotModified,
    /// 412: nothing, it is not what the client wants.
    PreconditionFailed,
    /// 416: nothing, it has none of the ranges.
    Unsatisfiable,
}

impl<'f> Representation<'f> {
    /// The file as it is.
    fn identity(file: &'f OpenedFile) -> Self {
        let octets = file.file.as_fd();
        Self { octets, len: file.len, etag: file.etag, file, content_encoding: None }
    }

    /// Decides what to send of it; ranges are not cut out of what is still to be encoded.
    fn answer(&self, request: &RequestHead, now: i64, choice: Choice<'_>) -> Answer {
        // Preconditions are for what would succeed (RFC 9110, 13.2.1); this is going to be 406.
        if choice == Choice::NotAcceptable {
            return Answer::Whole;
        }
        let validators = Validators {
            etag: self.etag.as_bytes(),
            last_modified: u64::try_from(self.file.mtime).unwrap_or(0),
            now: u64::try_from(now).unwrap_or(0),
        };
        let conditions = Conditions::read(request.fields(), &validators);
        match conditions.verdict() {
            Verdict::NotModified => return Answer::NotModified,
            Verdict::Failed => return Answer::PreconditionFailed,
            Verdict::Proceed => {}
        }
        // Ranges are defined for GET alone.
        let is_cut = choice == Choice::Identity && !request.is_head();
        let Some(range) = conditions.range().filter(|_| is_cut) else {
            return Answer::Whole;
        };
        match range::select(range, self.len) {
            Selection::Whole => Answer::Whole,
            Selection::One(part) => Answer::Part(part),
            Selection::Several(parts) => match draw_boundary() {
                Some(boundary) => Answer::Parts(parts, boundary),
                None => Answer::Whole,
            },
            Selection::Unsatisfiable => Answer::Unsatisfiable,
        }
    }

    /// Appends the fields that a client tells this version of it from others by.
    fn push_marks(&self, fields: &mut ResponseFields) {
        fields.push(b"Last-Modified", &self.file.last_modified);
        fields.push(b"ETag", self.etag.as_bytes());
    }

    /// Appends the fields that describe it.
    fn push_fields(&self, fields: &mut ResponseFields) {
        self.push_marks(fields);
        if let Some(content_type) = &self.file.content_type {
            fields.push(b"Content-Type", content_type);
        }
        if let Some(encoding) = self.content_encoding {
            fields.push(b"Content-Encoding", encoding);
        }
        if self.content_encoding.is_none() {
            fields.push(b"Accept-Ranges", b"bytes");
        }
    }
}

/// Nothing when the system has no random numbers; then the whole file is as good an answer.
fn draw_boundary() -> Option<Boundary> {
    let mut boundary = Boundary::default();
    let len = getrandom(&mut boundary, GetRandomFlags::NONBLOCK).ok()?;
    (len == boundary.len()).then_some(boundary)
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
        let identity = Representation::identity(file);
        let mut reply = FileReply { conf, client, representation: identity, action };
        buffers.out.clear();
        buffers.fields.clear();
        let choice = self.choose_encoding(&reply, buffers);
        if let Choice::Encode { .. } = choice {
            // Preconditions are about what is going to be sent.
            reply.representation.etag = file.etag.weak();
        }
        let representation = reply.representation;
        let replied = match representation.answer(&buffers.head, client.times.unix_secs, choice) {
            Answer::Whole => {
                let encoded = match choice {
                    Choice::Identity => Ok(None),
                    // Most connections never need the room for it.
                    choice => Box::pin(self.encode_file(&reply, buffers, choice)).await,
                };
                let encoded = match encoded {
                    Ok(encoded) => encoded,
                    Err(status) => {
                        return self.respond_error(conf, buffers, status, Next::Close).await;
                    }
                };
                reply.representation =
                    encoded.as_ref().map_or(identity, |encoded| encoded.represent(file));
                self.send_whole(&reply, buffers).await
            }
            Answer::Part(part) => self.send_part(&reply, buffers, part).await,
            Answer::Parts(parts, boundary) => {
                Box::pin(self.send_parts(&reply, buffers, parts, boundary)).await
            }
            Answer::NotModified => self.send_nothing(&reply, buffers).await,
            Answer::PreconditionFailed => {
                return self.respond_error(conf, buffers, 412, Next::Close).await;
            }
            Answer::Unsatisfiable => {
                let mut range = Vec::new();
                range::push_unsatisfied(representation.len, &mut range);
                let fields = [(&b"Content-Range"[..], &range[..])];
                return self.respond_error_with(conf, buffers, 416, Next::Close, &fields).await;
            }
        };
        match replied {
            Ok(next) => next,
            Err(HeaderFailed) => self.respond_error(conf, buffers, 500, Next::Close).await,
        }
    }

    async fn send_nothing(
        &mut self,
        reply: &FileReply<'_>,
        buffers: &mut Buffers,
    ) -> Result<Next, HeaderFailed> {
        let delivery = Delivery::decide(self.facts(buffers), 304, None);
        reply.representation.push_marks(&mut buffers.fields);
        self.push_head(reply.conf, buffers, reply.client, reply.response(304, delivery))?;
        let written = self.write_all(&buffers.out, reply.patience()).await;
        Ok(next_after(written.is_ok(), delivery))
    }

    async fn send_whole(
        &mut self,
        reply: &FileReply<'_>,
        buffers: &mut Buffers,
    ) -> Result<Next, HeaderFailed> {
        let len = reply.representation.len;
        let delivery = Delivery::decide(self.facts(buffers), 200, Some(len));
        reply.representation.push_fields(&mut buffers.fields);
        self.push_head(reply.conf, buffers, reply.client, reply.response(200, delivery))?;
        let part = Part { offset: 0, len: if delivery.has_body { len } else { 0 } };
        let sent = self.write_part(reply, &buffers.out, part).await;
        Ok(self.next_after_file(buffers, sent, delivery))
    }

    async fn send_part(
        &mut self,
        reply: &FileReply<'_>,
        buffers: &mut Buffers,
        part: Part,
    ) -> Result<Next, HeaderFailed> {
        let delivery = Delivery::decide(self.facts(buffers), 206, Some(part.len));
        reply.representation.push_fields(&mut buffers.fields);
        part.push_content_range(reply.representation.len, &mut buffers.piece);
        buffers.fields.push(b"Content-Range", &buffers.piece);
        self.push_head(reply.conf, buffers, reply.client, reply.response(206, delivery))?;
        let sent = self.write_part(reply, &buffers.out, part).await;
        Ok(self.next_after_file(buffers, sent, delivery))
    }

    async fn send_parts(
        &mut self,
        reply: &FileReply<'_>,
        buffers: &mut Buffers,
        parts: Vec<Part>,
        boundary: Boundary,
    ) -> Result<Next, HeaderFailed> {
        let total = reply.representation.len;
        let facts = self.facts(buffers);
        let decide =
            |multipart: &Multipart| Delivery::decide(facts, 206, Some(multipart.body_len()));
        let content_type = reply.representation.file.content_type.as_deref();
        let mut multipart = Multipart::new(parts, total, content_type, boundary);
        let mut delivery = decide(&multipart);
        reply.representation.push_fields(&mut buffers.fields);
        edit_fields(reply.conf, buffers, reply.client, reply.response(206, delivery))?;
        // What `response_headers` makes of the type is that of the parts; the body has its own.
        let edited = buffers.fields.get(b"Content-Type");
        if edited != content_type {
            multipart = multipart.with_content_type(total, edited, boundary);
            delivery = decide(&multipart);
        }
        buffers.fields.set(b"Content-Type", &multipart.content_type());
        self.push_edited_head(reply.conf, buffers, reply.response(206, delivery));
        let sent = self.write_parts(reply, &mut buffers.out, &multipart).await;
        Ok(self.next_after_file(buffers, sent, delivery))
    }

    async fn write_parts(
        &mut self,
        reply: &FileReply<'_>,
        out: &mut Vec<u8>,
        multipart: &Multipart,
    ) -> Result<(), SendFailed> {
        for (text, part) in multipart.parts() {
            out.extend_from_slice(text);
            self.write_part(reply, out, part).await?;
            out.clear();
            // Parts may be too short to give others a turn by themselves.
            tokio::task::yield_now().await;
        }
        let written = self.write_all(multipart.end(), reply.patience()).await;
        written.map_err(|WriteFailed| SendFailed::Client)
    }

    /// Writes `text` and then a part of the representation.
    async fn write_part(
        &mut self,
        reply: &FileReply<'_>,
        text: &[u8],
        part: Part,
    ) -> Result<(), SendFailed> {
        let octets = reply.representation.octets;
        self.write_with_file(text, octets, part.offset, part.len, reply.patience()).await
    }

    fn next_after_file(
        &self,
        buffers: &Buffers,
        sent: Result<(), SendFailed>,
        delivery: Delivery,
    ) -> Next {
        let path = || String::from_utf8_lossy(&buffers.cache.path);
        match sent {
            Ok(()) | Err(SendFailed::Client) => {}
            Err(SendFailed::Shrank) => {
                unit_log::alert!(conn = self.number, "\"{}\" shrank while it was sent", path());
            }
            Err(SendFailed::File(errno)) => {
                let error = Described(&errno.into()).to_string();
                unit_log::alert!(conn = self.number, "sending \"{}\" failed {error}", path());
            }
        }
        next_after(sent.is_ok(), delivery)
    }
}

/// What all answers with a file are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileReply<'a> {
    pub(super) conf: &'a LoopConf,
    pub(super) client: &'a Client,
    pub(super) representation: Representation<'a>,
    pub(super) action: Option<ActionRef>,
}

impl FileReply<'_> {
    fn response(&self, status: u16, delivery: Delivery) -> Response {
        Response { status, delivery, action: self.action }
    }

    fn patience(&self) -> Option<Duration> {
        self.conf.snapshot.http.send_timeout
    }
}
