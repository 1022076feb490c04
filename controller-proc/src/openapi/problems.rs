//! What can go wrong: the status, the title and the members of each error.

use conf::Value;

use crate::openapi::{SCHEMAS, object, parse};

/// One kind of error, told from the others by its title.
#[derive(Debug)]
pub(super) struct Problem {
    /// The name of its schema.
    pub(super) name: &'static str,
    pub(super) status: u16,
    /// The `error`.
    pub(super) title: &'static str,
    /// When it is answered.
    pub(super) about: &'static str,
    /// An example of its `detail`, if it has one.
    detail: Option<&'static str>,
    place: Place,
}

/// What an error says about where the fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// In the text of the body.
    Text,
    /// In the configuration, perhaps with what was meant.
    Configuration,
}

impl Problem {
    const fn new(
        name: &'static str,
        status: u16,
        title: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, status, title, about, detail: None, place: Place::Nowhere }
    }

    const fn detail(self, example: &'static str) -> Self {
        Self { detail: Some(example), ..self }
    }

    const fn place(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// The schema: exactly the members it has.
    pub(super) fn schema(&self) -> Value {
        let text = || object([("type", Value::from("string"))]);
        let mut properties = vec![("error", object([("const", Value::from(self.title))]))];
        let mut required = vec![Value::from("error")];
        if self.detail.is_some() {
            properties.push(("detail", text()));
            required.push(Value::from("detail"));
        }
        let location = match self.place {
            Place::Nowhere => None,
            Place::Text => Some("TextLocation"),
            Place::Configuration => Some("MemberLocation"),
        };
        if let Some(name) = location {
            let reference = object([("$ref", Value::from(format!("{SCHEMAS}{name}")))]);
            properties.push(("location", reference));
            required.push(Value::from("location"));
        }
        if self.place == Place::Configuration {
            properties.push(("suggestion", text()));
        }
        object([
            ("description", Value::from(self.about)),
            ("type", Value::from("object")),
            ("properties", object(properties)),
            ("required", Value::from(required)),
            ("additionalProperties", Value::from(false)),
        ])
    }

    pub(super) fn example(&self) -> Value {
        let mut members = vec![("error", Value::from(self.title))];
        members.extend(self.detail.map(|detail| ("detail", Value::from(detail))));
        match self.place {
            Place::Nowhere => {}
            Place::Text => {
                members.push(("location", parse(r#"{"offset": 12, "line": 2, "column": 4}"#)));
            }
            Place::Configuration => {
                members.push(("location", parse(r#"{"path": "/listeners/*:8080/pas"}"#)));
                members.push(("suggestion", Value::from("pass")));
            }
        }
        object(members)
    }
}

pub(super) const INVALID_REQUEST: Problem = Problem::new(
    "InvalidRequest",
    400,
    "Invalid request.",
    "The request is malformed: its target, a parameter, or a precondition.",
)
.detail("The request target has a malformed percent sequence.");

pub(super) const INVALID_JSON: Problem =
    Problem::new("InvalidJson", 400, "Invalid JSON.", "The body is not JSON.")
        .detail("Duplicate object member.  All JSON object members must have unique names.")
        .place(Place::Text);

pub(super) const INVALID_CONFIGURATION: Problem = Problem::new(
    "InvalidConfiguration",
    400,
    "Invalid configuration.",
    "The configuration that the change leads to is not valid.",
)
.detail("Unknown parameter \"pas\".")
.place(Place::Configuration);

pub(super) const INVALID_CERTIFICATE_NAME: Problem = Problem::new(
    "InvalidCertificateName",
    400,
    "Invalid certificate name.",
    "Nothing can be stored under the name.",
);

pub(super) const INVALID_CERTIFICATE: Problem = Problem::new(
    "InvalidCertificate",
    400,
    "Invalid certificate.",
    "The bundle is not one private key and the certificates that go with it.",
)
.detail("no key found");

pub(super) const CERTIFICATE_EXISTS: Problem = Problem::new(
    "CertificateExists",
    400,
    "Certificate already exists.",
    "There is a bundle of that name, or one is on its way.",
);

pub(super) const CERTIFICATE_IN_USE: Problem = Problem::new(
    "CertificateInUse",
    400,
    "Certificate is used in the configuration.",
    "A listener uses the bundle.",
);

pub(super) const NO_VALUE: Problem =
    Problem::new("NoValue", 404, "Value doesn't exist.", "The path leads nowhere.");

pub(super) const INVALID_PATH: Problem =
    Problem::new("InvalidPath", 404, "Invalid path.", "The path leads nowhere.");

pub(super) const NO_CERTIFICATE: Problem = Problem::new(
    "NoCertificate",
    404,
    "Certificate doesn't exist.",
    "There is no bundle of that name.",
);

pub(super) const METHOD_NOT_ALLOWED: Problem = Problem::new(
    "MethodNotAllowed",
    405,
    "Method isn't allowed.",
    "The value is not an array, and so nothing can be appended to it.",
);

pub(super) const PRECONDITION_FAILED: Problem = Problem::new(
    "PreconditionFailed",
    412,
    "Precondition failed.",
    "The value is not in the state that the client asks for; nothing is changed.",
)
.detail("The value was changed, or does not exist: \"If-Match\" does not hold.");

pub(super) const BODY_TOO_LARGE: Problem =
    Problem::new("BodyTooLarge", 413, "Request body is too large.", "The body is over the limit.")
        .detail("Content-Length is too big");

pub(super) const NOT_APPLIED: Problem = Problem::new(
    "NotApplied",
    500,
    "Failed to apply new configuration.",
    "A listener, an application or a feature is not to be had; nothing is changed.",
)
.detail("settings/telemetry: telemetry is not supported by this release");

pub(super) const NOT_STORED: Problem = Problem::new(
    "NotStored",
    500,
    "Failed to store configuration.",
    "The disk refused it; nothing is changed.",
)
.detail("No space left on device");

pub(super) const CERTIFICATE_NOT_STORED: Problem = Problem::new(
    "CertificateNotStored",
    500,
    "Failed to store certificate.",
    "The disk refused it; nothing is changed.",
)
.detail("No space left on device");

pub(super) const CERTIFICATE_NOT_DELETED: Problem = Problem::new(
    "CertificateNotDeleted",
    500,
    "Failed to delete certificate.",
    "The disk refused it; nothing is changed.",
)
.detail("Read-only file system");

pub(super) const NO_STATUS: Problem =
    Problem::new("NoStatus", 500, "Failed to get status.", "The router did not answer.");

pub(super) const NOT_RESTARTED: Problem =
    Problem::new("NotRestarted", 500, "Failed to restart app.", "The router refused it.");

pub(super) const RESTART_NOT_SENT: Problem = Problem::new(
    "RestartNotSent",
    500,
    "Send restart failed.",
    "The router could not be asked to.",
);

/// Every error there is, but for those of methods that an endpoint does not have.
pub(super) const ALL: [&Problem; 20] = [
    &INVALID_REQUEST,
    &INVALID_JSON,
    &INVALID_CONFIGURATION,
    &INVALID_CERTIFICATE_NAME,
    &INVALID_CERTIFICATE,
    &CERTIFICATE_EXISTS,
    &CERTIFICATE_IN_USE,
    &NO_VALUE,
    &INVALID_PATH,
    &NO_CERTIFICATE,
    &METHOD_NOT_ALLOWED,
    &PRECONDITION_FAILED,
    &BODY_TOO_LARGE,
    &NOT_APPLIED,
    &NOT_STORED,
    &CERTIFICATE_NOT_STORED,
    &CERTIFICATE_NOT_DELETED,
    &NO_STATUS,
    &NOT_RESTARTED,
    &RESTART_NOT_SENT,
];
