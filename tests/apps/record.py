"""Answers with the environ it was called with, as JSON."""

import json
import os


def application(environ, start_response):
    record = {"pid": os.getpid(), "order": list(environ)}
    for name, value in environ.items():
        record[name] = value if isinstance(value, (str, int, bool, tuple)) else repr(type(value))
    record["body"] = environ["wsgi.input"].read().decode("latin-1")
    body = json.dumps(record).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
