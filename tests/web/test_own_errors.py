"""Errors of the gateway's own that an app raises, or hands to `answer_error`: answered as the gateway answers them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask, request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway import asgi, wsgi
from gateway.errors import GatewayError, SessionEnded, StoreUnavailable
from gateway.testing import signed_in, wsgi_environ
from gateway.web.behind.visit import VISIT_KEY
from tests.web.test_testing import read

ROUTES = """[
  {path: /listed, scopes: [video.list]}, {path: /open, access: optional}, {path: /metrics/**, access: public},
  {path: /**}
]"""
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}
FETCH = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "accept": "*/*"}
Get = Callable[[str, dict[str, str]], tuple[int, dict[str, str], str]]


async def videos(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.user.access_token("video.list"))


async def away(request: Request) -> PlainTextResponse:
    raise StoreUnavailable("gone")


async def broken(request: Request) -> PlainTextResponse:
    raise RuntimeError("the app's own")


def build_starlette(**options: Any) -> Starlette:
    return Starlette(routes=[Route("/videos", videos), Route("/away", away), Route("/broken", broken)], **options)


def ask_asgi(app: Any) -> Get:
    client = TestClient(app, follow_redirects=False, raise_server_exceptions=False)

    def get(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        answer = client.get(path, headers=headers)
        return answer.status_code, dict(answer.headers), answer.text

    return get


def build_flask() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/videos", view_func=lambda: wsgi.current_user(request).access_token("video.list"))
    app.add_url_rule("/open", endpoint="open", view_func=lambda: wsgi.current_user(request).open_id)

    def fail(error: Exception) -> str:
        raise error

    app.add_url_rule("/away", endpoint="away", view_func=lambda: fail(StoreUnavailable("gone")))
    app.add_url_rule("/broken", endpoint="broken", view_func=lambda: fail(RuntimeError("the app's own")))
    app.register_error_handler(GatewayError, lambda error: wsgi.answer_error(request, error))
    return app


@pytest.fixture(params=["starlette, unhandled", "starlette, around", "fastapi", "flask"])
def get(request: pytest.FixtureRequest) -> Generator[Get]:
    settings = read(GATEWAY__ROUTES=ROUTES)
    if request.param == "starlette, unhandled":
        app = build_starlette()
        app.add_middleware(asgi.protect, settings=settings)
        yield ask_asgi(app)
    elif request.param == "starlette, around":
        app = build_starlette(exception_handlers={GatewayError: asgi.answer_error})
        yield ask_asgi(asgi.protect(app, settings))
    elif request.param == "fastapi":
        fast = FastAPI(exception_handlers={GatewayError: asgi.answer_error})
        fast.mount("/", build_starlette(exception_handlers={GatewayError: asgi.answer_error}))
        yield ask_asgi(asgi.protect(fast, settings))
    else:
        flask = build_flask()
        guarded = wsgi.protect(flask.wsgi_app, settings)
        flask.wsgi_app = guarded  # type: ignore[method-assign]
        client = flask.test_client()

        def ask(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
            answer = client.get(path, headers=headers, base_url="http://testserver")
            return answer.status_code, dict(answer.headers), answer.text

        yield ask
        guarded.close()


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_a_person_is_asked_for_a_scope_that_is_missing(get: Get) -> None:
    with signed_in("ada"):
        status, headers, text = get("/videos", NAVIGATION)
        assert status == 403  # and never a redirect: who has said no would go round and round
        assert "location" not in lower(headers)
        assert "One more permission" in text
        assert 'href="http://testserver/oauth2/start?rd=/videos&amp;scopes=video.list"' in text
        assert 'href="/">Not now<' in text
        assert "frame-ancestors 'none'" in lower(headers)["content-security-policy"]
    with signed_in("ada", scopes=["video.list"]):
        assert get("/videos", NAVIGATION)[0] == 200


def test_a_scope_that_no_sign_in_asks_for_has_no_button(caplog: pytest.LogCaptureFixture) -> None:
    app = build_starlette()
    app.add_middleware(asgi.protect, settings=read(GATEWAY__ROUTES="[{path: /**}]"))
    with signed_in("ada"):
        status, _, text = ask_asgi(app)("/videos", NAVIGATION)
    assert (status, "/oauth2/start" in text) == (403, False)
    assert "event=scope_not_in_settings scopes=video.list" in caplog.text


def test_a_program_is_told_of_it(get: Get) -> None:
    with signed_in("ada"):
        status, headers, text = get("/videos", FETCH)
    assert (status, lower(headers)["content-type"]) == (403, "application/problem+json")
    assert '"missing_scopes":["video.list"]' in text.replace(" ", "")
    assert lower(headers)["www-authenticate"] == 'Bearer error="insufficient_scope", scope="video.list"'


def test_other_errors_are_answered_as_ever(get: Get) -> None:
    with signed_in("ada"):
        assert get("/away", NAVIGATION)[0] == get("/away", FETCH)[0] == 503
        assert get("/broken", FETCH)[0] == 500


def test_flask_sends_who_is_not_signed_in_to_the_button() -> None:
    app = build_flask()
    guarded = wsgi.protect(app.wsgi_app, read(GATEWAY__ROUTES=ROUTES))
    app.wsgi_app = guarded  # type: ignore[method-assign]
    answer = app.test_client().get("/open?x=1", base_url="http://testserver", headers=NAVIGATION)
    assert answer.status_code == 401
    assert 'href="http://testserver/oauth2/start?rd=/open%3Fx%3D1"' in answer.text
    refused = app.test_client().get("/open", base_url="http://testserver", headers=FETCH)
    assert (refused.status_code, refused.content_type) == (401, "application/problem+json")
    guarded.close()


def test_of_a_websocket_the_gateway_says_it_itself() -> None:
    async def live(websocket: WebSocket) -> None:
        raise SessionEnded("just now")

    app = Starlette(routes=[WebSocketRoute("/live", live)], exception_handlers={GatewayError: asgi.answer_error})
    app.add_middleware(asgi.protect, settings=read(GATEWAY__ROUTES=ROUTES))
    with signed_in("ada"), pytest.raises(WebSocketDisconnect), TestClient(app).websocket_connect("/live"):
        pass


def test_what_is_no_request_is_told_so() -> None:
    class Odd:
        scope = None

    for door in (asgi, wsgi):
        with pytest.raises(TypeError, match="Odd is no request"):
            door.find_user(Odd())


@pytest.mark.parametrize(
    ("door", "state", "other"),
    [(asgi, {"REQUEST_METHOD": "GET"}, "gateway.wsgi"), (wsgi, {"type": "http"}, "gateway.asgi")],
)
@pytest.mark.parametrize("kind", ["itself", "as Django has it"])
def test_who_asks_by_the_wrong_door_is_told_the_right_one(door: Any, state: Any, other: str, kind: str) -> None:
    state = state | {VISIT_KEY: wsgi_environ(None)[VISIT_KEY]}
    asked = state if kind == "itself" else type("Request", (), {"scope" if "type" in state else "environ": state})()
    for ask in (door.find_user, door.current_user):
        with pytest.raises(TypeError, match=f"import from {other}"):
            ask(asked)


def test_metrics_are_found_within_the_app() -> None:
    app = Starlette(routes=[Mount("/metrics", asgi.metrics_app(key="scraper"))])
    app.add_middleware(asgi.protect, settings=read(GATEWAY__ROUTES=ROUTES))
    client = TestClient(app)
    assert client.get("/metrics/").status_code == 401
    assert "gateway_requests_total" in client.get("/metrics/", headers={"authorization": "Bearer scraper"}).text


def test_metrics_are_found_within_flask() -> None:
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from werkzeug.test import Client

    app = Flask(__name__)
    mounted = DispatcherMiddleware(app.wsgi_app, {"/metrics": wsgi.metrics_app(key="scraper")})
    guarded = wsgi.protect(mounted, read(GATEWAY__ROUTES=ROUTES))
    client = Client(guarded)
    assert client.get("/metrics", base_url="http://testserver").status_code == 401
    headers = {"authorization": "Bearer scraper"}
    assert "gateway_requests_total" in client.get("/metrics", base_url="http://testserver", headers=headers).text
    guarded.close()
