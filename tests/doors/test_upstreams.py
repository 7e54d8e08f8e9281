"""Upstreams by name, through the whole gateway, on the short way and on the ASGI way."""

from __future__ import annotations

import contextlib
import io
import json
import ssl
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import uvicorn
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway.errors import ContentTooLarge, SettingsError
from gateway.runtime.upstreams import build_upstream, find_own_host
from gateway.settings import UpstreamSettings
from gateway.simulator import RunningSimulator
from gateway.web.wsgi.body import LimitedInput
from gateway.wsgi import protect
from tests.doors.conftest import wsgi
from tests.harness import (
    Running,
    asgi_form,
    listener,
    read_settings,
    serve_app,
    serve_gateway,
    serve_gateway_slowly,
    serve_in_thread,
    url_of,
)

Serve = Callable[..., contextlib.AbstractContextManager[Running]]

ROUTES = """[
  {path: /office/**, access: public, upstream: office},
  {path: /plain/**, access: public, upstream: plain},
  {path: /small/**, access: public, limits: {body: 10}},
  {path: /gone/**, access: public, upstream: gone},
  {path: /**, access: public}
]"""


@pytest.fixture(scope="module", params=[serve_gateway, serve_gateway_slowly], ids=["fast", "slow"])
def serve(request: pytest.FixtureRequest) -> Serve:
    found: Serve = request.param
    return found


def named(name: str) -> Any:
    """An app that answers with its own name, and what it was asked for."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        told = json.dumps({"app": name, "path": scope["raw_path"].decode(), "headers": headers}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
        await send({"type": "http.response.body", "body": told})

    return app


@pytest.fixture(scope="module")
def gateway(serve: Serve, simulator: RunningSimulator) -> Generator[Running]:
    with serve_app(named("main")) as main, serve_app(named("office")) as office, listener() as unused:
        upstreams = {
            "office": {"url": office, "strip_prefix": "/office", "pass_host": False},
            "plain": {"url": office, "websockets": False},
            "gone": url_of(unused).replace("127.0.0.1", "127.0.0.9"),
        }
        with serve(simulator, main, upstreams=json.dumps(upstreams), routes=ROUTES) as running:
            yield running


def get(gateway: Running, path: str, **headers: str) -> Any:
    for _ in range(2):  # twice on one connection: the second time, the header block is known
        with httpx.Client(trust_env=False) as client:
            client.get(gateway.url + path, headers=headers)
            answer = client.get(gateway.url + path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_route_leads_to_its_upstream(gateway: Running) -> None:
    assert get(gateway, "/x")["app"] == "main"
    assert get(gateway, "/plain/x")["app"] == "office"


def test_a_prefix_is_taken_off_and_told(gateway: Running) -> None:
    told = get(gateway, "/office/a%20b/?q=1", **{"X-Forwarded-Prefix": "/evil"})
    assert told["path"] == "/a%20b/"
    assert told["headers"]["x-forwarded-prefix"] == "/office"
    assert get(gateway, "/office")["path"] == "/"
    assert "x-forwarded-prefix" not in get(gateway, "/x", **{"X-Forwarded-Prefix": "/evil"})["headers"]


def test_dot_segments_are_gone_before_a_prefix_is_taken_off(gateway: Running) -> None:
    with httpx.Client(trust_env=False) as client:
        request = client.build_request("GET", gateway.url)
        request.extensions["target"] = b"/office/../office/./x"
        assert client.send(request).json()["path"] == "/x"
        request.extensions["target"] = b"/x/../office"
        assert client.send(request).json()["app"] == "office"


def test_an_upstream_gets_its_own_host_where_it_is_not_passed(gateway: Running) -> None:
    told = get(gateway, "/office/x")["headers"]
    assert told["host"] != gateway.url.removeprefix("http://")
    assert told["x-forwarded-host"] == gateway.url.removeprefix("http://")
    assert get(gateway, "/plain/x")["headers"]["host"] == gateway.url.removeprefix("http://")


def test_an_upstream_that_is_down_takes_no_other_with_it(gateway: Running) -> None:
    assert httpx.get(gateway.url + "/gone/x", trust_env=False).status_code == 502
    assert get(gateway, "/x")["app"] == "main"


def test_where_no_websockets_are_taken_they_are_refused(gateway: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.url.replace("http", "ws") + "/plain/x", proxy=None)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/small/x", b"1234567890", 200), ("/small/x", b"12345678901", 413), ("/x", b"12345678901", 200)],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_its_routes_limit_is_413(
    gateway: Running, path: str, body: bytes, status: int, chunked: bool
) -> None:
    content: Any = (body[at : at + 4] for at in range(0, len(body), 4)) if chunked else body
    with httpx.Client(trust_env=False) as client:
        answer = client.post(gateway.url + path, content=content)
        assert answer.status_code == status, answer.text
        # and the connection, or its successor, serves on
        assert client.get(gateway.url + "/x").json()["app"] == "main"


@pytest.mark.parametrize("chunked", [False, True])
def test_in_process_too(simulator: RunningSimulator, chunked: bool) -> None:
    with asgi_form(simulator, routes="[{path: /**, access: public, limits: {body: 10}}]") as running:
        for body, status in ((b"1234567890", 200), (b"12345678901", 413)):
            content: Any = iter([body]) if chunked else body
            assert httpx.post(running.url + "/x", content=content, trust_env=False).status_code == status


def test_in_process_under_wsgi_too(simulator: RunningSimulator) -> None:
    with wsgi(simulator, routes="[{path: /**, access: public, limits: {body: 10}}]") as running:
        for body, status in ((b"1234567890", 200), (b"12345678901", 413)):
            assert httpx.post(running.url + "/x", content=body, trust_env=False).status_code == status


@pytest.mark.parametrize("read", [lambda body: body.read(), lambda body: body.readlines(), lambda body: list(body)])
def test_a_body_of_unknown_length_is_counted_under_wsgi(read: Callable[[LimitedInput], object]) -> None:
    assert read(LimitedInput(io.BytesIO(b"12345\n7890"), 10))
    with pytest.raises(ContentTooLarge):
        read(LimitedInput(io.BytesIO(b"12345\n78901"), 10))


def test_asgi_middleware_forwards_what_a_route_leads_elsewhere(simulator: RunningSimulator) -> None:
    routes = "[{path: /office/**, access: public, upstream: office}, {path: /**, access: public}]"
    with serve_app(named("office")) as office:
        upstreams = json.dumps({"office": {"url": office, "strip_prefix": "/office"}})
        with asgi_form(simulator, routes=routes, upstreams=upstreams) as running:
            assert get(running, "/office/x")["path"] == "/x"
            assert get(running, "/x")["path"] == "/x"
            assert "app" not in get(running, "/x")


def test_wsgi_middleware_says_that_it_cannot(simulator: RunningSimulator) -> None:
    settings = read_settings(
        simulator,
        "http://127.0.0.1:1",
        routes="[{path: /**, upstream: office}]",
        upstreams='{office: "http://127.0.0.1:9"}',
    )
    with pytest.raises(SettingsError, match=r"routes\[0\].upstream"):
        protect(object(), settings)


def test_the_general_limit_holds_where_a_route_has_none(serve: Serve, simulator: RunningSimulator) -> None:
    routes = "[{path: /large/**, access: public, limits: {body: none}}, {path: /**, access: public}]"
    with serve_app(named("main")) as main, serve(simulator, main, routes=routes, limits__body="10") as running:
        for path, status in (("/x", 413), ("/large/x", 200)):
            assert httpx.post(running.url + path, content=b"x" * 100, trust_env=False).status_code == status


# Unix sockets and TLS


def test_a_unix_socket(serve: Serve, simulator: RunningSimulator, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    server = uvicorn.Server(uvicorn.Config(named("unix"), uds=str(path), log_config=None, lifespan="off"))

    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with serve(simulator, f"unix:{path}", routes="[{path: /**, access: public}]") as running:
            while not path.exists():
                time.sleep(0.01)
            assert get(running, "/x")["app"] == "unix"
            assert get(running, "/x")["headers"]["host"] == running.url.removeprefix("http://")
    finally:
        server.should_exit = True
        thread.join(timeout=5)


class Certificates:
    """An authority of our own, with a server and a client that it knows."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.server = self.authority.issue_cert("office.internal")
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.client = folder / "client.pem"
        self.authority.issue_cert("gateway.internal").private_key_and_cert_chain_pem.write_to_path(str(self.client))


@contextlib.contextmanager
def serve_tls(certificates: Certificates, folder: Path, *, wants_client: bool) -> Generator[str]:
    key = folder / "server.pem"
    certificates.server.private_key_and_cert_chain_pem.write_to_path(str(key))
    with listener() as bound:
        config = uvicorn.Config(
            named("office"),
            log_config=None,
            access_log=False,
            lifespan="off",
            ssl_certfile=str(key),
            ssl_ca_certs=str(certificates.ca),
            ssl_cert_reqs=ssl.CERT_REQUIRED if wants_client else ssl.CERT_NONE,
        )
        with serve_in_thread(uvicorn.Server(config), bound):
            yield url_of(bound).replace("http:", "https:")


@pytest.mark.parametrize(
    ("wants_client", "tls", "status"),
    [
        (False, {"ca": "ca", "server_name": "office.internal"}, 200),
        (False, {"verify": False}, 200),
        (False, {"ca": "ca"}, 502),  # the certificate is for another name
        (False, {"server_name": "office.internal"}, 502),  # by an authority nobody knows
        (False, {}, 502),
        (True, {"ca": "ca", "server_name": "office.internal", "certificate": "client"}, 200),
        (True, {"ca": "ca", "server_name": "office.internal"}, 502),
    ],
)
def test_https(
    serve: Serve, simulator: RunningSimulator, tmp_path: Path, wants_client: bool, tls: dict[str, Any], status: int
) -> None:
    certificates = Certificates(tmp_path)
    files = {"ca": str(certificates.ca), "client": str(certificates.client)}
    tls = {key: files.get(value, value) if isinstance(value, str) else value for key, value in tls.items()}
    with serve_tls(certificates, tmp_path, wants_client=wants_client) as url:
        upstream = json.dumps({"url": url, "tls": tls})
        with serve(simulator, upstream, routes="[{path: /**, access: public}]") as running:
            answer = httpx.get(running.url + "/x", trust_env=False)
            assert answer.status_code == status
            assert ("office" in answer.text) == (status == 200)


def test_tls_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    settings = UpstreamSettings.model_validate({"url": "https://127.0.0.1:1", "tls": {"ca": str(broken)}})
    with pytest.raises(SettingsError, match="upstream office: its `tls` files cannot be used"):
        build_upstream("office", settings)


def test_a_workers_share_of_the_connections() -> None:
    settings = UpstreamSettings.model_validate({"url": "http://127.0.0.1:1", "max_connections": 10})
    assert [build_upstream("x", settings, workers=number).max_connections for number in (1, 4, 99)] == [10, 2, 1]


def test_the_host_of_an_upstream() -> None:
    for url, host in (("http://app:3000", b"app:3000"), ("https://app", b"app"), ("unix:/run/app.sock", b"localhost")):
        assert find_own_host(UpstreamSettings.model_validate({"url": url})) == host
