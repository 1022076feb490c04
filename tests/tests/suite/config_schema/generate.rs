//! Random valid configurations, made from the schema alone, and random changes to them.

use conf::schema::{Map, Member, Object, Required, Shape, Syntax, root};
use conf::{Value, parse};

/// How deep objects are nested before only what is needed is set.
const DEPTH: usize = 7;

/// What a member may be changed to.
const REPLACEMENTS: [&str; 14] = [
    "null",
    "true",
    "-1",
    "0",
    "1.5",
    "99999999999",
    "\"\"",
    "\"x\"",
    "\"$\"",
    "[]",
    "[1]",
    "{}",
    "{\"a\": 1}",
    "[[\"x\"]]",
];

/// A source of configurations. The same seed gives the same ones.
pub(crate) struct Generator {
    state: u64,
    /// How many names were given out.
    names: usize,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, names: 0 }
    }

    /// A valid configuration.
    pub(crate) fn config(&mut self) -> Value {
        self.object(root(), 0)
    }

    /// The same with something somewhere replaced, removed or added.
    pub(crate) fn changed(&mut self, value: &Value) -> Value {
        let members = value.as_object().map_or(0, |object| object.len());
        let elements = value.as_array().map_or(0, <[Value]>::len);
        if members + elements == 0 || self.one_in(8) {
            let replacement = self.pick(&REPLACEMENTS);
            return parse(replacement.as_bytes()).unwrap();
        }
        let at = self.below(members + elements);
        let is_removed = self.one_in(8);
        if let Some(object) = value.as_object() {
            let mut all: Vec<_> = object.iter().cloned().collect();
            if is_removed {
                all.remove(at);
            } else if self.one_in(8) {
                all.push(("unheard_of".into(), Value::Boolean(true)));
            } else {
                all[at].1 = self.changed(&all[at].1);
            }
            return all.into_iter().collect();
        }
        let mut all = value.as_array().unwrap_or_default().to_vec();
        if is_removed {
            all.remove(at);
        } else {
            all[at] = self.changed(&all[at]);
        }
        Value::from(all)
    }

    fn object(&mut self, object: &'static Object, depth: usize) -> Value {
        let mut chosen: Vec<&Member> = Vec::new();
        for member in object.members() {
            let is_needed = match member.required {
                Required::Yes | Required::Saying(_) => true,
                Required::No | Required::Unless(_) => false,
            };
            // Whatever is passed on is passed to this application.
            let is_needed = is_needed || member.name == "applications";
            if is_needed || (depth < DEPTH && self.one_in(3)) {
                chosen.push(member);
            }
        }
        for member in object.members() {
            let has = |name: &str| chosen.iter().any(|chosen| chosen.name == name);
            if let Required::Unless(other) = member.required
                && !has(member.name)
                && !has(other)
            {
                chosen.push(member);
            }
        }
        if let Some((names, _)) = object.any_of
            && !chosen.iter().any(|chosen| names.contains(&chosen.name))
        {
            chosen.extend(object.member(self.pick(names)));
        }
        let excluded: Vec<&str> = chosen
            .iter()
            .filter_map(|member| member.excludes)
            .flat_map(|(names, _)| names.iter().copied())
            .collect();
        chosen.retain(|member| !excluded.contains(&member.name));
        let start = self.below(chosen.len().max(1));
        let start = start.min(chosen.len());
        chosen.rotate_left(start);
        chosen.into_iter().map(|member| (member.name, self.member(object, member, depth))).collect()
    }

    fn member(&mut self, object: &Object, member: &'static Member, depth: usize) -> Value {
        match (object.name, member.name) {
            (_, "pass") => {
                let known = ["applications/app", "$host", "routes/$uri", "`x`"];
                Value::from(self.pick(&known))
            }
            ("listener", "application") => Value::from("app"),
            ("processes", "spare") => Value::from(u64::from(self.one_in(2))),
            (_, "thread_stack_size") => Value::from(16384 * (1 + self.below(9) as u64)),
            ("config", "applications") => {
                let Shape::Map(map) = member.shape else { panic!("applications are a map") };
                let app = self.shape(&map.of, depth + 1);
                let others = self.map(map, depth);
                let others = others.as_object().into_iter().flat_map(|o| o.iter().cloned());
                others.chain([("app".into(), app)]).collect()
            }
            // No extension may be there twice.
            ("static", "mime_types") => {
                let count = self.below(4);
                (0..count).map(|i| (format!("a/{i}"), Value::from(self.name(".")))).collect()
            }
            _ => self.shape(&member.shape, depth),
        }
    }

    fn shape(&mut self, shape: &'static Shape, depth: usize) -> Value {
        match shape {
            Shape::Null => Value::Null,
            Shape::Boolean => Value::Boolean(self.one_in(2)),
            Shape::Integer { min, max } => self.integer(*min, *max),
            Shape::Number { min, max } => {
                let half = min.unwrap_or(0).midpoint(max.unwrap_or(9)).to_string() + ".5";
                let whole = self.integer(*min, *max);
                // There is a half below the upper bound wherever bounds differ.
                if self.one_in(3) { parse(half.as_bytes()).unwrap() } else { whole }
            }
            Shape::String(syntax) => Value::from(self.string(*syntax)),
            Shape::Array { of, min, .. } => {
                let count = if depth < DEPTH { *min + self.below(3) } else { *min };
                Value::from((0..count).map(|_| self.shape(of, depth + 1)).collect::<Vec<_>>())
            }
            Shape::Map(map) => self.map(map, depth),
            Shape::Object(object) => self.object(object, depth + 1),
            Shape::Anything => parse(self.pick(&REPLACEMENTS).as_bytes()).unwrap(),
            Shape::OneOf(shapes) => {
                // The first is the simplest, and the only one that is taken deep down.
                let at = if depth < DEPTH { self.below(shapes.len()) } else { 0 };
                self.shape(&shapes[at], depth)
            }
        }
    }

    fn map(&mut self, map: &'static Map, depth: usize) -> Value {
        let count = if depth < DEPTH { self.below(3) } else { 0 };
        (0..count)
            .map(|_| {
                let key = match map.key {
                    "address" => self.address(),
                    _ => self.name("name-"),
                };
                (key, self.shape(&map.of, depth + 1))
            })
            .collect()
    }

    fn integer(&mut self, min: Option<i64>, max: Option<i64>) -> Value {
        let (least, greatest) = (min.unwrap_or(-3), max.unwrap_or(9_000_000_000));
        let small = least.saturating_add(self.below(9) as i64).min(greatest);
        let number = self.pick(&[least, greatest, small, small]);
        parse(number.to_string().as_bytes()).unwrap()
    }

    fn string(&mut self, syntax: Syntax) -> &'static str {
        match syntax {
            Syntax::Any => self.pick(&["", "x", "/srv/a b", "ü", "$x", "`"]),
            Syntax::Choice(texts) => self.pick(texts),
            Syntax::Template => {
                self.pick(&["", "/srv$uri", "${host}:$arg_x", "$dollar", "`${uri}`", "plain"])
            }
            Syntax::Condition => self.pick(&["", "!", "$arg_x", "!$cookie_y", "!`x`"]),
            Syntax::Pattern => self.pick(&["", "!", "a*b", "*", "!~^x+$", "~[0-9]", "%zz"]),
            Syntax::EncodedPattern => self.pick(&["", "/a%20b*", "!*.php", "~^/v[0-9]+", "a+b"]),
            Syntax::AddressPattern => self.pick(&[
                "unix",
                "!10.0.0.0/8",
                "127.0.0.1-127.0.0.9:80",
                "*:1-9",
                "::1",
                "[::/0]:443",
            ]),
            Syntax::Like { regex, .. } => {
                let regex = regex::Regex::new(regex).expect("is simple enough");
                let fits: Vec<&'static str> =
                    LIKELY.into_iter().filter(|text| regex.is_match(text)).collect();
                assert!(!fits.is_empty(), "nothing is like {regex}");
                self.pick(&fits)
            }
        }
    }

    fn address(&mut self) -> String {
        let number = self.count() % 60_000 + 1;
        match self.below(4) {
            0 => format!("*:{number}"),
            1 => format!("127.0.0.1:{number}"),
            2 => format!("[::1]:{number}"),
            _ => format!("unix:/run/{number}.sock"),
        }
    }

    /// A name that nothing else has.
    fn name(&mut self, front: &str) -> String {
        let number = self.count();
        format!("{front}{number}")
    }

    fn count(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// A number below `end` (splitmix64).
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("is below a usize")
    }
}

/// What strings that have to be like something may be, for every such thing there is.
const LIKELY: [&str; 20] = [
    "external",
    "go",
    "python",
    "python 3",
    "python3.1",
    "php",
    "php 3.1",
    "perl",
    "ruby 3",
    "java",
    "wasm",
    "wasm-wasi-component",
    "http",
    "HTTPS",
    "http://127.0.0.1:9000",
    "http://unix:/run/a.sock",
    "/a/prefix",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "a/path",
];
