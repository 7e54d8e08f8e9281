"""A browser that binds sessions to its device, without a browser: as Chromium 156 does, as far as servers can tell.

What it does and what it leaves was seen of Chromium (see `test_chromium.py`, where both go through the same).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from tests.device_binding.device import Device
from tests.harness import Browser

_PARAMETER = re.compile(r';(challenge|authorization|path)="([^"]*)"')
_CHALLENGE = re.compile(r'"([^"]*)";id="([^"]*)"')
MOST_ASKED = 5
"""Times that a browser asks for one refresh."""


class DeviceBrowser(Browser):
    """A visitor whose browser holds the key of a device."""

    def __init__(self, url: str, context: ssl.SSLContext, *, algorithm: str = "ES256") -> None:
        super().__init__(url)
        self.client.close()
        self.client = httpx.Client(timeout=15, trust_env=False, verify=context)
        self.device = Device(algorithm)
        self.bound: dict[str, Any] | None = None  # session instructions
        self.challenge: str | None = None
        self.skips = ""  # why it goes without a proof, if it does
        self.asked: list[httpx.Response] = []  # answers to what the browser has asked by itself

    @property
    def proof(self) -> str:
        """The name of the cookie that stands for a proof."""
        assert self.bound is not None
        return str(self.bound["credentials"][0]["name"])

    def lose_proof(self) -> None:
        """Let the proof cookie come to its end."""
        self.client.cookies.delete(self.proof)

    def _send(self, method: str, target: str, headers: Mapping[str, str], options: dict[str, Any]) -> httpx.Response:
        said = {**headers, **options.get("headers", {})}
        elsewhere = said.get("sec-fetch-site") == "cross-site"
        if self.bound is not None and self.proof not in self.client.cookies and not elsewhere:
            if self.skips:
                name = self.bound["session_identifier"]
                skipped = {"secure-session-skipped": f'{self.skips};session_identifier="{name}"'}
                options = {**options, "headers": {**options.get("headers", {}), **skipped}}
            elif self._is_in_scope(target):
                self.refresh()
        answer = super()._send(method, target, headers, options)
        offered = answer.headers.get("secure-session-registration")
        if offered is not None:
            self.register(offered)
        return answer

    def _is_in_scope(self, target: str) -> bool:
        assert self.bound is not None
        path = target.removeprefix(self.url).partition("?")[0]
        left_out = [each["path"] for each in self.bound["scope"]["scope_specification"]]
        return not any(path == each or path.startswith(each + "/") for each in left_out)

    def register(self, offered: str) -> httpx.Response:
        """Bind itself, as it was offered. It brings no cookie: another site had led here."""
        assert offered.startswith("(ES256 RS256);")
        told = dict(_PARAMETER.findall(offered))
        token = self.device.register(told["challenge"], told["authorization"])
        return self.take(self.ask(told["path"], token=token))

    def refresh(self) -> httpx.Response:
        """Have the proof renewed, as a browser does: with what it knows, and signed as it is asked to."""
        assert self.bound is not None
        token = self.device.prove(self.challenge) if self.challenge is not None else None
        for _ in range(MOST_ASKED):
            answer = self.ask(self.bound["refresh_url"], token=token, binding=self.bound["session_identifier"])
            if answer.status_code != 403 or "secure-session-challenge" not in answer.headers:
                break
            self.challenge = _read_challenge(answer)
            token = self.device.prove(self.challenge)
        return self.take(answer)

    def ask(self, path: str, *, token: bytes | None = None, binding: str | None = None) -> httpx.Response:
        """Ask by itself, without cookies: what a browser does after a navigation from elsewhere."""
        headers = {"origin": self.url, "sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors"}
        headers |= {"sec-fetch-dest": "empty", "content-length": "0"}
        headers |= {"secure-session-response": token.decode()} if token is not None else {}
        headers |= {"sec-secure-session-id": binding} if binding is not None else {}
        kept = httpx.Cookies(self.client.cookies)
        self.client.cookies.clear()
        answer = self.client.post(self.url + path, headers=headers)
        kept.update(self.client.cookies)
        self.client.cookies = kept
        self.asked.append(answer)
        return answer

    def take(self, answer: httpx.Response) -> httpx.Response:
        """Do what an answer says: go on, come again, or let it be."""
        if answer.status_code >= 500:
            return answer
        told = answer.json() if answer.headers.get("content-type") == "application/json" else {}
        if answer.status_code != 200 or told.get("continue", True) is False:
            self.bound = self.challenge = None
            return answer
        self.bound = told
        self.challenge = _read_challenge(answer) if "secure-session-challenge" in answer.headers else None
        return answer


def _read_challenge(answer: httpx.Response) -> str:
    found = _CHALLENGE.fullmatch(answer.headers["secure-session-challenge"])
    assert found is not None
    return found[1]
