//! What makes a type a message: directions, requests and their replies, and the macro that writes
//! the same few lines for each direction.

use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{BULK_LEN_MAX, DecodeError, EncodeError, Frame, Kind, Role, StreamId};

/// All messages that one role may send to another: one enum for each direction.
pub trait Direction: Sized + Send + 'static {
    /// The sender.
    const FROM: Role;
    /// The receiver.
    const TO: Role;
    /// The kinds of the variants.
    const KINDS: &'static [Kind];
    /// The kinds among them that want an answer.
    const REQUESTS: &'static [Kind];

    /// The kind of this message.
    fn kind(&self) -> Kind;

    /// Encodes the message.
    ///
    /// # Errors
    /// [`EncodeError`] when it is too large.
    fn into_frame(self, stream: StreamId) -> Result<Frame, EncodeError>;

    /// Decodes a frame; extra descriptors are closed.
    ///
    /// # Errors
    /// [`DecodeError`] naming what is wrong; `Forbidden` for a kind of another direction.
    fn from_frame(frame: Frame) -> Result<(StreamId, Self), DecodeError>;
}

/// A message that wants one answer, and the types of that answer.
pub trait Request: Sized + Send + 'static {
    /// The direction it belongs to.
    type Direction: Direction;
    /// The payload of a ready answer.
    type Reply: Body;
    /// The payload of an error answer.
    type Refusal: Body;

    /// Wraps the request in its direction.
    fn into_message(self) -> Self::Direction;
}

/// A payload together with the descriptors that travel with it.
pub trait Body: Sized + Send + 'static {
    /// How many descriptors travel with it.
    const FDS: usize;

    /// Splits it into what is serialised and what is passed.
    ///
    /// # Errors
    /// [`EncodeError`] when it cannot be sent.
    fn into_parts(self) -> Result<(Vec<u8>, Vec<OwnedFd>), EncodeError>;

    /// Puts it together again. `kind` is for the error only.
    ///
    /// # Errors
    /// [`DecodeError`] when payload or descriptors do not fit.
    fn from_parts(kind: Kind, payload: &[u8], fds: Vec<OwnedFd>) -> Result<Self, DecodeError>;
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Body for T {
    const FDS: usize = 0;

    fn into_parts(self) -> Result<(Vec<u8>, Vec<OwnedFd>), EncodeError> {
        Ok((encode_payload(&self)?, Vec::new()))
    }

    fn from_parts(kind: Kind, payload: &[u8], fds: Vec<OwnedFd>) -> Result<Self, DecodeError> {
        if !fds.is_empty() {
            return Err(DecodeError::FdCount { found: fds.len(), expected: 0 });
        }
        decode_payload(kind, payload)
    }
}

/// A payload with exactly `N` descriptors.
#[derive(Debug)]
pub struct WithFds<T, const N: usize> {
    /// The serialised part.
    pub body: T,
    /// The descriptors.
    pub fds: [OwnedFd; N],
}

impl<T: Serialize + DeserializeOwned + Send + 'static, const N: usize> Body for WithFds<T, N> {
    const FDS: usize = N;

    fn into_parts(self) -> Result<(Vec<u8>, Vec<OwnedFd>), EncodeError> {
        Ok((encode_payload(&self.body)?, self.fds.into()))
    }

    fn from_parts(kind: Kind, payload: &[u8], fds: Vec<OwnedFd>) -> Result<Self, DecodeError> {
        let fds = <[OwnedFd; N]>::try_from(fds)
            .map_err(|fds| DecodeError::FdCount { found: fds.len(), expected: N })?;
        Ok(Self { body: decode_payload(kind, payload)?, fds })
    }
}

/// Makes the answer to a request.
///
/// # Errors
/// [`EncodeError`] when it cannot be sent.
pub fn answer<R: Request>(
    stream: StreamId,
    result: Result<R::Reply, R::Refusal>,
) -> Result<Frame, EncodeError> {
    let (kind, (payload, fds)) = match result {
        Ok(reply) => (Kind::Ready, reply.into_parts()?),
        Err(refusal) => (Kind::Error, refusal.into_parts()?),
    };
    Ok(Frame { kind, stream, last: true, payload, fds })
}

/// Reads the answer to a request.
///
/// # Errors
/// [`DecodeError`] when the frame is not an answer to `R`.
pub fn read_answer<R: Request>(frame: Frame) -> Result<Result<R::Reply, R::Refusal>, DecodeError> {
    if frame.kind == Kind::Ready {
        R::Reply::from_parts(frame.kind, &frame.payload, frame.fds).map(Ok)
    } else if frame.kind == Kind::Error {
        R::Refusal::from_parts(frame.kind, &frame.payload, frame.fds).map(Err)
    } else {
        Err(DecodeError::Forbidden(frame.kind))
    }
}

/// Serialises a payload, within the limit of what travels at all.
pub(crate) fn encode_payload<T: Serialize>(body: &T) -> Result<Vec<u8>, EncodeError> {
    let payload = postcard::to_stdvec(body).map_err(|_| EncodeError::Serialise)?;
    if payload.len() > BULK_LEN_MAX {
        return Err(EncodeError::TooLarge(payload.len()));
    }
    Ok(payload)
}

/// Reads a payload that must be used up entirely.
pub(crate) fn decode_payload<T: DeserializeOwned>(
    kind: Kind,
    payload: &[u8],
) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(payload) {
        Ok((body, [])) => Ok(body),
        Ok((_, rest)) => Err(DecodeError::Long { extra: rest.len() }),
        Err(_) => Err(DecodeError::Payload(kind)),
    }
}

/// Writes the enum of one direction and its [`Direction`] implementation.
///
/// Each variant names its body type, and, in brackets, how many descriptors travel with it.
/// A variant marked `request` gets a stream; the others must not have one.
macro_rules! direction {
    (@body $body:ty) => { $body };
    (@body $body:ty, $fds:literal) => { $crate::WithFds<$body, $fds> };
    (@request request) => { true };
    (@request notice) => { false };
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $from:ident => $to:ident {
            $(
                $(#[$vmeta:meta])*
                $mode:ident $variant:ident($body:ty $(; $fds:literal)?) = $kind:ident,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub enum $name {
            $( $(#[$vmeta])* $variant($crate::message::direction!(@body $body $(, $fds)?)), )*
        }

        #[allow(
            unreachable_code,
            unused_variables,
            reason = "a direction without messages of its own has no value to match"
        )]
        impl $crate::Direction for $name {
            const FROM: $crate::Role = $crate::Role::$from;
            const TO: $crate::Role = $crate::Role::$to;
            const KINDS: &'static [$crate::Kind] = &[$($crate::Kind::$kind),*];
            const REQUESTS: &'static [$crate::Kind] = {
                const ALL: &[($crate::Kind, bool)] =
                    &[$(($crate::Kind::$kind, $crate::message::direction!(@request $mode))),*];
                const COUNT: usize = {
                    let (mut count, mut at) = (0, 0);
                    while at < ALL.len() {
                        if ALL[at].1 {
                            count += 1;
                        }
                        at += 1;
                    }
                    count
                };
                const CHOSEN: [$crate::Kind; COUNT] = {
                    let mut chosen = [$crate::Kind::Hello; COUNT];
                    let (mut count, mut at) = (0, 0);
                    while at < ALL.len() {
                        if ALL[at].1 {
                            chosen[count] = ALL[at].0;
                            count += 1;
                        }
                        at += 1;
                    }
                    chosen
                };
                &CHOSEN
            };

            fn kind(&self) -> $crate::Kind {
                match *self { $( Self::$variant(..) => $crate::Kind::$kind, )* }
            }

            fn into_frame(
                self,
                stream: $crate::StreamId,
            ) -> Result<$crate::Frame, $crate::EncodeError> {
                let kind = self.kind();
                let (payload, fds) = match self {
                    $( Self::$variant(body) => $crate::Body::into_parts(body)?, )*
                };
                Ok($crate::Frame { kind, stream, last: true, payload, fds })
            }

            fn from_frame(
                frame: $crate::Frame,
            ) -> Result<($crate::StreamId, Self), $crate::DecodeError> {
                let wants_stream = Self::REQUESTS.contains(&frame.kind);
                if !Self::KINDS.contains(&frame.kind) {
                    return Err($crate::DecodeError::Forbidden(frame.kind));
                }
                if wants_stream != (frame.stream != $crate::StreamId::NONE) {
                    return Err($crate::DecodeError::Stream(frame.kind, frame.stream));
                }
                $(
                    if frame.kind == $crate::Kind::$kind {
                        let body =
                            $crate::Body::from_parts(frame.kind, &frame.payload, frame.fds)?;
                        return Ok((frame.stream, Self::$variant(body)));
                    }
                )*
                Err($crate::DecodeError::Forbidden(frame.kind))
            }
        }
    };
}
pub(crate) use direction;

/// Ties a request to its direction and its answer types.
macro_rules! request {
    ($body:ty => $direction:ident::$variant:ident, reply $reply:ty, refusal $refusal:ty) => {
        impl $crate::Request for $body {
            type Direction = $direction;
            type Reply = $reply;
            type Refusal = $refusal;

            fn into_message(self) -> $direction {
                $direction::$variant(self)
            }
        }
    };
}
pub(crate) use request;
