"""Answers with what the query says: s=STATUS, f=NAME:VALUE as often as wanted, b=BODY."""

from urllib.parse import parse_qs


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True, encoding="latin-1")
    fields = [tuple(field.split(":", 1)) for field in query.get("f", [])]
    start_response(query.get("s", ["200 OK"])[0], fields)
    return [body.encode("latin-1") for body in query.get("b", [])]
