//! WSGI (PEP 3333): each request is one call of the application.

mod environ;
mod exchange;
mod input;
mod start_response;

use host::{Next, Request, RequestBody, Response};
use unit_log::Level;

use crate::ffi::{Dict, Exception, Object, Raised, Slot, native};
use crate::load::Target;
use crate::wsgi::environ::Environ;
use crate::wsgi::exchange::{BodyRefused, Exchange, LentBody, LentExchange};
use crate::wsgi::start_response::{StartResponse, Write};

/// What the native objects of a worker have behind them: the request that is being served, if one
/// is. It lives as long as the process, since Python code may keep the objects.
#[derive(Debug)]
pub(crate) struct Context {
    body: Slot<LentBody>,
    exchange: Slot<LentExchange>,
}

/// The application and what is kept from request to request.
#[derive(Debug)]
pub(crate) struct Wsgi {
    targets: Vec<Target>,
    environ: Environ,
    start_response: Object,
    write: Object,
    close_name: Object,
    context: &'static Context,
}

/// Why a result was not sent to its end.
enum Failed {
    /// Something was raised; the text says during what.
    Raised(&'static str, Raised),
    /// Something was wrong with a chunk.
    Refused(BodyRefused),
}

impl From<BodyRefused> for Failed {
    fn from(refused: BodyRefused) -> Self {
        Self::Refused(refused)
    }
}

impl Wsgi {
    pub(crate) fn new(targets: Vec<Target>) -> Result<Self, Raised> {
        let context: &'static Context =
            Box::leak(Box::new(Context { body: Slot::new(), exchange: Slot::new() }));
        let input =
            native::input::<input::Read, input::ReadLine, input::ReadLines, input::Lines>(context)?;
        Ok(Self {
            targets,
            start_response: native::function::<StartResponse>(&input)?,
            write: native::function::<Write>(&input)?,
            environ: Environ::new(input.clone(), native::file_wrapper()?)?,
            close_name: Object::interned(b"close")?,
            context,
        })
    }

    /// Serves one request.
    pub(crate) fn serve(
        &mut self,
        request: &Request<'_>,
        mut body: RequestBody<'_>,
        response: Response<'_>,
    ) -> Next {
        let stream = request.id.slot;
        let mut exchange = Exchange::new(response, self.write.clone());
        let index = usize::try_from(request.target_index).unwrap_or(usize::MAX);
        let Some(target) = self.targets.get(index) else {
            log(Level::Alert, stream, "the request is for a target that does not exist");
            return Next::Continue;
        };
        let environ = match self.environ.make(request, &target.prefix) {
            Ok(environ) => environ,
            Err(raised) => {
                log(Level::Error, stream, "Python failed to create the \"environ\" dictionary");
                raised.print();
                return Next::Continue;
            }
        };
        let context = self.context;
        let outcome = context.body.lend(&mut body, || {
            context.exchange.lend(&mut exchange, || self.answer(target, environ, stream))
        });
        match outcome {
            Ok(()) => {
                exchange.complete();
                Next::Continue
            }
            Err(next) => {
                exchange.fail();
                next
            }
        }
    }

    /// Calls the application and sends what it returns. An error is logged already.
    fn answer(&self, target: &Target, environ: Dict, stream: u32) -> Result<(), Next> {
        let called = target.callable.call_with_two(environ.as_object(), &self.start_response);
        drop(environ);
        let result = called.map_err(|raised| {
            report(Failed::Raised("Python failed to call the application", raised), stream)
        })?;
        if let Some(bytes) = result.as_bytes() {
            return self.chunk(bytes, true).map_err(|failed| report(failed, stream));
        }
        let sent = self.send_all(&result).map_err(|failed| report(failed, stream));
        // An error of closing changes nothing about the answer.
        if let Err(raised) = self.close(&result) {
            log(
                Level::Error,
                stream,
                "Python failed to call the close() method of the application response",
            );
            raised.print();
        }
        sent
    }

    fn close(&self, result: &Object) -> Result<(), Raised> {
        if result.is_plain_sequence() {
            return Ok(());
        }
        match result.attribute_if_any(&self.close_name)? {
            Some(close) => close.call().map(|_| ()),
            None => Ok(()),
        }
    }

    fn send_all(&self, result: &Object) -> Result<(), Failed> {
        if result.is_plain_sequence() {
            return self.send_sequence(result);
        }
        let iterator = result.iterate().map_err(|raised| {
            Failed::Raised("the application returned not an iterable object", raised)
        })?;
        while !self.is_complete() {
            let next = iterator.next().map_err(|raised| {
                Failed::Raised(
                    "Python failed to iterate over the application response object",
                    raised,
                )
            })?;
            let Some(chunk) = next else { break };
            self.send_chunk(&chunk, false)?;
        }
        Ok(())
    }

    /// Sends a list or tuple, whose last element is known to be the last.
    fn send_sequence(&self, result: &Object) -> Result<(), Failed> {
        let mut index = 0;
        while !self.is_complete() {
            let Some(chunk) = result.list_item(index).or_else(|| result.tuple_item(index)) else {
                break;
            };
            index += 1;
            let len = result.list_len().or_else(|| result.tuple_len());
            self.send_chunk(&chunk, len == Some(index))?;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.context.exchange.with(|exchange| exchange.is_complete()).unwrap_or(true)
    }

    fn send_chunk(&self, chunk: &Object, last: bool) -> Result<(), Failed> {
        let Some(bytes) = chunk.as_bytes() else {
            return Err(BodyRefused::NotBytes.into());
        };
        self.chunk(bytes, last)
    }

    fn chunk(&self, bytes: &[u8], last: bool) -> Result<(), Failed> {
        // Another thread of the application may be in `write` at the moment.
        let sent = self.context.exchange.with(|exchange| exchange.chunk(bytes, last));
        Ok(sent.unwrap_or(Err(BodyRefused::InUse))?)
    }
}

/// Logs a failure once, with its traceback.
fn report(failed: Failed, stream: u32) -> Next {
    match failed {
        Failed::Raised(text, raised) => {
            log(Level::Error, stream, text);
            if raised.is(Exception::SystemExit) {
                return Next::Exit(exit_code(raised));
            }
            raised.print();
        }
        Failed::Refused(refused) => {
            if let Some((level, text)) = refused.text() {
                log(level, stream, &text);
            }
        }
    }
    Next::Continue
}

/// The code of a `SystemExit`, as the interpreter would exit with it.
fn exit_code(raised: Raised) -> u8 {
    let code = raised.take().and_then(|exit| exit.attribute(c"code").map_err(Raised::clear).ok());
    let Some(code) = code.filter(|code| !code.is_none()) else { return 0 };
    match code.to_integer() {
        Ok(code) => code.to_le_bytes()[0],
        Err(raised) => {
            raised.clear();
            1
        }
    }
}

fn log(level: Level, stream: u32, text: &str) {
    unit_log::write_unit(level, Some(stream), text);
}
