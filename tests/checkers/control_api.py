"""What a run of Schemathesis against the control API needs to know besides its description.

The configurations that it sends are applied, so they must not reach out of the test: every listener
gets a Unix socket in the test's own directory, and every server of an upstream one, too.
"""

import json
import os
import re
from random import Random
from zlib import crc32

import schemathesis

DIRECTORY = os.environ["UNIT_TEST_DIRECTORY"]
ADDRESS = re.compile(r"^(\*|[0-9.]+|\[.*\]):[0-9]+$|^unix:")

# The reasons for which a change may be refused with 500.
NOT_APPLIED = "Failed to apply new configuration."


def confined(value):
    """The same with every address in the test's directory."""
    if isinstance(value, dict):
        return {address(name): confined(member) for name, member in value.items()}
    if isinstance(value, list):
        return [confined(element) for element in value]
    return value


def address(name):
    if not ADDRESS.match(name):
        return name
    return f"unix:{DIRECTORY}/{sum(name.encode()) % 97}.sock"


@schemathesis.serializer("application/x-pem-file")
def pem(context, value):
    """Bundles are sent as they are, and whatever else is made up in place of one as JSON."""
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode(errors="surrogatepass")


# What is there, and what it could be. Made-up names and values hardly ever lead to anything.
SECTIONS = {
    "routes": [[], [{"action": {"return": 200}}], {"main": []}],
    "listeners": [{}, {"*:8080": {"pass": "applications/app"}}],
    "settings": [{}, {"http": {"max_body_size": 1}}, {"listen_threads": 2}],
    "upstreams": [{}, {"pool": {"servers": {"127.0.0.1:9000": {"weight": 0.5}}}}],
}
STEPS = [{"action": {"return": 404}}, {"match": {"uri": "/*"}, "action": {"share": "/www$uri"}}]
with open(os.environ["UNIT_TEST_BUNDLE"], encoding="utf-8") as file:
    BUNDLE = file.read()


@schemathesis.hook
def before_call(context, case, kwargs):
    # The same request is changed in the same way in every run.
    random = Random(crc32(repr((case.path_parameters, case.query, case.body)).encode()))
    is_write = case.method.upper() in ("PUT", "POST")
    parameters = case.path_parameters or {}
    if random.random() < 0.5:
        if case.path == "/config/{path}":
            parameters["path"] = random.choice(list(SECTIONS))
            if case.method.upper() == "PUT":
                case.body = random.choice(SECTIONS[parameters["path"]])
            elif case.method.upper() == "POST":
                parameters["path"] = "routes"
                case.body = random.choice(STEPS)
        elif case.path == "/status/{path}":
            parameters["path"] = random.choice(["modules", "connections", "applications"])
        elif case.path.startswith("/certificates/"):
            parameters["name"] = random.choice(["example.com", "a b"])
            if "path" in parameters:
                parameters["path"] = random.choice(["key", "chain"])
            if is_write:
                case.body = BUNDLE
        elif case.path.startswith("/control/"):
            parameters["name"] = "app"
    if is_write and isinstance(case.body, (dict, list)):
        case.body = confined(case.body)
    path = parameters.get("path")
    if case.path.startswith("/config") and isinstance(path, str) and ADDRESS.match(path):
        parameters["path"] = address(path)


@schemathesis.check
def only_described_server_errors(context, response, case):
    """A configuration that cannot be applied is refused with 500; there is no other reason."""
    if response.status_code >= 500:
        title = json.loads(response.content)["error"]
        assert title == NOT_APPLIED, f"{response.status_code} {title}"
        assert case.method.upper() in ("PUT", "POST", "DELETE")


@schemathesis.check
def answers_are_as_documented(context, response, case):
    """What holds for every answer, and no schema can say."""
    assert response.headers["connection"] == ["close"]
    assert response.headers["server"][0].startswith("Unit/")
    if response.status_code == 304:
        assert response.content == b""
    else:
        assert response.content.endswith(b"\r\n")
        assert response.headers["content-length"] == [str(len(response.content))]
