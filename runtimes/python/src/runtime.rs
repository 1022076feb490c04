//! Python as a language of `host`.

use host::{Application, Language, LoadFailed, Next, Request, RequestBody, Response, StartError};

use crate::ffi::interpreter;
use crate::load::load;
use crate::settings::{Protocol, Settings};
use crate::wsgi::Wsgi;

/// The interpreter and, in a worker, the application.
#[derive(Debug, Default)]
pub(crate) struct Python {
    settings: Settings,
    wsgi: Option<Wsgi>,
}

impl Language for Python {
    fn initialise(&mut self, application: &Application) -> Result<(), StartError> {
        self.settings = Settings::of(application);
        crate::interpreter::start_as_told(&self.settings).map_err(StartError)
    }

    fn before_fork(&mut self) {
        interpreter::before_fork();
    }

    fn after_fork_in_prototype(&mut self) {
        interpreter::after_fork_in_parent();
    }

    fn after_fork_in_worker(&mut self) {
        interpreter::after_fork_in_child();
    }

    fn load(&mut self) -> Result<(), LoadFailed> {
        let (protocol, targets) = load(&self.settings)?;
        match protocol {
            Protocol::Wsgi => {
                let wsgi = Wsgi::new(targets).map_err(|raised| {
                    unit_log::alert!("Python failed to make the objects of WSGI");
                    raised.print();
                    LoadFailed
                })?;
                self.wsgi = Some(wsgi);
                Ok(())
            }
            Protocol::Asgi => {
                unit_log::alert!("ASGI not implemented");
                Err(LoadFailed)
            }
        }
    }

    fn serve(
        &mut self,
        request: &Request<'_>,
        body: RequestBody<'_>,
        response: Response<'_>,
    ) -> Next {
        // Without an application no worker is ready; the response fails when it is dropped.
        self.wsgi.as_mut().map_or(Next::Continue, |wsgi| wsgi.serve(request, body, response))
    }

    fn pause(wait: &mut dyn FnMut()) {
        interpreter::pause(wait);
    }

    fn finish(&mut self) {
        // No object may outlive the interpreter.
        self.wsgi = None;
        interpreter::finalize();
    }
}
