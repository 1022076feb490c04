//! Random edits of random configurations through the API, against a plain model of the tree and of
//! the part of the schema that is used. After each the answer, the whole configuration with the
//! order of its members, and what is on the disk have to be the same.

use std::fmt::Write as _;

use blackbox::{Random, Unitd};

/// How many edits are tried.
const EDITS: usize = 2000;

/// A value, its members in order and its scalars as text.
#[derive(Clone, Debug, PartialEq)]
enum Model {
    Scalar(String),
    Array(Vec<Model>),
    Object(Vec<(String, Model)>),
}

fn string(text: &str) -> Model {
    Model::Scalar(format!("\"{text}\""))
}

fn number(number: i64) -> Model {
    Model::Scalar(number.to_string())
}

fn object(members: Vec<(&str, Model)>) -> Model {
    Model::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl Model {
    fn text(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::Array(elements) => {
                let elements: Vec<String> = elements.iter().map(Self::text).collect();
                format!("[{}]", elements.join(","))
            }
            Self::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{}", value.text()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }

    fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(other, _)| other == name).map(|(_, value)| value)
            }
            Self::Array(elements) => elements.get(index(name)?),
            Self::Scalar(_) => None,
        }
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(members) => {
                members.iter_mut().find(|(other, _)| other == name).map(|(_, value)| value)
            }
            Self::Array(elements) => elements.get_mut(index(name)?),
            Self::Scalar(_) => None,
        }
    }

    /// All paths, the root's among them.
    fn paths(&self, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
        all.push(path.clone());
        let mut below = |name: String, value: &Self| {
            path.push(name);
            value.paths(path, all);
            path.pop();
        };
        match self {
            Self::Scalar(_) => {}
            Self::Array(elements) => {
                elements
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| below(index.to_string(), value));
            }
            Self::Object(members) => {
                members.iter().for_each(|(name, value)| below(name.clone(), value));
            }
        }
    }
}

fn index(name: &str) -> Option<usize> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Put,
    Post,
    Delete,
}

/// The tree after an edit, or the status of the refusal.
fn edit(root: &Model, method: Method, path: &[String], value: &Model) -> Result<Model, u16> {
    let mut root = root.clone();
    let Some((last, parents)) = path.split_last() else {
        return match method {
            Method::Put => Ok(value.clone()),
            Method::Post => Err(405),
            Method::Delete => Ok(Model::Object(Vec::new())),
        };
    };
    let mut parent = &mut root;
    for name in parents {
        parent = parent.get_mut(name).ok_or(404_u16)?;
    }
    match (method, parent) {
        (Method::Put, Model::Object(members)) => {
            match members.iter_mut().find(|(name, _)| name == last) {
                Some((_, old)) => *old = value.clone(),
                None => members.push((last.clone(), value.clone())),
            }
        }
        (Method::Put, Model::Array(elements)) => match index(last) {
            Some(index) if index < elements.len() => elements[index] = value.clone(),
            Some(index) if index == elements.len() => elements.push(value.clone()),
            _ => return Err(404),
        },
        (Method::Post, parent) => match parent.get_mut(last).ok_or(404_u16)? {
            Model::Array(elements) => elements.push(value.clone()),
            Model::Object(_) | Model::Scalar(_) => return Err(405),
        },
        (Method::Delete, Model::Object(members)) => {
            let at = members.iter().position(|(name, _)| name == last).ok_or(404_u16)?;
            members.remove(at);
        }
        (Method::Delete, Model::Array(elements)) => match index(last) {
            Some(index) if index < elements.len() => drop(elements.remove(index)),
            _ => return Err(404),
        },
        (Method::Put | Method::Delete, Model::Scalar(_)) => return Err(404),
    }
    Ok(root)
}

/// The part of the schema that the generated configurations use, written down once more.
struct Schema {
    listeners: Vec<String>,
}

type Rule<'a> = &'a dyn Fn(&Model) -> bool;

fn is_string(value: &Model) -> bool {
    matches!(value, Model::Scalar(text) if text.starts_with('"'))
}

fn is_boolean(value: &Model) -> bool {
    matches!(value, Model::Scalar(text) if text == "true" || text == "false")
}

fn integer(value: &Model) -> Option<i64> {
    match value {
        Model::Scalar(text) => text.parse().ok(),
        Model::Array(_) | Model::Object(_) => None,
    }
}

fn is_strings(value: &Model) -> bool {
    is_string(value) || matches!(value, Model::Array(elements) if elements.iter().all(is_string))
}

/// An object with these members at most, each of which holds to its rule.
fn is_object(value: &Model, rules: &[(&str, Rule<'_>)]) -> bool {
    is_map(value, &|name, value| rules.iter().any(|(known, rule)| *known == name && rule(value)))
}

fn is_map(value: &Model, rule: &dyn Fn(&str, &Model) -> bool) -> bool {
    matches!(value, Model::Object(members) if members.iter().all(|(name, value)| rule(name, value)))
}

impl Schema {
    fn permits(&self, root: &Model) -> bool {
        is_object(
            root,
            &[
                ("settings", &|value| is_object(value, &[("http", &is_http)])),
                ("listeners", &|value| {
                    is_map(value, &|name, value| self.is_listener(root, name, value))
                }),
                ("routes", &is_routes),
                ("upstreams", &|value| is_map(value, &|_, value| is_upstream(value))),
                ("applications", &|value| is_map(value, &|_, _| false)),
            ],
        )
    }

    fn is_listener(&self, root: &Model, name: &str, value: &Model) -> bool {
        let is_pass = |value: &Model| {
            let Model::Scalar(text) = value else { return false };
            let Some(pass) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
                return false;
            };
            match (pass.strip_prefix("routes/"), root.get("routes")) {
                (None, Some(Model::Array(_))) => pass == "routes",
                (Some(name), Some(routes @ Model::Object(_))) => routes.get(name).is_some(),
                _ => false,
            }
        };
        self.listeners.iter().any(|known| known == name)
            && is_object(value, &[("pass", &is_pass)])
            && value.get("pass").is_some()
    }
}

fn is_http(value: &Model) -> bool {
    let mut extensions = Vec::new();
    if let Some(types) = value.get("static").and_then(|value| value.get("mime_types"))
        && let Model::Object(types) = types
    {
        for (_, value) in types {
            match value {
                Model::Array(elements) => extensions.extend(elements.iter().map(Model::text)),
                scalar => extensions.push(scalar.text()),
            }
        }
    }
    extensions.sort();
    let count = extensions.len();
    extensions.dedup();
    let is_static = |value: &Model| {
        is_object(
            value,
            &[("mime_types", &|types| {
                is_map(types, &|_, value| is_strings(value) && !value.text().contains("\"\""))
            })],
        )
    };
    extensions.len() == count
        && is_object(
            value,
            &[
                ("idle_timeout", &|value| integer(value).is_some_and(|number| number >= 0)),
                ("send_timeout", &|value| integer(value).is_some()),
                ("log_route", &is_boolean),
                ("server_version", &is_boolean),
                ("body_temp_path", &is_string),
                ("static", &is_static),
            ],
        )
}

fn is_routes(value: &Model) -> bool {
    let is_steps =
        |value: &Model| matches!(value, Model::Array(steps) if steps.iter().all(is_step));
    is_steps(value) || is_map(value, &|_, value| is_steps(value))
}

fn is_step(value: &Model) -> bool {
    let is_patterns =
        |value: &Model| is_map(value, &|name, value| !name.is_empty() && is_strings(value));
    let is_match = |value: &Model| {
        is_object(
            value,
            &[
                ("uri", &is_strings),
                ("headers", &|value| {
                    is_patterns(value)
                        || matches!(value, Model::Array(list) if list.iter().all(is_patterns))
                }),
            ],
        )
    };
    let is_headers = |value: &Model| {
        is_map(value, &|name, value| {
            !name.is_empty() && (is_string(value) || value.text() == "null")
        })
    };
    let is_action = |value: &Model| {
        value.get("return").is_some()
            && is_object(
                value,
                &[
                    ("return", &|value| {
                        integer(value).is_some_and(|code| (0..=999).contains(&code))
                    }),
                    ("location", &is_string),
                    ("response_headers", &is_headers),
                ],
            )
    };
    value.get("action").is_some()
        && is_object(value, &[("match", &is_match), ("action", &is_action)])
}

fn is_upstream(value: &Model) -> bool {
    let is_server = |name: &str, value: &Model| {
        SERVERS.contains(&name)
            && is_object(
                value,
                &[("weight", &|value| {
                    integer(value).is_some_and(|weight| (0..=1_000_000).contains(&weight))
                })],
            )
    };
    value.get("servers").is_some()
        && is_object(value, &[("servers", &|value| is_map(value, &is_server))])
}

const NAMES: [&str; 8] = ["a", "b", "a/b", "50%", "é€", "x?y#z", "0", "7"];
const SERVERS: [&str; 4] = ["127.0.0.1:80", "[::1]:8080", "unix:/a.sock", "*:1"];

/// Makes values.
struct Maker<'a> {
    random: Random,
    schema: &'a Schema,
    /// So that no two file extensions are the same, but for once in a while.
    count: usize,
}

impl Maker<'_> {
    fn many(&mut self, make: fn(&mut Self) -> Model) -> Vec<Model> {
        (0..self.random.below(4)).map(|_| make(self)).collect()
    }

    fn map(&mut self, names: &[&str], make: fn(&mut Self) -> Model) -> Model {
        let start = self.random.below(names.len());
        let count = self.random.below(names.len().min(4));
        let chosen = names.iter().cycle().skip(start).take(count);
        Model::Object(chosen.map(|name| ((*name).to_owned(), make(self))).collect())
    }

    fn some(&mut self, members: Vec<(&'static str, Model)>) -> Model {
        object(members.into_iter().filter(|_| self.random.once_in(2)).collect())
    }

    fn text(&mut self) -> Model {
        string(self.random.choose::<&str>(&["", "/", "x", "/a/é", "long-and-longer-text", "a.b"]))
    }

    fn code(&mut self) -> Model {
        number(i64::try_from(self.random.below(1000)).unwrap())
    }

    fn boolean(&mut self) -> Model {
        Model::Scalar(self.random.once_in(2).to_string())
    }

    fn extension(&mut self) -> Model {
        self.count += usize::from(!self.random.once_in(20));
        string(&format!(".x{}", self.count))
    }

    fn texts(&mut self) -> Model {
        if self.random.once_in(2) { self.text() } else { Model::Array(self.many(Self::text)) }
    }

    fn headers(&mut self) -> Model {
        if self.random.once_in(2) {
            self.map(&NAMES, Self::texts)
        } else {
            Model::Array(self.many(|maker| maker.map(&NAMES, Self::texts)))
        }
    }

    fn matching(&mut self) -> Model {
        let members = vec![("uri", self.texts()), ("headers", self.headers())];
        self.some(members)
    }

    fn action(&mut self) -> Model {
        let more = vec![
            ("location", self.text()),
            (
                "response_headers",
                self.map(&NAMES, |maker| {
                    if maker.random.once_in(2) {
                        Model::Scalar("null".to_owned())
                    } else {
                        maker.text()
                    }
                }),
            ),
        ];
        let Model::Object(mut members) = self.some(more) else { unreachable!("it makes objects") };
        let at = self.random.below(members.len() + 1);
        members.insert(at, ("return".to_owned(), self.code()));
        Model::Object(members)
    }

    fn step(&mut self) -> Model {
        let mut members = vec![("action", self.action())];
        if self.random.once_in(2) {
            members.insert(self.random.below(2), ("match", self.matching()));
        }
        object(members)
    }

    fn steps(&mut self) -> Model {
        Model::Array(self.many(Self::step))
    }

    fn mime_types(&mut self) -> Model {
        self.map(&["text/x", "a", "50%", "b/c"], |maker| Model::Array(maker.many(Self::extension)))
    }

    fn http(&mut self) -> Model {
        let members = vec![
            ("idle_timeout", self.code()),
            ("send_timeout", number(-1)),
            ("log_route", self.boolean()),
            ("server_version", self.boolean()),
            ("body_temp_path", self.text()),
            ("static", object(vec![("mime_types", self.mime_types())])),
        ];
        self.some(members)
    }

    fn server(&mut self) -> Model {
        let weight = self.code();
        self.some(vec![("weight", weight)])
    }

    fn upstream(&mut self) -> Model {
        object(vec![("servers", self.map(&SERVERS, Self::server))])
    }

    fn listener(&mut self) -> Model {
        object(vec![(
            "pass",
            string(self.random.choose::<&str>(&["routes", "routes/a", "routes/b"])),
        )])
    }

    fn routes(&mut self) -> Model {
        if self.random.once_in(3) { self.steps() } else { self.map(&NAMES, Self::steps) }
    }

    fn listeners(&mut self) -> Model {
        let names: Vec<&str> = self.schema.listeners.iter().map(String::as_str).collect();
        self.map(&names, Self::listener)
    }

    fn root(&mut self) -> Model {
        loop {
            let members = vec![
                ("settings", object(vec![("http", self.http())])),
                ("routes", self.routes()),
                ("listeners", self.listeners()),
                ("upstreams", self.map(&NAMES, Self::upstream)),
            ];
            let root = self.some(members);
            if self.schema.permits(&root) {
                return root;
            }
        }
    }

    fn any(&mut self) -> Model {
        const SCALARS: [&str; 7] =
            ["null", "true", "-1", "1000000", "\"\"", "\"x\"", "\"routes/a\""];
        match self.random.below(5) {
            0 => Model::Scalar((*self.random.choose(&SCALARS)).to_owned()),
            1 => Model::Array(self.many(Self::text)),
            2 => self.map(&["a", "return", "servers", "action", "", "http"], Self::text),
            3 => self.steps(),
            _ => self.map(&NAMES, Self::step),
        }
    }

    /// A value that may stand at this path.
    fn fitting(&mut self, path: &[String]) -> Model {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path[..] {
            [] => self.root(),
            ["settings", "http"] => self.http(),
            ["settings", "http", "idle_timeout"] => self.code(),
            ["settings", "http", "static", "mime_types"] => self.mime_types(),
            ["settings", "http", "static", "mime_types", _]
            | ["settings", "http", "static", "mime_types", _, _] => self.extension(),
            ["settings", "http", "log_route" | "server_version"] => self.boolean(),
            ["routes"] => self.routes(),
            ["routes", name] if index(name).is_none() => self.steps(),
            ["routes", ..] if path.ends_with(&["action"]) => self.action(),
            ["routes", ..] if path.ends_with(&["match"]) => self.matching(),
            ["routes", ..] if path.ends_with(&["return"]) => self.code(),
            ["routes", ..] if path.contains(&"match") || path.contains(&"action") => self.text(),
            ["routes", _, ..] => self.step(),
            ["upstreams", _] => self.upstream(),
            ["upstreams", _, "servers"] => self.map(&SERVERS, Self::server),
            ["upstreams", _, "servers", _] => self.server(),
            ["upstreams", ..] => self.code(),
            ["listeners", _] => self.listener(),
            ["listeners"] => self.listeners(),
            ["listeners", ..] => string("routes"),
            _ => self.any(),
        }
    }

    /// A path that is there, or nearly.
    fn path(&mut self, root: &Model) -> Vec<String> {
        let mut all = Vec::new();
        root.paths(&mut Vec::new(), &mut all);
        let mut path = self.random.choose(&all).clone();
        match self.random.below(8) {
            // What could be there.
            0 => {
                let names =
                    ["settings", "http", "idle_timeout", "log_route", "upstreams", "location"];
                path.push((*self.random.choose(&names)).to_owned());
            }
            1 => path.push((*self.random.choose(&NAMES)).to_owned()),
            2 => {
                let value = path.iter().try_fold(root, |value, name| value.get(name));
                if let Some(Model::Array(elements)) = value {
                    path.push((elements.len() + self.random.below(2)).to_string());
                }
            }
            3 => path.extend(["none".to_owned(), "such".to_owned()]),
            _ => {}
        }
        path
    }
}

/// A path as it stands in a target: what must be encoded is, and now and then more.
fn target(path: &[String], random: &mut Random) -> String {
    let mut target = "/config".to_owned();
    for name in path {
        target.push('/');
        for byte in name.bytes() {
            let must = !byte.is_ascii_graphic() || b"/%?#".contains(&byte);
            if must || random.once_in(10) {
                write!(target, "%{byte:02x}").unwrap();
            } else {
                target.push(char::from(byte));
            }
        }
    }
    if random.once_in(10) {
        target.push('/');
    }
    target
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect()
}

#[test]
fn edits_agree_with_a_plain_model() {
    let unitd = Unitd::start();
    let listeners = ["one.sock", "two.sock"].map(|name| format!("unix:{}", unitd.text_path(name)));
    let schema = Schema { listeners: listeners.into() };
    let random = Random::new();
    let mut maker = Maker { random, schema: &schema, count: 0 };
    let mut model = maker.root();
    unitd.put("/config", model.text()).expect_success();
    let (mut tally, mut targets) = ([0; 4], maker.random.clone());
    for _ in 0..EDITS {
        // Small trees are dull.
        if model.text().len() < 100 {
            model = maker.root();
            unitd.put("/config", model.text()).expect_success();
        }
        let path = maker.path(&model);
        let method =
            *maker.random.choose(&[Method::Put, Method::Put, Method::Post, Method::Delete]);
        let mut place = path.clone();
        if method == Method::Post {
            place.push("0".to_owned());
        }
        let value = if maker.random.once_in(5) { maker.any() } else { maker.fitting(&place) };
        let target = target(&path, &mut targets);
        let answer = match method {
            Method::Put => unitd.put(&target, value.text()),
            Method::Post => unitd.post(&target, value.text()),
            Method::Delete => unitd.delete(&target),
        };
        let edited = edit(&model, method, &path, &value);
        let said = format!("{method:?} {target} {}: {}", value.text(), answer.text);
        let status = match edited {
            Ok(edited) if schema.permits(&edited) => {
                model = edited;
                200
            }
            Ok(_) => 400,
            Err(status) => status,
        };
        assert_eq!(answer.status, status, "{}, {said}\nin {}", maker.random, model.text());
        let kinds = [200, 400, 404, 405];
        tally[kinds.iter().position(|kind| *kind == status).unwrap()] += 1;
        let text = without_blanks(&unitd.get("/config").text);
        assert_eq!(text, model.text(), "{}, {said}", maker.random);
        let stored = std::fs::read_to_string(unitd.path("state/conf.json")).unwrap();
        assert_eq!(stored, model.text(), "{}, {said}", maker.random);
        let there = maker.path(&model);
        let found = there.iter().try_fold(&model, |value, name| value.get(name));
        let answer = unitd.get(&self::target(&there, &mut targets));
        match found {
            Some(value) => assert_eq!(without_blanks(&answer.text), value.text(), "{there:?}"),
            None => assert_eq!(answer.status, 404, "{there:?}: {}", answer.text),
        }
    }
    println!("200, 400, 404, 405: {tally:?}");
    assert!(tally.iter().all(|count| *count > 10), "the edits are not varied: {tally:?}");
}
