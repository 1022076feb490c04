//! The `match` of a step: which requests the step is for.

use crate::address_pattern::{ADDRESS_PATTERNS, AddressSet};
use crate::condition::Condition;
use crate::node::{Kinds, Node, Valid};
use crate::pattern::{Case, Encoding, MatchError, PatternSet, Syntax, encoding_fault};
use crate::schema::{
    CONDITION, ENCODED_PATTERN, Map, Member, Object, PATTERN, array, like, map, one_of,
};
use crate::text::Text;

pub(crate) static MATCH: Object = Object::new(
    "match",
    "What a request must be like: all members that are set have to hold.",
    &[
        Member::new("method", one_of(&[PATTERN, array(&PATTERN, METHOD_DETAIL)]))
            .about("The method; letter case does not count.")
            .default_is("any")
            .example(r#"["GET", "HEAD"]"#)
            .refuses(&[("[1]", METHOD_DETAIL)]),
        Member::new("scheme", like("`http`, `https`", "^[Hh][Tt][Tt][Pp][Ss]?$"))
            .about("Whether the connection is TLS, or is said to be; letter case does not count.")
            .default_is("any")
            .example(r#""https""#)
            .refuses(&[(r#""ftp""#, r#"The "scheme" can either be "http" or "https"."#)]),
        Member::new("host", one_of(&[PATTERN, array(&PATTERN, HOST_DETAIL)]))
            .about("The host, without port; letter case does not count.")
            .default_is("any")
            .example(r#"["example.com", "*.example.com"]"#)
            .refuses(&[
                ("[null]", HOST_DETAIL),
                (r#""**.com""#, r#"The "match" pattern must not contain double "*" markers."#),
            ]),
        Member::new("uri", one_of(&[ENCODED_PATTERN, array(&ENCODED_PATTERN, URI_DETAIL)]))
            .about("The decoded, normalised path. `%HH` in the pattern is decoded.")
            .default_is("any")
            .example(r#"["/files/*", "!*.tmp", "~^/f[0-9]{4}$"]"#)
            .refuses(&[
                ("[1]", URI_DETAIL),
                (r#""/%zz""#, r#"The "match" pattern for "uri" is encoded but is invalid."#),
                (r#""~(""#, "Invalid regular expression: missing closing parenthesis"),
            ]),
        Member::new("query", one_of(&[ENCODED_PATTERN, array(&ENCODED_PATTERN, QUERY_DETAIL)]))
            .about(
                "The decoded query; empty if there is none. `%HH` and `+` in the pattern are \
                 decoded.",
            )
            .default_is("any")
            .example(r#""page=*""#)
            .refuses(&[
                ("[1]", QUERY_DETAIL),
                (r#""%""#, r#"The "match" pattern for "query" is encoded but is invalid."#),
            ]),
        Member::new(
            "arguments",
            one_of(&[map(&ARGUMENTS), array(&map(&ARGUMENTS), ARGUMENTS_DETAIL)]),
        )
        .about(
            "Query arguments, by name: each of the names has to be there, and all its values have \
             to match. An array holds when one of its objects does. `%HH` and `+` in names and \
             patterns are decoded.",
        )
        .default_is("any")
        .example(r#"{"format": "json"}"#)
        .refuses(&[
            ("[1]", ARGUMENTS_DETAIL),
            (r#"{"a": "%"}"#, r#"The "match" pattern for "arguments" is encoded but is invalid."#),
        ]),
        Member::new("headers", one_of(&[map(&HEADERS), array(&map(&HEADERS), HEADERS_DETAIL)]))
            .about("Header fields, likewise; letter case does not count.")
            .default_is("any")
            .example(r#"[{"Accept": "*json*"}, {"X-Requested-With": "*"}]"#)
            .refuses(&[("[1]", HEADERS_DETAIL)]),
        Member::new("cookies", one_of(&[map(&COOKIES), array(&map(&COOKIES), COOKIES_DETAIL)]))
            .about("Cookies, likewise.")
            .default_is("any")
            .example(r#"{"session": "!"}"#)
            .refuses(&[("[1]", COOKIES_DETAIL)]),
        Member::new("source", ADDRESS_PATTERNS)
            .about("The address of the client.")
            .default_is("any")
            .example(r#"["10.0.0.0/8", "!10.1.0.0/16"]"#)
            .refuses(&[(r#""example.com""#, r#"The "address" format is invalid."#)]),
        Member::new("destination", ADDRESS_PATTERNS)
            .about("The address at which the connection arrived.")
            .default_is("any")
            .example(r#""*:8080""#)
            .refuses(&[(r#""*:99999""#, r#"The "address" port an invalid port."#)]),
        Member::new("if", CONDITION)
            .about(
                "A template: empty, `0`, `false`, `null` and `undefined` do not hold; `!` in front \
                 negates.",
            )
            .default_is("any")
            .example(r#""!$arg_debug""#)
            .refuses(&[
                (r#""!$""#, r#"Invalid variable at position 1 in the "if" value."#),
                (r#""$nothing""#, r#"Unknown variable "nothing" in the "if" value."#),
            ]),
    ],
);

const METHOD_DETAIL: &str = r#"The "match" pattern for "method" must be strings."#;
const HOST_DETAIL: &str = r#"The "match" pattern for "host" must be strings."#;
const URI_DETAIL: &str = r#"The "match" pattern for "uri" must be a string."#;
const QUERY_DETAIL: &str = r#"The "match" pattern for "query" must be a string."#;
const ARGUMENTS_DETAIL: &str = r#"The "match" pattern for "arguments" must be an object."#;
const HEADERS_DETAIL: &str = r#"The "match" patterns for "headers" must be objects."#;
const COOKIES_DETAIL: &str = r#"The "match" patterns for "cookies" must be objects."#;

static ARGUMENTS: Map = named(
    Map::new(
        "name",
        "format",
        one_of(&[ENCODED_PATTERN, array(&ENCODED_PATTERN, ARGUMENT_DETAIL)]),
    ),
    ARGUMENT_DETAIL,
);
static HEADERS: Map = named(
    Map::new("name", "Accept", one_of(&[PATTERN, array(&PATTERN, HEADER_DETAIL)])),
    HEADER_DETAIL,
);
static COOKIES: Map = named(
    Map::new("name", "session", one_of(&[PATTERN, array(&PATTERN, COOKIE_DETAIL)])),
    COOKIE_DETAIL,
);

const ARGUMENT_DETAIL: &str = r#"The "match" pattern for "arguments" must be a string."#;
const HEADER_DETAIL: &str = r#"The "match" pattern for "headers" must be strings."#;
const COOKIE_DETAIL: &str = r#"The "match" pattern for "cookies" must be strings."#;

/// Names must say something, and `detail` is for values of other kinds.
const fn named(map: Map, detail: &'static str) -> Map {
    map.saying(detail)
        .refuses(&[("", r#"The "match" pattern objects must not contain empty member names."#)])
}

/// What a request must be like; all that is set must hold. Nothing set matches every request.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// A condition on anything.
    pub condition: Option<Condition>,
    /// The protocol.
    pub scheme: Option<Scheme>,
    /// The normalised host, in lower case and without port.
    pub host: Option<PatternSet>,
    /// The decoded, normalised path.
    pub uri: Option<PatternSet>,
    /// The request method.
    pub method: Option<PatternSet>,
    /// Header fields.
    pub headers: Option<NamedPatterns>,
    /// Decoded query arguments.
    pub arguments: Option<NamedPatterns>,
    /// Cookies.
    pub cookies: Option<NamedPatterns>,
    /// The whole query, decoded.
    pub query: Option<PatternSet>,
    /// Where the request comes from.
    pub source: Option<AddressSet>,
    /// Where the connection arrived.
    pub destination: Option<AddressSet>,
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Match {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        let plain = |case| Syntax { encoding: Encoding::Plain, case };
        let encoded = |encoding| Syntax { encoding, case: Case::Sensitive };
        node.object(&[])?;
        let mut matching = Self::default();
        for member in node.members() {
            match member.name() {
                b"method" => matching.method = Some(read_patterns(&member, plain(Case::Upper))?),
                b"scheme" => matching.scheme = Some(Scheme::read(&member)?),
                b"host" => matching.host = Some(read_patterns(&member, plain(Case::Lower))?),
                b"uri" => matching.uri = Some(read_patterns(&member, encoded(Encoding::Percent))?),
                b"query" => {
                    matching.query = Some(read_patterns(&member, encoded(Encoding::Query))?)
                }
                b"arguments" => {
                    let syntax = encoded(Encoding::Query);
                    matching.arguments = Some(NamedPatterns::read(&member, syntax)?);
                }
                b"headers" => {
                    let syntax = plain(Case::Ignored);
                    matching.headers = Some(NamedPatterns::read(&member, syntax)?);
                }
                b"cookies" => {
                    let syntax = plain(Case::Sensitive);
                    matching.cookies = Some(NamedPatterns::read(&member, syntax)?);
                }
                b"source" => matching.source = Some(AddressSet::read(&member)?),
                b"destination" => matching.destination = Some(AddressSet::read(&member)?),
                b"if" => matching.condition = Some(Condition::read(&member)?),
                _ => return Err(member.unknown(&MATCH)),
            }
        }
        Ok(matching)
    }
}

fn read_patterns(node: &Node<'_>, syntax: Syntax) -> Valid<PatternSet> {
    PatternSet::read(node, syntax, &pattern_detail(node, syntax.encoding))
}

/// The message for a pattern that is not a string. Which wording has always gone with how the
/// pattern is encoded.
fn pattern_detail(node: &Node<'_>, encoding: Encoding) -> String {
    let what = match encoding {
        Encoding::Plain => "strings",
        Encoding::Percent | Encoding::Query => "a string",
    };
    format!("The \"match\" pattern for \"{}\" must be {what}.", node.label())
}

impl Scheme {
    fn read(node: &Node<'_>) -> Valid<Self> {
        let text = node.text()?;
        if text.eq_ignore_ascii_case(b"http") {
            Ok(Self::Http)
        } else if text.eq_ignore_ascii_case(b"https") {
            Ok(Self::Https)
        } else {
            Err(node.fault("The \"scheme\" can either be \"http\" or \"https\"."))
        }
    }
}

/// Patterns for named items: header fields, arguments, cookies.
#[derive(Clone, Debug, Default)]
pub struct NamedPatterns {
    /// One of these must hold, and for that all in it. None at all matches everything.
    pub any_of: Vec<Vec<NamedPattern>>,
}

/// Patterns for the item of one name.
#[derive(Clone, Debug)]
pub struct NamedPattern {
    /// The name; of header fields, in lower case.
    pub name: Text,
    /// What every occurrence must be like; there must be at least one.
    pub patterns: PatternSet,
}

impl NamedPatterns {
    /// Whether the items of a request match; `values` gives those of a name.
    pub fn matches<'a, I>(
        &'a self,
        mut values: impl FnMut(&'a Text) -> I,
    ) -> Result<bool, MatchError>
    where
        I: Iterator<Item = &'a [u8]>,
    {
        for all_of in &self.any_of {
            let mut holds = true;
            for pattern in all_of {
                if !pattern.matches(values(&pattern.name))? {
                    holds = false;
                    break;
                }
            }
            if holds {
                return Ok(true);
            }
        }
        Ok(self.any_of.is_empty())
    }

    fn read(node: &Node<'_>, syntax: Syntax) -> Valid<Self> {
        node.expect(Kinds::ARRAY | Kinds::OBJECT)?;
        let detail = pattern_detail(node, syntax.encoding);
        if node.value().as_array().is_none() {
            return Ok(Self { any_of: vec![read_object(node, node, syntax, &detail)?] });
        }
        let any_of = node.elements().map(|element| {
            if element.value().as_object().is_none() {
                let label = element.label();
                return Err(element.fault(match syntax.encoding {
                    Encoding::Plain => {
                        format!("The \"match\" patterns for \"{label}\" must be objects.")
                    }
                    Encoding::Percent | Encoding::Query => {
                        format!("The \"match\" pattern for \"{label}\" must be an object.")
                    }
                }));
            }
            read_object(node, &element, syntax, &detail)
        });
        Ok(Self { any_of: any_of.collect::<Valid<_>>()? })
    }
}

/// Reads one object of name and patterns; `list` is the member it belongs to.
fn read_object(
    list: &Node<'_>,
    node: &Node<'_>,
    syntax: Syntax,
    detail: &str,
) -> Valid<Vec<NamedPattern>> {
    let mut all_of = Vec::new();
    for member in node.members() {
        if member.name().is_empty() {
            return Err(
                member.fault("The \"match\" pattern objects must not contain empty member names.")
            );
        }
        // Messages about the names and patterns inside speak of the whole list.
        let key = member.name();
        let member = member.labelled(list);
        let name = syntax.encoding.decode(key).ok_or_else(|| encoding_fault(&member))?;
        let name = match syntax.case {
            Case::Ignored => name.to_ascii_lowercase(),
            Case::Sensitive | Case::Lower | Case::Upper => name,
        };
        let patterns = PatternSet::read_value(&member, syntax, detail)?;
        all_of.push(NamedPattern { name: name.into(), patterns });
    }
    Ok(all_of)
}

impl NamedPattern {
    fn matches<'r>(&self, values: impl Iterator<Item = &'r [u8]>) -> Result<bool, MatchError> {
        let mut is_present = false;
        for value in values {
            if !self.patterns.matches(value)? {
                return Ok(false);
            }
            is_present = true;
        }
        Ok(is_present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, bare_environment, config, refuses, refuses_in};

    const FRAME: &str = r#"{"routes":[{"match":{@},"action":{"return":200}}]}"#;

    fn matching(text: &str) -> Match {
        match config(&FRAME.replace('@', text)).routes {
            crate::Routes::Single(mut steps) => steps.remove(0).matching,
            crate::Routes::Named(_) => panic!("the frame has one route"),
        }
    }

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                "",
                r#""method":"GET""#,
                r#""method":["get","!P*"]"#,
                r#""scheme":"HTTPS""#,
                r#""host":[]"#,
                r#""uri":"~^/a%20$""#,
                r#""query":"a+b%2B*""#,
                r#""arguments":{"a%20b":"x"}"#,
                r#""arguments":[{"a":["x","!y"]},{}]"#,
                r#""headers":{"X-A":"*"}"#,
                r#""headers":[]"#,
                r#""cookies":[{"a":"b"}]"#,
                r#""source":"!*:80""#,
                r#""destination":["127.0.0.1"]"#,
                r#""if":"!`x`""#,
            ],
        );
        refuses(
            FRAME,
            &[
                (r#""metod":"GET""#, r#"Unknown parameter "metod"."#),
                (
                    r#""method":1"#,
                    r#"The "method" value must be either a string or an array, but not an integer number."#,
                ),
                (r#""method":[1]"#, r#"The "match" pattern for "method" must be strings."#),
                (r#""host":[null]"#, r#"The "match" pattern for "host" must be strings."#),
                (r#""uri":[1]"#, r#"The "match" pattern for "uri" must be a string."#),
                (r#""query":[{}]"#, r#"The "match" pattern for "query" must be a string."#),
                (r#""scheme":"ftp""#, r#"The "scheme" can either be "http" or "https"."#),
                (r#""scheme":[]"#, r#"The "scheme" value must be a string, but not an array."#),
                (r#""uri":"/a**""#, r#"The "match" pattern must not contain double "*" markers."#),
                (
                    r#""host":"~[""#,
                    "Invalid regular expression: missing terminating ] for character class",
                ),
                (
                    r#""host":"~a)b""#,
                    "Invalid regular expression: unmatched closing parenthesis at offset 1",
                ),
                (r#""uri":"/%2""#, r#"The "match" pattern for "uri" is encoded but is invalid."#),
                (r#""uri":"!~%zz""#, r#"The "match" pattern for "uri" is encoded but is invalid."#),
                (r#""query":"%""#, r#"The "match" pattern for "query" is encoded but is invalid."#),
                (
                    r#""arguments":{"a":"%"}"#,
                    r#"The "match" pattern for "arguments" is encoded but is invalid."#,
                ),
                (
                    r#""arguments":{"%":"a"}"#,
                    r#"The "match" pattern for "arguments" is encoded but is invalid."#,
                ),
                (
                    r#""arguments":{"a":1}"#,
                    r#"The "match" pattern for "arguments" must be a string."#,
                ),
                (r#""arguments":[1]"#, r#"The "match" pattern for "arguments" must be an object."#),
                (
                    r#""arguments":"a""#,
                    r#"The "arguments" value must be either an array or an object, but not a string."#,
                ),
                (r#""headers":["a"]"#, r#"The "match" patterns for "headers" must be objects."#),
                (r#""cookies":[[]]"#, r#"The "match" patterns for "cookies" must be objects."#),
                (r#""headers":{"a":1}"#, r#"The "match" pattern for "headers" must be strings."#),
                (r#""headers":{"a":[1]}"#, r#"The "match" pattern for "headers" must be strings."#),
                (
                    r#""cookies":[{"a":{}}]"#,
                    r#"The "match" pattern for "cookies" must be strings."#,
                ),
                (
                    r#""headers":{"":"a"}"#,
                    r#"The "match" pattern objects must not contain empty member names."#,
                ),
                (r#""source":[1]"#, r#"The "match" pattern for "address" must be a string."#),
                (r#""source":"*""#, r#"The "address" is too short."#),
                (r#""destination":"[::1]""#, r#"The "address" format is invalid."#),
                (r#""destination":"1.1.1.2-1.1.1.1""#, r#"The "address" range is overlapping."#),
                (r#""source":"1.1.1.1/33""#, r#"The "address" has an invalid CIDR prefix."#),
                (r#""source":"*:x""#, r#"The "address" port an invalid port."#),
                (r#""if":1"#, r#"The "if" value must be a string, but not an integer number."#),
                (r#""if":"$arg_""#, r#"Unknown variable "arg_" in the "if" value."#),
            ],
        );
        refuses_in(
            &bare_environment(),
            FRAME,
            &[(
                r#""uri":"~a""#,
                r#"Unit is built without support of regular expressions: "--no-regex" ./configure option was set."#,
            )],
        );
    }

    #[test]
    fn patterns_are_cased_and_decoded_as_their_member_asks() {
        let matching = matching(
            r#""method":"get","host":"A.Com","uri":"/A%2a+*","query":"a+%2B","scheme":"hTTps""#,
        );
        let hits = |set: &Option<PatternSet>, subject: &str| {
            set.as_ref().expect("is set").matches(subject.as_bytes()).expect("no engine needed")
        };
        assert!(hits(&matching.method, "GET") && !hits(&matching.method, "get"));
        assert!(hits(&matching.host, "a.com"));
        assert!(hits(&matching.uri, "/A*+xyz") && !hits(&matching.uri, "/a*+"));
        assert!(hits(&matching.query, "a +") && !hits(&matching.query, "a+ "));
        assert_eq!(matching.scheme, Some(Scheme::Https));
        assert!(matching.cookies.is_none());
    }

    #[test]
    fn named_items_must_be_present_and_match_every_time() {
        let headers = |text: &str, items: &[(&str, &str)]| {
            let matching = matching(&format!(r#""headers":{text}"#));
            let patterns = matching.headers.expect("is set");
            patterns
                .matches(|name| {
                    let name = name.clone();
                    items
                        .iter()
                        .filter(move |(item, _)| name.eq_ignore_ascii_case(item.as_bytes()))
                        .map(|(_, value)| value.as_bytes())
                })
                .expect("no engine needed")
        };
        let request = [("X-A", "One"), ("x-a", "onE"), ("X-B", "two")];
        for (text, expected) in [
            ("{}", true),
            ("[]", true),
            (r#"{"x-A":"ONE"}"#, true),
            (r#"{"X-A":"One","X-B":"t*"}"#, true),
            (r#"{"X-A":"One","X-B":"x"}"#, false),
            (r#"{"X-A":"~^One"}"#, false),
            (r#"{"X-A":["~^One","~E$"]}"#, true),
            (r#"{"X-B":[]}"#, true),
            (r#"{"X-C":[]}"#, false),
            (r#"{"X-C":"!a"}"#, false),
            (r#"{"X-B":"!a"}"#, true),
            (r#"[{"X-C":"a"},{"X-B":"two"}]"#, true),
            (r#"[{"X-C":"a"},{"X-B":"tw"}]"#, false),
            (r#"[{"X-C":"a"},{}]"#, true),
        ] {
            assert_eq!(headers(text, &request), expected, "{text}");
        }
    }
}
