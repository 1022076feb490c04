//! The schemas of bodies: those of the API, and that of the configuration.

use conf::{Text, Value};

use crate::openapi::{SCHEMAS, parse, problems};

/// The schemas that no other table has, as JSON.
const OWN: &[(&str, &str)] = &[
    (
        "Success",
        r##"{
            "description": "Something was done.",
            "type": "object",
            "properties": {"success": {"type": "string"}},
            "required": ["success"],
            "additionalProperties": false
        }"##,
    ),
    (
        "Error",
        r##"{
            "description": "Something was not done. This is what all errors have in common.",
            "type": "object",
            "properties": {
                "error": {"type": "string", "description": "What went wrong; a constant text."},
                "detail": {"type": "string", "description": "Why, in words."},
                "location": {
                    "description": "Where the fault is.",
                    "oneOf": [
                        {"$ref": "#/components/schemas/TextLocation"},
                        {"$ref": "#/components/schemas/MemberLocation"}
                    ]
                },
                "suggestion": {"type": "string", "description": "The name that was probably meant."}
            },
            "required": ["error"],
            "additionalProperties": false
        }"##,
    ),
    (
        "TextLocation",
        r##"{
            "description": "A place in the text of a body. Without line and column if the text up to there is not UTF-8.",
            "type": "object",
            "properties": {
                "offset": {"type": "integer", "minimum": 0, "description": "In octets."},
                "line": {"type": "integer", "minimum": 1},
                "column": {"type": "integer", "minimum": 1, "description": "In characters."}
            },
            "required": ["offset"],
            "dependentRequired": {"line": ["column"], "column": ["line"]},
            "additionalProperties": false
        }"##,
    ),
    (
        "MemberLocation",
        r##"{
            "description": "A place in a configuration.",
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "A JSON Pointer (RFC 6901) into the whole configuration."}
            },
            "required": ["path"],
            "additionalProperties": false
        }"##,
    ),
    (
        "Overview",
        r##"{
            "description": "Everything there is to see.",
            "type": "object",
            "properties": {
                "certificates": {"$ref": "#/components/schemas/Certificates"},
                "config": {"$ref": "#/components/schemas/config"},
                "status": {"$ref": "#/components/schemas/Status"}
            },
            "required": ["certificates", "config", "status"],
            "additionalProperties": false
        }"##,
    ),
    (
        "Status",
        r##"{
            "description": "Counters. Those of connections and requests begin with the router.",
            "type": "object",
            "properties": {
                "modules": {
                    "description": "The language modules; of several of one language, an array with the newest first.",
                    "type": "object",
                    "additionalProperties": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/Module"},
                            {"type": "array", "items": {"$ref": "#/components/schemas/Module"}, "minItems": 2}
                        ]
                    }
                },
                "connections": {
                    "type": "object",
                    "properties": {
                        "accepted": {"type": "integer", "minimum": 0},
                        "active": {"type": "integer", "minimum": 0, "description": "With a request in progress."},
                        "idle": {"type": "integer", "minimum": 0, "description": "Without one."},
                        "closed": {"type": "integer", "minimum": 0}
                    },
                    "required": ["accepted", "active", "idle", "closed"],
                    "additionalProperties": false
                },
                "requests": {
                    "type": "object",
                    "properties": {"total": {"type": "integer", "minimum": 0}},
                    "required": ["total"],
                    "additionalProperties": false
                },
                "applications": {
                    "type": "object",
                    "additionalProperties": {"$ref": "#/components/schemas/ApplicationStatus"}
                }
            },
            "required": ["modules", "connections", "requests", "applications"],
            "additionalProperties": false
        }"##,
    ),
    (
        "Module",
        r##"{
            "description": "A language module.",
            "type": "object",
            "properties": {
                "version": {"type": "string", "description": "The version of the language."},
                "lib": {"type": "string", "description": "The file."}
            },
            "required": ["version", "lib"],
            "additionalProperties": false
        }"##,
    ),
    (
        "ApplicationStatus",
        r##"{
            "description": "What an application is doing.",
            "type": "object",
            "properties": {
                "processes": {
                    "type": "object",
                    "properties": {
                        "running": {"type": "integer", "minimum": 0, "description": "Those that are ready."},
                        "starting": {"type": "integer", "minimum": 0},
                        "idle": {"type": "integer", "minimum": 0, "description": "Ready ones without a request."}
                    },
                    "required": ["running", "starting", "idle"],
                    "additionalProperties": false
                },
                "requests": {
                    "type": "object",
                    "properties": {
                        "active": {"type": "integer", "minimum": 0, "description": "Waiting or being processed."}
                    },
                    "required": ["active"],
                    "additionalProperties": false
                }
            },
            "required": ["processes", "requests"],
            "additionalProperties": false
        }"##,
    ),
    (
        "Certificates",
        r##"{
            "description": "The certificate bundles, by name.",
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/Certificate"}
        }"##,
    ),
    (
        "Certificate",
        r##"{
            "description": "A certificate bundle. Keys are never shown.",
            "type": "object",
            "properties": {
                "key": {"type": "string", "description": "The kind of the private key.", "examples": ["RSA (2048 bits)", "ECDH"]},
                "chain": {
                    "description": "The certificates, in the order of the bundle.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "subject": {"$ref": "#/components/schemas/CertificateName"},
                            "issuer": {"$ref": "#/components/schemas/CertificateName"},
                            "validity": {
                                "type": "object",
                                "properties": {
                                    "since": {"$ref": "#/components/schemas/CertificateTime"},
                                    "until": {"$ref": "#/components/schemas/CertificateTime"}
                                },
                                "required": ["since", "until"],
                                "additionalProperties": false
                            }
                        },
                        "required": ["subject", "issuer", "validity"],
                        "additionalProperties": false
                    },
                    "minItems": 1
                }
            },
            "required": ["key", "chain"],
            "additionalProperties": false
        }"##,
    ),
    (
        "CertificateName",
        r##"{
            "description": "Whom a certificate is for, or from; with what it says of them.",
            "type": "object",
            "properties": {
                "common_name": {"type": "string"},
                "alt_names": {"type": "array", "items": {"type": "string"}},
                "country": {"type": "string"},
                "state_or_province": {"type": "string"},
                "locality": {"type": "string"},
                "organization": {"type": "string"},
                "department": {"type": "string"}
            },
            "additionalProperties": false
        }"##,
    ),
    ("CertificateTime", r##"{"type": "string", "examples": ["Nov 21 04:47:35 2026 GMT"]}"##),
];

/// All schemas by name. Those of the configuration are in lower case.
pub(super) fn all() -> Value {
    let own = OWN.iter().map(|(name, json)| (Text::from(*name), parse(json)));
    let problems = problems::ALL.iter().map(|problem| (Text::from(problem.name), problem.schema()));
    let definitions = conf::schema::definitions(SCHEMAS);
    let config = definitions.as_object().into_iter().flat_map(|object| object.iter().cloned());
    own.chain(problems).chain(config).collect()
}
