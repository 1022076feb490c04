"""Bodies of a known length, in the pieces and with the fields that the query asks for."""

import json
import os
import time
import urllib.parse


def text(seed, length):
    """Text that is another for every seed, and can be compressed."""
    line = f"<p class=\"{seed}\">The line of {seed} with the number %08d, and no other.</p>\n"
    count = length // len(line % 0) + 1
    return "".join(line % at for at in range(count)).encode()[:length]


def application(environ, start_response):
    query = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"]))
    body = text(query.get("seed", "x"), int(query.get("length", "10000")))
    fields = [("Content-Type", query.get("type", "text/html"))]
    if "untyped" in query:
        fields = []
    if "unmeasured" not in query:
        fields.append(("Content-Length", query.get("claim", str(len(body)))))
    fields += [tuple(field) for field in json.loads(query.get("fields", "[]"))]
    start_response(query.get("status", "200 OK"), fields)
    if "file" in query:
        with open(query["file"], "wb") as file:
            file.write(body)
        return environ["wsgi.file_wrapper"](open(query["file"], "rb"))
    return pieces(body, int(query.get("block", "100000000")), query)


def pieces(body, block, query):
    for at in range(0, len(body), block):
        if at > 0 and "raise" in query:
            raise RuntimeError("raised on purpose")
        while at > 0 and "gate" in query and not os.path.exists(query["gate"]):
            time.sleep(0.01)
        yield body[at : at + block]
