"""The access logs of servers around the gateway have no authorization code and no state in them."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from gateway.telemetry.access_logs import LOGGERS
from tests.servers.starters import ASGI, WSGI, Server, python, serve
from tests.waiting import wait_for

FORMAT = "[%(path)s?%(query_string)s]"
DJANGO = """
import sys
from django.conf import settings
settings.configure(
    ALLOWED_HOSTS=["*"], SECRET_KEY="x", ROOT_URLCONF=__name__, WSGI_APPLICATION="tests.servers.wsgi_app.application",
)
urlpatterns = []
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "runserver", "--noreload", "--skip-checks", sys.argv[1]])
"""


def werkzeug(port: int, mount: str, folder: Path) -> list[str]:
    start = "from werkzeug import run_simple; from tests.servers.wsgi_app import application as app; import sys; "
    return [sys.executable, "-c", start + "run_simple('127.0.0.1', int(sys.argv[1]), app)", str(port)]


def django(port: int, mount: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", DJANGO, str(port)]


SERVERS = [
    Server("uvicorn", "uvicorn", lambda port, *_: python("uvicorn", ASGI, "--port", str(port))),
    Server(
        "hypercorn",
        "hypercorn",
        lambda port, *_: python(
            *("hypercorn", ASGI, "-b", f"127.0.0.1:{port}", "--access-logfile", "-", "--access-logformat", "%(R)s")
        ),
    ),
    Server(
        "granian",
        "granian",
        lambda port, *_: python(
            *("granian", "--interface", "asgi", "--port", str(port), "--access-log", "--access-log-fmt", FORMAT, ASGI)
        ),
    ),
    Server(
        "gunicorn",
        "gunicorn",
        lambda port, *_: python("gunicorn", "-b", f"127.0.0.1:{port}", "--access-logfile", "-", WSGI),
        asgi=False,
    ),
    Server("werkzeug", "werkzeug", werkzeug, asgi=False),
    Server("runserver", "django", django, asgi=False),
]


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_a_callback_is_logged_without_its_query(server: Server, simulator: RunningSimulator) -> None:
    with serve(dataclasses.replace(server), "", simulator) as running:
        for target in ("/oauth2/callback?code=c0de.value&state=5tate", "/public/x?seen=yes"):
            httpx.get(running.url + target, trust_env=False)
        wait_for(lambda: "seen=yes" in running.log.read_text(), "the second request is logged")
        told = running.log.read_text()
    assert "/oauth2/callback?..." in told
    assert "c0de" not in told
    assert "5tate" not in told


def test_every_logger_is_one_that_was_tried() -> None:
    assert len(LOGGERS) == len(SERVERS)
