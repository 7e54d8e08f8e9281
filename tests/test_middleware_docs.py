"""Every piece of Python in docs/middleware.md runs, does what the guide says of it, and pleases a type checker."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from werkzeug.test import Client

from gateway.core.keyring import new_secret_key
from gateway.errors import StoreUnavailable
from gateway.simulator import RunningSimulator
from gateway.testing import environment, signed_in
from tests.harness import Browser, listener, serve_app, settings_environ, url_of

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "middleware.md").read_text()
BLOCKS = dict(re.findall(r"<!-- (\w+) -->\n```python\n(.*?)```", GUIDE, re.DOTALL))
SETTINGS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)[0]
TEMPLATE = re.findall(r"```html\n(.*?)```", GUIDE, re.DOTALL)[0]
SITE = "http://localhost:8000"  # as in its settings
VARIABLES = {
    "GATEWAY_SECRET_KEY": new_secret_key(),
    "TIKTOK_CLIENT_KEY": "key",
    "TIKTOK_CLIENT_SECRET": "secret",
    "REDIS_URL": "memory://",
    "METRICS_KEY": "scraper",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader of the guide has their files."""
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    for name, text in BLOCKS.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "home.html").write_text(TEMPLATE)
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(name: str) -> Any:
    """Import a block as a module."""
    spec = importlib.util.spec_from_file_location(f"guide_{name}", f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(app: Any, site: str = SITE) -> TestClient:
    return TestClient(app, base_url=site, follow_redirects=False)


def run(*words: str, **variables: str) -> str:
    """Run Python in a process of its own, and return what it says; fails when it does."""
    done = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:.", **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_has_a_name_and_a_test() -> None:
    assert GUIDE.count("```python\n") == len(BLOCKS)
    tests = Path(__file__).read_text()
    assert [name for name in BLOCKS if not re.search(rf'"{name}[".]|import {name}\b', tests)] == []


def test_fastapi_app() -> None:
    client = ask(load("fastapi_app").app)
    assert client.get("/me").status_code == 401
    assert client.get("/").json() == "Hello stranger"
    with signed_in("ada", display_name="Ada"):
        assert client.get("/me").json() == {"id": "ada", "name": "Ada"}
        assert client.get("/").json() == "Hello Ada"
        assert client.get("/videos").status_code == 403


def test_starlette_app() -> None:
    client = ask(load("starlette_app").app)
    assert client.get("/videos").status_code == 401
    with signed_in("ada", scopes=["video.list"]):
        assert client.get("/videos").text == "videos of ada"


def test_flask_app() -> None:
    module = load("flask_app")
    client = module.app.test_client()
    assert client.get("/me", base_url=SITE).status_code == 401
    assert client.get("/", base_url=SITE).text == "Hello stranger"
    with signed_in("ada", display_name="Ada"):
        assert client.get("/me", base_url=SITE).json == {"id": "ada", "name": "Ada"}
    module.app.wsgi_app.close()


def test_flask_wrong_is_wrong() -> None:
    module = load("flask_wrong")
    assert module.app.test_client().get("/x", base_url=SITE).status_code == 404  # by Flask, asked by anybody
    assert module.app.test_client().get("/", base_url=SITE).text == "everybody reads this"
    assert Client(module.application).get("/x", base_url=SITE).status_code == 401
    module.application.close()


def test_keywords_are_settings_without_a_file(folder: Path) -> None:
    (folder / "gateway.yaml").unlink()
    client = ask(load("keywords").app, "https://app.example.com")
    assert (client.get("/").status_code, client.get("/x").status_code) == (404, 401)
    with signed_in("ada", username="ada.codes"):
        assert client.get("/staff/x").status_code == 404
    with signed_in("bo", username="bo"):
        assert client.get("/staff/x").status_code == 403


def test_tokens(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"data": {"videos": []}})

    module, real = load("tokens"), httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **options: real(transport=httpx.MockTransport(answer), **options))
    client = ask(module.app)
    with signed_in("ada", scopes=["video.list"], access_token="act.1"):
        assert client.get("/videos").json() == {"data": {"videos": []}}
    assert asked[0].headers["authorization"] == "Bearer act.1"
    assert capsys.readouterr().out == "ada 5\n"


def test_who_has_not_granted_it_is_asked_and_not_sent_round(folder: Path) -> None:
    elsewhere = "  - {path: /other/**, scopes: [video.list]}\n  - {path: /**}"
    (folder / "gateway.yaml").write_text(
        SETTINGS.replace("/videos/**, scopes: [video.list]", "/y").replace("  - {path: /**}", elsewhere)
    )
    client = ask(load("tokens").app)
    with signed_in("ada"):
        asked = client.get("/videos", headers={"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"})
    assert (asked.status_code, "location" in asked.headers) == (403, False)
    assert "One more permission" in asked.text


def raise_gone() -> str:
    raise StoreUnavailable("gone")


def test_errors_are_answered_around_an_app_too() -> None:
    starlette, flask = load("starlette_errors"), load("flask_errors")
    starlette.site.get("/x")(raise_gone)
    flask.app.get("/x")(raise_gone)
    with signed_in("ada"):
        assert ask(starlette.app).get("/x").json()["code"] == "store_unavailable"
        told = flask.app.test_client().get("/x", base_url=SITE)
    assert (told.status_code, told.json["code"]) == (503, "store_unavailable")
    flask.app.wsgi_app.close()


def test_hook(simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "gateway.yaml").unlink()
    bound = listener()
    for name, value in settings_environ(simulator, url_of(bound)).items():
        monkeypatch.setenv(name, value)
    module = load("hook")
    with serve_app(module.app, bound) as url, Browser(url) as browser:
        browser.sign_in("/private/x", person="plain")
    assert module.people == {simulator.people["plain"].open_id: "ada.plain"}


def test_links() -> None:
    client = ask(load("links").app)
    assert 'href="/oauth2/start?rd=/"' in client.get("/").text
    with signed_in(display_name="Ada"):
        page = client.get("/").text
    assert 'href="/oauth2/account">Ada<' in page
    assert 'action="/oauth2/sign_out"' in page


def test_testing(folder: Path) -> None:
    (folder / "main.py").write_text(BLOCKS["fastapi_app"])
    assert "3 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", "testing.py")


def test_logs() -> None:
    asking = (
        "import logs, fastapi_app; from starlette.testclient import TestClient; "
        f"print(TestClient(fastapi_app.app, base_url='{SITE}').get('/me').status_code)"
    )
    script = f"import sys; sys.stderr = sys.stdout; {asking}"
    assert "INFO:gateway:event=request" in run("-c", script)


def test_metrics() -> None:
    client = ask(load("metrics").app)
    assert client.get("/metrics/").status_code == client.get("/x").status_code == 401
    assert "gateway_requests_total" in client.get("/metrics/", headers={"authorization": "Bearer scraper"}).text


DJANGO_SETTINGS = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "mysite.urls"
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages", "django.contrib.sessions",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
"""
DJANGO_URLS = """
from django.http import JsonResponse
from django.contrib.auth.decorators import login_required
from django.urls import path, re_path
from gateway import asgi, wsgi
from gateway.errors import StoreUnavailable

def who(request):
    door = asgi if hasattr(request, "scope") else wsgi
    names = [request.user.get_username(), door.current_user(request).open_id, type(request).__name__]
    return JsonResponse(names, safe=False)

@login_required
def members(request):
    return JsonResponse("in", safe=False)

def gone(request):
    raise StoreUnavailable("gone")

def nobody(request):
    return JsonResponse("somebody" if wsgi.find_user(request) else "nobody", safe=False)

urlpatterns = [path("nobody", nobody), path("videos/gone", gone), path("", members), re_path("", who)]
"""
DJANGO_ASKED = f"""
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from gateway.testing import signed_in, wsgi_environ
if sys.argv[1] == "wsgi":
    from werkzeug.test import Client
    from mysite.wsgi import application
    get, unfollowed = lambda path: Client(application).get(path, base_url="{SITE}"), {{}}
elif sys.argv[1] == "asgi":
    from starlette.testclient import TestClient
    from mysite.asgi import application
    get, unfollowed = TestClient(application, base_url="{SITE}").get, {{"follow_redirects": False}}
else:
    from django.test import Client
    nobody = Client(**wsgi_environ(None)).get("/nobody").json()
    print(json.dumps([nobody, Client(**wsgi_environ("ada")).get("/x").json()]))
    sys.exit()
refused = get("/x").status_code, get("/", **unfollowed).headers["location"]
with signed_in("ada", scopes=["video.list"]):
    seen = json.loads(get("/x").text), json.loads(get("/").text), get("/videos/gone").status_code
    print(json.dumps([*refused, *seen]))
"""


@pytest.mark.parametrize(
    ("door", "told"),
    [
        ("wsgi", [401, "/oauth2/start?next=/", ["ada", "ada", "WSGIRequest"], "in", 503]),
        ("asgi", [401, "/oauth2/start?next=/", ["ada", "ada", "ASGIRequest"], "in", 503]),
        ("its own client", ["nobody", ["ada", "ada", "WSGIRequest"]]),
    ],
)
def test_django(folder: Path, door: str, told: list[Any]) -> None:
    pytest.importorskip("django", reason="needs Django: pip install '.[servers]'")
    site = folder / "mysite"
    site.mkdir()
    files: Mapping[str, str] = {
        "settings": DJANGO_SETTINGS + BLOCKS["django_settings"] + 'MIDDLEWARE += ["mysite.errors.GatewayErrors"]',
        "wsgi": BLOCKS["django_wsgi"],
        "asgi": BLOCKS["django_asgi"],
        "urls": DJANGO_URLS,
        "errors": BLOCKS["django_errors"],
    }
    for name, text in files.items():
        (site / f"{name}.py").write_text(text)
    assert json.loads(run("-W", "ignore", "-c", DJANGO_ASKED, door)) == told


AS_DJANGO = """
from typing import Any
from gateway import asgi, wsgi

class HttpRequest:  # as django-stubs has it, which knows neither scope nor environ
    META: dict[str, Any]

def view(request: HttpRequest) -> str:
    user = wsgi.find_user(request)
    wsgi.answer_error(request, ValueError())
    return asgi.current_user(request).open_id if user is None else wsgi.sign_in_url(request)
"""


def test_a_strict_type_checker_has_nothing_to_say(folder: Path) -> None:
    pytest.importorskip("mypy", reason="needs mypy: pip install '.[dev]'")
    (folder / "main.py").write_text(BLOCKS["fastapi_app"])
    files = [f"{name}.py" for name in BLOCKS if not name.startswith("django")]  # it has no types of its own
    (folder / "as_django.py").write_text(AS_DJANGO)
    files.append("as_django.py")
    cache = str(ROOT / ".mypy_cache" / "guide")
    allowed = "--disable-error-code=method-assign"  # of which the guide speaks
    assert "Success" in run("-m", "mypy", "--strict", allowed, "--config-file=", "--cache-dir", cache, *files)


def test_the_settings_are_fine_without_an_upstream() -> None:
    assert "settings are fine" in run("-m", "gateway", "check", "--middleware", **environment(SITE))
