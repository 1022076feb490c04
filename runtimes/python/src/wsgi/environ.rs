//! The `environ` dictionary of a request.

use app_proto::REQUEST_TLS;
use host::Request;

use crate::ffi::{Dict, Object, Raised, Text};

/// How many field names are remembered at a time. A name that falls on the place of another one
/// takes it: what is remembered stays bounded, whatever clients send.
const NAMES: usize = 256;
/// The longest name, and the longest value, that is remembered.
const REMEMBERED_LEN_MAX: usize = 256;
/// Room for fields that a copied template has before the interpreter makes it larger: it doubles
/// the room with the 22nd member, and there are fewer than that in the template itself.
const MEMBERS_BEFORE_GROWTH: usize = 22;

/// Makes dictionaries as copies of a template.
#[derive(Debug)]
pub(crate) struct Environ {
    /// Has every member that each request has, so that most are set by exchanging a value.
    template: Dict,
    keys: Keys,
    constants: Constants,
    method: Recent,
    remote: Recent,
    local_addr: Recent,
    local_port: Recent,
    server_name: Recent,
    names: Vec<Option<Name>>,
    input: Object,
}

#[derive(Debug)]
struct Keys {
    request_method: Object,
    request_uri: Object,
    path_info: Object,
    query_string: Object,
    server_protocol: Object,
    remote_addr: Object,
    server_addr: Object,
    server_port: Object,
    server_name: Object,
    url_scheme: Object,
    script_name: Object,
    content_length: Object,
    content_type: Object,
    input: Object,
}

#[derive(Debug)]
struct Constants {
    empty: Object,
    http_1_0: Object,
    http_1_1: Object,
    http: Object,
    https: Object,
}

/// The last value of something that seldom changes.
#[derive(Debug)]
struct Recent(Object);

/// A field name as received, its key, and its last value.
#[derive(Debug)]
struct Name {
    received: Box<[u8]>,
    key: Object,
    value: Recent,
    twin: Option<Twin>,
}

/// A field that has a second key, without the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twin {
    ContentLength,
    ContentType,
}

impl Recent {
    /// The string of these bytes: the same object as the last time if they are the same.
    #[inline]
    fn get(&mut self, bytes: &[u8]) -> Result<Object, Raised> {
        if self.0.as_text() == Text::Bytes(bytes) {
            return Ok(self.0.clone());
        }
        let object = Object::latin1(bytes)?;
        if bytes.len() <= REMEMBERED_LEN_MAX {
            self.0 = object.clone();
        }
        Ok(object)
    }
}

impl Environ {
    pub(crate) fn new(input: Object, file_wrapper: Object) -> Result<Self, Raised> {
        let key = |name: &str| Object::interned(name.as_bytes());
        let keys = Keys {
            request_method: key("REQUEST_METHOD")?,
            request_uri: key("REQUEST_URI")?,
            path_info: key("PATH_INFO")?,
            query_string: key("QUERY_STRING")?,
            server_protocol: key("SERVER_PROTOCOL")?,
            remote_addr: key("REMOTE_ADDR")?,
            server_addr: key("SERVER_ADDR")?,
            server_port: key("SERVER_PORT")?,
            server_name: key("SERVER_NAME")?,
            url_scheme: key("wsgi.url_scheme")?,
            script_name: key("SCRIPT_NAME")?,
            content_length: key("CONTENT_LENGTH")?,
            content_type: key("CONTENT_TYPE")?,
            input: key("wsgi.input")?,
        };
        let constants = Constants {
            empty: Object::latin1(b"")?,
            http_1_0: key("HTTP/1.0")?,
            http_1_1: key("HTTP/1.1")?,
            http: key("http")?,
            https: key("https")?,
        };
        let template = template(&keys, &constants.empty, file_wrapper)?;
        let recent = || Recent(constants.empty.clone());
        Ok(Self {
            template,
            method: recent(),
            remote: recent(),
            local_addr: recent(),
            local_port: recent(),
            server_name: recent(),
            names: std::iter::repeat_with(|| None).take(NAMES).collect(),
            keys,
            constants,
            input,
        })
    }

    /// The dictionary of a request.
    pub(crate) fn make(&mut self, request: &Request<'_>, prefix: &[u8]) -> Result<Dict, Raised> {
        let environ = self.template.copy()?;
        let (keys, constants) = (&self.keys, &self.constants);

        let (script_name, path) = split_path(request.path, prefix);
        let path = Object::latin1(path)?;
        environ.set(&keys.request_method, &self.method.get(request.method)?)?;
        if request.target == request.path && script_name.is_empty() {
            environ.set(&keys.request_uri, &path)?;
        } else {
            environ.set(&keys.request_uri, &Object::latin1(request.target)?)?;
        }
        environ.set(&keys.path_info, &path)?;
        if let Some(query) = request.query
            && !query.is_empty()
        {
            environ.set(&keys.query_string, &Object::latin1(query)?)?;
        }
        let protocol =
            if request.minor_version == 0 { &constants.http_1_0 } else { &constants.http_1_1 };
        environ.set(&keys.server_protocol, protocol)?;
        environ.set(&keys.remote_addr, &self.remote.get(request.remote)?)?;
        environ.set(&keys.server_addr, &self.local_addr.get(request.local_addr)?)?;
        environ.set(&keys.server_port, &self.local_port.get(request.local_port)?)?;
        environ.set(&keys.server_name, &self.server_name.get(request.server_name)?)?;
        let is_tls = request.flags & REQUEST_TLS != 0;
        let scheme = if is_tls { &constants.https } else { &constants.http };
        environ.set(&keys.url_scheme, scheme)?;
        if !script_name.is_empty() {
            environ.set(&keys.script_name, &Object::latin1(script_name)?)?;
        }
        self.add_fields(&environ, request)?;
        environ.set(&self.keys.input, &self.input)?;
        Ok(environ)
    }

    fn add_fields(&mut self, environ: &Dict, request: &Request<'_>) -> Result<(), Raised> {
        let (mut content_length, mut content_type) = (None, None);
        for (name, value) in request.fields() {
            let (key, value, twin) = recall(&mut self.names, &self.constants.empty, name, value)?;
            match twin {
                Some(Twin::ContentLength) => content_length = Some(value.clone()),
                Some(Twin::ContentType) => content_type = Some(value.clone()),
                None => {}
            }
            if let Some(before) = environ.set_default(&key, &value)? {
                environ.set(&key, &joined(&before, &value)?)?;
            }
        }
        if let Some(value) = content_length {
            environ.set(&self.keys.content_length, &value)?;
        }
        if let Some(value) = content_type {
            environ.set(&self.keys.content_type, &value)?;
        }
        Ok(())
    }
}

/// Key, value and twin of a field, from memory if possible.
#[inline]
fn recall(
    names: &mut [Option<Name>],
    empty: &Object,
    name: &[u8],
    value: &[u8],
) -> Result<(Object, Object, Option<Twin>), Raised> {
    if name.len() > REMEMBERED_LEN_MAX {
        return Ok((Object::latin1(&key_of(name))?, Object::latin1(value)?, None));
    }
    let place = &mut names[place_of(name)];
    let known = match place {
        Some(known) if *known.received == *name => known,
        Some(_) | None => place.insert(Name {
            received: name.into(),
            key: Object::interned(&key_of(name))?,
            value: Recent(empty.clone()),
            twin: twin_of(name),
        }),
    };
    Ok((known.key.clone(), known.value.get(value)?, known.twin))
}

fn twin_of(name: &[u8]) -> Option<Twin> {
    if name.eq_ignore_ascii_case(b"Content-Length") {
        Some(Twin::ContentLength)
    } else if name.eq_ignore_ascii_case(b"Content-Type") {
        Some(Twin::ContentType)
    } else {
        None
    }
}

/// Where a name is remembered: by its length and its first and last eight bytes. Names that differ
/// elsewhere only share a place, which costs time and nothing else.
#[inline]
fn place_of(name: &[u8]) -> usize {
    let (first, last) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    // The multiplier of FNV: odd, and its upper half spreads low bits upwards.
    let mixed = (first ^ last.rotate_left(29) ^ name.len() as u64).wrapping_mul(0x100_0000_01b3);
    usize::from((mixed ^ mixed >> 32).to_le_bytes()[1]) % NAMES
}

/// The key of a field, as CGI makes it.
fn key_of(name: &[u8]) -> Vec<u8> {
    let mut key = b"HTTP_".to_vec();
    key.extend(name.iter().map(|byte| match byte {
        b'-' => b'_',
        other => other.to_ascii_uppercase(),
    }));
    key
}

/// The value of a field that came twice.
fn joined(before: &Object, value: &Object) -> Result<Object, Raised> {
    match (before.as_text(), value.as_text()) {
        (Text::Bytes(before), Text::Bytes(value)) => {
            Object::latin1(&[before, b", ", value].concat())
        }
        // Both are strings that were made from bytes.
        (Text::Wide | Text::Other, _) | (_, Text::Wide | Text::Other) => Ok(value.clone()),
    }
}

/// Divides a path into what the prefix matches and the rest.
fn split_path<'a>(path: &'a [u8], prefix: &[u8]) -> (&'a [u8], &'a [u8]) {
    let matches = !prefix.is_empty()
        && path.starts_with(prefix)
        && matches!(path.get(prefix.len()), None | Some(b'/'));
    path.split_at(if matches { prefix.len() } else { 0 })
}

fn template(keys: &Keys, empty: &Object, file_wrapper: Object) -> Result<Dict, Raised> {
    let template = Dict::new()?;
    let set = |name: &str, value: Object| template.set(&Object::interned(name.as_bytes())?, &value);
    let software = concat!("Unit/", env!("CARGO_PKG_VERSION"));
    set("SERVER_SOFTWARE", Object::latin1(software.as_bytes())?)?;
    set("wsgi.version", Object::pair(&Object::integer(1)?, &Object::integer(0)?)?)?;
    let stderr = Object::of_sys(c"stderr").unwrap_or_else(Object::none);
    set("wsgi.errors", stderr)?;
    set("wsgi.multithread", Object::boolean(false))?;
    set("wsgi.multiprocess", Object::boolean(true))?;
    set("wsgi.run_once", Object::boolean(false))?;
    set("wsgi.file_wrapper", file_wrapper)?;
    for key in [
        &keys.request_method,
        &keys.request_uri,
        &keys.path_info,
        &keys.query_string,
        &keys.server_protocol,
        &keys.remote_addr,
        &keys.server_addr,
        &keys.server_port,
        &keys.server_name,
        &keys.url_scheme,
    ] {
        template.set(key, empty)?;
    }
    // A copy takes the room over: what was put in and removed here saves every request a move.
    let padding: Vec<Object> = (template.len()..MEMBERS_BEFORE_GROWTH)
        .map(|number| Object::latin1(format!("padding {number}").as_bytes()))
        .collect::<Result<_, _>>()?;
    for key in &padding {
        template.set(key, empty)?;
    }
    for key in &padding {
        template.remove(key)?;
    }
    Ok(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(path: &str, prefix: &str) -> (String, String) {
        let (script, rest) = split_path(path.as_bytes(), prefix.as_bytes());
        (String::from_utf8(script.to_vec()).unwrap(), String::from_utf8(rest.to_vec()).unwrap())
    }

    #[test]
    fn prefixes_match_whole_segments() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(split("/api/rest", "/api/rest"), pair("/api/rest", ""));
        assert_eq!(split("/api/rest/", "/api/rest"), pair("/api/rest", "/"));
        assert_eq!(split("/api/rest/get/x", "/api/rest"), pair("/api/rest", "/get/x"));
        for path in ["/api/restful", "/api/res", "/api"] {
            assert_eq!(split(path, "/api/rest"), pair("", path));
        }
        assert_eq!(split("/anything", ""), pair("", "/anything"));
    }

    #[test]
    fn usual_names_have_places_of_their_own() {
        let usual = [
            "Host",
            "User-Agent",
            "Accept",
            "Accept-Encoding",
            "Accept-Language",
            "Connection",
            "Cookie",
            "Referer",
            "Content-Type",
            "Content-Length",
            "Cache-Control",
            "Origin",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "Authorization",
            "If-None-Match",
            "Sec-Fetch-Dest",
            "Sec-Fetch-Mode",
            "Sec-Fetch-Site",
            "Upgrade-Insecure-Requests",
        ];
        for names in [usual.map(str::to_owned), usual.map(str::to_lowercase)] {
            let places: std::collections::BTreeSet<usize> =
                names.iter().map(|name| place_of(name.as_bytes())).collect();
            assert!(places.len() >= usual.len() - 2, "{places:?}");
        }
    }

    #[test]
    fn keys_are_those_of_cgi() {
        assert_eq!(key_of(b"X-Forwarded-For"), b"HTTP_X_FORWARDED_FOR");
        assert_eq!(key_of(b"a.b_c~"), b"HTTP_A.B_C~");
    }
}
