"""Metrics of a middleware, for a scraper."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from gateway import asgi, wsgi
from gateway.settings import load
from gateway.testing import environment

KEY = "k" * 20
SETTINGS = load(
    None,
    {**environment(), "GATEWAY__ROUTES": "[{path: /metrics/**, access: public}, {path: /**}]"},
    needs_upstream=False,
)
REFUSED = 'gateway_requests_total{decision="challenge",status="4xx"}'


def ask_asgi(key: str | None) -> Any:
    app = Starlette()
    protected = asgi.protect(app, SETTINGS)
    app.mount("/metrics", asgi.metrics_app(protected, key=key))
    return TestClient(protected)


def ask_wsgi(key: str | None) -> Any:
    protected = wsgi.protect(Flask(__name__), SETTINGS)
    return Client(DispatcherMiddleware(protected, {"/metrics": wsgi.metrics_app(protected, key=key)}))


@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
def test_who_has_the_key_is_told_what_was_counted(ask: Any) -> None:
    client = ask(KEY)
    assert client.get("/").status_code == 401
    told = client.get("/metrics/", headers={"Authorization": f"Bearer {KEY}"})
    assert told.status_code == 200
    assert told.headers["content-type"].startswith("text/plain; version=")
    assert f"{REFUSED} 1.0" in told.text


@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer "}, {"Authorization": KEY}, {"Authorization": f"Bearer {KEY}k"}]
)
def test_who_has_not_is_told_nothing(ask: Any, given: dict[str, str]) -> None:
    refused = ask(KEY).get("/metrics/", headers=given)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="metrics"')
    assert "gateway_" not in refused.text
    assert KEY not in refused.text


@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
def test_no_key_has_to_be_asked_for_by_name(ask: Any) -> None:
    assert "gateway_" in ask(None).get("/metrics/").text
    with pytest.raises(TypeError):
        asgi.metrics_app(object())  # type: ignore[call-arg]
