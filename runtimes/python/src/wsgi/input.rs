//! `wsgi.input`: the request's body as a file-like object.

use std::ffi::CStr;

use host::{BodyError, RequestBody};

use crate::ffi::native::{Arguments, Iteration, Method};
use crate::ffi::{Exception, Object, Raised, raise};
use crate::wsgi::Context;

/// `read([size])`
#[derive(Debug)]
pub(crate) struct Read;
/// `readline([size])`
#[derive(Debug)]
pub(crate) struct ReadLine;
/// `readlines([hint])`
#[derive(Debug)]
pub(crate) struct ReadLines;
/// `__next__()`
#[derive(Debug)]
pub(crate) struct Lines;

/// Lets `user` have the body, or raises when no request is being served.
fn with_body<R>(
    context: &'static Context,
    name: &str,
    user: impl FnOnce(&mut RequestBody<'_>) -> Result<R, Raised>,
) -> Result<R, Raised> {
    context.body.with(user).unwrap_or_else(|| {
        let text = format!("wsgi.input.{name}() is called outside of WSGI request processing");
        Err(raise(Exception::Runtime, &text))
    })
}

/// The one optional argument: how much to read, `u64::MAX` for all.
fn limit(arguments: Arguments<'_>, what: &str) -> Result<u64, Raised> {
    if arguments.len() > 1 {
        return Err(raise(Exception::Type, "invalid number of arguments"));
    }
    let Some(argument) = arguments.get(0) else { return Ok(u64::MAX) };
    match argument.to_index()? {
        -1 => Ok(u64::MAX),
        size => u64::try_from(size).map_err(|_| {
            let text = format!("the read {what} size cannot be zero or less");
            raise(Exception::Value, &text)
        }),
    }
}

fn take(body: &mut RequestBody<'_>, len: u64) -> Result<Object, Raised> {
    let len = usize::try_from(len.min(body.remaining())).unwrap_or(usize::MAX);
    Object::bytes_filled(len, |out| body.read(out).map(|_| ()))?.map_err(|error| unreadable(&error))
}

fn take_line(body: &mut RequestBody<'_>, limit: u64) -> Result<Object, Raised> {
    let len = body.line_len(limit).map_err(|error| unreadable(&error))?;
    take(body, len)
}

fn unreadable(error: &BodyError) -> Raised {
    raise(Exception::Runtime, &error.to_string())
}

impl Method for Read {
    const NAME: &'static CStr = c"read";

    fn call(context: &'static Context, arguments: Arguments<'_>) -> Result<Object, Raised> {
        let limit = limit(arguments, "body");
        with_body(context, "read", |body| take(body, limit?))
    }
}

impl Method for ReadLine {
    const NAME: &'static CStr = c"readline";

    fn call(context: &'static Context, arguments: Arguments<'_>) -> Result<Object, Raised> {
        let limit = limit(arguments, "line");
        with_body(context, "readline", |body| take_line(body, limit?))
    }
}

impl Method for ReadLines {
    const NAME: &'static CStr = c"readlines";

    fn call(context: &'static Context, _: Arguments<'_>) -> Result<Object, Raised> {
        with_body(context, "readlines", |body| {
            let lines = Object::list()?;
            while body.remaining() > 0 {
                lines.list_append(&take_line(body, u64::MAX)?)?;
            }
            Ok(lines)
        })
    }
}

impl Iteration for Lines {
    fn next(context: &'static Context) -> Result<Option<Object>, Raised> {
        with_body(context, "next", |body| {
            if body.remaining() == 0 {
                return Ok(None);
            }
            take_line(body, u64::MAX).map(Some)
        })
    }
}
