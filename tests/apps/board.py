"""A Flask application: pages, a form, a session, uploads and downloads."""

import hashlib

from flask import Flask, Response, abort, redirect, render_template_string, request, session, url_for

app = Flask(__name__)
app.secret_key = "only for the tests of this server"
app.config["MAX_CONTENT_LENGTH"] = 100 << 20
notes = []

PAGE = """<!doctype html><title>Board</title>
<p>Seen {{ seen }} times.</p>
<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>
<form method="post"><input name="note"></form>"""


@app.route("/", methods=["GET", "POST"])
def board():
    if request.method == "POST":
        notes.append(request.form["note"])
        return redirect(url_for("board"), 303)
    session["seen"] = session.get("seen", 0) + 1
    return render_template_string(PAGE, seen=session["seen"], notes=notes)


@app.post("/upload")
def upload():
    file = request.files["file"]
    digest = hashlib.sha256()
    length = 0
    while piece := file.stream.read(1 << 20):
        digest.update(piece)
        length += len(piece)
    return {"name": file.filename, "length": length, "sha256": digest.hexdigest()}


@app.get("/download/<int:blocks>")
def download(blocks):
    block = bytes(range(256)) * 256

    def pieces():
        for at in range(blocks):
            yield at.to_bytes(8, "big") + block[8:]

    return Response(pieces(), mimetype="application/octet-stream")


@app.get("/forbidden")
def forbidden():
    abort(403)


@app.get("/broken")
def broken():
    return 1 // 0
