//! A WebSocket frame as the client sent it.

use app_proto::{FrameHeader, mask_payload};

/// A whole frame, its payload masked or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    header: FrameHeader,
    octets: Vec<u8>,
    payload_at: usize,
    is_masked: bool,
}

impl Frame {
    /// The frame that `octets` are, with a header of `payload_at` octets.
    pub(super) fn new(header: FrameHeader, octets: Vec<u8>, payload_at: usize) -> Self {
        Self { header, octets, payload_at, is_masked: header.mask.is_some() }
    }

    /// Whether it ends its message.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.header.fin
    }

    /// What it is: one of [`app_proto::OPCODE_TEXT`] and its like.
    #[must_use]
    pub fn opcode(&self) -> u8 {
        self.header.opcode
    }

    /// The reserved bits, for extensions.
    #[must_use]
    pub fn rsv(&self) -> u8 {
        self.header.rsv
    }

    /// Whether it may come between the frames of a message.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.header.is_control()
    }

    /// The header as it came, mask included.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.octets.get(..self.payload_at).unwrap_or_default()
    }

    /// The mask.
    #[must_use]
    pub fn mask(&self) -> Option<[u8; 4]> {
        self.header.mask
    }

    /// Octets of payload.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.octets.len() - self.payload_at
    }

    /// The payload, unmasked in place the first time.
    pub fn payload(&mut self) -> &[u8] {
        let payload = self.octets.get_mut(self.payload_at..).unwrap_or_default();
        if std::mem::replace(&mut self.is_masked, false)
            && let Some(mask) = self.header.mask
        {
            mask_payload(payload, mask);
        }
        payload
    }

    /// The unmasked payload.
    #[must_use]
    pub fn into_payload(mut self) -> Vec<u8> {
        self.payload();
        self.octets.split_off(self.payload_at)
    }

    /// The code and reason of a close frame; `None` when it has none, or is none.
    pub fn close_code(&mut self) -> Option<(u16, &[u8])> {
        if self.opcode() != app_proto::OPCODE_CLOSE {
            return None;
        }
        let (code, reason) = self.payload().split_first_chunk()?;
        Some((u16::from_be_bytes(*code), reason))
    }
}
