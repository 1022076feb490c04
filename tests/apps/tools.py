"""Does what the path says: the application most tests of applications use."""

import hashlib
import json
import os
import sys
import time
import urllib.parse


def application(environ, start_response):
    path = environ["PATH_INFO"].strip("/").replace("-", "_")
    query = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"]))
    return globals()["do_" + path](environ, start_response, **query)


def text(start_response, body, status="200 OK"):
    body = str(body).encode()
    start_response(
        status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    )
    return [body]


def do_pid(environ, start_response):
    return text(start_response, os.getpid())


def do_wait(environ, start_response, file):
    """Answers when the file is there; says that it began in another one."""
    open(f"{file}.{os.getpid()}", "w").close()
    while not os.path.exists(file):
        time.sleep(0.01)
    return text(start_response, os.getpid())


def do_sleep(environ, start_response, seconds):
    time.sleep(float(seconds))
    return text(start_response, os.getpid())


def do_trickle(environ, start_response, count, pause):
    """Sends a byte now and then."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(int(count)):
        time.sleep(float(pause))
        yield b"."


def do_sum(environ, start_response):
    """Digests the body, read piece by piece."""
    digest, length = hashlib.sha256(), 0
    while piece := environ["wsgi.input"].read(100_000):
        digest.update(piece)
        length += len(piece)
    record = {"length": length, "sha256": digest.hexdigest()}
    return text(start_response, json.dumps(record))


def do_form(environ, start_response):
    body = environ["wsgi.input"].read().decode()
    record = {"type": environ["CONTENT_TYPE"], "form": urllib.parse.parse_qs(body)}
    return text(start_response, json.dumps(record))


def do_input(environ, start_response):
    """Runs the calls given in the query against wsgi.input and tells what each gave."""
    stream, results = environ["wsgi.input"], []
    for call in environ["QUERY_STRING"].split(";"):
        name, _, arguments = urllib.parse.unquote(call).partition(":")
        arguments = json.loads(f"[{arguments}]")
        try:
            result = list(stream) if name == "iterate" else getattr(stream, name)(*arguments)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        if isinstance(result, list):
            result = [line.decode("latin-1") for line in result]
        elif isinstance(result, bytes):
            result = result.decode("latin-1")
        results.append(result)
    return text(start_response, json.dumps(results))


def do_input_after(environ, start_response):
    """Uses the input of the request before."""
    kept = globals().setdefault("kept_input", [])
    if not kept:
        kept.append(environ["wsgi.input"])
    return text(start_response, type(kept[0]).__module__ + "." + type(kept[0]).__name__)


def pattern(start, length):
    """What stands in an endless text of numbers from there on."""
    first, skip = divmod(start, 8)
    count = (skip + length + 7) // 8
    numbers = b"".join(b"%08x" % (first + at) for at in range(count))
    return numbers[skip : skip + length]


def do_stream(environ, start_response, size, block="65536"):
    """Streams a text of known length, telling the length only when asked to."""
    size, block = int(size), int(block)
    fields = [("Content-Type", "application/octet-stream")]
    if environ.get("HTTP_X_LENGTH"):
        fields.append(("Content-Length", str(size)))
    start_response("200 OK", fields)
    return Stream(size, block)


class Stream:
    def __init__(self, size, block):
        self.size, self.block, self.closed = size, block, False

    def __iter__(self):
        at = 0
        while at < self.size:
            count = min(self.block, self.size - at)
            yield pattern(at, count)
            at += count

    def close(self):
        print("stream closed", file=sys.stderr, flush=True)


def do_fields(environ, start_response, count, size):
    """Answers with many large fields and a body, all made from the target."""
    mark = environ["HTTP_X_MARK"]
    fields = [
        (f"X-Field-{at}", (f"{mark}-{at}-" * int(size))[: int(size)]) for at in range(int(count))
    ]
    start_response("200 OK", fields)
    return [mark.encode(), b"|", (mark * 2000).encode()]


def do_raise(environ, start_response):
    raise RuntimeError("raised on purpose")


def do_raise_after_start(environ, start_response):
    start_response("200 OK", [("X-Lost", "1")])
    raise RuntimeError("raised on purpose")


def do_raise_in_iteration(environ, start_response):
    start_response("200 OK", [])
    raise RuntimeError("raised on purpose")
    yield b""


def do_raise_after_body(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    raise RuntimeError("raised on purpose")


def do_none(environ, start_response):
    start_response("200 OK", [])


def do_str_chunk(environ, start_response):
    start_response("200 OK", [])
    return ["text"]


def do_too_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"12345"]


def do_too_short(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"123"]


def do_nothing(environ, start_response):
    return []


def do_body_first(environ, start_response):
    return [b"body"]


def do_bytes(environ, start_response):
    start_response("200 OK", [])
    return b"bytes at once"


def do_write(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written, ")
    write(b"")
    return [b"then ", b"", b"returned"]


def do_twice(environ, start_response):
    start_response("500 First", [("X-First", "1")])
    start_response("201 Second", [("X-Second", "2"), ("x-second", "3")])
    return []


def do_bad_field(environ, start_response, name="X-Bad", value="1"):
    start_response("200 OK", [(name, value)])
    return [b"sent"]


def do_start_error(environ, start_response, call):
    """Calls start_response as the query says and tells what it raised."""
    calls = {
        "few": lambda: start_response("200 OK"),
        "status": lambda: start_response(200, []),
        "code": lambda: start_response("OK", []),
        "list": lambda: start_response("200 OK", {}),
        "tuples": lambda: start_response("200 OK", [["a", "b"]]),
        "pair": lambda: start_response("200 OK", [("a",)]),
        "name": lambda: start_response("200 OK", [(1, "b")]),
        "value": lambda: start_response("200 OK", [("a", "b"), ("a", 1)]),
    }
    try:
        calls[call]()
        message = "nothing"
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
    return text(start_response, message)


def do_exit(environ, start_response, code):
    sys.exit(int(code))


def do_say(environ, start_response, words):
    print(words, file=environ["wsgi.errors"], flush=True)
    return text(start_response, "said")


def do_environment(environ, start_response, name):
    return text(start_response, os.environ.get(name, "nothing"))


def do_facts(environ, start_response):
    facts = {
        "argv": sys.argv,
        "path": sys.path,
        "prefix": sys.prefix,
        "version": "{}.{}".format(*sys.version_info),
        "directory": os.getcwd(),
        "uid": os.getuid(),
        "gid": os.getgid(),
    }
    return text(start_response, json.dumps(facts))
