//! Deciding about a complete request, and answering it.

use super::write::WriteFailed;
use super::{Buffers, Connection, Next};
use crate::event_loop::LoopConf;
use crate::http::response::ERROR_PAGE_LEN;
use crate::http::{Delivery, HeadEnd, ResponseHead, write_error_page_with};
use crate::routing::{
    self, ActionRef, Decision, RequestContext, RequestTimes, apply_response_headers, client_address,
};

impl Connection {
    /// Answers the request in the buffers, which comes from `origin`.
    pub(super) async fn respond(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        origin: client_address::Origin,
    ) -> Next {
        let (_, local) = self.addresses();
        let snapshot = &conf.snapshot;
        let Some(entry) = snapshot.listeners.get(&self.listener) else {
            return self.refuse_idle(buffers).await;
        };
        let client = Client { origin, local, times: self.times(), conn: self.number };
        let files = &self.event_loop.files;
        let context = &mut client.context(buffers);
        let decision = routing::evaluate(&snapshot.routes, &entry.target, files, context);
        match decision {
            Decision::ErrorPage(status) => {
                self.respond_error(conf, buffers, status, Next::Close).await
            }
            Decision::Return { status, location, action } => {
                buffers.fields.clear();
                if let Some(location) = &location {
                    buffers.fields.push(b"Location", location);
                }
                self.respond_empty(conf, buffers, &client, status, action).await
            }
            Decision::File { file, action } => {
                self.respond_file(conf, buffers, &client, &file, action).await
            }
            Decision::Application { app, target, action } => {
                let Some(dispatcher) = conf.apps.get(app.0) else {
                    return self.respond_error(conf, buffers, 500, Next::Close).await;
                };
                let route = super::application::Route { dispatcher, target, action };
                // Boxed, as other rare and large ones are: a connection that waits has room for the
                // largest that is not.
                Box::pin(self.respond_from_app(conf, buffers, &client, route)).await
            }
            // `prepare` refuses configurations that have them.
            Decision::Proxy { .. } | Decision::Upstream { .. } => {
                self.respond_error(conf, buffers, 502, Next::Close).await
            }
        }
    }

    fn times(&self) -> RequestTimes {
        let clock = &self.event_loop.clock;
        RequestTimes {
            unix_secs: clock.unix_secs(),
            elapsed_ms: self.account.elapsed_ms(clock.now_ms()),
        }
    }

    /// Answers with the error page of `status`. The connection goes on if the request allows it
    /// and `otherwise` is not [`Next::Linger`], which says that its framing is lost.
    pub(super) async fn respond_error(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        status: u16,
        otherwise: Next,
    ) -> Next {
        self.respond_error_with(conf, buffers, status, otherwise, &[]).await
    }

    /// As [`Self::respond_error`], with fields that say more about the error.
    pub(super) async fn respond_error_with(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        status: u16,
        otherwise: Next,
        fields: &[(&[u8], &[u8])],
    ) -> Next {
        let facts = match otherwise {
            Next::Linger => self.facts(buffers).closing(),
            Next::KeepAlive | Next::Close => self.facts(buffers),
        };
        buffers.out.clear();
        let date = self.event_loop.clock.date();
        let end = self.head_end(conf, &date);
        let delivery = write_error_page_with(&mut buffers.out, status, facts, &end, fields);
        let page_len = if delivery.has_body { ERROR_PAGE_LEN } else { 0 };
        let head_len = buffers.out.len().saturating_sub(page_len);
        self.note_head(conf, buffers, status, delivery, head_len);
        let patience = conf.snapshot.http.send_timeout;
        match self.write_all(&buffers.out, patience).await {
            Err(WriteFailed) => Next::Close,
            Ok(()) if delivery.keep_alive => Next::KeepAlive,
            Ok(()) => otherwise.closing(),
        }
    }

    /// The fields that end every response head.
    pub(super) fn head_end<'a>(&self, conf: &LoopConf, date: &'a [u8; 29]) -> HeadEnd<'a> {
        HeadEnd { server: conf.snapshot.http.server, date, websocket_accept: None }
    }

    /// Writes the head for `buffers.fields` into `buffers.out`. `Err`: a field's template failed.
    pub(super) fn push_head(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        client: &Client,
        response: Response,
    ) -> Result<(), HeaderFailed> {
        edit_fields(conf, buffers, client, response)?;
        self.push_edited_head(conf, buffers, response);
        Ok(())
    }

    /// Writes the head for `buffers.fields` as they are into `buffers.out`.
    pub(super) fn push_edited_head(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        response: Response,
    ) {
        let date = self.event_loop.clock.date();
        let end = self.head_end(conf, &date);
        let mut head = ResponseHead::begin(&mut buffers.out, response.status, response.delivery);
        buffers.fields.write_to(&mut head);
        head.finish(&end);
        let Response { status, delivery, .. } = response;
        self.note_head(conf, buffers, status, delivery, buffers.out.len());
    }

    async fn respond_empty(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        client: &Client,
        status: u16,
        action: Option<ActionRef>,
    ) -> Next {
        let delivery = Delivery::decide(self.facts(buffers), status, Some(0));
        buffers.out.clear();
        let response = Response { status, delivery, action };
        if self.push_head(conf, buffers, client, response).is_err() {
            return self.respond_error(conf, buffers, 500, Next::Close).await;
        }
        let written = self.write_all(&buffers.out, conf.snapshot.http.send_timeout).await;
        next_after(written.is_ok(), delivery)
    }
}

/// Who asks, and when: what routing and logging need besides the head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) origin: client_address::Origin,
    pub(super) local: conf::PeerAddress,
    pub(super) times: RequestTimes,
    pub(super) conn: u64,
}

impl Client {
    /// The context of the request in the buffers.
    pub(super) fn context<'a>(&self, buffers: &'a mut Buffers) -> RequestContext<'a> {
        RequestContext {
            head: &mut buffers.head,
            cache: &mut buffers.cache,
            peer: self.origin.peer,
            local: self.local,
            is_tls: self.origin.is_tls,
            conn: self.conn,
            times: self.times,
        }
    }
}

/// What a response head is made from, besides its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) delivery: Delivery,
    pub(super) action: Option<ActionRef>,
}

/// A configured response header could not be evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderFailed;

/// Applies the configured `response_headers` to `buffers.fields`. `Err`: a field's template failed.
pub(super) fn edit_fields(
    conf: &LoopConf,
    buffers: &mut Buffers,
    client: &Client,
    response: Response,
) -> Result<(), HeaderFailed> {
    let Response { status, delivery, action } = response;
    let routes = &conf.snapshot.routes;
    if !routes.changes_response(action, status) {
        return Ok(());
    }
    let mut fields = std::mem::take(&mut buffers.fields);
    let context = &mut client.context(buffers);
    let applied = apply_response_headers(routes, action, context, status, delivery, &mut fields);
    buffers.fields = fields;
    applied.map_err(|_| HeaderFailed)
}

/// What becomes of the connection after a response.
pub(super) fn next_after(is_sent: bool, delivery: Delivery) -> Next {
    if is_sent && delivery.keep_alive { Next::KeepAlive } else { Next::Close }
}

impl Next {
    /// The same, for a connection that does not go on.
    fn closing(self) -> Self {
        match self {
            Self::KeepAlive | Self::Close => Self::Close,
            Self::Linger => Self::Linger,
        }
    }
}
