//! What a client sends in a WebSocket session: frames are checked as their octets come, pings are
//! answered, and the rest is passed on as it is.
//!
//! No I/O, and nothing is kept but the octets of a header or of a control frame that is not whole.
//! Data frames go on as they come, since all checks of them are of the header. However the octets
//! are split, the same ones are passed on, the same pongs are made and the same mistake is found.

use std::fmt;

use app_proto::{
    CONTROL_PAYLOAD_MAX, FRAME_HEADER_LEN_MAX, FrameHeader, OPCODE_BINARY, OPCODE_CLOSE,
    OPCODE_CONTINUATION, OPCODE_PING, OPCODE_PONG, OPCODE_TEXT, mask_payload,
};

/// The longest control frame: its small length may be written in the long form.
const CONTROL_LEN_MAX: usize = FRAME_HEADER_LEN_MAX + CONTROL_PAYLOAD_MAX;

/// Octets of a mask.
const MASK_LEN: usize = 4;

/// Checks the frames of one client.
#[derive(Clone, Debug)]
pub struct FrameChecker {
    max_frame_size: u64,
    /// Inside of a message of several frames.
    in_message: bool,
    /// A header, or a whole control frame, that is not complete.
    held: [u8; CONTROL_LEN_MAX],
    held_len: usize,
    /// How many octets of a data frame are still to come.
    payload_left: u64,
    is_closed: bool,
}

/// What came of some octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// All of them were used.
    Open,
    /// A close frame was passed on; what follows it counts for nothing.
    Closed,
    /// The client broke the rules; what follows counts for nothing.
    Refused(FrameError),
}

/// A breach of the rules, as the client and the log are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The close code.
    pub code: u16,
    /// What was wrong.
    pub mistake: FrameMistake,
}

/// What was wrong with a frame; shown as the reason in the close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameMistake {
    /// The mask bit is not set.
    NotMasked,
    /// A control frame without FIN.
    FragmentedControl,
    /// There is no such opcode, or not here.
    UnrecognizedOpcode(u8),
    /// A control frame with so many octets of payload.
    ControlTooBig(u64),
    /// A close frame with half a code.
    CloseLength,
    /// A new message inside of another.
    ContinuationExpected(u8),
    /// A frame with so many octets of payload.
    TooBig(u64),
    /// A close code that may not be sent.
    CloseCode(u16),
}

impl FrameMistake {
    /// The close code it is answered with.
    pub fn code(self) -> u16 {
        match self {
            Self::NotMasked
            | Self::FragmentedControl
            | Self::UnrecognizedOpcode(_)
            | Self::ControlTooBig(_)
            | Self::CloseLength
            | Self::ContinuationExpected(_)
            | Self::CloseCode(_) => 1002,
            Self::TooBig(_) => 1009,
        }
    }
}

impl fmt::Display for FrameMistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMasked => out.write_str("Not masked client frame"),
            Self::FragmentedControl => out.write_str("Fragmented control frame"),
            Self::UnrecognizedOpcode(opcode) => write!(out, "Unrecognized opcode {opcode}"),
            Self::ControlTooBig(len) => write!(out, "Control frame too big: {len} bytes"),
            Self::CloseLength => out.write_str("Close frame payload length cannot be 1"),
            Self::ContinuationExpected(opcode) => {
                write!(out, "Continuation expected, but {opcode} opcode received")
            }
            Self::TooBig(len) => write!(out, "Message too big: {len} bytes"),
            Self::CloseCode(code) => write!(out, "Close code {code} is not valid"),
        }
    }
}

impl From<FrameMistake> for FrameError {
    fn from(mistake: FrameMistake) -> Self {
        Self { code: mistake.code(), mistake }
    }
}

/// What a whole control frame means.
enum Control {
    Nothing,
    Close,
}

impl FrameChecker {
    /// A checker at the start of a session. A frame may have so many octets, its header included.
    pub fn new(max_frame_size: u64) -> Self {
        Self {
            max_frame_size,
            in_message: false,
            held: [0; CONTROL_LEN_MAX],
            held_len: 0,
            payload_left: 0,
            is_closed: false,
        }
    }

    /// Whether a close frame came.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes octets of the client. What goes to the application is appended to `passed`, and the
    /// pongs that answer pings to `pongs`. After anything but [`Checked::Open`] there is no more to
    /// be checked.
    pub fn check(&mut self, input: &[u8], passed: &mut Vec<u8>, pongs: &mut Vec<u8>) -> Checked {
        let mut rest = input;
        while !self.is_closed && !rest.is_empty() {
            if self.payload_left > 0 {
                let len = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(rest.len());
                let (payload, after) = rest.split_at(len);
                passed.extend_from_slice(payload);
                self.payload_left -= len as u64;
                rest = after;
                continue;
            }
            let before = self.held_len;
            let Some(header) = self.read_header(&mut rest) else { continue };
            if before < FrameHeader::unmasked_len([self.held[0], self.held[1]])
                && let Err(mistake) = self.check_header(&header)
            {
                return Checked::Refused(mistake.into());
            }
            // All but the last octets of a control frame may have come earlier.
            if !self.read_to_end(&header, &mut rest) {
                continue;
            }
            if header.is_control() {
                match self.control(&header, passed, pongs) {
                    Ok(Control::Nothing) => {}
                    Ok(Control::Close) => self.is_closed = true,
                    Err(mistake) => return Checked::Refused(mistake.into()),
                }
            } else {
                passed.extend_from_slice(&self.held[..self.held_len]);
                self.payload_left = header.payload_len;
                self.in_message = !header.fin;
            }
            self.held_len = 0;
        }
        if self.is_closed { Checked::Closed } else { Checked::Open }
    }

    /// Moves octets of a header, up to its mask, to those that are held; the header once they are
    /// there.
    fn read_header(&mut self, rest: &mut &[u8]) -> Option<FrameHeader> {
        self.hold(rest, 2);
        if self.held_len < 2 {
            return None;
        }
        self.hold(rest, FrameHeader::unmasked_len([self.held[0], self.held[1]]));
        FrameHeader::read(&self.held[..self.held_len])
    }

    /// Moves the mask, and the payload of a control frame; whether all of it is there.
    fn read_to_end(&mut self, header: &FrameHeader, rest: &mut &[u8]) -> bool {
        let mut len = FrameHeader::unmasked_len([self.held[0], self.held[1]]) + MASK_LEN;
        if header.is_control() {
            // Checked to be small.
            len += usize::try_from(header.payload_len).unwrap_or(0);
        }
        self.hold(rest, len);
        self.held_len >= len
    }

    /// Moves octets of `rest` until `len` of them are held.
    fn hold(&mut self, rest: &mut &[u8], len: usize) {
        let missing = len.saturating_sub(self.held_len).min(rest.len());
        let (first, after) = rest.split_at(missing);
        if let Some(room) = self.held.get_mut(self.held_len..self.held_len + missing) {
            room.copy_from_slice(first);
            self.held_len += missing;
            *rest = after;
        }
    }

    fn check_header(&self, header: &FrameHeader) -> Result<(), FrameMistake> {
        if header.mask.is_none() {
            return Err(FrameMistake::NotMasked);
        }
        let FrameHeader { opcode, payload_len, .. } = *header;
        if header.is_control() {
            if !header.fin {
                return Err(FrameMistake::FragmentedControl);
            }
            if !matches!(opcode, OPCODE_CLOSE | OPCODE_PING | OPCODE_PONG) {
                return Err(FrameMistake::UnrecognizedOpcode(opcode));
            }
            if payload_len > CONTROL_PAYLOAD_MAX as u64 {
                return Err(FrameMistake::ControlTooBig(payload_len));
            }
            if opcode == OPCODE_CLOSE && payload_len == 1 {
                return Err(FrameMistake::CloseLength);
            }
        } else if self.in_message {
            if opcode != OPCODE_CONTINUATION {
                return Err(FrameMistake::ContinuationExpected(opcode));
            }
        } else if !matches!(opcode, OPCODE_TEXT | OPCODE_BINARY) {
            return Err(FrameMistake::UnrecognizedOpcode(opcode));
        }
        let header_len = FrameHeader::unmasked_len([self.held[0], self.held[1]]) + MASK_LEN;
        if payload_len.saturating_add(header_len as u64) > self.max_frame_size {
            return Err(FrameMistake::TooBig(payload_len));
        }
        Ok(())
    }

    /// Deals with the control frame that is held.
    fn control(
        &mut self,
        header: &FrameHeader,
        passed: &mut Vec<u8>,
        pongs: &mut Vec<u8>,
    ) -> Result<Control, FrameMistake> {
        let frame = &self.held[..self.held_len];
        let len = usize::try_from(header.payload_len).unwrap_or(0);
        let (start, payload) = frame.split_at(self.held_len - len);
        let mask = start.last_chunk::<MASK_LEN>().copied().unwrap_or_default();
        match header.opcode {
            OPCODE_PING => {
                FrameHeader { rsv: 0, opcode: OPCODE_PONG, mask: None, ..*header }.write(pongs);
                let at = pongs.len();
                pongs.extend_from_slice(payload);
                mask_payload(&mut pongs[at..], mask);
                Ok(Control::Nothing)
            }
            OPCODE_CLOSE => {
                if let Some(code) = payload.first_chunk::<2>() {
                    let mut code = *code;
                    mask_payload(&mut code, mask);
                    let code = u16::from_be_bytes(code);
                    if !is_valid_close_code(code) {
                        return Err(FrameMistake::CloseCode(code));
                    }
                }
                passed.extend_from_slice(frame);
                Ok(Control::Close)
            }
            _ => {
                passed.extend_from_slice(frame);
                Ok(Control::Nothing)
            }
        }
    }
}

/// Whether an endpoint may send this close code, RFC 6455 section 7.4.
fn is_valid_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests;
