"""A front that asks by gRPC is told the same of a bound session."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.device_binding.browser import DeviceBrowser
from tests.harness import NAVIGATION, echo, serve_app
from tests.listening import serve_listening
from tests.ports import free_port

grpc = pytest.importorskip("grpc", reason="needs gRPC: pip install '.[grpc]'")


def test_no_without_a_proof(
    simulator: RunningSimulator, issued: Issued, context: ssl.SSLContext, tmp_path: Path, at_once: None
) -> None:
    asked_at = f"127.0.0.1:{free_port()}"
    binds = {"session__device_binding": "on", "forward_auth__grpc": asked_at}
    with (
        serve_app(echo) as upstream,
        serve_listening(simulator, upstream, None, issued.write(tmp_path), **binds) as running,
        DeviceBrowser(running.url, context) as browser,
    ):
        browser.sign_in("/private/x")
        cookies = dict(browser.client.cookies)
        whole = "; ".join(f"{name}={value}" for name, value in cookies.items())
        alone = "; ".join(f"{name}={value}" for name, value in cookies.items() if name != browser.proof)
        host = running.url.removeprefix("https://")
        for _ in range(3):
            passed = ask(asked_at, host, {"cookie": whole})
            assert (passed.status.code, passed.HasField("ok_response")) == (0, True)
            assert browser.proof not in str(passed)
            refused = ask(asked_at, host, {"cookie": alone})
            assert (refused.denied_response.status.code, "device_proof_missing" in refused.denied_response.body) == (
                401,
                True,
            )
            assert "x-tiktok-open-id" not in str(refused)
            shown = ask(asked_at, host, {"cookie": alone} | NAVIGATION | {"sec-fetch-site": "cross-site"})
            fields = {each.header.key: each.header.value for each in shown.denied_response.headers}
            assert (shown.denied_response.status.code, fields["refresh"]) == (401, "0")


def ask(address: str, host: str, fields: dict[str, str]) -> Any:
    """Ask as Envoy does."""
    from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

    request = external_auth_pb2.CheckRequest()
    http = request.attributes.request.http
    http.method, http.path, http.host, http.scheme = "GET", "/private/x", host, "https"
    http.headers.update(fields)
    with grpc.insecure_channel(address) as channel:
        return external_auth_pb2_grpc.AuthorizationStub(channel).Check(request, timeout=10)
