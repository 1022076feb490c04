//! From a request body and the current configuration to the next one.

use conf::tree::{self, EditError, Path};
use conf::{Names, Origin, Value};

use crate::endpoint::Edit;
use crate::precondition::Preconditions;
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

/// An edit whose turn has come.
#[derive(Debug)]
pub(crate) struct Requested {
    /// What is changed.
    pub(crate) path: Path,
    /// How.
    pub(crate) edit: Edit,
    /// In which state of the value.
    pub(crate) preconditions: Preconditions,
}

/// An edit with its value read.
enum Change {
    Put(Value),
    Post(Value),
    Delete,
}

/// The configuration that an edit leads to, checked as a whole.
pub(crate) fn edited(
    root: &Value,
    requested: Requested,
    check: &Check,
    certificates: &Names,
) -> Result<Value, Refusal> {
    let Requested { path, edit, preconditions } = requested;
    let read = |body: Vec<u8>| conf::parse(&body).map_err(|error| Response::invalid_json(&error));
    // A body that is no JSON is told before anything about the place it was meant for.
    let change = match edit {
        Edit::Put(body) => Change::Put(read(body)?),
        Edit::Post(body) => Change::Post(read(body)?),
        Edit::Delete => Change::Delete,
    };
    preconditions.check(tree::get(root, &path)).map_err(Response::precondition_failed)?;
    let edited = match change {
        Change::Put(value) => tree::put(root, &path, value),
        Change::Post(value) => tree::post(root, &path, value),
        Change::Delete => tree::delete(root, &path),
    };
    let value = edited.map_err(|error| match error {
        EditError::NotFound => Response::no_value(),
        EditError::MethodNotAllowed => Response::method_not_allowed(),
    })?;
    match check(&value, Origin::Request, certificates) {
        Ok(()) => Ok(value),
        Err(error) => {
            Err(Refusal { response: Response::invalid_configuration(&error), log: error.log })
        }
    }
}
