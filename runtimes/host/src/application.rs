//! The application's configuration as its prototype and workers see it.

use serde_json::Value;

/// The application object of the configuration, which was validated before it came here.
#[derive(Clone, Debug)]
pub struct Application {
    /// The name.
    pub name: String,
    /// The whole object.
    pub object: Value,
    /// After how many requests a worker ends; `None` for never.
    pub requests_max: Option<u64>,
}

impl Application {
    /// Reads an application object.
    ///
    /// # Errors
    /// A sentence saying what is wrong.
    pub fn parse(name: String, json: &[u8]) -> Result<Self, String> {
        let object: Value =
            serde_json::from_slice(json).map_err(|_| "router app configuration parsing error")?;
        let requests_max = object["limits"]["requests"].as_u64().filter(|requests| *requests > 0);
        Ok(Self { name, object, requests_max })
    }
}
