"""Checks by gRPC, asked as Envoy asks: the same judgement as over HTTP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from typing import Any

import pytest

from gateway.errors import SettingsError, StartError
from gateway.runtime.build import build
from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, Running, read_settings, serve_gateway
from tests.ports import free_port
from tests.web.test_forward_auth import ROUTES, sign_in

grpc = pytest.importorskip("grpc", reason="needs gRPC: pip install '.[grpc]'")
KEPT = ROUTES.replace("  {path: /**}", "  {path: /kept/**, keep_post: true},\n  {path: /**}")


@pytest.fixture(scope="module")
def address() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def running(simulator: RunningSimulator, address: str) -> Generator[Running]:
    settings = {"routes": KEPT, "cors__allowed_origins": '["https://other.example"]', "forward_auth__grpc": address}
    with serve_gateway(simulator, "none", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def cookie(running: Running) -> str:
    return sign_in(running.url)


@pytest.fixture
def ask(running: Running, address: str) -> Any:
    """Asks about a request; returns the status, the fields of the answer, those to remove, and the body."""
    from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

    def ask(path: str, method: str = "GET", body: bytes = b"", **fields: str) -> Any:
        headers = {name.replace("_", "-").lower(): value for name, value in fields.items()}
        request = external_auth_pb2.CheckRequest()
        http = request.attributes.request.http
        http.method, http.path, http.host, http.scheme = method, path, running.url.removeprefix("http://"), "http"
        http.headers.update(headers | {":authority": "elsewhere.example"})
        http.raw_body = body
        with grpc.insecure_channel(address) as channel:
            told = external_auth_pb2_grpc.AuthorizationStub(channel).Check(request, timeout=10)
        if told.status.code == 0:
            ok = told.ok_response
            return 200, {each.header.key: each.header.value for each in ok.headers}, set(ok.headers_to_remove), ""
        no = told.denied_response
        return no.status.code, {each.header.key: each.header.value for each in no.headers}, set(), no.body

    return ask


def test_a_yes_says_who_and_what_to_remove(ask: Any, cookie: str) -> None:
    status, fields, removed, _ = ask("/private/x?a=1", Cookie="a=1; " + cookie)
    assert status == 200
    assert fields["x-tiktok-open-id"]
    assert fields["cookie"] == "a=1"
    assert "x-auth-request-user" in removed
    assert not removed & set(fields)
    assert set(fields) <= {"cookie", *(name for name in fields if name.startswith("x-"))}
    status, fields, removed, _ = ask("/public/x")
    assert (status, fields) == (200, {})
    assert removed >= {"x-tiktok-open-id", "x-tiktok-access-token", "cookie"}


def test_a_no_is_the_whole_answer(ask: Any, running: Running, cookie: str) -> None:
    status, fields, _, body = ask("/private/x", Sec_Fetch_Mode="cors")
    assert (status, fields["content-type"]) == (401, "application/problem+json")
    assert "sign_in_url" in body
    status, fields, _, _ = ask("/private/x", **{name.replace("-", "_"): value for name, value in NAVIGATION.items()})
    assert status == 302
    assert fields["location"].startswith(running.simulator.authorize_url)
    assert "set-cookie" in fields
    assert ask("/videos/x", Cookie=cookie)[0] == 403


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/../oauth2/livez", {}),
        ("/public/../private/x", {}),
        ("/public//x", {}),
        ("no-path", {}),
        ("", {}),
        ("/oauth2/livez", {}),
        ("/public/x", {"x.tiktok.open.id": "evil"}),
        ("/public/x", {"script-name": "/x"}),
        ("/public/x", {"x-forwarded-uri": "/public/y"}),
        ("/public/x", {"x-forwarded-method": "POST"}),
        ("/public/\N{LATIN SMALL LETTER E WITH ACUTE}", {}),
    ],
)
def test_what_is_not_understood_in_one_way_is_a_no(ask: Any, path: str, fields: dict[str, str]) -> None:
    status, told, _, _ = ask(path, **fields)
    assert status in {400, 403}
    assert "x-tiktok-open-id" not in told


def test_a_websocket_of_another_site_is_a_no(ask: Any, running: Running, cookie: str) -> None:
    key = {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec_WebSocket_Version": "13"}
    assert ask("/private/x", Cookie=cookie, **key, Origin=running.url)[0] == 200
    assert ask("/private/x", Cookie=cookie, **key, Origin="https://evil.example")[0] == 403


def test_a_form_is_kept_only_if_it_came_along(ask: Any, running: Running) -> None:
    """Envoy tells how long a body is, whether or not it passes it on."""
    sent = {"Content_Type": "application/x-www-form-urlencoded", "Origin": running.url, "Content_Length": "3"}
    navigation = {name.replace("-", "_"): value for name, value in NAVIGATION.items()}
    status, _, _, page = ask("/kept/x", "POST", b"a=1", **sent, **navigation)
    assert (status, "kept_post" in page) == (401, True)
    status, _, _, page = ask("/kept/x", "POST", **sent, **navigation)
    assert (status, "kept_post" in page) == (401, False)


async def start_and_close(generation: Any) -> None:
    try:
        generation.start()
        await asyncio.sleep(0)
    finally:
        await generation.close()


def test_an_address_that_is_taken_is_said(running: Running, simulator: RunningSimulator, address: str) -> None:
    settings = read_settings(simulator, upstream="none", public_url="http://127.0.0.1:1", forward_auth__grpc=address)
    with pytest.raises(StartError, match="cannot be listened on"):
        asyncio.run(start_and_close(build(settings)))


def test_without_the_extra_it_is_said(simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "grpc" or name.endswith(".grpc_checks")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grpc", None)
    settings = read_settings(simulator, upstream="none", public_url="http://127.0.0.1:1", forward_auth__grpc=":1")
    with pytest.raises(SettingsError, match=r"pip install \'\.\[grpc\]\'.*EXTRA=grpc"):
        build(settings)
