"""Whether browsers could renew their bindings through whatever stands before the gateway: asked as one of them asks.

A front's own 401, 404 or 429, or a page of it, ends the binding of whoever asks, and nobody notices: see
`web/own/device.py`. Which fields a front takes away is not seen by this, for nobody signs anything here.
"""

from __future__ import annotations

import asyncio
import http.client
import secrets
import ssl
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gateway.core.finding import Finding
from gateway.settings import Settings
from gateway.web.own.device import ENDED, REFRESH, REGISTER

NAME: Final = "renewals of bound sessions"
PATIENCE: Final = 5.0
"""Seconds that a front has for each step of an answer."""
MOST_READ: Final = 4096
"""Bytes of an answer that are looked at: the gateway's own has 19."""


class Said(msgspec.Struct, frozen=True):
    """What was answered, as far as it matters."""

    status: int
    content_type: str
    body: bytes


async def look_at_front(settings: Settings) -> Finding:
    """Ask the public address for the renewal of a binding that there is not, and say what the answer means."""
    try:
        said = await asyncio.to_thread(_ask, settings.public_url, settings.prefix + REFRESH)
    except (OSError, http.client.HTTPException) as error:
        found = f"{settings.public_url} does not answer from here: {error or type(error).__name__}"
        advice = "once the gateway runs, ask again where that address can be reached, and its certificate is trusted"
        return Finding(False, NAME, found, advice, warns=True)
    return judge(said, settings.prefix)


def judge(said: Said, prefix: str) -> Finding:
    """Say whether an answer is the gateway's own, and what to do about another."""
    if said.status == 200 and _ends_binding(said.body):
        return Finding(True, NAME, "reach the gateway by its public address")
    found = f"are answered by {said.status}, {said.content_type or 'of no type'}, which is not the gateway's word"
    if said.status == 503:  # ours, or the front's: browsers come again
        return Finding(False, NAME, found, "something is away for now: see above", warns=True)
    return Finding(False, NAME, f"{found}: browsers take it for the end of a binding", _advise(said.status, prefix))


def _advise(status: int, prefix: str) -> str:
    passing = (
        f"have the front pass POST {prefix}{REFRESH} and {prefix}{REGISTER} to the gateway as they are, with"
        " Sec-Secure-Session-Id and Secure-Session-Response, and without a sign-in, page or challenge of its own"
    )
    match status:
        case 429:
            return f"have no limit of the front's count {prefix}/device/, or none that answers by 429"
        case 404:
            return f"{passing}; if it does, the gateway that runs has other settings: `gateway reload`"
        case _:
            return passing


def _ends_binding(body: bytes) -> bool:
    try:
        return bool(msgspec.json.decode(body) == msgspec.json.decode(ENDED.body))
    except msgspec.DecodeError:
        return False


def _ask(public_url: str, path: str) -> Said:
    """Ask as a browser does, but for the binding, which is drawn. Follows no redirect: no browser does for this.

    Raises `OSError` or `HTTPException`.
    """
    where = urlsplit(public_url)
    trusted = ssl.create_default_context()
    connection = http.client.HTTPSConnection(where.hostname or "", where.port, timeout=PATIENCE, context=trusted)
    fields = {
        "Accept": "*/*",
        "Origin": public_url,
        "Sec-Fetch-Dest": "empty",
        "Sec-Fetch-Mode": "no-cors",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Secure-Session-Id": f'"{secrets.token_hex(32)}"',
        "User-Agent": "Mozilla/5.0 (gateway doctor)",
    }
    try:
        connection.request("POST", path, headers=fields)
        answer = connection.getresponse()
        return Said(answer.status, (answer.headers.get("content-type") or "")[:100], answer.read(MOST_READ))
    finally:
        connection.close()
