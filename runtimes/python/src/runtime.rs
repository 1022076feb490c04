//! Python as a language of `host`.

use conf::{ApplicationKind, PythonProtocol as Protocol};
use host::{Application, Language, LoadFailed, Next, Request, RequestBody, Response, StartError};

use crate::ffi::interpreter;
use crate::load::load;
use crate::wsgi::Wsgi;

/// The interpreter and, in a worker, the application.
#[derive(Debug, Default)]
pub(crate) struct Python {
    settings: Option<conf::Python>,
    wsgi: Option<Wsgi>,
}

impl Language for Python {
    fn initialise(&mut self, application: &Application) -> Result<(), StartError> {
        let ApplicationKind::Python(settings) = &application.kind else {
            return Err(StartError("the application is not one of Python".to_owned()));
        };
        crate::interpreter::start_as_told(settings).map_err(StartError)?;
        self.settings = Some(settings.clone());
        Ok(())
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
        let settings = self.settings.as_ref().ok_or(LoadFailed)?;
        let (protocol, targets) = load(settings)?;
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
