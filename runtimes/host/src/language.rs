//! What a language has to bring along.

use app_proto::Request;
use thiserror::Error;

use crate::{Application, RequestBody, Response, SessionId, SessionNews, Sessions};

/// Why a language did not start; the text goes to the log and to whoever asked for the prototype.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// The application could not be loaded; the language has logged why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadFailed;

/// What a worker does after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Takes the next one.
    Continue,
    /// Ends with this code, because the application asked for it.
    Exit(u8),
}

/// A language runtime. All methods are called by one thread.
pub trait Language {
    /// Starts the language in the prototype, as the application's user and before the first fork:
    /// all workers share what it allocates.
    ///
    /// # Errors
    /// The sentence to log.
    fn initialise(&mut self, application: &Application) -> Result<(), StartError>;

    /// Called in the prototype before each fork.
    fn before_fork(&mut self) {}

    /// Called in the prototype after each fork, also a failed one.
    fn after_fork_in_prototype(&mut self) {}

    /// Called in a worker that was just forked.
    fn after_fork_in_worker(&mut self) {}

    /// Loads the application in a worker.
    ///
    /// # Errors
    /// After logging the reason. The worker exits with status 1.
    fn load(&mut self) -> Result<(), LoadFailed>;

    /// Serves one request. A response that is dropped before it was finished has failed.
    fn serve(
        &mut self,
        request: &Request<'_>,
        body: RequestBody<'_>,
        response: Response<'_>,
    ) -> Next;

    /// Something has happened in a WebSocket session that [`Response::accept`] has begun. One that
    /// has ended must be finished. A language that accepts none needs no more than this.
    fn session(&mut self, id: SessionId, _news: SessionNews, sessions: &mut Sessions<'_>) -> Next {
        // One that is finished already is of no interest.
        let _ = sessions.finish(id);
        Next::Continue
    }

    /// Calls `wait`, which sleeps. Other threads of the language may run meanwhile.
    fn pause(wait: &mut dyn FnMut()) {
        wait();
    }

    /// Ends the language in a worker that is about to exit.
    fn finish(&mut self) {}
}
