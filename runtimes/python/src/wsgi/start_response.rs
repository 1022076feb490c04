//! `start_response`, and the `write` it returns.

use std::ffi::CStr;

use unit_log::Level;

use crate::ffi::native::{Arguments, Method};
use crate::ffi::{Exception, Object, Raised, Text, raise, raise_object};
use crate::wsgi::Context;
use crate::wsgi::exchange::{BodyRefused, Exchange};

/// `start_response(status, headers[, exc_info])`
#[derive(Debug)]
pub(crate) struct StartResponse;

/// `write(bytes)`
#[derive(Debug)]
pub(crate) struct Write;

impl Method for StartResponse {
    const NAME: &'static CStr = c"start_response";

    fn call(context: &'static Context, arguments: Arguments<'_>) -> Result<Object, Raised> {
        context
            .exchange
            .with(|exchange| {
                start(exchange, arguments)
                    .map(|()| exchange.write_function())
                    .inspect_err(|_| exchange.forget_start())
            })
            .unwrap_or_else(|| {
                Err(raise(
                    Exception::Runtime,
                    "start_response() is called outside of WSGI request processing",
                ))
            })
    }
}

fn start(exchange: &mut Exchange<'_>, arguments: Arguments<'_>) -> Result<(), Raised> {
    let (Some(status), Some(fields), 2..=3) = (arguments.get(0), arguments.get(1), arguments.len())
    else {
        return Err(raise(Exception::Type, "invalid number of arguments"));
    };
    if exchange.is_head_sent() {
        return Err(too_late(arguments.get(2)));
    }
    let status = status_code(&status)?;
    let Some(count) = fields.list_len() else {
        let text = "the second argument is not a response headers list";
        return Err(raise(Exception::Type, text));
    };
    exchange.start(status);
    for index in 0..count {
        let Some(field) = fields.list_item(index) else { break };
        add_field(exchange, index, &field)?;
    }
    Ok(())
}

/// What `start_response` raises after the head was sent: with the exception that made the
/// application call it again, that one.
fn too_late(exc_info: Option<Object>) -> Raised {
    match exc_info.as_ref().and_then(|exc_info| exc_info.tuple_item(1)) {
        Some(value) if !value.is_none() => raise_object(&value),
        Some(_) | None => raise(Exception::Runtime, "failed to allocate response object"),
    }
}

fn status_code(status: &Object) -> Result<u16, Raised> {
    let text = match status.as_text() {
        Text::Bytes(text) => text,
        Text::Wide => return Err(raise(Exception::Type, "status is not a string")),
        Text::Other => {
            let text = "failed to write first argument (not a string?)";
            return Err(raise(Exception::Type, text));
        }
    };
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    number(&text[..end])
        .and_then(|status| u16::try_from(status).ok())
        .ok_or_else(|| raise(Exception::Type, "failed to parse status code"))
}

/// Reads decimal digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[inline]
fn add_field(exchange: &mut Exchange<'_>, index: usize, field: &Object) -> Result<(), Raised> {
    let (Some(name), Some(value)) = (field.tuple_item(0), field.tuple_item(1)) else {
        return Err(malformed_field(field));
    };
    if field.tuple_len() != Some(2) {
        return Err(malformed_field(field));
    }
    let (name, value) = match (name.as_text(), value.as_text()) {
        (Text::Bytes(name), Text::Bytes(value)) => (name, value),
        (Text::Other, _) => {
            return Err(raise(Exception::Type, &format!("header #{index} name is not a string")));
        }
        (_, Text::Other) => {
            return Err(raise(Exception::Type, &format!("header #{index} value is not a string")));
        }
        (Text::Wide, _) | (_, Text::Wide) => return Err(refused_field(index)),
    };
    if name.len() == CONTENT_LENGTH.len() && name.eq_ignore_ascii_case(CONTENT_LENGTH) {
        match number(value) {
            Some(len) => exchange.set_content_len(len),
            None => unit_log::write_unit(
                Level::Error,
                None,
                &format!("failed to parse Content-Length value {}", String::from_utf8_lossy(value)),
            ),
        }
    }
    exchange.field(name, value).map_err(|_| refused_field(index))
}

const CONTENT_LENGTH: &[u8] = b"content-length";

fn malformed_field(field: &Object) -> Raised {
    let text = if field.tuple_len().is_some() {
        "each header must be a tuple of two items"
    } else {
        "the response headers must be a list of tuples"
    };
    raise(Exception::Type, text)
}

fn refused_field(index: usize) -> Raised {
    raise(Exception::Runtime, &format!("failed to add header #{index}"))
}

impl Method for Write {
    const NAME: &'static CStr = c"write";

    fn call(context: &'static Context, arguments: Arguments<'_>) -> Result<Object, Raised> {
        let (Some(argument), 1) = (arguments.get(0), arguments.len()) else {
            return Err(raise(Exception::Type, "invalid number of arguments"));
        };
        let Some(bytes) = argument.as_bytes() else {
            return Err(raise(Exception::Type, "the argument is not a bytestring"));
        };
        match context.exchange.with(|exchange| exchange.chunk(bytes, false)) {
            Some(Ok(())) => Ok(Object::none()),
            Some(Err(refused)) => {
                log_refused(refused);
                Err(raise(Exception::Runtime, "failed to write response value"))
            }
            None => Err(raise(
                Exception::Runtime,
                "write() is called outside of WSGI request processing",
            )),
        }
    }
}

/// The exception alone does not tell what was wrong.
fn log_refused(refused: BodyRefused) {
    if let Some((level, text)) = refused.text() {
        unit_log::write_unit(level, None, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(number(b"200"), Some(200));
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for text in [&b""[..], b" 1", b"+1", b"-1", b"1a", b"1.0", b"18446744073709551616"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
