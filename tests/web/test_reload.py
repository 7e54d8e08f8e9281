"""`POST /reload`: who may, and what they are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.flows.operator_sign_in import OperatorKey, OperatorKeys
from gateway.web.admin.reload import ReloadApi, ReloadOutcome

KEY = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"
OTHER = "v1U0t9S8r7Q6p5O4n3M2l1K0j9I8h7G6f5E4d3C2b1A"
BEARER = (b"authorization", f"Bearer {KEY}".encode())


def keys(*known: str) -> OperatorKeys:
    return OperatorKeys([OperatorKey.of(key) for key in known])


class Counted:
    """Reloads that are only counted."""

    refused = ""

    def __init__(self, outcome: ReloadOutcome) -> None:
        self.count = 0
        self._outcome = outcome

    async def reload(self) -> ReloadOutcome:
        self.count += 1
        return self._outcome


async def ask(
    api: ReloadApi,
    *headers: tuple[bytes, bytes],
    method: str = "POST",
    client: tuple[str, int] | None = ("127.0.0.1", 1),
) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/reload", "headers": list(headers), "client": client}
    await api(scope, None, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def reloads() -> Counted:
    return Counted(ReloadOutcome(applied=True, changed=("routes",), needs_restart=("listen",)))


@pytest.mark.anyio
async def test_who_has_a_key_is_told_what_became_of_it(reloads: Counted) -> None:
    status, body = await ask(ReloadApi(reloads, keys(OTHER, KEY)), BEARER)
    assert (status, reloads.count) == (200, 1)
    told = {"applied": True, "reason": "", "changed": ["routes"], "needs_restart": ["listen"], "from_environment": []}
    assert json.loads(body) == told


@pytest.mark.anyio
async def test_a_refusal_is_told_with_its_reason() -> None:
    refused = Counted(ReloadOutcome(applied=False, reason="routes[0] cannot be used"))
    status, body = await ask(ReloadApi(refused, keys(KEY)), BEARER)
    assert (status, json.loads(body)["reason"]) == (422, "routes[0] cannot be used")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ((), "POST", 401),
        (((b"authorization", b"Bearer "),), "POST", 401),
        (((b"authorization", f"Basic {KEY}".encode()),), "POST", 401),
        (((b"authorization", f"Bearer {OTHER}".encode()),), "POST", 401),
        ((BEARER, (b"origin", b"https://elsewhere.example")), "POST", 403),
        ((BEARER, (b"Sec-Fetch-Site", b"same-origin")), "POST", 403),
        ((BEARER,), "GET", 405),
        ((BEARER,), "HEAD", 405),
    ],
)
async def test_nobody_else_can(
    reloads: Counted, headers: tuple[tuple[bytes, bytes], ...], method: str, status: int
) -> None:
    assert (await ask(ReloadApi(reloads, keys(KEY)), *headers, method=method))[0] == status
    assert reloads.count == 0


@pytest.mark.anyio
async def test_without_keys_nobody_can_but_over_a_unix_socket(reloads: Counted) -> None:
    status, body = await ask(ReloadApi(reloads, keys()), (b"authorization", b"Bearer "))
    assert (status, reloads.count) == (401, 0)
    assert b"admin.keys" in body
    assert (await ask(ReloadApi(reloads, keys()), client=None))[0] == 401  # a client that has left
    api = ReloadApi(reloads, keys(), over_unix_socket=True)
    assert (await ask(api, client=None))[0] == 200
    assert (await ask(api, (b"origin", b"null"), client=None))[0] == 403
    assert reloads.count == 1


@pytest.mark.anyio
async def test_settings_that_come_from_no_file_cannot() -> None:
    assert (await ask(ReloadApi(None, keys(KEY)), BEARER))[0] == 404
