//! Answers of the control API: a status and a JSON body, with every title the API knows.

use conf::{ParseError, ValidationError, Value, print_pretty};

use crate::openapi;
use crate::precondition::{ETag, Failed};

/// The status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusCode {
    /// 200
    Ok,
    /// 304
    NotModified,
    /// 400
    BadRequest,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 412
    PreconditionFailed,
    /// 413
    ContentTooLarge,
    /// 500
    InternalServerError,
}

impl StatusCode {
    /// The number and the reason as the status line has them.
    #[must_use]
    pub(crate) const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::NotModified => "304 Not Modified",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::PreconditionFailed => "412 Precondition Failed",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::InternalServerError => "500 Internal Server Error",
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// The status.
    pub(crate) status: StatusCode,
    /// The JSON text.
    pub(crate) body: Vec<u8>,
    /// The tag of the value in it, if it is one that can be changed.
    pub(crate) etag: Option<ETag>,
}

impl Response {
    /// The answer to a successful read: the bare value.
    #[must_use]
    pub(crate) fn value(value: &Value) -> Self {
        Self { status: StatusCode::Ok, body: print_pretty(value), etag: None }
    }

    /// The description of the API.
    #[must_use]
    pub(crate) fn description() -> Self {
        Self { status: StatusCode::Ok, body: openapi::description(), etag: None }
    }

    /// A value with its tag, by which the client can tell later whether it is still the same.
    #[must_use]
    pub(crate) fn tagged(value: &Value) -> Self {
        Self { etag: Some(ETag::of(value)), ..Self::value(value) }
    }

    /// The client has the value already.
    #[must_use]
    pub(crate) fn not_modified(value: &Value) -> Self {
        let etag = Some(ETag::of(value));
        Self { status: StatusCode::NotModified, body: Vec::new(), etag }
    }

    /// The answer to a successful write.
    #[must_use]
    pub(crate) fn success(text: &str) -> Self {
        Self::value(&Value::from_iter([("success", Value::from(text))]))
    }

    /// A configuration was changed.
    #[must_use]
    pub(crate) fn reconfigured() -> Self {
        Self::success("Reconfiguration done.")
    }

    /// A configuration could be applied, but was not meant to be.
    #[must_use]
    pub(crate) fn dry_run_passed() -> Self {
        Self::success("Configuration is valid.")
    }

    /// A certificate bundle is on the disk.
    #[must_use]
    pub(crate) fn certificate_uploaded() -> Self {
        Self::success("Certificate chain uploaded.")
    }

    /// A certificate bundle is no more.
    #[must_use]
    pub(crate) fn certificate_deleted() -> Self {
        Self::success("Certificate deleted.")
    }

    /// A request is not for something that can be the name of a bundle.
    #[must_use]
    pub(crate) fn invalid_certificate_name() -> Self {
        Self::error(StatusCode::BadRequest, "Invalid certificate name.")
    }

    /// A bundle is not one.
    #[must_use]
    pub(crate) fn invalid_certificate(detail: &str) -> Self {
        Self::detailed(StatusCode::BadRequest, "Invalid certificate.", detail)
    }

    /// There is a bundle of that name, or will be.
    #[must_use]
    pub(crate) fn certificate_exists() -> Self {
        Self::error(StatusCode::BadRequest, "Certificate already exists.")
    }

    /// A bundle cannot be deleted.
    #[must_use]
    pub(crate) fn certificate_in_use() -> Self {
        Self::error(StatusCode::BadRequest, "Certificate is used in the configuration.")
    }

    /// There is no bundle of that name.
    #[must_use]
    pub(crate) fn no_certificate() -> Self {
        Self::error(StatusCode::NotFound, "Certificate doesn't exist.")
    }

    /// Main could not write a bundle to the disk.
    #[must_use]
    pub(crate) fn certificate_not_stored(detail: &str) -> Self {
        let title = "Failed to store certificate.";
        Self::detailed(StatusCode::InternalServerError, title, detail)
    }

    /// Main could not delete a bundle from the disk.
    #[must_use]
    pub(crate) fn certificate_not_deleted(detail: &str) -> Self {
        let title = "Failed to delete certificate.";
        Self::detailed(StatusCode::InternalServerError, title, detail)
    }

    /// The value is not in the state that the client asks for.
    #[must_use]
    pub(crate) fn precondition_failed(failed: Failed) -> Self {
        let detail = match failed {
            Failed::IfMatch => {
                "The value was changed, or does not exist: \"If-Match\" does not hold."
            }
            Failed::IfNoneMatch => "The value exists: \"If-None-Match\" does not hold.",
        };
        Self::detailed(StatusCode::PreconditionFailed, "Precondition failed.", detail)
    }

    /// The path leads nowhere.
    #[must_use]
    pub(crate) fn no_value() -> Self {
        Self::error(StatusCode::NotFound, "Value doesn't exist.")
    }

    /// The path leads nowhere below `/status`.
    #[must_use]
    pub(crate) fn invalid_path() -> Self {
        Self::error(StatusCode::NotFound, "Invalid path.")
    }

    /// The endpoint is read-only.
    #[must_use]
    pub(crate) fn invalid_method() -> Self {
        Self::error(StatusCode::MethodNotAllowed, "Invalid method.")
    }

    /// The endpoint has other methods.
    #[must_use]
    pub(crate) fn method_not_allowed() -> Self {
        Self::error(StatusCode::MethodNotAllowed, "Method isn't allowed.")
    }

    /// The request is not one, for the reason that `detail` gives.
    #[must_use]
    pub(crate) fn bad_request(detail: &str) -> Self {
        Self::detailed(StatusCode::BadRequest, "Invalid request.", detail)
    }

    /// The body is over the limit.
    #[must_use]
    pub(crate) fn too_large(detail: &str) -> Self {
        Self::detailed(StatusCode::ContentTooLarge, "Request body is too large.", detail)
    }

    /// The body is not JSON.
    #[must_use]
    pub(crate) fn invalid_json(error: &ParseError) -> Self {
        let mut location = vec![("offset", count(error.offset))];
        if let Some(position) = error.position {
            location.push(("line", count(position.line)));
            location.push(("column", count(position.column)));
        }
        let members = [
            ("error", Value::from("Invalid JSON.")),
            ("detail", Value::from(error.detail)),
            ("location", Value::from_iter(location)),
        ];
        Self::from_members(StatusCode::BadRequest, members)
    }

    /// The edited configuration is not valid.
    #[must_use]
    pub(crate) fn invalid_configuration(error: &ValidationError) -> Self {
        let place = Value::from_iter([("path", Value::from(error.path.as_str()))]);
        let mut members = vec![
            ("error", Value::from("Invalid configuration.")),
            ("detail", Value::from(error.detail.as_str())),
            ("location", place),
        ];
        if let Some(suggestion) = &error.suggestion {
            members.push(("suggestion", Value::from(suggestion.as_str())));
        }
        Self::from_members(StatusCode::BadRequest, members)
    }

    /// The router refused a configuration, or was lost with it.
    #[must_use]
    pub(crate) fn not_applied(detail: &str) -> Self {
        let title = "Failed to apply new configuration.";
        Self::detailed(StatusCode::InternalServerError, title, detail)
    }

    /// Main could not write a configuration to the disk.
    #[must_use]
    pub(crate) fn not_stored(detail: &str) -> Self {
        let title = "Failed to store configuration.";
        Self::detailed(StatusCode::InternalServerError, title, detail)
    }

    /// The router did not report its counters.
    #[must_use]
    pub(crate) fn no_status() -> Self {
        Self::error(StatusCode::InternalServerError, "Failed to get status.")
    }

    /// The router refused to restart an application.
    #[must_use]
    pub(crate) fn not_restarted() -> Self {
        Self::error(StatusCode::InternalServerError, "Failed to restart app.")
    }

    /// The router could not even be asked to.
    #[must_use]
    pub(crate) fn restart_not_sent() -> Self {
        Self::error(StatusCode::InternalServerError, "Send restart failed.")
    }

    fn error(status: StatusCode, title: &str) -> Self {
        Self::from_members(status, [("error", Value::from(title))])
    }

    fn detailed(status: StatusCode, title: &str, detail: &str) -> Self {
        let members = [("error", Value::from(title)), ("detail", Value::from(detail))];
        Self::from_members(status, members)
    }

    fn from_members(
        status: StatusCode,
        members: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        Self { status, body: print_pretty(&Value::from_iter(members)), etag: None }
    }
}

fn count(number: usize) -> Value {
    Value::from(u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &Response) -> &str {
        std::str::from_utf8(&response.body).unwrap()
    }

    #[test]
    fn members_stand_in_the_documented_order() {
        let error = conf::parse(b"{\n \"a\": ?}").unwrap_err();
        let answer = Response::invalid_json(&error);
        assert_eq!(answer.status, StatusCode::BadRequest);
        assert_eq!(
            text(&answer),
            "{\r\n\t\"error\": \"Invalid JSON.\",\r\n\t\"detail\": \"A valid JSON value is expected \
             here.  It must be either a literal (null, true, or false), a number, a string (in \
             double quotes \\\"\\\"), an array (with brackets []), or an object (with braces \
             {}).\",\r\n\t\"location\": {\r\n\t\t\"offset\": 8,\r\n\t\t\"line\": 2,\r\n\t\t\
             \"column\": 7\r\n\t}\r\n}\r\n"
        );
    }

    #[test]
    fn line_and_column_are_left_out_where_the_line_is_not_utf8() {
        let error = conf::parse(b"\"\xff\x01\"").unwrap_err();
        let answer = Response::invalid_json(&error);
        assert!(text(&answer).ends_with("\"location\": {\r\n\t\t\"offset\": 2\r\n\t}\r\n}\r\n"));
    }

    #[test]
    fn a_mistake_in_the_configuration_has_its_place_and_what_was_meant() {
        let error = ValidationError {
            detail: "Unknown parameter \"httpp\".".to_owned(),
            path: "/settings/httpp".to_owned(),
            suggestion: Some("http".to_owned()),
            log: None,
        };
        assert_eq!(
            text(&Response::invalid_configuration(&error)),
            "{\r\n\t\"error\": \"Invalid configuration.\",\r\n\t\"detail\": \"Unknown parameter \
             \\\"httpp\\\".\",\r\n\t\"location\": {\r\n\t\t\"path\": \"/settings/httpp\"\r\n\t}\
             ,\r\n\r\n\t\"suggestion\": \"http\"\r\n}\r\n"
        );
    }

    #[test]
    fn scalars_are_answered_bare() {
        assert_eq!(Response::value(&Value::from("x")).body, b"\"x\"\r\n");
    }
}
