//! The settings that hold for all listeners.

pub(crate) mod compression;
pub(crate) mod http;
pub(crate) mod mime_types;
pub(crate) mod telemetry;
pub(crate) mod websocket;

use crate::node::{Node, Valid};
use crate::schema::{COUNT, Feature, Member, Object, STRING, array, object, one_of};
use crate::settings::http::{HTTP, Http};
use crate::settings::telemetry::{TELEMETRY, Telemetry};
use crate::text::Text;

pub(crate) static SETTINGS: Object = Object::new(
    "settings",
    "What holds for all listeners.",
    &[
        Member::new("listen_threads", COUNT)
            .about("Event loops of the router.")
            .default_is("the number of processors")
            .example("4")
            .refuses(&[
                ("0", r#"The "listen_threads" number must be equal to or greater than 1."#),
                ("2147483648", r#"The "listen_threads" number must not exceed 2147483647."#),
            ]),
        Member::new("http", object(&HTTP))
            .about("How HTTP is spoken.")
            .default("{}")
            .example(r#"{"server_version": false}"#)
            .refuses(&[(r#"{"keepalive": 1}"#, r#"Unknown parameter "keepalive"."#)]),
        Member::new("telemetry", object(&TELEMETRY))
            .about("Where traces go.")
            .default_is("off")
            .example(r#"{"endpoint": "http://127.0.0.1:4318/v1/traces", "protocol": "http"}"#)
            .refuses(&[(
                r#"{"endpoint": "http://127.0.0.1:4318/v1/traces"}"#,
                r#"Required parameter "protocol" is missing."#,
            )])
            .needs(Feature::Otel)
            .not_yet("telemetry"),
        Member::new("js_module", one_of(&[STRING, array(&STRING, JS_MODULE_DETAIL)]))
            .about("Uploaded JavaScript modules that templates can use.")
            .default("[]")
            .example(r#"["script"]"#)
            .refuses(&[
                (r#""absent""#, r#"JS module "absent" is not found."#),
                ("[1]", JS_MODULE_DETAIL),
            ])
            .needs(Feature::Njs)
            .not_yet("JavaScript"),
    ],
);

const JS_MODULE_DETAIL: &str = "The \"js_module\" array must contain only string values.";

/// The `settings` of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How many event loops serve; nothing is one for each CPU.
    pub listen_threads: Option<u32>,
    /// How HTTP is spoken.
    pub http: Http,
    /// Where traces go.
    pub telemetry: Option<Telemetry>,
    /// The JavaScript modules that templates can use.
    pub js_modules: Vec<Text>,
}

impl Settings {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut settings = Self::default();
        for member in node.members() {
            let features = &member.env().features;
            match member.name() {
                b"listen_threads" => settings.listen_threads = Some(member.count()?),
                b"http" => settings.http = Http::read(&member)?,
                b"telemetry" if features.otel => {
                    settings.telemetry = Some(Telemetry::read(&member)?);
                }
                b"js_module" if features.njs.is_some() => {
                    settings.js_modules = read_js_modules(&member)?;
                }
                _ => return Err(member.unknown(&SETTINGS)),
            }
        }
        Ok(settings)
    }
}

fn read_js_modules(node: &Node<'_>) -> Valid<Vec<Text>> {
    let names = node.texts(JS_MODULE_DETAIL)?;
    match names.iter().find(|name| !node.env().scripts.permit(name)) {
        Some(name) => Err(node.fault(format!("JS module \"{name}\" is not found."))),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{accepts, bare_environment, config, refuses, refuses_in};

    #[test]
    fn members_are_accepted_or_refused() {
        let frame = r#"{"settings":@}"#;
        accepts(
            frame,
            &[
                "{}",
                r#"{"listen_threads":1}"#,
                r#"{"listen_threads":2147483647}"#,
                r#"{"http":{},"js_module":"script"}"#,
                r#"{"js_module":["script","script"]}"#,
            ],
        );
        refuses(
            frame,
            &[
                ("1", r#"The "settings" value must be an object, but not an integer number."#),
                (r#"{"x":1}"#, r#"Unknown parameter "x"."#),
                (
                    r#"{"listen_threads":0}"#,
                    r#"The "listen_threads" number must be equal to or greater than 1."#,
                ),
                (
                    r#"{"listen_threads":2147483648}"#,
                    r#"The "listen_threads" number must not exceed 2147483647."#,
                ),
                (
                    r#"{"listen_threads":1.5}"#,
                    r#"The "listen_threads" value must be an integer number, but not a fractional number."#,
                ),
                (r#"{"http":[]}"#, r#"The "http" value must be an object, but not an array."#),
                (
                    r#"{"telemetry":1}"#,
                    r#"The "telemetry" value must be an object, but not an integer number."#,
                ),
                (r#"{"js_module":"x"}"#, r#"JS module "x" is not found."#),
                (r#"{"js_module":["script","x"]}"#, r#"JS module "x" is not found."#),
                (
                    r#"{"js_module":[1]}"#,
                    r#"The "js_module" array must contain only string values."#,
                ),
                (
                    r#"{"js_module":1}"#,
                    r#"The "js_module" value must be either a string or an array, but not an integer number."#,
                ),
            ],
        );
        refuses_in(
            &bare_environment(),
            frame,
            &[
                (r#"{"telemetry":{}}"#, r#"Unknown parameter "telemetry"."#),
                (r#"{"js_module":"script"}"#, r#"Unknown parameter "js_module"."#),
            ],
        );
    }

    #[test]
    fn threads_are_counted_by_the_system_unless_set() {
        assert_eq!(config("{}").settings.listen_threads, None);
        assert_eq!(config(r#"{"settings":{"listen_threads":3}}"#).settings.listen_threads, Some(3));
    }
}
