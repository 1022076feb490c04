"""The demo application: plain WSGI, no third-party packages.

    /app/        the environment of the request, and a form
    /app/form    what the form sent
    /app/count   how many requests this process has answered
"""

import html
import os
import sys
import time
from urllib.parse import parse_qsl

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<h1>{title}</h1>
{content}
<p><a href="/">Back to the page</a></p>
</main>
</body>
</html>
"""

FORM_LENGTH_MAX = 64 * 1024

STARTED = time.time()
answered = 0


def application(environ, start_response):
    global answered
    answered += 1
    view = VIEWS.get(environ["PATH_INFO"])
    if view is None:
        return respond(start_response, "404 Not Found", "Not found", "<p>No such page.</p>")
    methods, answer = view
    if environ["REQUEST_METHOD"] not in methods:
        allowed = ", ".join(methods)
        return respond(
            start_response,
            "405 Method Not Allowed",
            "Method not allowed",
            f"<p>Only {allowed} here.</p>",
            [("Allow", allowed)],
        )
    return answer(environ, start_response)


def show_environ(environ, start_response):
    content = (
        f"<p>Python {sys.version.split()[0]}, process {os.getpid()}.</p>"
        '<form method="post" action="/app/form">'
        '<p><input name="name" placeholder="name"> <input name="colour" placeholder="colour"> '
        "<button>Send</button></p></form>" + table(sorted(environ.items()))
    )
    return respond(start_response, "200 OK", "The environment of this request", content)


def show_form(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > FORM_LENGTH_MAX:
        return respond(
            start_response, "413 Content Too Large", "Too large", "<p>A shorter form, please.</p>"
        )
    body = environ["wsgi.input"].read(length).decode("utf-8", "replace")
    fields = parse_qsl(body, keep_blank_values=True)
    return respond(start_response, "200 OK", "The form", table(fields) or "<p>It is empty.</p>")


def show_count(environ, start_response):
    text = f"process {os.getpid()}: {answered} answered in {time.time() - STARTED:.0f} s\n"
    body = text.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def table(rows):
    cells = "".join(
        f"<tr><td>{html.escape(str(name))}</td><td>{html.escape(repr(value))}</td></tr>"
        for name, value in rows
    )
    return f"<table>{cells}</table>" if cells else ""


def respond(start_response, status, title, content, headers=()):
    body = PAGE.format(title=html.escape(title), content=content).encode()
    start_response(
        status,
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            *headers,
        ],
    )
    return [body]


READ = ("GET", "HEAD")
VIEWS = {
    "": (READ, show_environ),
    "/": (READ, show_environ),
    "/form": (("POST",), show_form),
    "/count": (READ, show_count),
}
