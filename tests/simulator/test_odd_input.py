"""Whatever comes, the simulator answers, and never with a fault of its own."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.simulator import RunningSimulator
from tests.simulator.asking import tokens

PATHS = (
    "/v2/auth/authorize/",
    "/v2/oauth/token/",
    "/v2/oauth/revoke/",
    "/v2/oauth/get_qrcode/",
    "/v2/oauth/check_qrcode/",
    "/v2/user/info/",
    "/v2/video/list/",
    "/v2/video/query/",
    "/simulator/phone",
    "/simulator/troubles",
    "/simulator/disconnect",
    "/simulator/webhook",
    "/simulator/connections",
    "/simulator/requests",
)
NAMES = (
    *("client_key", "client_secret", "redirect_uri", "scope", "state", "code", "code_verifier", "code_challenge"),
    *("grant_type", "refresh_token", "token", "fields", "person", "open_id", "url", "event", "allow", "client_ticket"),
)
WORDS = st.one_of(
    st.sampled_from(
        ["simulated-client-key", "simulated-client-secret", "code", "S256", "http://[::1/", "user.info.basic", "id"]
    ),
    st.text(max_size=20),
)
PAIRS = st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=8)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"{}", b"[]", b"null", b'{"url": 1}', b'{"filters": {"video_ids": [{}]}}', b"[" * 2000]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    method=st.sampled_from(["GET", "POST", "PATCH"]),
    query=PAIRS,
    form=st.one_of(PAIRS, BODIES),
)
def test_nothing_is_a_fault_of_the_simulators_own(
    tiktok: RunningSimulator, client: httpx.Client, path: str, method: str, query: dict[str, str], form: Any
) -> None:
    token = next(iter(tiktok.simulator.access_tokens), None) or tokens(client, tiktok)["access_token"]
    body: dict[str, Any] = {"data": form} if isinstance(form, dict) else {"content": form}
    headers = {"authorization": f"Bearer {token}"}
    answer = client.request(method, tiktok.url + path, params=query, headers=headers, **body)
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/simulator/disconnect", {}, 400),
        ("/simulator/disconnect", [], 400),
        ("/simulator/webhook", {}, 400),
        ("/simulator/webhook", {"url": "http://127.0.0.1:9/", "event": "x", "nonsense": 1}, 400),
        ("/simulator/webhook", {"url": "http://127.0.0.1:9/", "event": "x"}, 502),
    ],
)
def test_a_wrong_control_says_what_is_wrong(
    tiktok: RunningSimulator, client: httpx.Client, path: str, body: Any, status: int
) -> None:
    answer = client.post(tiktok.url + path, json=body)
    assert answer.status_code == status
    assert answer.json()["problem"]
