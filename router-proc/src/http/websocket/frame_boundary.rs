//! Where the frames of an application end, so that ours come between them and never inside one.

use app_proto::{FRAME_HEADER_LEN_MAX, FrameHeader};

/// Follows the frames in a stream of octets, whatever their content.
#[derive(Clone, Debug, Default)]
pub struct FrameBoundary {
    header: [u8; FRAME_HEADER_LEN_MAX],
    header_len: usize,
    payload_left: u64,
}

impl FrameBoundary {
    /// Whether what was followed so far ends with a frame.
    pub fn is_reached(&self) -> bool {
        self.header_len == 0 && self.payload_left == 0
    }

    /// Follows `octets` up to the end of the first frame that ends in them, and says where that is;
    /// all of them when none does.
    pub fn advance(&mut self, octets: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            if self.payload_left == 0 {
                if let Some(room) = self.header.get_mut(self.header_len) {
                    *room = rest[0];
                    self.header_len += 1;
                    at += 1;
                }
                let Some(header) = self.complete_header() else { continue };
                self.header_len = 0;
                self.payload_left = header.payload_len;
            } else {
                let len = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(rest.len());
                self.payload_left -= len as u64;
                at += len;
            }
            if self.payload_left == 0 {
                break;
            }
        }
        at
    }

    fn complete_header(&self) -> Option<FrameHeader> {
        let octets = &self.header[..self.header_len];
        let header = FrameHeader::read(octets)?;
        let before_mask = FrameHeader::unmasked_len([self.header[0], self.header[1]]);
        let mask_len = if header.mask.is_some() { 4 } else { 0 };
        (octets.len() >= before_mask + mask_len).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut frame = Vec::new();
        FrameHeader { fin: true, rsv: 0, opcode: 2, mask, payload_len: len as u64 }
            .write(&mut frame);
        frame.resize(frame.len() + len, 0x81);
        frame
    }

    #[test]
    fn frames_of_every_form_end_where_they_do_in_any_split() {
        let lens = [0usize, 1, 125, 126, 127, 300, 0x1_0000, 0, 3];
        let frames: Vec<Vec<u8>> = lens
            .iter()
            .enumerate()
            .map(|(at, len)| frame(*len, (at % 2 == 1).then_some([1, 2, 3, 4])))
            .collect();
        let all = frames.concat();
        let ends: Vec<usize> = frames
            .iter()
            .scan(0, |end, frame| {
                *end += frame.len();
                Some(*end)
            })
            .collect();
        for piece in [1, 2, 3, 7, 1000, all.len()] {
            let mut boundary = FrameBoundary::default();
            assert!(boundary.is_reached());
            let (mut found, mut at) = (Vec::new(), 0);
            for octets in all.chunks(piece) {
                let mut rest = octets;
                while !rest.is_empty() {
                    let len = boundary.advance(rest);
                    assert!(len > 0);
                    at += len;
                    rest = &rest[len..];
                    if boundary.is_reached() {
                        found.push(at);
                    }
                }
            }
            assert_eq!(found, ends, "in pieces of {piece}");
        }
    }
}
