"""Django, alone and with its sessions, in memory and in signed cookies. BENCH_KIND, BENCH_DATA: see the servers in Go."""

import json
import os
import secrets
from itertools import count as counter

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

KIND = os.environ["BENCH_KIND"]
DATA = json.loads(os.environ["BENCH_DATA"])
BACKENDS = {"django-memory": "cache", "django-cookie": "signed_cookies"}

settings.configure(
    SECRET_KEY=secrets.token_urlsafe(50),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"] if KIND in BACKENDS else [],
    SESSION_ENGINE=f"django.contrib.sessions.backends.{BACKENDS.get(KIND, 'cache')}",
    # By default it keeps 300 entries.
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 10_000_000},
        }
    },
)


def bare():
    numbers = counter(DATA["count"] + 1)

    def start(answer):
        response = HttpResponse(answer)
        response.set_cookie("bench", secrets.token_urlsafe(32))
        return response

    return {
        "seed": lambda _request: start("seeded"),
        "sign-in": lambda _request: start("welcome"),
        "read": lambda _request: HttpResponse(DATA["user"]),
        "write": lambda _request: HttpResponse(str(next(numbers))),
        "count": lambda _request: HttpResponse(str(DATA["count"])),
    }


def with_session():
    def seed(request):
        request.session.update(DATA)
        return HttpResponse("seeded")

    def sign_in(request):
        # As its login() does.
        request.session.cycle_key()
        request.session.update(DATA)
        return HttpResponse("welcome")

    def write(request):
        request.session["count"] += 1
        return HttpResponse(str(request.session["count"]))

    return {
        "seed": seed,
        "sign-in": sign_in,
        "read": lambda request: HttpResponse(request.session["user"]),
        "write": write,
        "count": lambda request: HttpResponse(str(request.session["count"])),
    }


views = with_session() if KIND in BACKENDS else bare()
views["untouched"] = lambda _request: HttpResponse("untouched")
urlpatterns = [path(name, view) for name, view in views.items()]
app = get_wsgi_application()
