//! The header of a WebSocket frame, RFC 6455 section 5.2: the router checks it, a worker finds the
//! ends of frames by it, and who sends a frame writes it.

/// The longest header: two octets, a length of eight and a mask of four.
pub const FRAME_HEADER_LEN_MAX: usize = 14;

/// Opcode: goes on with the message begun before.
pub const OPCODE_CONTINUATION: u8 = 0;
/// Opcode: text.
pub const OPCODE_TEXT: u8 = 1;
/// Opcode: binary data.
pub const OPCODE_BINARY: u8 = 2;
/// Opcode: the sender will send nothing more.
pub const OPCODE_CLOSE: u8 = 8;
/// Opcode: asks for a pong.
pub const OPCODE_PING: u8 = 9;
/// Opcode: the answer to a ping, or a sign of life.
pub const OPCODE_PONG: u8 = 10;

/// The most payload a control frame may have.
pub const CONTROL_PAYLOAD_MAX: usize = 125;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether it ends its message.
    pub fin: bool,
    /// The three reserved bits.
    pub rsv: u8,
    /// What the frame is; four bits.
    pub opcode: u8,
    /// What the payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// Octets of payload.
    pub payload_len: u64,
}

impl FrameHeader {
    /// How many octets the header has up to its mask, which the first two octets tell.
    #[must_use]
    pub const fn unmasked_len(first: [u8; 2]) -> usize {
        match first[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    /// Reads a header whose mask may not have come yet: then it is all zeros. `None`: what comes
    /// before the mask is not whole.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        let first: [u8; 2] = octets.get(..2)?.try_into().ok()?;
        let len = Self::unmasked_len(first);
        let length = octets.get(2..len)?;
        let payload_len = match length.len() {
            0 => u64::from(first[1] & 0x7f),
            _ => length.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)),
        };
        let mask = octets.get(len..len + 4).and_then(|mask| mask.try_into().ok());
        Some(Self {
            fin: first[0] & 0x80 != 0,
            rsv: first[0] >> 4 & 7,
            opcode: first[0] & 0x0f,
            mask: (first[1] & 0x80 != 0).then(|| mask.unwrap_or_default()),
            payload_len,
        })
    }

    /// Whether it is a control frame, which may come between the frames of a message.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }

    /// Octets of the header, its mask included.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        let before_mask = match self.payload_len {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => 10,
        };
        before_mask + if self.mask.is_some() { 4 } else { 0 }
    }

    /// Appends the header, its length in the shortest form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.fin) << 7 | (self.rsv & 7) << 4 | self.opcode & 0x0f);
        let mask_bit = u8::from(self.mask.is_some()) << 7;
        let length = self.payload_len.to_be_bytes();
        match self.payload_len {
            0..=125 => out.push(mask_bit | length[7]),
            126..=0xffff => {
                out.push(mask_bit | 126);
                out.extend_from_slice(&length[6..]);
            }
            _ => {
                out.push(mask_bit | 127);
                out.extend_from_slice(&length);
            }
        }
        out.extend_from_slice(self.mask.as_ref().map_or(&[], |mask| mask.as_slice()));
    }
}

/// Masks or unmasks a payload from its start.
pub fn mask_payload(payload: &mut [u8], mask: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (octet, mask) in rest.iter_mut().zip(mask) {
        *octet ^= mask;
    }
}

/// Appends an unmasked close frame. What of the reason does not fit is left out.
pub fn write_close_frame(code: u16, reason: &[u8], out: &mut Vec<u8>) {
    let reason = reason.get(..CONTROL_PAYLOAD_MAX - 2).unwrap_or(reason);
    let header = FrameHeader {
        fin: true,
        rsv: 0,
        opcode: OPCODE_CLOSE,
        mask: None,
        payload_len: reason.len() as u64 + 2,
    };
    header.write(out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_of_each_length_are_pinned() {
        for (len, mask, octets) in [
            (0, None, &[0x81, 0][..]),
            (125, None, &[0x81, 125]),
            (126, None, &[0x81, 126, 0, 126]),
            (127, Some([1, 2, 3, 4]), &[0x81, 0xfe, 0, 127, 1, 2, 3, 4]),
            (0xffff, None, &[0x81, 126, 0xff, 0xff]),
            (0x1_0000, Some([9; 4]), &[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9]),
            (u64::MAX, None, &[0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            let header =
                FrameHeader { fin: true, rsv: 0, opcode: OPCODE_TEXT, mask, payload_len: len };
            let mut out = Vec::new();
            header.write(&mut out);
            assert_eq!(out, octets, "{len}");
            assert_eq!(header.header_len(), octets.len());
            assert_eq!(FrameHeader::read(octets), Some(header));
            for cut in 0..FrameHeader::unmasked_len([octets[0], octets[1]]) {
                assert_eq!(FrameHeader::read(&octets[..cut]), None, "{len} cut at {cut}");
            }
        }
    }

    #[test]
    fn close_frames_are_pinned_and_bounded() {
        let mut out = Vec::new();
        write_close_frame(1002, b"no", &mut out);
        assert_eq!(out, [0x88, 4, 0x03, 0xea, b'n', b'o']);
        out.clear();
        write_close_frame(1000, &[b'x'; 200], &mut out);
        assert_eq!((out.len(), out[1]), (127, 125));
    }

    #[test]
    fn masking_twice_changes_nothing() {
        for len in 0..20u8 {
            let payload: Vec<u8> = (0..len).collect();
            let mut masked = payload.clone();
            mask_payload(&mut masked, [1, 2, 4, 8]);
            for (at, octet) in masked.iter().enumerate() {
                assert_eq!(*octet, payload[at] ^ [1, 2, 4, 8][at % 4]);
            }
            mask_payload(&mut masked, [1, 2, 4, 8]);
            assert_eq!(masked, payload);
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_a_header_or_too_few(octets in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Some(header) = FrameHeader::read(&octets) {
                let mut out = Vec::new();
                header.write(&mut out);
                prop_assert_eq!(FrameHeader::read(&out), Some(header));
                prop_assert_eq!(out.len(), header.header_len());
            } else {
                prop_assert!(octets.len() < 10);
            }
        }
    }
}
