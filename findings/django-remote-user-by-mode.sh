#!/usr/bin/env bash
# Under ASGI, who Django takes a person for depends on whether some other middleware can run async.
#
# RemoteUserMiddleware takes a person from who stands in front. Under ASGI it reads the header `Remote-User` (its
# META["HTTP_REMOTE_USER"]): see docs/middleware.md of this project. One would expect that to hold wherever it stands,
# and whatever stands beside it. But one middleware after it that is only synchronous has Django run all that stand
# before that one synchronously, too; and then RemoteUserMiddleware reads META["REMOTE_USER"], which no header of a
# request can set. Nobody is signed in, and nothing is said.
#
# Exits with an error once this has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'django==5.2.19'
cat > "$folder/seen.py" <<'PYTHON'
import asyncio
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import path


class OnlySync:
    """A middleware as Django's own guide writes one."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)


def only_sync(get_response):
    return OnlySync(get_response)


urlpatterns = [path("", lambda request: HttpResponse(request.user.get_username() or "nobody"))]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.RemoteUserMiddleware",
]
settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    MIDDLEWARE=MIDDLEWARE + (["__main__.only_sync"] if sys.argv[2] == "with" else []),
    AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.RemoteUserBackend"],
)
django.setup()
call_command("migrate", verbosity=0)


async def ask():
    from django.core.asgi import get_asgi_application

    sent, received = [], asyncio.Queue()
    received.put_nowait({"type": "http.request", "body": b""})
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"}
    scope |= {"path": "/", "raw_path": b"/", "query_string": b"", "root_path": ""}
    scope |= {"headers": [(b"host", b"localhost"), (b"remote-user", b"ada")]}

    async def send(message):
        sent.append(message)

    await get_asgi_application()(scope, received.get, send)
    return b"".join(message.get("body", b"") for message in sent[1:]).decode()


print(asyncio.run(ask()))
PYTHON
cd "$folder"
version=$("$folder/venv/bin/python" -c 'import django; print(django.__version__)')
without=$("$folder/venv/bin/python" seen.py db1.sqlite3 without)
with=$("$folder/venv/bin/python" seen.py db2.sqlite3 with)
echo "Django $version under ASGI, Remote-User: ada"
echo "  RemoteUserMiddleware alone:                    signed in is $without"
echo "  with a middleware after it that is only sync:  signed in is $with"
[ "$without" = ada ] && [ "$with" = nobody ]
