"""What docs/simulator.md says of the switches is what happens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.simulator.asking import code, redeem, tokens

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
LINES = re.findall(r"^\| `(\{.+?\})` \| (token|user info) \| (\d+) \| `(.*?)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("switch", "asked", "status", "answer"), LINES, ids=[line[0] for line in LINES])
def test_an_error_by_one_switch_is_answered_as_the_page_says(
    tiktok: RunningSimulator, client: httpx.Client, switch: str, asked: str, status: str, answer: str
) -> None:
    if asked == "token":
        the_code = "" if "code_lifetime" in switch else code(tiktok)
        client.patch(tiktok.url + "/simulator/troubles", json=json.loads(switch))
        told = redeem(client, tiktok, code=the_code or code(tiktok))
    else:
        token = "" if "access_lifetime" in switch else tokens(client, tiktok)["access_token"]
        client.patch(tiktok.url + "/simulator/troubles", json=json.loads(switch))
        headers = {"authorization": f"Bearer {token or tokens(client, tiktok)['access_token']}"}
        told = client.get(tiktok.user_info_url, params={"fields": "open_id"}, headers=headers)
    assert told.status_code == int(status)
    assert _without_names(told) == (json.loads(answer) if answer.startswith("{") else answer)


def _without_names(answer: httpx.Response) -> Any:
    """Return the body without what differs each time, and without hints."""
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return answer.text
    told = answer.json()
    for part in (told, told.get("error")):
        if isinstance(part, dict):
            part.pop("log_id", None)
            part.pop("hint", None)
    return told


def test_the_page_has_every_error_and_every_switch(tiktok: RunningSimulator) -> None:
    assert len(LINES) > 20
    told = {word for line in LINES for word in re.findall(r'"(?:token|user_info)_error": "(\w+)"', line[0])}
    tiktok_says = {
        *("access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope"),
        *("unauthorized_client", "unsupported_grant_type", "server_error", "temporarily_unavailable"),
        *("access_token_invalid", "scope_not_authorized", "scope_permission_missed", "invalid_params"),
        *("rate_limit_exceeded", "internal_error"),
    }
    assert told == tiktok_says
    assert [
        switch for switch in tiktok.troubles.as_dict() if f"`{switch}" not in PAGE and f'"{switch}"' not in PAGE
    ] == []
