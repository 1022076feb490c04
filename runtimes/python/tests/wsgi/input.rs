//! `wsgi.input`.

use crate::stage::Ask;
use crate::start;

/// Evaluates the query as an expression with `f` for `wsgi.input`, and answers with its `repr`.
const EVALUATE: &str = "
from urllib.parse import unquote
def application(environ, start_response):
    f = environ['wsgi.input']
    start_response('200 OK', [])
    try:
        result = repr(eval(environ['QUERY_STRING'], {'f': f}))
    except Exception as error:
        result = '%s: %s' % (type(error).__name__, error)
    return [result.encode()]
";

#[test]
fn reads_bodies_and_lines() {
    let (stage, mut worker) = start(EVALUATE);
    let body = b"abc\nde\n\nf";
    for in_file in [false, true] {
        for (expression, result) in [
            ("f.read()", r"b'abc\nde\n\nf'"),
            ("f.read(-1)", r"b'abc\nde\n\nf'"),
            ("f.read(0)", "b''"),
            (
                "f.read(2), f.read(3), f.read(100), f.read(1), f.read()",
                r"(b'ab', b'c\nd', b'e\n\nf', b'', b'')",
            ),
            ("f.readline()", r"b'abc\n'"),
            ("f.readline(-1)", r"b'abc\n'"),
            ("f.readline(0)", "b''"),
            ("f.readline(2), f.readline(9)", r"(b'ab', b'c\n')"),
            ("[f.readline() for _ in range(5)]", r"[b'abc\n', b'de\n', b'\n', b'f', b'']"),
            ("f.readlines()", r"[b'abc\n', b'de\n', b'\n', b'f']"),
            ("f.readlines(1)", r"[b'abc\n', b'de\n', b'\n', b'f']"),
            ("list(f)", r"[b'abc\n', b'de\n', b'\n', b'f']"),
            ("f.read(4), next(f), list(f)", r"(b'abc\n', b'de\n', [b'\n', b'f'])"),
            ("f.read(True)", "b'a'"),
            ("f.read(-2)", "ValueError: the read body size cannot be zero or less"),
            ("f.readline(-2)", "ValueError: the read line size cannot be zero or less"),
            ("f.read(1, 2)", "TypeError: invalid number of arguments"),
            ("f.readline(1, 2)", "TypeError: invalid number of arguments"),
            ("f.read('a')", "TypeError: 'str' object cannot be interpreted as an integer"),
            ("f.read(1.5)", "TypeError: 'float' object cannot be interpreted as an integer"),
            ("type(f).__module__, type(f).__name__", "('unit', '_input')"),
            ("f is iter(f)", "True"),
            ("f.read(10**30)", "OverflowError: cannot fit 'int' into an index-sized integer"),
        ] {
            let request = Ask { query: Some(expression), in_file, ..Ask::post("/", body) };
            let answer = worker.ask(&request);
            assert_eq!(answer.text(), result, "{expression}, {in_file}; {}", stage.log());
        }
    }
    let answer = worker.ask(&Ask { query: Some("f.read(), list(f)"), ..Ask::get("/") });
    assert_eq!(answer.text(), "(b'', [])");
}

#[test]
fn large_bodies_come_from_their_file() {
    let (stage, mut worker) = start(
        "
import hashlib
def application(environ, start_response):
    f = environ['wsgi.input']
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/lines':
        lines = list(f)
        body, count = b''.join(lines), len(lines)
    else:
        body, count = f.read(), 0
    return [('%d %d %s' % (len(body), count, hashlib.sha1(body).hexdigest())).encode()]
",
    );
    let mut state = 1_u32;
    let body: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(20 * 1024 * 1024)
    .collect();
    let lines = body.split_inclusive(|byte| *byte == b'\n').count();
    let whole = worker.ask(&Ask { in_file: true, ..Ask::post("/", &body) });
    let by_line = worker.ask(&Ask { in_file: true, ..Ask::post("/lines", &body) });
    let whole: Vec<&str> = whole.text().split(' ').collect();
    let by_line: Vec<&str> = by_line.text().split(' ').collect();
    assert_eq!(whole[0], (20 * 1024 * 1024).to_string(), "{}", stage.log());
    assert_eq!(by_line[1], lines.to_string());
    assert_eq!(whole[2], by_line[2]);
}

#[test]
fn a_large_record_travels_whole() {
    let (_stage, mut worker) = start(EVALUATE);
    let body = vec![b'x'; 100 * 1024];
    let answer = worker.ask(&Ask { query: Some("len(f.read())"), ..Ask::post("/", &body) });
    assert_eq!(answer.text(), "102400");
}

#[test]
fn there_is_no_body_outside_of_a_request() {
    let (mut stage, mut worker) = start(
        "
import atexit, sys
kept = {}
@atexit.register
def leave():
    f, start_response, write = kept['f'], kept['start_response'], kept['write']
    calls = [f.read, f.readline, f.readlines, lambda: next(f),
             lambda: start_response('200 OK', []), lambda: write(b'')]
    for call in calls:
        try:
            call()
        except RuntimeError as error:
            print(error, file=sys.stderr)
def application(environ, start_response):
    kept['f'] = environ['wsgi.input']
    kept['start_response'] = start_response
    kept['write'] = start_response('200 OK', [])
    return []
",
    );
    assert_eq!(worker.get("/").status, Some(200));
    worker.tell(app_proto::ToWorker::Quit { graceful: false }, &[]);
    assert_eq!(stage.wait_for_exit(&worker).status, port_proto::ExitStatus::Code(0));
    let log = stage.log();
    for name in ["read", "readline", "readlines", "next"] {
        let text = format!("wsgi.input.{name}() is called outside of WSGI request processing");
        assert!(log.contains(&text), "{log}");
    }
    assert!(log.contains("start_response() is called outside of WSGI request processing"));
    assert!(log.contains("write() is called outside of WSGI request processing"));
}

#[test]
fn other_threads_may_read_the_body() {
    let (stage, mut worker) = start(
        "
import threading
def application(environ, start_response):
    got = []
    thread = threading.Thread(target=lambda: got.append(environ['wsgi.input'].read()))
    thread.start()
    thread.join()
    start_response('200 OK', [])
    return got
",
    );
    assert_eq!(worker.ask(&Ask::post("/", b"body")).text(), "body", "{}", stage.log());
}
