//! The body of an application's answer on its way to the client: encoded if it is to be, framed.

use super::Buffers;
use crate::compression::{BodyEncoding, BodyEncodingError};
use crate::http::{BodyEncoder, BodyEnd, Delivery};

/// A body on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    framing: BodyEncoder,
    encoding: Option<Box<BodyEncoding>>,
}

impl Outgoing {
    /// A body behind a head with this delivery, in this encoding.
    pub(super) fn new(delivery: &Delivery, encoding: Option<Box<BodyEncoding>>) -> Outgoing {
        Outgoing { framing: BodyEncoder::new(delivery), encoding }
    }

    /// The framing of a body that is sent as it is.
    pub(super) fn framing_alone(&mut self) -> Option<&mut BodyEncoder> {
        match &self.encoding {
            None => Some(&mut self.framing),
            Some(_) => None,
        }
    }

    /// Whether anything that comes is still part of the body.
    pub(super) fn wants_more(&self) -> bool {
        self.encoding.as_ref().is_none_or(|encoding| !encoding.is_whole())
    }

    /// Appends some of the body to what is to be written. It is in `buffers.piece`, whose content is
    /// lost.
    pub(super) async fn push_piece(
        &mut self,
        buffers: &mut Buffers,
    ) -> Result<(), BodyEncodingError> {
        match &mut self.encoding {
            None => self.framing.push(&buffers.piece, &mut buffers.out),
            Some(encoding) => {
                let mut encoded = Vec::new();
                // Most connections never need the room for it.
                Box::pin(encoding.push(&mut buffers.piece, &mut encoded)).await?;
                self.framing.push(&encoded, &mut buffers.out);
            }
        }
        Ok(())
    }

    /// As [`Self::push_piece`].
    pub(super) async fn push(
        &mut self,
        data: &[u8],
        buffers: &mut Buffers,
    ) -> Result<(), BodyEncodingError> {
        if self.encoding.is_none() {
            self.framing.push(data, &mut buffers.out);
            return Ok(());
        }
        buffers.piece.clear();
        buffers.piece.extend_from_slice(data);
        self.push_piece(buffers).await
    }

    /// Appends what ends the body, if it has all come.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> BodyEnd {
        match self.wants_more() && self.encoding.is_some() {
            true => BodyEnd::Short,
            false => self.framing.finish(out),
        }
    }
}
