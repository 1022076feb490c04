//! The `action` of a step: what is done with a request.

use crate::node::{Node, Valid};
use crate::pass::Pass;
use crate::pattern::{Case, Encoding, PatternSet, Syntax};
use crate::schema::{
    BOOLEAN, Feature, Map, Member, NULL, Object, PATTERN, STRING, Shape, TEMPLATE, array,
    filled_array, integer, like, map, object, one_of,
};
use crate::settings::mime_types::PATTERN_DETAIL;
use crate::socket_address::SocketAddress;
use crate::template::Template;
use crate::text::Text;
use crate::{Origin, ValidationError};

/// What is done with a request: exactly one of these.
pub(crate) static ACTIONS: [Shape; 4] =
    [object(&PASS), object(&RETURN), object(&SHARE), object(&PROXY)];

static PASS: Object = Object::new(
    "action_pass",
    "Something else handles the request.",
    &[Member::new("pass", TEMPLATE)
        .required_or(NO_KIND_DETAIL)
        .about("[Where requests go](#pass).")
        .example(r#""applications/app""#)
        .refuses(&[
            (r#""applications""#, r#"Request "pass" points to invalid location "applications"."#),
            (r#""routes//a""#, r#"Request "pass" value "routes//a" is invalid."#),
        ])],
)
.based_on(&ANY);

static RETURN: Object = Object::new(
    "action_return",
    "The request is answered at once.",
    &[
        Member::new("return", integer(0, 999))
            .required_or(NO_KIND_DETAIL)
            .about("The status. From 400 to 599 it comes with an error page, else without a body.")
            .example("301")
            .refuses(&[
                ("1000", STATUS_DETAIL),
                (r#""301""#, r#"The "return" value must be an integer number, but not a string."#),
            ]),
        Member::new("location", TEMPLATE)
            .about("The field `Location`; not sent with an error page.")
            .default_is("none")
            .example(r#""https://$host$request_uri""#)
            .refuses(&[(
                r#""${host""#,
                r#"Invalid variable at position 0 in the "location" value."#,
            )]),
    ],
)
.based_on(&ANY);

const STATUS_DETAIL: &str = "The \"return\" value is out of allowed HTTP status code range 0-999.";

static SHARE: Object = Object::new(
    "action_share",
    "The request is answered with a file. Only GET and HEAD are.",
    &[
        Member::new("share", one_of(&[TEMPLATE, filled_array(&TEMPLATE, SHARE_DETAIL)]))
            .required_or(NO_KIND_DETAIL)
            .about(
                "The whole path of the file, so append `$uri` to a directory; of an array, the \
                 first file that is there.",
            )
            .example(r#"["/srv/www$uri", "/srv/common$uri"]"#)
            .refuses(&[
                ("[]", r#"The "share" array must contain at least one element."#),
                ("[1]", SHARE_DETAIL),
            ]),
        Member::new("index", STRING)
            .about("What is added to a path that ends with a slash.")
            .default(r#""index.html""#)
            .example(r#""home.html""#)
            .refuses(&[(
                r#"["a.html"]"#,
                r#"The "index" value must be a string, but not an array."#,
            )]),
        Member::new("types", one_of(&[PATTERN, array(&PATTERN, PATTERN_DETAIL)]))
            .about("The MIME types that are served; others are answered 403.")
            .default("[]")
            .example(r#"["image/*", "!image/gif"]"#)
            .refuses(&[("[1]", PATTERN_DETAIL)]),
        Member::new("fallback", one_of(&ACTIONS))
            .about("What is done in place of answering 403, 404 or 405.")
            .default_is("none")
            .example(r#"{"return": 404}"#)
            .refuses(&[(r#"{"rewrite": "/"}"#, NO_KIND_DETAIL)]),
        Member::new("chroot", TEMPLATE)
            .about("The directory that files must be under.")
            .default_is("none")
            .example(r#""/srv/www""#)
            .refuses(&[(
                r#""/srv/$nothing""#,
                r#"Unknown variable "nothing" in the "chroot" value."#,
            )])
            .needs(Feature::Openat2),
        Member::new("follow_symlinks", BOOLEAN)
            .about("Whether symbolic links are followed.")
            .default("true")
            .example("false")
            .refuses(&[(
                r#""no""#,
                r#"The "follow_symlinks" value must be a boolean, but not a string."#,
            )])
            .needs(Feature::Openat2),
        Member::new("traverse_mounts", BOOLEAN)
            .about("Whether mount points are crossed.")
            .default("true")
            .example("false")
            .refuses(&[(
                "0",
                r#"The "traverse_mounts" value must be a boolean, but not an integer number."#,
            )])
            .needs(Feature::Openat2),
    ],
)
.based_on(&ANY);

const SHARE_DETAIL: &str = "The \"share\" array must contain only string values.";

static PROXY: Object = Object::new(
    "action_proxy",
    "Another server answers the request.",
    &[Member::new("proxy", like("`http://` and an address", "^http://"))
        .required_or(NO_KIND_DETAIL)
        .about("Where that server listens; an [address](#addresses), not a host name.")
        .example(r#""http://127.0.0.1:9000""#)
        .refuses(&[
            (r#""127.0.0.1:9000""#, r#"The "proxy" address is invalid "127.0.0.1:9000""#),
            (r#""http://example.com:80""#, r#"The "proxy" address is invalid "example.com:80""#),
        ])],
)
.based_on(&ANY)
.not_yet("\"proxy\"");

/// What actions of all kinds have.
static ANY: Object = Object::new(
    "action_any",
    "What actions of all kinds have.",
    &[
        Member::new("rewrite", TEMPLATE)
            .about("The path from here on; the query stays.")
            .default_is("none")
            .example(r#""/v2$uri""#)
            .refuses(&[(r#""/v2$""#, r#"Invalid variable at position 3 in the "rewrite" value."#)]),
        Member::new("response_headers", map(&RESPONSE_HEADERS))
            .about("Fields to set, or with `null` to remove, in responses from 200 to 399.")
            .default("{}")
            .example(r#"{"Cache-Control": "max-age=60", "ETag": null}"#)
            .refuses(&[
                (
                    r#"{"Content-Length": "0"}"#,
                    r#"The "Content-Length" response header value is not supported"#,
                ),
                (r#"{"X-Page": "$page"}"#, r#"Unknown variable "page" in the "X-Page" value."#),
            ]),
    ],
);

static RESPONSE_HEADERS: Map = Map::new("field name", "X-Request", one_of(&[NULL, TEMPLATE]))
    .saying(r#"The "<name>" response header value must either be a string or a null"#)
    .refuses(&[
        ("", "The response header name must not be empty."),
        ("content-length", r#"The "content-length" response header value is not supported"#),
    ]);

const NO_KIND_DETAIL: &str = "The \"action\" object must have either \"pass\", \"return\", \
                              \"share\", or \"proxy\" option set.";

/// What is done with a request.
#[derive(Clone, Debug)]
pub struct Action {
    /// How it is answered.
    pub kind: ActionKind,
    /// The path it has from here on.
    pub rewrite: Option<Template>,
    /// Header fields to set in the response, or to remove if nothing is given, in order.
    pub response_headers: Vec<(Text, Option<Template>)>,
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum ActionKind {
    /// Something else handles it.
    Pass(Pass),
    /// At once, without a body of its own.
    Return(Return),
    /// With a file.
    Share(Box<Share>),
    /// By another server.
    Proxy(SocketAddress),
}

/// An answer at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// The status, from 0 to 999.
    pub status: u16,
    /// The `Location`.
    pub location: Option<Template>,
}

/// Static files.
#[derive(Clone, Debug)]
pub struct Share {
    /// The paths to try, in order. Never empty.
    pub paths: Vec<Template>,
    /// What is added to a path that ends with a slash.
    pub index: Text,
    /// The MIME types that are served.
    pub types: PatternSet,
    /// What to do if there is no such file.
    pub fallback: Option<Box<Action>>,
    /// The directory that files must be under.
    pub chroot: Option<Template>,
    /// Whether symbolic links are followed.
    pub follow_symlinks: bool,
    /// Whether mount points are crossed.
    pub traverse_mounts: bool,
}

type ReadKind = fn(&Node<'_>, &mut Common) -> Valid<ActionKind>;

/// The members that say which kind an action is of, with what reads the kind.
const KINDS: [(&str, ReadKind); 4] =
    [("pass", read_pass), ("return", read_return), ("share", read_share), ("proxy", read_proxy)];

impl Action {
    /// Fallbacks nest as deep as anything may: what is on the stack here is there as many times.
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        let mut common = Common::default();
        let kind = kind_of(node)?(node, &mut common)?;
        Ok(Self { kind, rewrite: common.rewrite, response_headers: common.response_headers })
    }

    fn read_boxed(node: &Node<'_>) -> Valid<Box<Self>> {
        Self::read(node).map(Box::new)
    }
}

fn kind_of(node: &Node<'_>) -> Valid<ReadKind> {
    let object = node.object(&[])?;
    let mut kinds = KINDS.into_iter().filter(|(kind, _)| object.contains(kind.as_bytes()));
    let Some((_, read)) = kinds.next() else {
        return Err(node.fault(NO_KIND_DETAIL));
    };
    match kinds.next() {
        None => Ok(read),
        Some(_) => Err(node.fault(
            "The \"action\" object must have just one of \"pass\", \"return\", \"share\", or \
             \"proxy\" options set.",
        )),
    }
}

/// The members that every kind has.
#[derive(Default)]
struct Common {
    rewrite: Option<Template>,
    response_headers: Vec<(Text, Option<Template>)>,
}

impl Common {
    /// Reads a member that is not one of the kind's own.
    fn read(&mut self, member: &Node<'_>, kind: &Object) -> Valid<()> {
        match member.name() {
            b"rewrite" => self.rewrite = Some(Template::read(member)?),
            b"response_headers" => self.response_headers = read_response_headers(member)?,
            _ => return Err(member.unknown(kind)),
        }
        Ok(())
    }
}

fn read_response_headers(node: &Node<'_>) -> Valid<Vec<(Text, Option<Template>)>> {
    node.object(&[])?;
    let mut headers = Vec::new();
    for member in node.members() {
        let name = member.name_text();
        if name.is_empty() {
            return Err(member.fault("The response header name must not be empty."));
        }
        if name.eq_ignore_ascii_case(b"Content-Length") {
            // Only this very spelling used to be refused; what got past that had no good effect.
            if member.env().origin == Origin::Stored && name != "Content-Length" {
                continue;
            }
            return Err(
                member.fault(format!("The \"{name}\" response header value is not supported"))
            );
        }
        let value = match member.value() {
            crate::Value::String(text) => Some(Template::read_from(&member, text)?),
            crate::Value::Null => None,
            crate::Value::Boolean(_)
            | crate::Value::Number(_)
            | crate::Value::Array(_)
            | crate::Value::Object(_) => {
                return Err(member.fault(format!(
                    "The \"{name}\" response header value must either be a string or a null"
                )));
            }
        };
        headers.push((name, value));
    }
    Ok(headers)
}

fn read_pass(node: &Node<'_>, common: &mut Common) -> Valid<ActionKind> {
    let mut pass = None;
    for member in node.members() {
        match member.name() {
            b"pass" => pass = Some(Pass::read(&member)?),
            _ => common.read(&member, &PASS)?,
        }
    }
    pass.map(ActionKind::Pass).ok_or_else(|| node.missing("pass"))
}

fn read_return(node: &Node<'_>, common: &mut Common) -> Valid<ActionKind> {
    let mut action = Return { status: 0, location: None };
    for member in node.members() {
        match member.name() {
            b"return" => action.status = read_status(&member)?,
            b"location" => action.location = Some(Template::read(&member)?),
            _ => common.read(&member, &RETURN)?,
        }
    }
    Ok(ActionKind::Return(action))
}

fn read_status(node: &Node<'_>) -> Valid<u16> {
    let status = node.integer()?;
    u16::try_from(status)
        .ok()
        .filter(|&status| status <= 999)
        .ok_or_else(|| node.fault(STATUS_DETAIL))
}

fn read_share(node: &Node<'_>, common: &mut Common) -> Valid<ActionKind> {
    let mut share = Share::boxed();
    for member in node.members() {
        if member.name() == b"fallback" {
            share.fallback = Some(Action::read_boxed(&member)?);
        } else {
            share.read_member(&member, common)?;
        }
    }
    Ok(ActionKind::Share(share))
}

impl Share {
    fn boxed() -> Box<Self> {
        Box::new(Self {
            paths: Vec::new(),
            index: "index.html".into(),
            types: PatternSet::default(),
            fallback: None,
            chroot: None,
            follow_symlinks: true,
            traverse_mounts: true,
        })
    }

    fn read_member(&mut self, member: &Node<'_>, common: &mut Common) -> Valid<()> {
        match member.name() {
            b"share" => {
                self.paths = Template::read_list(
                    member,
                    "The \"share\" array must contain at least one element.",
                    SHARE_DETAIL,
                )?;
            }
            b"index" => self.index = member.text()?.clone(),
            b"types" => {
                let syntax = Syntax { encoding: Encoding::Plain, case: Case::Ignored };
                self.types = PatternSet::read(member, syntax, PATTERN_DETAIL)?;
            }
            b"chroot" | b"follow_symlinks" | b"traverse_mounts"
                if !member.env().features.openat2 =>
            {
                return Err(member.not_built());
            }
            b"chroot" => self.chroot = Some(Template::read(member)?),
            b"follow_symlinks" => self.follow_symlinks = member.boolean()?,
            b"traverse_mounts" => self.traverse_mounts = member.boolean()?,
            _ => common.read(member, &SHARE)?,
        }
        Ok(())
    }
}

fn read_proxy(node: &Node<'_>, common: &mut Common) -> Valid<ActionKind> {
    let mut address = None;
    for member in node.members() {
        match member.name() {
            b"proxy" => address = Some(read_proxy_address(&member)?),
            _ => common.read(&member, &PROXY)?,
        }
    }
    address.map(ActionKind::Proxy).ok_or_else(|| node.missing("proxy"))
}

fn read_proxy_address(node: &Node<'_>) -> Valid<SocketAddress> {
    let text = node.text()?;
    let invalid = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        node.fault(format!("The \"proxy\" address is invalid \"{text}\""))
    };
    let address = text.strip_prefix(b"http://").ok_or_else(|| invalid(text))?;
    SocketAddress::parse(address)
        .map_err(|error| ValidationError { log: Some(error.to_string()), ..invalid(address) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        accepts, bare_environment, config, refusal, refuses, refuses_in, stored_environment,
        validate,
    };

    const FRAME: &str = r#"{"routes":[{"action":@}]}"#;

    fn action(text: &str) -> Action {
        match config(&FRAME.replace('@', text)).routes {
            crate::Routes::Single(mut steps) => steps.remove(0).action,
            crate::Routes::Named(_) => panic!("the frame has one route"),
        }
    }

    #[test]
    fn there_is_exactly_one_kind() {
        let either = r#"The "action" object must have either "pass", "return", "share", or "proxy" option set."#;
        let one = r#"The "action" object must have just one of "pass", "return", "share", or "proxy" options set."#;
        refuses(
            FRAME,
            &[
                ("[]", r#"The "action" value must be an object, but not an array."#),
                ("{}", either),
                (r#"{"rewrite":1}"#, either),
                (r#"{"pass":1,"proxy":1}"#, one),
                (r#"{"share":"a","fallback":{}}"#, either),
                (r#"{"share":"a","fallback":{"return":1,"share":"b"}}"#, one),
                (
                    r#"{"share":"a","fallback":1}"#,
                    r#"The "fallback" value must be an object, but not an integer number."#,
                ),
                (r#"{"pass":"routes","location":"a"}"#, r#"Unknown parameter "location"."#),
                (r#"{"return":200,"fallback":{"return":1}}"#, r#"Unknown parameter "fallback"."#),
                (r#"{"proxy":"http://*:1","index":"a"}"#, r#"Unknown parameter "index"."#),
                (r#"{"share":"a","location":"a"}"#, r#"Unknown parameter "location"."#),
            ],
        );
    }

    #[test]
    fn members_of_all_kinds_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#"{"pass":"routes","rewrite":"","response_headers":{}}"#,
                r#"{"return":200,"rewrite":"/a$uri","response_headers":{"A":"$uri","B":null}}"#,
                r#"{"proxy":"http://unix:/a","rewrite":"`x`"}"#,
            ],
        );
        refuses(
            FRAME,
            &[
                (
                    r#"{"return":0,"rewrite":1}"#,
                    r#"The "rewrite" value must be a string, but not an integer number."#,
                ),
                (
                    r#"{"return":0,"rewrite":"a$"}"#,
                    r#"Invalid variable at position 1 in the "rewrite" value."#,
                ),
                (
                    r#"{"return":0,"response_headers":[]}"#,
                    r#"The "response_headers" value must be an object, but not an array."#,
                ),
                (
                    r#"{"return":0,"response_headers":{"":"a"}}"#,
                    "The response header name must not be empty.",
                ),
                (
                    r#"{"return":0,"response_headers":{"Content-Length":"1"}}"#,
                    r#"The "Content-Length" response header value is not supported"#,
                ),
                (
                    r#"{"return":0,"response_headers":{"content-length":"1"}}"#,
                    r#"The "content-length" response header value is not supported"#,
                ),
                (
                    r#"{"return":0,"response_headers":{"X":1}}"#,
                    r#"The "X" response header value must either be a string or a null"#,
                ),
                (
                    r#"{"return":0,"response_headers":{"X":"$nope"}}"#,
                    r#"Unknown variable "nope" in the "X" value."#,
                ),
            ],
        );
    }

    #[test]
    fn pass_is_resolved() {
        assert!(matches!(action(r#"{"pass":"routes"}"#).kind, ActionKind::Pass(Pass::Route(None))));
        refuses(
            FRAME,
            &[
                (
                    r#"{"pass":1}"#,
                    r#"The "pass" value must be a string, but not an integer number."#,
                ),
                (r#"{"pass":"x"}"#, r#"Request "pass" points to invalid location "x"."#),
            ],
        );
    }

    #[test]
    fn return_has_a_status_and_perhaps_a_location() {
        let range = r#"The "return" value is out of allowed HTTP status code range 0-999."#;
        accepts(FRAME, &[r#"{"return":0}"#, r#"{"return":999,"location":""}"#]);
        refuses(
            FRAME,
            &[
                (r#"{"return":-1}"#, range),
                (r#"{"return":1000}"#, range),
                (r#"{"return":100000}"#, range),
                (
                    r#"{"return":"200"}"#,
                    r#"The "return" value must be an integer number, but not a string."#,
                ),
                (
                    r#"{"return":2.5}"#,
                    r#"The "return" value must be an integer number, but not a fractional number."#,
                ),
                (
                    r#"{"return":301,"location":null}"#,
                    r#"The "location" value must be a string, but not a null."#,
                ),
                (
                    r#"{"return":301,"location":"$x"}"#,
                    r#"Unknown variable "x" in the "location" value."#,
                ),
            ],
        );
        let ActionKind::Return(answer) = action(r#"{"return":3e2,"location":"/a"}"#).kind else {
            panic!("is a return");
        };
        assert_eq!(answer.status, 300);
        assert_eq!(answer.location, Some(Template::Constant("/a".into())));
    }

    #[test]
    fn share_has_paths_and_its_own_members() {
        accepts(
            FRAME,
            &[
                r#"{"share":""}"#,
                r#"{"share":["/a$uri","`x`"],"index":"","types":[],"chroot":"$host"}"#,
                r#"{"share":"/a","follow_symlinks":false,"traverse_mounts":true,"types":"!a/*"}"#,
                r#"{"share":"/a","fallback":{"share":"/b","fallback":{"return":1}}}"#,
            ],
        );
        let pattern = r#"The "match" pattern for "[null]" must be strings."#;
        refuses(
            FRAME,
            &[
                (
                    r#"{"share":1}"#,
                    r#"The "share" value must be either a string or an array, but not an integer number."#,
                ),
                (r#"{"share":[]}"#, r#"The "share" array must contain at least one element."#),
                (r#"{"share":["a",1]}"#, r#"The "share" array must contain only string values."#),
                (
                    r#"{"share":["a","$"]}"#,
                    r#"Invalid variable at position 0 in the "share" value."#,
                ),
                (
                    r#"{"share":"a","index":1}"#,
                    r#"The "index" value must be a string, but not an integer number."#,
                ),
                (r#"{"share":"a","types":[1]}"#, pattern),
                (
                    r#"{"share":"a","types":1}"#,
                    r#"The "types" value must be either a string or an array, but not an integer number."#,
                ),
                (
                    r#"{"share":"a","chroot":1}"#,
                    r#"The "chroot" value must be a string, but not an integer number."#,
                ),
                (
                    r#"{"share":"a","follow_symlinks":1}"#,
                    r#"The "follow_symlinks" value must be a boolean, but not an integer number."#,
                ),
                (
                    r#"{"share":"a","traverse_mounts":"a"}"#,
                    r#"The "traverse_mounts" value must be a boolean, but not a string."#,
                ),
            ],
        );
        refuses_in(
            &bare_environment(),
            FRAME,
            &[
                (
                    r#"{"share":"a","chroot":1}"#,
                    r#"Unit is built without the "chroot" option support."#,
                ),
                (
                    r#"{"share":"a","follow_symlinks":1}"#,
                    r#"Unit is built without the "follow_symlinks" option support."#,
                ),
                (
                    r#"{"share":"a","traverse_mounts":1}"#,
                    r#"Unit is built without the "traverse_mounts" option support."#,
                ),
            ],
        );
        let ActionKind::Share(share) = action(r#"{"share":"/a","types":"TEXT/*"}"#).kind else {
            panic!("is a share");
        };
        assert_eq!(share.index, "index.html");
        assert!(share.follow_symlinks && share.traverse_mounts && share.fallback.is_none());
        assert_eq!(share.types.matches(b"text/HTML"), Ok(true));
        assert_eq!(share.types.matches(b"image/png"), Ok(false));
    }

    #[test]
    fn proxy_is_an_address_behind_its_scheme() {
        let ActionKind::Proxy(address) = action(r#"{"proxy":"http://[::1]:80"}"#).kind else {
            panic!("is a proxy");
        };
        assert_eq!(address.to_string(), "[::1]:80");
        refuses(
            FRAME,
            &[
                (
                    r#"{"proxy":1}"#,
                    r#"The "proxy" value must be a string, but not an integer number."#,
                ),
                (r#"{"proxy":"127.0.0.1:80"}"#, r#"The "proxy" address is invalid "127.0.0.1:80""#),
                (r#"{"proxy":"https://*:80"}"#, r#"The "proxy" address is invalid "https://*:80""#),
                (r#"{"proxy":"http://a.com:80"}"#, r#"The "proxy" address is invalid "a.com:80""#),
                (r#"{"proxy":"http://*:80/"}"#, r#"The "proxy" address is invalid "*:80/""#),
                (r#"{"proxy":"http://"}"#, r#"The "proxy" address is invalid """#),
                (r#"{"proxy":"http://$host:80"}"#, r#"The "proxy" address is invalid "$host:80""#),
            ],
        );
        let error = refusal(&FRAME.replace('@', r#"{"proxy":"http://127.0.0.1"}"#));
        assert_eq!(error.log.as_deref(), Some("The address \"127.0.0.1\" must specify a port."));
    }

    #[test]
    fn a_stored_content_length_is_ignored_as_it_never_worked() {
        let text = FRAME
            .replace('@', r#"{"return":200,"response_headers":{"content-length":"1","A":"b"}}"#);
        let config = validate(&text, &stored_environment()).expect("is accepted");
        let steps = config.routes.get(None).expect("is there");
        assert_eq!(steps[0].action.response_headers.len(), 1);
    }
}
