//! What applications answer, and how it is sent.

use std::time::Duration;

use app_proto::{ResponseKind, WINDOW};

use crate::stage::{Answer, Ask};
use crate::{returning, start, start_with};

fn answer_of(body: &str) -> Answer {
    let (_stage, mut worker) = start(&returning(body));
    worker.get("/")
}

#[test]
fn takes_everything_that_gives_bytes() {
    for (expression, text) in [
        ("[b'a', b'', b'b']", "ab"),
        ("(b'a', b'b')", "ab"),
        ("[]", ""),
        ("()", ""),
        ("b'whole'", "whole"),
        ("b''", ""),
        ("(c for c in (b'x', b'', b'y'))", "xy"),
        ("iter([b'i', b't'])", "it"),
        ("{b'k': 1}", "k"),
        ("type('L', (list,), {'__iter__': lambda self: iter([b'own'])})()", "own"),
        ("__import__('io').BytesIO(b'one\\ntwo')", "one\ntwo"),
        (
            "environ['wsgi.file_wrapper'](__import__('io').BytesIO(b'f' * 20000))",
            &"f".repeat(20000),
        ),
        ("environ['wsgi.file_wrapper'](__import__('io').BytesIO(b'abc'), 1)", "abc"),
    ] {
        let answer = answer_of(expression);
        assert_eq!((answer.status, answer.failed), (Some(200), false), "{expression}");
        assert_eq!(answer.text(), text, "{expression}");
    }
}

#[test]
fn without_start_response_an_empty_answer_is_plain_text() {
    let (_stage, mut worker) = start("def application(environ, start_response): return []");
    let answer = worker.get("/");
    assert_eq!(answer.status, Some(200));
    assert_eq!(answer.fields, [("Content-Type".to_owned(), b"text/plain".to_vec())]);
    assert!(answer.body.is_empty() && !answer.failed);
}

#[test]
fn the_last_start_response_counts() {
    let (_stage, mut worker) = start(
        "
import sys
def application(environ, start_response):
    start_response('200 OK', [('X-First', '1'), ('Content-Length', '5')])
    try:
        raise ValueError('x')
    except ValueError:
        start_response('500 Oops', [('X-Second', '2')], sys.exc_info())
    return [b'longer than five']
",
    );
    let answer = worker.get("/");
    assert_eq!(answer.status, Some(500));
    assert_eq!(answer.fields, [("X-Second".to_owned(), b"2".to_vec())]);
    assert_eq!(answer.text(), "longer than five");
}

#[test]
fn statuses_and_fields_are_passed_on() {
    for (status, number) in [("404 Not Found", 404), ("99 ", 99), ("204", 204), ("65535 x", 65535)]
    {
        let (_stage, mut worker) = start(&format!(
            "
def application(environ, start_response):
    start_response({status:?}, [('X-L', '\\xe4'), ('X-D', '1'), ('X-D', '2'), ('X-Empty', '')])
    return []
"
        ));
        let answer = worker.get("/");
        assert_eq!(answer.status, Some(number));
        let values: Vec<(&str, &[u8])> =
            answer.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected: [(&str, &[u8]); 4] =
            [("X-L", b"\xe4"), ("X-D", b"1"), ("X-D", b"2"), ("X-Empty", b"")];
        assert_eq!(values, expected);
    }
}

#[test]
fn write_sends_at_once() {
    let (_stage, mut worker) = start(
        "
def application(environ, start_response):
    write = start_response('200 OK', [])
    assert write(b'') is None
    assert write(b'one ') is None
    write(b'two ')
    return [b'three']
",
    );
    let answer = worker.get("/");
    assert_eq!((answer.text(), answer.records), ("one two three", 3));
}

#[test]
fn a_stream_is_sent_as_it_comes() {
    let (stage, mut worker) = start(
        "
import os, time
def application(environ, start_response):
    start_response('200 OK', [])
    def chunks():
        yield b'first'
        while not os.path.exists(os.path.dirname(__file__) + '/go'):
            time.sleep(0.005)
        yield b'second'
    return chunks()
",
    );
    let id = worker.offer(0, &Ask::get("/"));
    worker.ring();
    let mut answer = Answer::default();
    assert!(!worker.read_record(0, id, &mut answer));
    assert_eq!(answer.text(), "first");
    stage.write("go", "");
    while !worker.read_record(0, id, &mut answer) {}
    assert_eq!(answer.text(), "firstsecond");
}

#[test]
fn large_bodies_wait_for_their_client() {
    let (_stage, mut worker) = start(&returning("[bytes([n % 256]) * 100000 for n in range(30)]"));
    let id = worker.offer(0, &Ask::get("/"));
    worker.ring();
    // Nothing is consumed at first: the worker stops at the window.
    let mut held = Vec::new();
    while let Some((record, payload)) = worker.next_record(0, Duration::from_millis(300)) {
        held.push((record, payload));
    }
    let bytes: usize = held
        .iter()
        .map(|(record, payload)| match record.kind {
            ResponseKind::Head => payload.len() - app_proto::HEAD_FIXED_LEN,
            _ => payload.len(),
        })
        .sum();
    assert_eq!(bytes as u64, WINDOW);
    worker.channels[0].consume(id, bytes);
    worker.ring();
    let mut answer = Answer { status: Some(200), ..Answer::default() };
    while !worker.read_record(0, id, &mut answer) {}
    assert_eq!(bytes + answer.body.len(), 3_000_000);
    assert!(answer.body.ends_with(&[29; 100_000]));
    // The worker is as good as before.
    assert_eq!(worker.get("/").body.len(), 3_000_000);
}

#[test]
fn a_client_that_leaves_ends_the_iteration() {
    let (mut stage, mut worker) = start(
        "
import sys
class Endless:
    def __iter__(self): return self
    def __next__(self): return b'x' * 10000
    def close(self): print('closed', file=sys.stderr)
def application(environ, start_response):
    start_response('200 OK', [])
    return Endless() if environ['PATH_INFO'] == '/endless' else [b'next']
",
    );
    let id = worker.offer(0, &Ask::get("/endless"));
    worker.ring();
    let mut answer = Answer::default();
    assert!(!worker.read_record(0, id, &mut answer));
    worker.channels[0].cancel(id);
    worker.ring();
    while !worker.read_record(0, id, &mut answer) {}
    assert!(answer.failed);
    stage.wait_for_log("closed");
    assert_eq!(worker.get("/").text(), "next");
}

#[test]
fn content_length_ends_the_iteration() {
    let (mut stage, mut worker) = start(
        "
import sys
class Chunks:
    def __init__(self): self.given = 0
    def __iter__(self): return self
    def __next__(self):
        self.given += 1
        return b'abcde'
    def close(self): print('given %d' % self.given, file=sys.stderr)
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', environ['PATH_INFO'][1:])])
    return Chunks()
",
    );
    let answer = worker.get("/15");
    assert_eq!((answer.text(), answer.failed), ("abcdeabcdeabcde", false));
    stage.wait_for_log("given 3");
    let answer = worker.get("/0");
    assert_eq!((answer.text(), answer.failed), ("", false));
    stage.wait_for_log("given 0");
    // A chunk that does not fit is refused as a whole.
    let answer = worker.get("/12");
    assert_eq!((answer.text(), answer.failed), ("abcdeabcde", true));
    stage.wait_for_log("content length 12 exceeded");
    let answer = worker.get("/4");
    assert_eq!((answer.status, answer.failed), (None, true));
}

#[test]
fn a_content_length_that_is_none_is_passed_on() {
    let (mut stage, mut worker) = start(
        "
def application(environ, start_response):
    start_response('200 OK', [('content-length', 'many')])
    return [b'body']
",
    );
    let answer = worker.get("/");
    assert_eq!((answer.text(), answer.failed), ("body", false));
    assert_eq!(answer.field("Content-Length"), Some(&b"many"[..]));
    stage.wait_for_log("failed to parse Content-Length value many");
}

#[test]
fn head_has_no_body() {
    let (_stage, mut worker) = start(
        "
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '4')])
    return [b'ab', b'cd']
",
    );
    let answer = worker.ask(&Ask { method: "HEAD", ..Ask::get("/") });
    assert_eq!((answer.status, answer.failed), (Some(200), false));
    assert!(answer.body.is_empty());
    assert_eq!(answer.field("content-length"), Some(&b"4"[..]));
    assert_eq!(worker.get("/").text(), "abcd");
}

#[test]
fn fields_that_would_forge_others_are_refused() {
    for field in [
        "('X', 'a\\r\\nSet-Cookie: b')",
        "('X', 'a\\nb')",
        "('X', 'a\\x00b')",
        "('X\\r\\nY', 'a')",
        "('', 'a')",
        "('X', '\\u20ac')",
        "('X', 'v' * 200000)",
    ] {
        let (mut stage, mut worker) = start(&format!(
            "
def application(environ, start_response):
    start_response('200 OK', [('A', 'b'), {field}])
    return [b'never']
"
        ));
        let answer = worker.get("/");
        assert_eq!((answer.status, answer.failed), (None, true), "{field}");
        stage.wait_for_log("RuntimeError: failed to add header #1");
    }
}

#[test]
fn field_lengths_at_the_old_limits_come_through() {
    let (_stage, mut worker) = start(
        "
def application(environ, start_response):
    n = int(environ['PATH_INFO'][1:])
    fields = [('N' * n, 'v' * 10)] if n < 60000 else [('N', 'v' * n)]
    start_response('200 OK', fields)
    return [b'x']
",
    );
    for len in (250..=260).chain(65_530..=65_540) {
        let answer = worker.get(&format!("/{len}"));
        let (name, value) = &answer.fields[0];
        assert_eq!(name.len().max(value.len()), len);
        assert_eq!(answer.text(), "x");
    }
}

#[test]
fn file_wrappers_are_closed_with_their_files() {
    let (mut stage, mut worker) = start(
        "
import io, sys
class File(io.BytesIO):
    def close(self):
        print('file closed', file=sys.stderr)
        super().close()
class Bare:
    def __init__(self): self.left = [b'a', b'b', b'']
    def read(self, size): return self.left.pop(0)
def application(environ, start_response):
    start_response('200 OK', [])
    file = Bare() if environ['PATH_INFO'] == '/bare' else File(b'data' * 10000)
    return environ['wsgi.file_wrapper'](file, 4096)
",
    );
    assert_eq!(worker.get("/").body.len(), 40_000);
    stage.wait_for_log("file closed");
    let answer = worker.get("/bare");
    assert_eq!((answer.text(), answer.failed), ("ab", false), "{}", stage.log());
}

#[test]
fn a_validated_application_is_clean() {
    let (stage, mut worker) = start_with(
        "
from wsgiref.validate import validator
def plain(environ, start_response):
    body = environ['wsgi.input'].read(100)
    environ['wsgi.input'].readline(5)
    list(environ['wsgi.input'])
    environ['wsgi.errors'].flush()
    write = start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'got ', body]
application = validator(plain)
",
        r#", "prefix": "/prefix""#,
    );
    // HTTP_CONTENT_LENGTH and HTTP_CONTENT_TYPE, which the checks refuse, are there by tradition.
    let answer = worker.ask(&Ask::post("/prefix/path", b"body"));
    assert_eq!(answer.text(), "got body", "{}", stage.log());
    assert!(!stage.log().contains("Traceback"), "{}", stage.log());
}

#[test]
fn other_threads_may_write() {
    let (stage, mut worker) = start(
        "
import threading
def application(environ, start_response):
    write = start_response('200 OK', [])
    thread = threading.Thread(target=lambda: [write(b'y' * 1000) for _ in range(1000)])
    thread.start()
    if environ['PATH_INFO'] == '/join':
        thread.join()
    return []
",
    );
    let answer = worker.get("/join");
    assert_eq!(answer.body.len(), 1_000_000, "{}", stage.log());
    // Left alone, the thread is not served beyond its request, and nothing breaks.
    for _ in 0..5 {
        worker.get("/leave");
    }
    assert_eq!(worker.get("/join").body.len(), 1_000_000);
}
