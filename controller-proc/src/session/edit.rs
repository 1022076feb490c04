//! From a request body and the current configuration to the next one.

use conf::tree::{self, EditError, Path};
use conf::{Origin, Value};

use crate::endpoint::Edit;
use crate::response::Response;
use crate::validation::Check;

/// Why an edit comes to nothing.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What the client is told.
    pub(crate) response: Response,
    /// What the log is told, if anything.
    pub(crate) log: Option<String>,
}

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self { response, log: None }
    }
}

/// The configuration that an edit leads to, checked as a whole.
pub(crate) fn edited(
    root: &Value,
    path: &Path,
    edit: Edit,
    check: &Check,
) -> Result<Value, Refusal> {
    let read = |body: Vec<u8>| conf::parse(&body).map_err(|error| Response::invalid_json(&error));
    let edited = match edit {
        Edit::Put(body) => tree::put(root, path, read(body)?),
        Edit::Post(body) => tree::post(root, path, read(body)?),
        Edit::Delete => tree::delete(root, path),
    };
    let value = edited.map_err(|error| match error {
        EditError::NotFound => Response::no_value(),
        EditError::MethodNotAllowed => Response::method_not_allowed(),
    })?;
    match check(&value, Origin::Request) {
        Ok(()) => Ok(value),
        Err(error) => Err(Refusal {
            response: Response::invalid_configuration(&error.detail),
            log: error.log,
        }),
    }
}
