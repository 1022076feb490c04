//! What is in `environ`.

use app_proto::REQUEST_TLS;

use crate::stage::{Answer, Ask, Worker};
use crate::{start, start_with};

/// Answers with the dictionary, one `key=repr` a line, in its order.
const DUMP: &str = "
def application(environ, start_response):
    start_response('200 OK', [])
    return ['\\n'.join('%s=%r' % item for item in environ.items()).encode()]
";

fn value<'a>(answer: &'a Answer, key: &str) -> Option<&'a str> {
    answer.text().lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

fn ask(worker: &mut Worker, ask: &Ask<'_>) -> Answer {
    let answer = worker.ask(ask);
    assert_eq!(answer.status, Some(200));
    answer
}

#[test]
fn has_what_the_request_says_in_order() {
    let (_stage, mut worker) = start(DUMP);
    let fields: Vec<(&[u8], &[u8])> = vec![
        (b"Host", b"example.org:8080"),
        (b"X-One", b"1"),
        (b"Content-Type", b"text/x"),
        (b"x-one", b"2"),
        (b"Content-Length", b"3"),
        (b"X-Latin", b"\xe4\xff"),
        (b"X-Empty", b""),
    ];
    let request =
        Ask { query: Some("x=%20"), target: "/a%20b?x=%20", fields, ..Ask::post("/a b", b"abc") };
    let answer = ask(&mut worker, &request);
    let keys: Vec<&str> =
        answer.text().lines().map(|line| line.split_once('=').unwrap().0).collect();
    assert_eq!(
        keys,
        [
            "SERVER_SOFTWARE",
            "wsgi.version",
            "wsgi.errors",
            "wsgi.multithread",
            "wsgi.multiprocess",
            "wsgi.run_once",
            "wsgi.file_wrapper",
            "REQUEST_METHOD",
            "REQUEST_URI",
            "PATH_INFO",
            "QUERY_STRING",
            "SERVER_PROTOCOL",
            "REMOTE_ADDR",
            "SERVER_ADDR",
            "SERVER_PORT",
            "SERVER_NAME",
            "wsgi.url_scheme",
            "HTTP_HOST",
            "HTTP_X_ONE",
            "HTTP_CONTENT_TYPE",
            "HTTP_CONTENT_LENGTH",
            "HTTP_X_LATIN",
            "HTTP_X_EMPTY",
            "CONTENT_LENGTH",
            "CONTENT_TYPE",
            "wsgi.input",
        ]
    );
    for (key, expected) in [
        ("SERVER_SOFTWARE", "'Unit/2.0.0'"),
        ("wsgi.version", "(1, 0)"),
        ("wsgi.multithread", "False"),
        ("wsgi.multiprocess", "True"),
        ("wsgi.run_once", "False"),
        ("REQUEST_METHOD", "'POST'"),
        ("REQUEST_URI", "'/a%20b?x=%20'"),
        ("PATH_INFO", "'/a b'"),
        ("QUERY_STRING", "'x=%20'"),
        ("SERVER_PROTOCOL", "'HTTP/1.1'"),
        ("REMOTE_ADDR", "'192.0.2.1'"),
        ("SERVER_ADDR", "'127.0.0.1'"),
        ("SERVER_PORT", "'8080'"),
        ("SERVER_NAME", "'example.org'"),
        ("wsgi.url_scheme", "'http'"),
        ("HTTP_HOST", "'example.org:8080'"),
        ("HTTP_X_ONE", "'1, 2'"),
        ("HTTP_X_LATIN", "'äÿ'"),
        ("HTTP_X_EMPTY", "''"),
        ("HTTP_CONTENT_LENGTH", "'3'"),
        ("CONTENT_LENGTH", "'3'"),
        ("CONTENT_TYPE", "'text/x'"),
    ] {
        assert_eq!(value(&answer, key), Some(expected), "{key}");
    }
    assert!(value(&answer, "wsgi.input").unwrap().starts_with("<unit._input object"));
    assert!(value(&answer, "wsgi.errors").unwrap().contains("name='<stderr>'"));
}

#[test]
fn nothing_is_left_of_an_earlier_request() {
    let (_stage, mut worker) = start(DUMP);
    let first = Ask {
        flags: REQUEST_TLS,
        minor_version: 0,
        query: Some("a=b"),
        remote: "2001:db8::1",
        fields: vec![(b"X-Token", b"secret"), (b"Content-Type", b"x")],
        ..Ask::post("/first", b"")
    };
    let answer = ask(&mut worker, &first);
    assert_eq!(value(&answer, "wsgi.url_scheme"), Some("'https'"));
    assert_eq!(value(&answer, "SERVER_PROTOCOL"), Some("'HTTP/1.0'"));
    assert_eq!(value(&answer, "REMOTE_ADDR"), Some("'2001:db8::1'"));
    let answer = ask(&mut worker, &Ask::get("/second"));
    assert!(!answer.text().contains("secret") && !answer.text().contains("CONTENT_TYPE"));
    for (key, expected) in [
        ("REQUEST_METHOD", "'GET'"),
        ("PATH_INFO", "'/second'"),
        ("REQUEST_URI", "'/second'"),
        ("QUERY_STRING", "''"),
        ("wsgi.url_scheme", "'http'"),
        ("SERVER_PROTOCOL", "'HTTP/1.1'"),
        ("REMOTE_ADDR", "'192.0.2.1'"),
    ] {
        assert_eq!(value(&answer, key), Some(expected), "{key}");
    }
}

#[test]
fn equal_fields_are_joined_too() {
    let (_stage, mut worker) = start(DUMP);
    let fields: Vec<(&[u8], &[u8])> = vec![(b"X-A", b"1"); 3];
    for _ in 0..2 {
        let answer = ask(&mut worker, &Ask { fields: fields.clone(), ..Ask::get("/") });
        assert_eq!(value(&answer, "HTTP_X_A"), Some("'1, 1, 1'"));
    }
}

#[test]
fn names_that_share_a_place_in_memory_stay_apart() {
    let (_stage, mut worker) = start(DUMP);
    let names: Vec<String> = (0..1000).map(|number| format!("X-Name-{number}")).collect();
    for _ in 0..2 {
        let fields =
            names.iter().map(|name| (name.as_bytes(), name.as_bytes())).collect::<Vec<_>>();
        let answer = ask(&mut worker, &Ask { fields, ..Ask::get("/") });
        for number in 0..1000 {
            let key = format!("HTTP_X_NAME_{number}");
            assert_eq!(value(&answer, &key), Some(&*format!("'X-Name-{number}'")));
        }
    }
}

#[test]
fn lengths_at_the_old_limits_come_through() {
    let (_stage, mut worker) = start(
        "
def application(environ, start_response):
    found = [(k, v) for k, v in environ.items() if k.startswith('HTTP_N')]
    lengths = [len(environ['REQUEST_METHOD']), len(environ['PATH_INFO'])]
    for key, value in found:
        lengths += [len(key), len(value)]
        assert set(key[5:]) == {'N'} and set(value) == {'v'}
    start_response('200 OK', [])
    return [repr(lengths).encode()]
",
    );
    for len in [250, 255, 256, 257, 260, 65_530, 65_535, 65_536, 65_540] {
        let (name, text) = ("n".repeat(len), "v".repeat(len));
        let path = format!("/{}", "p".repeat(len - 1));
        let request = Ask {
            method: &text,
            fields: vec![(name.as_bytes(), text.as_bytes())],
            ..Ask::get(&path)
        };
        let answer = ask(&mut worker, &request);
        assert_eq!(answer.text(), format!("[{len}, {len}, {}, {len}]", len + 5));
    }
}

#[test]
fn the_prefix_is_taken_off_whole_segments() {
    let (_stage, mut worker) = start_with(DUMP, r#", "prefix": "/api/rest/""#);
    for (path, script_name, path_info) in [
        ("/api/rest", Some("'/api/rest'"), "''"),
        ("/api/rest/", Some("'/api/rest'"), "'/'"),
        ("/api/rest/get/x", Some("'/api/rest'"), "'/get/x'"),
        ("/api/restful", None, "'/api/restful'"),
        ("/api/res", None, "'/api/res'"),
        ("/api", None, "'/api'"),
    ] {
        let answer = ask(&mut worker, &Ask::get(path));
        assert_eq!(value(&answer, "SCRIPT_NAME"), script_name, "{path}");
        assert_eq!(value(&answer, "PATH_INFO"), Some(path_info), "{path}");
        assert_eq!(value(&answer, "REQUEST_URI"), Some(&*format!("'{path}'")), "{path}");
    }
    let (_stage, mut worker) = start_with(DUMP, r#", "prefix": "/""#);
    let answer = ask(&mut worker, &Ask::get("/x"));
    assert_eq!(value(&answer, "SCRIPT_NAME"), None);
}

#[test]
fn applications_may_change_their_environ() {
    let (_stage, mut worker) = start(
        "
kept = []
def application(environ, start_response):
    fresh = 'touched' not in environ
    environ.clear()
    environ['touched'] = True
    kept.append(environ)
    start_response('200 OK', [])
    return [repr((fresh, all(len(e) == 1 for e in kept))).encode()]
",
    );
    for _ in 0..3 {
        assert_eq!(worker.get("/").text(), "(True, True)");
    }
}

#[test]
fn targets_are_chosen_by_their_index() {
    let mut stage = crate::runtime();
    stage.write(
        "app.py",
        "
def make(name):
    def application(environ, start_response):
        start_response('200 OK', [])
        return [('%s %s' % (name, environ.get('SCRIPT_NAME'))).encode()]
    return application
one = make('one')
two = make('two')
def factory():
    return make('made')
",
    );
    let path = stage.directory.path().to_str().unwrap().to_owned();
    let definition = format!(
        r#"{{"type": "python", "path": ["{path}"], "targets": {{
            "z": {{"module": "app", "callable": "one"}},
            "a": {{"module": "app", "callable": "two", "prefix": "/p"}},
            "m": {{"module": "app", "callable": "factory", "factory": true}}
        }}}}"#
    );
    stage.set_up(&definition);
    let mut worker = stage.worker();
    for (index, text) in [(0, "one None"), (1, "two /p"), (2, "made None")] {
        let answer = ask(&mut worker, &Ask { target_index: index, ..Ask::get("/p/x") });
        assert_eq!(answer.text(), text);
    }
    let answer = worker.ask(&Ask { target_index: 3, ..Ask::get("/") });
    assert!(answer.failed);
}
