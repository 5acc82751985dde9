"""Flask, alone and with its signed cookies. BENCH_KIND, BENCH_DATA: see the servers in Go."""

import json
import os
import secrets
from itertools import count as counter

from flask import Flask, make_response, session

KIND = os.environ["BENCH_KIND"]
DATA = json.loads(os.environ["BENCH_DATA"])

app = Flask(__name__)
# Without a key there are no sessions.
app.secret_key = secrets.token_bytes(32) if KIND == "flask-session" else None


@app.get("/untouched")
def untouched():
    return "untouched"


def bare():
    numbers = counter(DATA["count"] + 1)

    def start(answer):
        response = make_response(answer)
        response.set_cookie("bench", secrets.token_urlsafe(32))
        return response

    return {
        "seed": lambda: start("seeded"),
        "sign-in": lambda: start("welcome"),
        "read": lambda: DATA["user"],
        "write": lambda: str(next(numbers)),
        "count": lambda: str(DATA["count"]),
    }


def with_session():
    def start(answer):
        session.clear()
        session.update(DATA)
        return answer

    def write():
        session["count"] += 1
        return str(session["count"])

    return {
        "seed": lambda: start("seeded"),
        "sign-in": lambda: start("welcome"),
        "read": lambda: session["user"],
        "write": write,
        "count": lambda: str(session["count"]),
    }


for path, handler in {"bare": bare, "flask-session": with_session}[KIND]().items():
    app.add_url_rule(f"/{path}", path, handler)
