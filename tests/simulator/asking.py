"""Asks the simulator as an app does."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from gateway.simulator import RunningSimulator, consent

REDIRECT_URI = "http://127.0.0.1:1/callback"
HEX = "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3"
BASE64URL = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def authorization(tiktok: RunningSimulator, **changes: str | None) -> str:
    query: dict[str, str | None] = {
        "client_key": tiktok.settings.client_key,
        "scope": "user.info.basic,video.list",
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "state": "the-state",
    }
    kept = {name: value for name, value in (query | changes).items() if value is not None}
    return f"{tiktok.authorize_url}?{urlencode(kept)}"


def query_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def redeem(client: httpx.Client, tiktok: RunningSimulator, **changes: str | None) -> httpx.Response:
    form: dict[str, str | None] = {
        "client_key": tiktok.settings.client_key,
        "client_secret": tiktok.settings.client_secret,
        "grant_type": "authorization_code",
        "redirect_uri": REDIRECT_URI,
    }
    return client.post(tiktok.token_url, data={k: v for k, v in (form | changes).items() if v is not None})


def code(tiktok: RunningSimulator, person: str = "plain", **changes: str | None) -> str:
    return query_of(consent(authorization(tiktok, **changes), person=person))["code"]


def tokens(client: httpx.Client, tiktok: RunningSimulator, **choices: Any) -> dict[str, Any]:
    reply: dict[str, Any] = redeem(client, tiktok, code=code(tiktok, **choices)).json()
    return reply


def user_info(client: httpx.Client, tiktok: RunningSimulator, token: str, fields: str) -> dict[str, Any]:
    answer = client.get(tiktok.user_info_url, params={"fields": fields}, headers={"authorization": f"Bearer {token}"})
    found: dict[str, Any] = answer.json()
    return found | {"status": answer.status_code}
