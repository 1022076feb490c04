//! What goes wrong in applications: the client sees it, and the log tells it once.

use crate::stage::Ask;
use crate::{fails_to_load, returning, stage_with, start, start_with};

/// Runs an application that fails; returns whether the head was out, and the log.
fn failure(source: &str, text: &str) -> (bool, String) {
    let (mut stage, mut worker) = start(source);
    let answer = worker.get("/");
    assert!(answer.failed, "{source}: {}", stage.log());
    let line = stage.wait_for_log(text);
    assert!(line.contains(" [unit] #"), "{line}");
    // The worker is none the worse.
    assert!(worker.get("/").failed);
    (answer.status.is_some(), stage.log())
}

fn tracebacks(log: &str) -> usize {
    log.matches("Traceback (most recent call last):").count()
}

#[test]
fn an_exception_in_the_call() {
    let (head, log) =
        failure("def application(environ, start_response): raise ValueError('reason')", "[error]");
    assert!(!head);
    assert!(log.contains("Python failed to call the application"));
    assert!(log.contains("ValueError: reason"));
    assert_eq!(tracebacks(&log), 2, "one for each request: {log}");
}

#[test]
fn an_exception_after_start_response_alone() {
    let (head, _) = failure(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    raise ValueError('reason')
",
        "Python failed to call the application",
    );
    assert!(!head, "nothing was sent yet");
}

#[test]
fn a_result_that_cannot_be_iterated() {
    let text = "the application returned not an iterable object";
    for expression in ["None", "7", "application"] {
        let (head, log) = failure(&returning(expression), text);
        assert!(!head);
        assert_eq!(tracebacks(&log), 0, "there is no frame of Python: {log}");
        assert_eq!(log.matches("TypeError: ").count(), 2, "{log}");
    }
}

#[test]
fn a_chunk_that_is_not_bytes() {
    let text = "the application returned not a bytestring object";
    let (head, log) = failure(&returning("['text']"), text);
    assert!(!head);
    assert_eq!(tracebacks(&log), 0);
    let (head, _) = failure(&returning("[b'bytes', 'text']"), text);
    assert!(head);
    let (head, _) = failure(&returning("'text'"), text);
    assert!(!head);
    let (head, _) = failure(&returning("[bytearray(b'x')]"), text);
    assert!(!head);
}

#[test]
fn an_exception_while_iterating_and_another_while_closing() {
    let source = "
class Result:
    def __init__(self, path): self.left = [b'x'] if path == '/' else []
    def __iter__(self): return self
    def __next__(self):
        if self.left: return self.left.pop()
        raise ValueError('iterating')
    def close(self): raise KeyError('closing')
def application(environ, start_response):
    start_response('200 OK', [])
    return Result(environ['PATH_INFO'])
";
    let (mut stage, mut worker) = start(source);
    let answer = worker.get("/");
    assert_eq!((answer.text(), answer.failed), ("x", true));
    stage.wait_for_log("KeyError: 'closing'");
    let log = stage.log();
    assert!(log.contains("Python failed to iterate over the application response object"));
    assert!(log.contains("Python failed to call the close() method of the application response"));
    assert!(log.find("iterating").unwrap() < log.find("closing").unwrap());
    assert_eq!(tracebacks(&log), 2, "{log}");
    let answer = worker.get("/none");
    assert_eq!((answer.status, answer.failed), (None, true));
}

#[test]
fn an_exception_of_close_alone_changes_nothing() {
    let (mut stage, mut worker) = start(
        "
class Result(list):
    def close(self): raise KeyError('closing')
def application(environ, start_response):
    start_response('200 OK', [])
    return Result([b'fine'])
",
    );
    let answer = worker.get("/");
    assert_eq!((answer.text(), answer.failed), ("fine", false));
    stage.wait_for_log("KeyError: 'closing'");
    assert_eq!(tracebacks(&stage.log()), 1);
}

#[test]
fn a_body_without_start_response() {
    for body in ["[b'x']", "b'x'", "(c for c in [b'x'])"] {
        let source = format!("def application(environ, start_response): return {body}");
        let (head, log) = failure(&source, "[alert]");
        assert!(!head);
        assert!(log.contains("write: response not initialized yet"), "{log}");
    }
}

#[test]
fn wrong_arguments_of_start_response_and_write() {
    let source = "
def application(environ, start_response):
    calls = [
        lambda: start_response(),
        lambda: start_response('200 OK'),
        lambda: start_response('200 OK', [], None, None),
        lambda: start_response(200, []),
        lambda: start_response('\\u20ac', []),
        lambda: start_response('OK', []),
        lambda: start_response('', []),
        lambda: start_response('70000 x', []),
        lambda: start_response('200 OK', ()),
        lambda: start_response('200 OK', [1]),
        lambda: start_response('200 OK', [['a', 'b']]),
        lambda: start_response('200 OK', [('a', 'b'), ('a',)]),
        lambda: start_response('200 OK', [('a', 'b', 'c')]),
        lambda: start_response('200 OK', [(1, 'b')]),
        lambda: start_response('200 OK', [('a', 'b'), ('a', None)]),
        lambda: start_response('200 OK', [('a', 'b')])('text'),
        lambda: start_response('200 OK', [('Content-Length', '1')])(b'12'),
    ]
    said = []
    for call in calls:
        try:
            call()
        except Exception as error:
            said.append('%s: %s' % (type(error).__name__, error))
    start_response('200 OK', [])
    return ['\\n'.join(said).encode()]
";
    let (stage, mut worker) = start(source);
    let answer = worker.get("/");
    assert_eq!(
        answer.text().lines().collect::<Vec<_>>(),
        [
            "TypeError: invalid number of arguments",
            "TypeError: invalid number of arguments",
            "TypeError: invalid number of arguments",
            "TypeError: failed to write first argument (not a string?)",
            "TypeError: status is not a string",
            "TypeError: failed to parse status code",
            "TypeError: failed to parse status code",
            "TypeError: failed to parse status code",
            "TypeError: the second argument is not a response headers list",
            "TypeError: the response headers must be a list of tuples",
            "TypeError: the response headers must be a list of tuples",
            "TypeError: each header must be a tuple of two items",
            "TypeError: each header must be a tuple of two items",
            "TypeError: header #0 name is not a string",
            "TypeError: header #1 value is not a string",
            "TypeError: the argument is not a bytestring",
            "RuntimeError: failed to write response value",
        ],
        "{}",
        stage.log()
    );
}

#[test]
fn a_failed_start_response_is_none() {
    let (mut stage, mut worker) = start(
        "
def application(environ, start_response):
    try:
        start_response('200 OK', [('A', 'b'), ('X', 1)])
    except TypeError:
        pass
    return [b'x']
",
    );
    assert!(worker.get("/").failed);
    stage.wait_for_log("write: response not initialized yet");
}

#[test]
fn start_response_after_the_head_raises() {
    let (mut stage, mut worker) = start(
        "
import sys
def application(environ, start_response):
    write = start_response('200 OK', [])
    write(b'x')
    if environ['PATH_INFO'] == '/info':
        try:
            raise LookupError('original')
        except LookupError:
            start_response('500 Oops', [], sys.exc_info())
    start_response('200 OK', [])
",
    );
    assert!(worker.get("/").failed);
    stage.wait_for_log("RuntimeError: failed to allocate response object");
    assert!(worker.get("/info").failed);
    stage.wait_for_log("LookupError: original");
    let log = stage.log();
    assert!(log.contains("raise LookupError('original')"), "with its traceback: {log}");
}

#[test]
fn system_exit_ends_the_process_with_its_code() {
    for (statement, code) in [
        ("sys.exit(7)", 7),
        ("sys.exit()", 0),
        ("sys.exit('text')", 1),
        ("raise SystemExit(258)", 2),
    ] {
        let (mut stage, mut worker) = start(&format!(
            "
import sys, atexit
atexit.register(lambda: print('left', file=sys.stderr))
def application(environ, start_response):
    {statement}
"
        ));
        let answer = worker.get("/");
        assert_eq!((answer.status, answer.failed), (None, true));
        let news = stage.wait_for_exit(&worker);
        assert_eq!(news.status, port_proto::ExitStatus::Code(code), "{statement}");
        stage.wait_for_log("Python failed to call the application");
        stage.wait_for_log("left");
        assert_eq!(tracebacks(&stage.log()), 0);
    }
}

#[test]
fn loading_says_what_is_missing() {
    let cases = [
        ("import nothing_of_this_name", "", "Python failed to import module \"app\"", 1),
        ("this is no Python", "", "Python failed to import module \"app\"", 0),
        ("other = 1", "", "Python failed to get \"application\" from module \"app\"", 0),
        ("x = 1", r#", "callable": "x""#, "\"x\" in module \"app\" is not a callable object", 0),
        (
            "x = 1",
            r#", "callable": "x", "factory": true"#,
            "factory \"x\" in module \"app\" can not be called to fetch callable",
            0,
        ),
        (
            "def x(): return 1",
            r#", "callable": "x", "factory": true"#,
            "factory \"x\" in module \"app\" did not return callable object",
            0,
        ),
        (
            "def x(): raise ValueError()",
            r#", "callable": "x", "factory": true"#,
            "factory \"x\" in module \"app\" did not return callable object",
            1,
        ),
        ("raise SystemExit(0)", "", "Python failed to import module \"app\"", 0),
    ];
    for (source, members, text, traceback_count) in cases {
        let log = fails_to_load(stage_with(source, members));
        let line = log.lines().find(|line| line.contains(text));
        assert!(line.is_some_and(|line| line.contains("[alert]")), "{source}: {log}");
        assert_eq!(tracebacks(&log), traceback_count, "{source}: {log}");
    }
}

#[test]
fn asgi_is_told_from_wsgi() {
    let asgi = [
        "async def application(scope, receive, send): pass",
        "def application(scope): pass",
        "class A:\n    async def __call__(self, scope, receive, send): pass\napplication = A()",
        "class A:\n    def __init__(self, scope): pass\napplication = A",
        "class A:\n    async def m(self, scope, receive, send): pass\napplication = A().m",
    ];
    for source in asgi {
        let log = fails_to_load(stage_with(source, ""));
        assert!(log.contains("ASGI not implemented"), "{source}: {log}");
    }
    let wsgi = [
        "class A:\n    def __init__(self, e, s): s('200 OK', [])\n    def __iter__(self): yield b'w'\napplication = A",
        "class A:\n    def __call__(self, e, s):\n        s('200 OK', [])\n        return [b'w']\napplication = A()",
        "import functools\ndef f(x, e, s):\n    s('200 OK', [])\n    return [b'w']\napplication = functools.partial(f, 1)",
        "class A:\n    def m(self, e, s):\n        s('200 OK', [])\n        return [b'w']\napplication = A().m",
    ];
    for source in wsgi {
        let (stage, mut worker) = start(source);
        assert_eq!(worker.get("/").text(), "w", "{source}: {}", stage.log());
    }
    let one_argument = "def application(*a):\n    a[1]('200 OK', [])\n    return [b'w']";
    let (_stage, mut worker) = start_with(one_argument, r#", "protocol": "wsgi""#);
    assert_eq!(worker.get("/").text(), "w");
}

#[test]
fn protocols_do_not_mix() {
    let mut stage = crate::runtime();
    stage.write("app.py", "def w(e, s): pass\nasync def a(s, r, d): pass");
    let path = stage.directory.path().to_str().unwrap().to_owned();
    stage.set_up(&format!(
        r#"{{"type": "python", "path": "{path}", "targets": {{
            "w": {{"module": "app", "callable": "w"}},
            "a": {{"module": "app", "callable": "a"}}}}}}"#
    ));
    let log = fails_to_load(stage);
    assert!(log.contains(
        "A mix of ASGI & WSGI targets is forbidden, specify protocol in config if incorrect"
    ));
}

#[test]
fn wsgi_errors_reach_the_log() {
    let (mut stage, mut worker) = start(
        "
def application(environ, start_response):
    environ['wsgi.errors'].write('Error in application.\\n')
    environ['wsgi.errors'].writelines(['one\\n', 'two\\n'])
    environ['wsgi.errors'].flush()
    start_response('200 OK', [])
    return []
",
    );
    worker.ask(&Ask::get("/"));
    stage.wait_for_log("Error in application.");
    stage.wait_for_log("two");
}
