//! WebAssembly applications: modules and components.

use crate::application::{ANY, Common, type_member};
use crate::node::{Kinds, Node, Valid};
use crate::schema::{Member, Object, STRING, Shape, like, object};
use crate::text::Text;

pub(crate) static WASM: Object = Object::new(
    "application_wasm",
    "A WebAssembly module. Handlers are names of functions that it exports.",
    &[
        type_member(like("`wasm`", "^wasm( ?[0-9].*)?$")).example(r#""wasm""#),
        Member::new("module", STRING)
            .required()
            .about("The file of the module.")
            .example(r#""/srv/shop/shop.wasm""#)
            .refuses(&[(
                "1",
                r#"The "module" value must be a string, but not an integer number."#,
            )]),
        Member::new("request_handler", STRING)
            .required()
            .about("The function that serves a request.")
            .example(r#""uwr_request_handler""#)
            .refuses(&[(
                "1",
                r#"The "request_handler" value must be a string, but not an integer number."#,
            )]),
        Member::new("malloc_handler", STRING)
            .required()
            .about("The function that allocates memory.")
            .example(r#""luw_malloc_handler""#)
            .refuses(&[(
                "1",
                r#"The "malloc_handler" value must be a string, but not an integer number."#,
            )]),
        Member::new("free_handler", STRING)
            .required()
            .about("The function that frees memory.")
            .example(r#""luw_free_handler""#)
            .refuses(&[(
                "1",
                r#"The "free_handler" value must be a string, but not an integer number."#,
            )]),
        Member::new("module_init_handler", STRING)
            .about("The function called once the module is loaded.")
            .example(r#""uwr_module_init_handler""#)
            .refuses(&[(
                "1",
                r#"The "module_init_handler" value must be a string, but not an integer number."#,
            )]),
        Member::new("module_end_handler", STRING)
            .about("The function called at the end.")
            .example(r#""uwr_module_end_handler""#)
            .refuses(&[(
                "1",
                r#"The "module_end_handler" value must be a string, but not an integer number."#,
            )]),
        Member::new("request_init_handler", STRING)
            .about("The function called before a request.")
            .example(r#""uwr_request_init_handler""#)
            .refuses(&[(
                "1",
                r#"The "request_init_handler" value must be a string, but not an integer number."#,
            )]),
        Member::new("request_end_handler", STRING)
            .about("The function called after a request.")
            .example(r#""uwr_request_end_handler""#)
            .refuses(&[(
                "1",
                r#"The "request_end_handler" value must be a string, but not an integer number."#,
            )]),
        Member::new("response_end_handler", STRING)
            .about("The function called when a response is finished.")
            .example(r#""uwr_response_end_handler""#)
            .refuses(&[(
                "1",
                r#"The "response_end_handler" value must be a string, but not an integer number."#,
            )]),
        ACCESS_MEMBER,
    ],
)
.based_on(&ANY)
.not_yet("applications of type \"wasm\"");

pub(crate) static WASM_WASI_COMPONENT: Object = Object::new(
    "application_wasm_wasi_component",
    "A WebAssembly component with the interface `wasi:http/proxy`.",
    &[
        type_member(like("`wasm-wasi-component`", "^wasm-wasi-component( ?[0-9].*)?$"))
            .example(r#""wasm-wasi-component""#),
        Member::new("component", STRING)
            .required()
            .about("The file of the component.")
            .example(r#""/srv/shop/shop.wasm""#)
            .refuses(&[(
                "1",
                r#"The "component" value must be a string, but not an integer number."#,
            )]),
        ACCESS_MEMBER,
    ],
)
.based_on(&ANY)
.not_yet("applications of type \"wasm-wasi-component\"");

const ACCESS_MEMBER: Member = Member::new("access", object(&ACCESS))
    .about("What of the system the code can reach.")
    .default("{}")
    .example(r#"{"filesystem": ["/var/lib/shop"]}"#)
    .refuses(&[(r#"{"network": true}"#, r#"Unknown parameter "network"."#)]);

static ACCESS: Object = Object::new(
    "access",
    "What of the system WebAssembly code can reach.",
    &[Member::new("filesystem", Shape::Array { of: &Shape::Anything, min: 0, detail: None })
        .about("Directories; what is not a string is left out.")
        .default("[]")
        .example(r#"["/var/lib/shop", "/tmp"]"#)
        .refuses(&[(
            r#""/tmp""#,
            r#"The "filesystem" value must be an array, but not a string."#,
        )])],
);

/// What is particular to `wasm`. Handlers are names of exported functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wasm {
    /// The file of the module.
    pub module: Text,
    /// Serves a request.
    pub request_handler: Text,
    /// Allocates memory.
    pub malloc_handler: Text,
    /// Frees memory.
    pub free_handler: Text,
    /// Called once the module is loaded.
    pub module_init_handler: Option<Text>,
    /// Called at the end.
    pub module_end_handler: Option<Text>,
    /// Called before a request.
    pub request_init_handler: Option<Text>,
    /// Called after a request.
    pub request_end_handler: Option<Text>,
    /// Called when a response is finished.
    pub response_end_handler: Option<Text>,
    /// The directories the module may use.
    pub filesystem: Vec<Text>,
}

/// What is particular to `wasm-wasi-component`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WasmWasiComponent {
    /// The file of the component.
    pub component: Text,
    /// The directories the component may use.
    pub filesystem: Vec<Text>,
}

impl Wasm {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["module", "request_handler", "malloc_handler", "free_handler"])?;
        let mut wasm = Self::default();
        for member in node.members() {
            let text = || member.text().cloned();
            match member.name() {
                b"module" => wasm.module = text()?,
                b"request_handler" => wasm.request_handler = text()?,
                b"malloc_handler" => wasm.malloc_handler = text()?,
                b"free_handler" => wasm.free_handler = text()?,
                b"module_init_handler" => wasm.module_init_handler = Some(text()?),
                b"module_end_handler" => wasm.module_end_handler = Some(text()?),
                b"request_init_handler" => wasm.request_init_handler = Some(text()?),
                b"request_end_handler" => wasm.request_end_handler = Some(text()?),
                b"response_end_handler" => wasm.response_end_handler = Some(text()?),
                b"access" => wasm.filesystem = read_access(&member)?,
                _ => common.read(&member, &WASM)?,
            }
        }
        Ok(wasm)
    }
}

impl WasmWasiComponent {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["component"])?;
        let mut component = Self::default();
        for member in node.members() {
            match member.name() {
                b"component" => component.component = member.text()?.clone(),
                b"access" => component.filesystem = read_access(&member)?,
                _ => common.read(&member, &WASM_WASI_COMPONENT)?,
            }
        }
        Ok(component)
    }
}

/// The directories in `access`. What is not a string among them is taken, and ignored.
fn read_access(node: &Node<'_>) -> Valid<Vec<Text>> {
    node.object(&[])?;
    let mut directories = Vec::new();
    for member in node.members() {
        match member.name() {
            b"filesystem" => {
                member.expect(Kinds::ARRAY)?;
                let elements = member.value().as_array().unwrap_or_default();
                directories = elements.iter().filter_map(|e| e.as_text().cloned()).collect();
            }
            _ => return Err(member.unknown(&ACCESS)),
        }
    }
    Ok(directories)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApplicationKind;
    use crate::testing::{accepts, config, refuses};

    #[test]
    fn modules_name_their_handlers() {
        let required =
            r#""module":"m","request_handler":"r","malloc_handler":"a","free_handler":"f""#;
        let frame = format!(r#"{{"applications":{{"a":{{"type":"wasm",{required},@}}}}}}"#);
        for member in [
            "module_init_handler",
            "module_end_handler",
            "request_init_handler",
            "request_end_handler",
            "response_end_handler",
        ] {
            accepts(&frame, &[&format!(r#""{member}":"x""#)]);
            let detail =
                format!(r#"The "{member}" value must be a string, but not an integer number."#);
            refuses(&frame, &[(&format!(r#""{member}":1"#), &detail)]);
        }
        refuses(
            &frame,
            &[
                (r#""component":"c""#, r#"Unknown parameter "component"."#),
                (
                    r#""access":1"#,
                    r#"The "access" value must be an object, but not an integer number."#,
                ),
                (r#""access":{"x":1}"#, r#"Unknown parameter "x"."#),
                (
                    r#""access":{"filesystem":"/"}"#,
                    r#"The "filesystem" value must be an array, but not a string."#,
                ),
            ],
        );
        refuses(
            r#"{"applications":{"a":{"type":"wasm",@}}}"#,
            &[
                (r#""x":1"#, r#"Required parameter "module" is missing."#),
                (r#""module":1"#, r#"Required parameter "request_handler" is missing."#),
                (
                    r#""module":1,"request_handler":1"#,
                    r#"Required parameter "malloc_handler" is missing."#,
                ),
                (
                    r#""module":1,"request_handler":1,"malloc_handler":1"#,
                    r#"Required parameter "free_handler" is missing."#,
                ),
                (
                    r#""module":1,"request_handler":1,"malloc_handler":1,"free_handler":1"#,
                    r#"The "module" value must be a string, but not an integer number."#,
                ),
            ],
        );
    }

    #[test]
    fn components_are_one_file() {
        let frame = r#"{"applications":{"a":{"type":"wasm-wasi-component",@}}}"#;
        let text = r#""component":"c","access":{"filesystem":["/a",1,"/b"]}"#;
        let kind = config(&frame.replace('@', text)).applications.remove(0).kind;
        let component =
            WasmWasiComponent { component: "c".into(), filesystem: vec!["/a".into(), "/b".into()] };
        assert_eq!(kind, ApplicationKind::WasmWasiComponent(component));
        refuses(
            frame,
            &[
                (r#""access":{}"#, r#"Required parameter "component" is missing."#),
                (
                    r#""component":1"#,
                    r#"The "component" value must be a string, but not an integer number."#,
                ),
                (r#""component":"c","module":"m""#, r#"Unknown parameter "module"."#),
            ],
        );
    }
}
