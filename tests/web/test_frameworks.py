"""Flask guarded from within, and Django under ASGI, as docs/middleware.md has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from gateway.simulator import RunningSimulator
from gateway.wsgi import protect
from tests.harness import Browser, listener, read_settings, settings_environ, url_of
from tests.servers.starters import ROOT, end, wait_until_it_answers

DJANGO = """
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="x",
    ROOT_URLCONF="site_of_tests",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.RemoteUserMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.RemoteUserBackend"],
)

from django.core.asgi import get_asgi_application

application = get_asgi_application()

from django.core.management import call_command
from django.http import HttpResponse
from django.urls import re_path

from gateway.asgi import protect


def who(request):
    return HttpResponse(request.user.get_username() + " of " + request.headers["X-TikTok-Open-Id"])


urlpatterns = [re_path("", who)]
call_command("migrate", verbosity=0)
application = protect(application)
"""


def test_flask_is_guarded_from_within(simulator: RunningSimulator) -> None:
    app = Flask(__name__)
    app.add_url_rule("/private/x", view_func=lambda: "inside")
    guarded = protect(app.wsgi_app, read_settings(simulator, "http://localhost"))
    app.wsgi_app = guarded  # type: ignore[method-assign]
    assert app.test_client().get("/private/x").status_code == 401
    guarded.close()


def test_django_knows_the_person_under_asgi(simulator: RunningSimulator, tmp_path: Path) -> None:
    pytest.importorskip("django", reason="needs Django: pip install '.[servers]'")
    (tmp_path / "site_of_tests.py").write_text(DJANGO)
    with listener() as bound:
        url = url_of(bound)
    variables = settings_environ(simulator, url, routes="[{path: /**}]")
    command = [sys.executable, "-m", "uvicorn", "site_of_tests:application", "--port", url.rpartition(":")[2]]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, **variables, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            wait_until_it_answers(url + "/oauth2/livez", process, log)
            with Browser(url) as browser:
                name, _, open_id = browser.sign_in("/x").text.partition(" of ")
        finally:
            end(process)
    assert name == open_id != ""
