"""Several applications of one module."""


def answering(words):
    def application(environ, start_response):
        start_response("200 OK", [])
        place = environ.get("SCRIPT_NAME", "absent"), environ["PATH_INFO"]
        return [f"{words} {place[0]} {place[1]}".encode()]

    return application


first = answering("first")
second = answering("second")


def factory():
    return answering("made")


not_callable = 5
