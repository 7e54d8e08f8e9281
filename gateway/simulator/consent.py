"""Walks the consent page over HTTP, as a person with a browser would."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qs, urlsplit

import httpx


def consent(authorization_url: str, *, person: str = "plain", untick: Collection[str] = (), allow: bool = True) -> str:
    """Choose on the page at `authorization_url`; returns the address of the callback it leads to.

    `allow=False` denies; `untick` are scopes not to share.

    Raises `AssertionError` with the simulator's words when it shows its error page.
    """
    asked = parse_qs(urlsplit(authorization_url).query).get("scope", [""])[0].split(",")
    form: dict[str, str | list[str]] = {
        "person": person,
        "scope": [scope for scope in asked if scope not in untick],
        "allow" if allow else "deny": "1",
    }
    answer = httpx.post(authorization_url, data=form, trust_env=False, timeout=10)
    if answer.status_code != 302:
        body = answer.text.partition("<body>")[2] or answer.text
        raise AssertionError(f"the simulator refuses: {' '.join(re.sub('<[^>]+>', ' ', body).split())}")
    location: str = answer.headers["location"]
    return location
