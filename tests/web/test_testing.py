"""What an app's own tests use to have somebody signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from flask import Flask, request
from starlette.requests import Request
from starlette.testclient import TestClient

from gateway import wsgi
from gateway.asgi import User, current_user, find_user, protect
from gateway.errors import NotSignedIn
from gateway.settings import Settings, load
from gateway.testing import (
    Profile,
    asgi_scope,
    django_environ,
    environment,
    sign_out,
    signed_in,
    wsgi_environ,
)

ROUTES = """[
  {path: /videos, scopes: [video.list]}, {path: /staff, allow: {open_ids: [ada]}},
  {path: /stars, creator: {follower_count: {min: 1000}}}, {path: /**}
]"""


def read(public_url: str = "http://testserver", **changes: str) -> Settings:
    return load(None, {**environment(public_url), "GATEWAY__ROUTES": ROUTES, **changes}, needs_upstream=False)


def build_app() -> FastAPI:
    app = FastAPI()

    @app.get("/{path:path}")
    async def me(request: Request, user: User = Depends(current_user)) -> list[str]:  # noqa: B008 -- FastAPI's way
        return [user.open_id, request.headers["x-tiktok-open-id"], await user.access_token()]

    return app


@pytest.fixture(params=["around", "within", "with a lifespan"])
def client(request: pytest.FixtureRequest) -> Generator[TestClient]:
    app = build_app()
    if request.param == "within":
        app.add_middleware(protect, settings=read())
        yield TestClient(app)
    elif request.param == "around":
        yield TestClient(protect(app, read()))
    else:
        with TestClient(protect(app, read())) as client:
            yield client


def test_routes_decide_about_the_person(client: TestClient) -> None:
    assert client.get("/").status_code == 401
    with signed_in("ada"):
        assert client.get("/").json() == ["ada", "ada", "act.test"]
        assert client.get("/staff").status_code == 200
        assert client.get("/videos").status_code == client.get("/stars").status_code == 403
        with signed_in("bo", scopes=["video.list", "user.info.stats"], profile=Profile("bo", follower_count=1000)):
            assert client.get("/").json()[0] == "bo"
            assert client.get("/staff").status_code == 403
            assert client.get("/videos").status_code == client.get("/stars").status_code == 200
        assert client.get("/").json()[0] == "ada"
    assert client.get("/").status_code == 401


def test_the_pages_of_the_gateway_know_them_too(client: TestClient) -> None:
    with signed_in("ada", display_name="Ada L."):
        assert client.get("/oauth2/userinfo").json()["display_name"] == "Ada L."
        assert client.post("/oauth2/sign_out", headers={"sec-fetch-site": "same-origin"}).status_code in {200, 204}
        assert client.get("/").status_code == 401
    with signed_in("ada"):
        assert client.get("/").status_code == 200


def test_flask(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: wsgi.current_user(request).access_token("video.list"))
    guarded = wsgi.protect(app.wsgi_app, read("http://localhost"))
    monkeypatch.setattr(app, "wsgi_app", guarded)
    with signed_in(scopes=["video.list"], access_token="act.1"):
        assert app.test_client().get("/").text == "act.1"
    assert app.test_client().get("/").status_code == 401
    guarded.close()


def test_djangos_client_is_told_what_django_would_see() -> None:
    told = django_environ("ada", username="ada.codes", scopes=["video.list"], access_token="act.2")
    assert told["REMOTE_USER"] == told["HTTP_X_TIKTOK_OPEN_ID"] == "ada"
    assert told["HTTP_X_TIKTOK_USERNAME"] == "ada.codes"
    assert wsgi.current_user(told).access_token() == "act.2"
    assert wsgi.sign_out_url(told) == "/oauth2/sign_out"
    assert not any(name in told for name in ("PATH_INFO", "HTTP_HOST", "wsgi.url_scheme"))


def test_a_visitor_is_told_as_nobody() -> None:
    told = wsgi_environ(None)
    assert wsgi.find_user(told) is None
    assert wsgi.sign_in_url(told) == "/oauth2/start?rd=/"
    assert "REMOTE_USER" not in told
    with pytest.raises(NotSignedIn):
        wsgi.current_user(told)
    app = Flask(__name__)
    for person, seen in ((None, None), ("ada", "ada")):
        with app.test_request_context(environ_overrides=wsgi_environ(person)):
            user = wsgi.find_user(request)
            assert (user.open_id if user is not None else None) == seen


def test_an_endpoint_is_called_by_itself() -> None:
    async def greet(request: Request) -> str:
        user = find_user(request)
        return await user.access_token() + request.headers["x-tiktok-open-id"] if user is not None else "nobody"

    assert asyncio.run(greet(Request(asgi_scope("ada", access_token="act.3")))) == "act.3ada"
    assert asyncio.run(greet(Request(asgi_scope(None)))) == "nobody"
    assert Request(asgi_scope("ada", scopes=["video.list"])).auth.scopes[0] == "authenticated"
    assert not Request(asgi_scope(None)).user.is_authenticated


def test_signing_out_is_one_word(client: TestClient) -> None:
    with signed_in("ada"):
        assert client.get("/").status_code == 200
        assert client.post("/oauth2/sign_out").status_code == 403
        assert sign_out(client).status_code in {200, 204}
        assert client.get("/").status_code == 401


def test_signing_out_of_flask(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask(__name__)
    guarded = wsgi.protect(app.wsgi_app, read("http://localhost"))
    monkeypatch.setattr(app, "wsgi_app", guarded)
    with signed_in():
        assert app.test_client().get("/").status_code == 404
        sign_out(app.test_client())
        assert app.test_client().get("/").status_code == 401
    guarded.close()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nowhere.sock"])
def test_a_gateway_with_a_real_store_lets_in_nobody(url: str) -> None:
    app: Any = protect(build_app(), read(GATEWAY__REDIS=url))
    with signed_in("ada"):
        answer = TestClient(app).get("/")
    assert answer.status_code == 500
    assert "ada" not in answer.text
