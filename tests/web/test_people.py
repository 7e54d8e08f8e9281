"""What an app in this process is told of the person: types, tokens that are fresh, links."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from flask import Flask, jsonify, request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway import asgi, wsgi
from gateway.asgi import User, current_user, find_user
from gateway.errors import GatewayError
from gateway.settings import load
from gateway.simulator import RunningSimulator
from gateway.testing import environment, signed_in
from tests.doors.conftest import wsgi as serve_wsgi
from tests.harness import Browser, Running, listener, read_settings, serve_app, url_of

ROUTES = """[
  {path: /open/**, access: public}, {path: /optional/**, access: optional},
  {path: /keep, headers: {X-Who: "{open_id}"}}, {path: /**}
]"""


Signed = Annotated[User, Depends(current_user)]


def build_fastapi(kept: list[Any]) -> FastAPI:
    app = FastAPI()

    @app.get("/optional/me")
    @app.get("/me")
    async def me(user: Signed) -> dict[str, Any]:
        return {name: getattr(user, name) for name in ("open_id", "union_id", "username", "display_name", "scopes")}

    @app.get("/optional/maybe")
    async def maybe(user: Annotated[User | None, Depends(find_user)], request: Request) -> dict[str, Any]:
        return {"open_id": user.open_id if user else None, "is_authenticated": request.user.is_authenticated}

    @app.get("/keep")
    async def keep(user: Signed, request: Request) -> str:
        kept.append(user)
        return request.headers["x-tiktok-access-token"]

    @app.get("/open/token")
    async def late_token(scope: str = "user.info.basic") -> str:
        try:
            token: str = await kept[-1].access_token(scope)
        except GatewayError as error:
            return error.code
        return token

    @app.websocket("/optional/socket")
    async def socket(socket: WebSocket, user: Signed) -> None:
        await socket.accept()
        async for _ in socket.iter_text():
            await socket.send_text(await user.access_token())

    @app.get("/open/links")
    @app.post("/open/links")
    async def links(request: Request) -> list[str]:
        return [
            asgi.sign_in_url(request),
            asgi.sign_in_url(request.scope, "/videos", ["video.list", "user.info.stats"]),
            asgi.sign_out_url(request),
            asgi.account_url(request),
        ]

    return app


def build_flask(kept: list[Any]) -> Flask:
    app = Flask(__name__)

    @app.get("/me")
    def me() -> dict[str, Any]:
        user = wsgi.current_user(request)
        return {name: getattr(user, name) for name in ("open_id", "union_id", "username", "display_name", "scopes")}

    @app.get("/optional/maybe")
    def maybe() -> dict[str, Any]:
        user = wsgi.find_user(request.environ)
        return {"open_id": user.open_id if user else None, "is_authenticated": user is not None}

    @app.get("/keep")
    def keep() -> Any:
        kept.append(wsgi.current_user(request))
        return jsonify(request.headers["x-tiktok-access-token"])

    @app.get("/open/token")
    def token() -> Any:
        try:
            return jsonify(kept[-1].access_token(request.args.get("scope", "user.info.basic")))
        except GatewayError as error:
            return jsonify(error.code)

    @app.get("/open/links")
    @app.post("/open/links")
    def links() -> list[str]:
        return [
            wsgi.sign_in_url(request),
            wsgi.sign_in_url(request.environ, "/videos", ["video.list", "user.info.stats"]),
            wsgi.sign_out_url(request),
            wsgi.account_url(request),
        ]

    return app


@pytest.fixture(scope="module")
def kept() -> list[Any]:
    """What the apps keep beyond a request."""
    return []


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def site(request: pytest.FixtureRequest, simulator: RunningSimulator, kept: list[Any]) -> Generator[Running]:
    if request.param == "wsgi":
        with serve_wsgi(simulator, build_flask(kept), routes=ROUTES) as running:
            yield running
        return
    bound = listener()
    settings = read_settings(simulator, url_of(bound), routes=ROUTES)
    protected = asgi.protect(build_fastapi(kept), settings)
    with serve_app(protected, bound) as url:
        yield Running(url, settings, simulator, protected.generation)


@pytest.fixture
def ada(site: Running) -> Generator[Browser]:
    with Browser(site.url) as browser:
        assert browser.sign_in("/me", person="plain").status_code == 200
        yield browser


def test_the_user_has_what_tiktok_told(ada: Browser) -> None:
    told = ada.fetch("/me").json()
    assert told == {
        "open_id": ada.fetch("/oauth2/userinfo").json()["open_id"],
        "union_id": ada.fetch("/oauth2/userinfo").json()["union_id"],
        "username": "ada.plain",
        "display_name": "Ada Plain",
        "scopes": ["user.info.basic", "user.info.profile"],
    }


def test_where_it_is_optional_there_may_be_nobody(site: Running, ada: Browser) -> None:
    assert ada.fetch("/optional/maybe").json()["is_authenticated"]
    with Browser(site.url) as nobody:
        assert nobody.fetch("/optional/maybe").json() == {"open_id": None, "is_authenticated": False}


def test_links_lead_back_and_ask_for_scopes(site: Running) -> None:
    with Browser(site.url) as nobody:
        here, more, sign_out, account = nobody.navigate("/open/links?q=a%20b&c").json()
        assert nobody.fetch("/open/links?q=1", method="POST").json()[0] == "/oauth2/start?rd=/"
    assert here == "/oauth2/start?rd=/open/links%3Fq%3Da%2520b%26c"
    assert more == "/oauth2/start?scopes=video.list,user.info.stats&rd=/videos"
    assert (sign_out, account) == ("/oauth2/sign_out", "/oauth2/account")
    with Browser(site.url) as somebody:
        assert somebody.sign_in(here).json()[0] == here  # it is the same page again
        assert somebody.navigate(sign_out).status_code == somebody.navigate(account).status_code == 200


def test_a_token_is_fresh_whenever_it_is_asked_for(site: Running, ada: Browser, kept: list[Any]) -> None:
    told = ada.fetch("/keep").json()
    with Browser(site.url) as nobody:
        assert nobody.fetch("/open/token").json() == told
        assert ada.fetch("/oauth2/refresh", method="POST").status_code == 200
        renewed = nobody.fetch("/open/token").json()
        assert renewed not in {told, "session_ended"}
        assert ada.fetch("/keep").json() == renewed
        assert nobody.fetch("/open/token?scope=video.list").json() == "insufficient_scope"
        assert ada.fetch("/oauth2/sign_out", method="POST").status_code in {204, 303}
        assert nobody.fetch("/open/token").json() == "session_ended"
    assert told not in repr(kept)
    assert kept[-1].open_id in repr(kept)


def test_a_dependency_refuses_as_a_problem(simulator: RunningSimulator) -> None:
    bound = listener()
    protected = asgi.protect(build_fastapi([]), read_settings(simulator, url_of(bound), routes=ROUTES))
    with serve_app(protected, bound) as url, Browser(url) as nobody:
        refused = nobody.fetch("/optional/me")
        assert (refused.status_code, refused.json()) == (401, {"detail": "Sign in first."})
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["www-authenticate"] == 'TikTok realm="sign-in"'
        with pytest.raises(InvalidStatus) as failed:
            connect(f"ws{url[4:]}/optional/socket", proxy=None)
        assert failed.value.response.status_code == 403  # what servers make of a close before it was accepted
        nobody.sign_in("/me")
        cookie = f"gateway={nobody.client.cookies['gateway']}"
        with connect(f"ws{url[4:]}/optional/socket", proxy=None, additional_headers={"cookie": cookie}) as socket:
            socket.send("?")
            assert socket.recv() == nobody.fetch("/keep").json()


def test_what_a_handler_lets_pass_is_answered_by_the_gateway_around_it(simulator: RunningSimulator) -> None:
    app = build_fastapi([])

    @app.get("/more")
    async def more(user: Signed) -> str:
        return await user.access_token("video.list")

    bound = listener()
    app.add_middleware(asgi.protect, settings=read_settings(simulator, url_of(bound), routes=ROUTES))
    with serve_app(app, bound) as url, Browser(url) as browser:
        browser.sign_in("/me")
        refused = browser.fetch("/more")
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("name", ["Remote-User", "remote_user", "REMOTE-USER"])
def test_django_is_told_by_a_name_that_nobody_else_can_send(simulator: RunningSimulator, name: str) -> None:
    async def tell(request: Request) -> JSONResponse:
        return JSONResponse([value for key, value in request.headers.items() if "user" in key and "remote" in key])

    app = Starlette(routes=[Route("/{path:path}", tell)])
    with signed_in("ada"):
        for own in ("{}", "{Remote-User: 'me:{open_id}'}"):
            settings = load(
                None,
                {**environment(), "GATEWAY__IDENTITY__HEADERS": own, "GATEWAY__ROUTES": ROUTES},
                needs_upstream=False,
            )
            client = TestClient(asgi.protect(app, settings), headers={name: "evil"})
            assert client.get("/x").json() == ["ada" if own == "{}" else "me:ada"]
            assert client.get("/open/x").json() == []


def test_starlette_alone_answers_in_words(simulator: RunningSimulator) -> None:
    app = Starlette(routes=[Route("/optional/me", lambda request: PlainTextResponse(current_user(request).open_id))])
    protected = asgi.protect(app, read_settings(simulator, "http://localhost", routes=ROUTES))
    refused = TestClient(protected).get("http://localhost/optional/me")
    assert (refused.status_code, refused.text) == (401, "Sign in first.")
    assert refused.headers["content-type"].startswith("text/plain")


def test_without_the_gateway_it_is_said_so() -> None:
    for ask in (asgi.sign_in_url, asgi.sign_out_url, asgi.account_url, wsgi.current_user, wsgi.sign_in_url):
        with pytest.raises(LookupError, match="serve what `protect` has returned"):
            ask({"type": "http"})
    with pytest.raises(LookupError):
        find_user(Request({"type": "http", "headers": []}))
