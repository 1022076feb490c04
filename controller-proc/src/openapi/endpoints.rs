//! The endpoints: what each of them takes and answers.

use conf::Value;

use crate::openapi::problems::{
    BODY_TOO_LARGE, CERTIFICATE_EXISTS, CERTIFICATE_IN_USE, CERTIFICATE_NOT_DELETED,
    CERTIFICATE_NOT_STORED, INVALID_CERTIFICATE, INVALID_CERTIFICATE_NAME, INVALID_CONFIGURATION,
    INVALID_JSON, INVALID_PATH, INVALID_REQUEST, METHOD_NOT_ALLOWED, NO_CERTIFICATE, NO_STATUS,
    NO_VALUE, NOT_APPLIED, NOT_RESTARTED, NOT_STORED, PRECONDITION_FAILED, Problem,
    RESTART_NOT_SENT,
};
use crate::openapi::{object, parse};

/// A path with the methods it has.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) path: &'static str,
    /// The parameters in the path.
    pub(super) parameters: &'static [&'static Parameter],
    pub(super) operations: &'static [Operation],
}

/// A method of an endpoint.
#[derive(Debug)]
pub(super) struct Operation {
    /// In lower case.
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [&'static Parameter],
    pub(super) body: Option<Body>,
    pub(super) answers: &'static [Answer],
    pub(super) problems: &'static [&'static Problem],
}

/// Something in the path, the query or the header of a request.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) id: &'static str,
    name: &'static str,
    place: &'static str,
    about: &'static str,
    /// The schema, as JSON.
    schema: &'static str,
    /// An example, as JSON.
    example: &'static str,
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) about: &'static str,
    pub(super) media_type: &'static str,
    /// The schema, as JSON.
    pub(super) schema: &'static str,
    /// Examples by name, as JSON.
    pub(super) examples: &'static [(&'static str, &'static str)],
}

/// An answer that is no error.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    /// The schema, as JSON; without one there is no body.
    pub(super) schema: Option<&'static str>,
    /// An example, as JSON.
    pub(super) example: Option<&'static str>,
    /// Whether it carries an `ETag`.
    pub(super) is_tagged: bool,
}

/// The header field with the tag of a value.
pub(super) const ETAG: &str = r#"{
    "description": "The tag of the value: it is the same as long as the value is.",
    "required": true,
    "schema": {"type": "string", "pattern": "^\"[0-9a-f]{16}\"$"},
    "example": "\"0f1e2d3c4b5a6978\""
}"#;

const CONFIG_PATH: Parameter = Parameter {
    id: "ConfigPath",
    name: "path",
    place: "path",
    about: "The names of object members and the indices of array elements that lead to the value, \
            divided by slashes. A slash or a percent sign inside of a name is written `%2F` or \
            `%25`. The slashes between the segments are sent as they are: a client that would \
            write them as `%2F` can use this for a single segment only.",
    schema: r#"{"type": "string", "minLength": 1}"#,
    example: r#""listeners""#,
};

const STATUS_PATH: Parameter = Parameter {
    id: "StatusPath",
    name: "path",
    place: "path",
    about: "The names of members that lead to the value, divided by slashes, as in a path into the \
            configuration.",
    schema: r#"{"type": "string", "minLength": 1}"#,
    example: r#""connections""#,
};

const CERTIFICATE_PATH: Parameter = Parameter {
    id: "CertificatePath",
    name: "path",
    place: "path",
    about: "The names of members and the indices of elements that lead to the value, divided by \
            slashes, as in a path into the configuration.",
    schema: r#"{"type": "string", "minLength": 1}"#,
    example: r#""chain""#,
};

const CERTIFICATE_NAME: Parameter = Parameter {
    id: "CertificateName",
    name: "name",
    place: "path",
    about: "The name of a certificate bundle.",
    schema: r#"{"type": "string", "minLength": 1}"#,
    example: r#""example.com""#,
};

const APPLICATION_NAME: Parameter = Parameter {
    id: "ApplicationName",
    name: "name",
    place: "path",
    about: "The name of an application. A slash inside of it is sent as it is.",
    schema: r#"{"type": "string", "minLength": 1}"#,
    example: r#""app""#,
};

const IF_MATCH: Parameter = Parameter {
    id: "IfMatch",
    name: "If-Match",
    place: "header",
    about: "Change the value only if it still has one of these tags; with `*`, only if it exists.",
    schema: TAGS,
    example: r#""\"0f1e2d3c4b5a6978\"""#,
};

const IF_NONE_MATCH: Parameter = Parameter {
    id: "IfNoneMatch",
    name: "If-None-Match",
    place: "header",
    about: "Send the value only if it has none of these tags. For a change: make it only if the \
            value does not exist (`*`), or has none of these tags.",
    schema: TAGS,
    example: r#""*""#,
};

/// `*`, or entity tags with commas between them.
const TAGS: &str = r#"{
    "type": "string",
    "pattern": "^(\\*|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$"
}"#;

const DRY_RUN: Parameter = Parameter {
    id: "DryRun",
    name: "dry_run",
    place: "query",
    about: "Validate and build what the change leads to, and drop it. The name alone means `true`.",
    schema: FLAG,
    example: r#""true""#,
};

const REPLACE: Parameter = Parameter {
    id: "Replace",
    name: "replace",
    place: "query",
    about: "Let the bundle take the place of one of the same name, if there is one. The name alone \
            means `true`.",
    schema: FLAG,
    example: r#""true""#,
};

const FLAG: &str = r#"{"type": "string", "enum": ["true", "1", "false", "0"], "default": "false"}"#;

const PARAMETERS: [&Parameter; 9] = [
    &CONFIG_PATH,
    &STATUS_PATH,
    &CERTIFICATE_NAME,
    &CERTIFICATE_PATH,
    &APPLICATION_NAME,
    &IF_MATCH,
    &IF_NONE_MATCH,
    &DRY_RUN,
    &REPLACE,
];

/// All parameters by id.
pub(super) fn parameters() -> Value {
    let parameter = |parameter: &&Parameter| {
        let value = object([
            ("name", Value::from(parameter.name)),
            ("in", Value::from(parameter.place)),
            ("description", Value::from(parameter.about)),
            ("required", Value::from(parameter.place == "path")),
            ("schema", parse(parameter.schema)),
            ("example", parse(parameter.example)),
        ]);
        (parameter.id, value)
    };
    PARAMETERS.iter().map(parameter).collect()
}

const fn value(about: &'static str, schema: &'static str) -> Answer {
    Answer { status: 200, about, schema: Some(schema), example: None, is_tagged: false }
}

const ANYTHING: &str = "{}";
const CONFIG: &str = r##"{"$ref": "#/components/schemas/config"}"##;

const NOT_MODIFIED: Answer = Answer {
    status: 304,
    about: "The value has one of the tags in `If-None-Match`.",
    schema: None,
    example: None,
    is_tagged: true,
};

const RECONFIGURED: Answer = Answer {
    status: 200,
    about: "The change is applied and on the disk; or, with `dry_run`, it could be applied.",
    schema: Some(
        r#"{
            "type": "object",
            "properties": {
                "success": {"enum": ["Reconfiguration done.", "Configuration is valid."]}
            },
            "required": ["success"],
            "additionalProperties": false
        }"#,
    ),
    example: Some(r#"{"success": "Reconfiguration done."}"#),
    is_tagged: false,
};

const fn done(about: &'static str, schema: &'static str, example: &'static str) -> Answer {
    Answer { status: 200, about, schema: Some(schema), example: Some(example), is_tagged: false }
}

const CHANGE_PARAMETERS: &[&Parameter] = &[&DRY_RUN, &IF_MATCH, &IF_NONE_MATCH];

const CHANGE: &str = "The whole of what the change leads to is validated and applied, or nothing of \
                      it. Changes are made one after another. The answer is sent when the change \
                      is on the disk and every request is served by it.";

/// Every path with its methods.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/",
        parameters: &[],
        operations: &[Operation {
            method: "get",
            id: "getEverything",
            summary: "Certificates, configuration and status",
            about: "Waits for the changes that came before.",
            parameters: &[],
            body: None,
            answers: &[value(
                "Everything there is to see.",
                r##"{"$ref": "#/components/schemas/Overview"}"##,
            )],
            problems: &[&INVALID_REQUEST, &NO_STATUS],
        }],
    },
    Endpoint {
        path: "/config",
        parameters: &[],
        operations: &[
            Operation {
                method: "get",
                id: "getConfig",
                summary: "The whole configuration",
                about: "Never waits.",
                parameters: &[&IF_NONE_MATCH],
                body: None,
                answers: &[
                    Answer {
                        status: 200,
                        about: "The configuration.",
                        schema: Some(CONFIG),
                        example: Some(
                            r#"{"listeners": {"*:8080": {"pass": "routes"}}, "routes": [{"action": {"share": "/srv/www$uri"}}]}"#,
                        ),
                        is_tagged: true,
                    },
                    NOT_MODIFIED,
                ],
                problems: &[&INVALID_REQUEST],
            },
            Operation {
                method: "put",
                id: "putConfig",
                summary: "Replace the whole configuration",
                about: CHANGE,
                parameters: CHANGE_PARAMETERS,
                body: Some(Body {
                    about: "The new configuration.",
                    media_type: "application/json",
                    schema: CONFIG,
                    examples: &[
                        ("nothing", "{}"),
                        (
                            "files",
                            r#"{"listeners": {}, "routes": [{"action": {"share": "/srv/www$uri"}}]}"#,
                        ),
                    ],
                }),
                answers: &[RECONFIGURED],
                problems: &[
                    &INVALID_REQUEST,
                    &INVALID_JSON,
                    &INVALID_CONFIGURATION,
                    &PRECONDITION_FAILED,
                    &BODY_TOO_LARGE,
                    &NOT_APPLIED,
                    &NOT_STORED,
                ],
            },
            Operation {
                method: "delete",
                id: "deleteConfig",
                summary: "Reset the configuration to an empty object",
                about: CHANGE,
                parameters: CHANGE_PARAMETERS,
                body: None,
                answers: &[RECONFIGURED],
                problems: &[&INVALID_REQUEST, &PRECONDITION_FAILED, &NOT_APPLIED, &NOT_STORED],
            },
        ],
    },
    Endpoint {
        path: "/config/{path}",
        parameters: &[&CONFIG_PATH],
        operations: &[
            Operation {
                method: "get",
                id: "getConfigValue",
                summary: "A value in the configuration",
                about: "Never waits.",
                parameters: &[&IF_NONE_MATCH],
                body: None,
                answers: &[
                    Answer {
                        status: 200,
                        about: "The value.",
                        schema: Some(ANYTHING),
                        example: Some(r#"{"*:8080": {"pass": "routes"}}"#),
                        is_tagged: true,
                    },
                    NOT_MODIFIED,
                ],
                problems: &[&INVALID_REQUEST, &NO_VALUE],
            },
            Operation {
                method: "put",
                id: "putConfigValue",
                summary: "Replace or create a value",
                about: CHANGE,
                parameters: CHANGE_PARAMETERS,
                body: Some(Body {
                    about: "The new value. An object gets a new member, and the index behind the \
                            last element of an array appends to it; what is further up must exist.",
                    media_type: "application/json",
                    schema: ANYTHING,
                    examples: &[
                        ("object", r#"{"*:8080": {"pass": "routes"}}"#),
                        ("string", r#""routes""#),
                        ("number", "4"),
                    ],
                }),
                answers: &[RECONFIGURED],
                problems: &[
                    &INVALID_REQUEST,
                    &INVALID_JSON,
                    &INVALID_CONFIGURATION,
                    &NO_VALUE,
                    &PRECONDITION_FAILED,
                    &BODY_TOO_LARGE,
                    &NOT_APPLIED,
                    &NOT_STORED,
                ],
            },
            Operation {
                method: "post",
                id: "postConfigValue",
                summary: "Append to an array",
                about: CHANGE,
                parameters: CHANGE_PARAMETERS,
                body: Some(Body {
                    about: "The new element.",
                    media_type: "application/json",
                    schema: ANYTHING,
                    examples: &[("step", r#"{"action": {"return": 404}}"#)],
                }),
                answers: &[RECONFIGURED],
                problems: &[
                    &INVALID_REQUEST,
                    &INVALID_JSON,
                    &INVALID_CONFIGURATION,
                    &NO_VALUE,
                    &METHOD_NOT_ALLOWED,
                    &PRECONDITION_FAILED,
                    &BODY_TOO_LARGE,
                    &NOT_APPLIED,
                    &NOT_STORED,
                ],
            },
            Operation {
                method: "delete",
                id: "deleteConfigValue",
                summary: "Remove a value",
                about: CHANGE,
                parameters: CHANGE_PARAMETERS,
                body: None,
                answers: &[RECONFIGURED],
                problems: &[
                    &INVALID_REQUEST,
                    &INVALID_CONFIGURATION,
                    &NO_VALUE,
                    &PRECONDITION_FAILED,
                    &NOT_APPLIED,
                    &NOT_STORED,
                ],
            },
        ],
    },
    Endpoint {
        path: "/certificates",
        parameters: &[],
        operations: &[Operation {
            method: "get",
            id: "getCertificates",
            summary: "All certificate bundles",
            about: "Never waits.",
            parameters: &[],
            body: None,
            answers: &[value(
                "The bundles by name.",
                r##"{"$ref": "#/components/schemas/Certificates"}"##,
            )],
            problems: &[&INVALID_REQUEST],
        }],
    },
    Endpoint {
        path: "/certificates/{name}",
        parameters: &[&CERTIFICATE_NAME],
        operations: &[
            Operation {
                method: "get",
                id: "getCertificate",
                summary: "A certificate bundle",
                about: "Never waits.",
                parameters: &[],
                body: None,
                answers: &[value(
                    "The bundle.",
                    r##"{"$ref": "#/components/schemas/Certificate"}"##,
                )],
                problems: &[&INVALID_REQUEST, &NO_CERTIFICATE],
            },
            Operation {
                method: "put",
                id: "putCertificate",
                summary: "Upload a certificate bundle",
                about: "The answer is sent when the bundle is on the disk.",
                parameters: &[&REPLACE],
                body: Some(Body {
                    about: "In PEM: one private key, which is not encrypted, and the certificates, \
                            that of the server first.",
                    media_type: "application/x-pem-file",
                    schema: r#"{"type": "string"}"#,
                    examples: &[(
                        "bundle",
                        r#""-----BEGIN PRIVATE KEY-----\n(Base64)\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n(Base64)\n-----END CERTIFICATE-----\n""#,
                    )],
                }),
                answers: &[done(
                    "The bundle can be used.",
                    r#"{
                        "type": "object",
                        "properties": {"success": {"const": "Certificate chain uploaded."}},
                        "required": ["success"],
                        "additionalProperties": false
                    }"#,
                    r#"{"success": "Certificate chain uploaded."}"#,
                )],
                problems: &[
                    &INVALID_REQUEST,
                    &INVALID_CERTIFICATE_NAME,
                    &INVALID_CERTIFICATE,
                    &CERTIFICATE_EXISTS,
                    &BODY_TOO_LARGE,
                    &CERTIFICATE_NOT_STORED,
                    // When a listener uses a bundle that is replaced.
                    &NOT_APPLIED,
                ],
            },
            Operation {
                method: "delete",
                id: "deleteCertificate",
                summary: "Delete a certificate bundle",
                about: "One that a listener uses cannot be deleted.",
                parameters: &[],
                body: None,
                answers: &[done(
                    "The bundle is no more.",
                    r#"{
                        "type": "object",
                        "properties": {"success": {"const": "Certificate deleted."}},
                        "required": ["success"],
                        "additionalProperties": false
                    }"#,
                    r#"{"success": "Certificate deleted."}"#,
                )],
                problems: &[
                    &INVALID_REQUEST,
                    &INVALID_CERTIFICATE_NAME,
                    &CERTIFICATE_IN_USE,
                    &NO_CERTIFICATE,
                    &CERTIFICATE_NOT_DELETED,
                ],
            },
        ],
    },
    Endpoint {
        path: "/certificates/{name}/{path}",
        parameters: &[&CERTIFICATE_NAME, &CERTIFICATE_PATH],
        operations: &[Operation {
            method: "get",
            id: "getCertificateValue",
            summary: "A value in the description of a certificate bundle",
            about: "Never waits.",
            parameters: &[],
            body: None,
            answers: &[value("The value.", ANYTHING)],
            problems: &[&INVALID_REQUEST, &NO_CERTIFICATE, &INVALID_PATH],
        }],
    },
    Endpoint {
        path: "/status",
        parameters: &[],
        operations: &[Operation {
            method: "get",
            id: "getStatus",
            summary: "All counters",
            about: "Waits for the changes that came before.",
            parameters: &[],
            body: None,
            answers: &[value("The counters.", r##"{"$ref": "#/components/schemas/Status"}"##)],
            problems: &[&INVALID_REQUEST, &NO_STATUS],
        }],
    },
    Endpoint {
        path: "/status/{path}",
        parameters: &[&STATUS_PATH],
        operations: &[Operation {
            method: "get",
            id: "getStatusValue",
            summary: "Some counters",
            about: "Waits for the changes that came before.",
            parameters: &[],
            body: None,
            answers: &[value("The value.", ANYTHING)],
            problems: &[&INVALID_REQUEST, &INVALID_PATH, &NO_STATUS],
        }],
    },
    Endpoint {
        path: "/control/applications/{name}/restart",
        parameters: &[&APPLICATION_NAME],
        operations: &[Operation {
            method: "get",
            id: "restartApplication",
            summary: "Replace the processes of an application",
            about: "New processes are started; when they are ready, the old ones finish what they \
                    have and end. The answer waits for neither.",
            parameters: &[],
            body: None,
            answers: &[done(
                "The router has begun.",
                r#"{
                    "type": "object",
                    "properties": {"success": {"const": "Ok"}},
                    "required": ["success"],
                    "additionalProperties": false
                }"#,
                r#"{"success": "Ok"}"#,
            )],
            problems: &[&INVALID_REQUEST, &NO_VALUE, &NOT_RESTARTED, &RESTART_NOT_SENT],
        }],
    },
    Endpoint {
        path: "/openapi.json",
        parameters: &[],
        operations: &[Operation {
            method: "get",
            id: "getDescription",
            summary: "This description",
            about: "Never waits.",
            parameters: &[],
            body: None,
            answers: &[value("An OpenAPI 3.1 document.", r#"{"type": "object"}"#)],
            problems: &[&INVALID_REQUEST],
        }],
    },
];
