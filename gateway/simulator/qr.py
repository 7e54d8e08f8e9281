"""`POST /v2/oauth/get_qrcode/` and `check_qrcode/`, and the phone that scans: a page of the simulator's own.

A code leads to that page, where a real one leads into the TikTok app. Opening it is scanning; there a person confirms
or refuses. As at TikTok, the authorization code is told once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.simulator.apps import App
from gateway.simulator.authorize import build_choices, choose
from gateway.simulator.form import read_form
from gateway.simulator.oauth import answer_form, authenticate
from gateway.simulator.page import PAGE
from gateway.simulator.refusal import OAuthError, show
from gateway.simulator.state import Simulator


@dataclass(slots=True)
class ShownCode:
    """A QR code that an app shows."""

    app: App
    scopes: tuple[str, ...]
    state: str
    expires_at: float
    status: str = "new"
    ticket: str = ""
    code: str = ""

    def current(self) -> str:
        """Return its status, by the time it is."""
        alive = self.status == "confirmed" or time.time() < self.expires_at
        return self.status if alive else "expired"


async def get_qrcode(request: Request) -> Response:
    """Give a code, with a place for the app's ticket."""
    return await answer_form(request, "get_qrcode", lambda form, simulator: _give(form, simulator, request))


async def check_qrcode(request: Request) -> Response:
    """Say how far a person is with a code."""
    return await answer_form(request, "check_qrcode", _check)


def _give(form: Mapping[str, str], simulator: Simulator, request: Request) -> dict[str, Any]:
    app, scopes = simulator.settings.find_app(form.get("client_key")), tuple(form.get("scope", "").split(","))
    if app is None:
        came = show(form.get("client_key"))
        raise OAuthError("invalid_client", "Client key is incorrect.", f"client_key came as {came}.")
    if not set(scopes) <= set(app.scopes):
        words = "Scope is none of this app's. Scopes are separated by commas."
        hint = f"scope came as {show(form.get('scope'))}; the app may ask for {', '.join(app.scopes)}."
        raise OAuthError("invalid_scope", words, hint)
    if not form.get("state"):
        raise OAuthError("invalid_request", "state is missing.", "It comes back when the code is confirmed.")
    token = secrets.token_urlsafe(24)
    with simulator.lock:
        simulator.qr_codes[token] = ShownCode(app, scopes, form["state"], time.time() + simulator.troubles.qr_lifetime)
    query = urlencode({"client_key": app.client_key, "token": token, "client_ticket": "tobefilled"})
    return _shaped(simulator, {"scan_qrcode_url": f"{request.base_url}simulator/phone?{query}", "token": token})


def _check(form: Mapping[str, str], simulator: Simulator) -> dict[str, Any]:
    app = authenticate(form, simulator)
    shown: ShownCode | None = simulator.qr_codes.get(form.get("token", ""))
    if shown is None or shown.app != app:
        hint = "Wanted is the `token` of get_qrcode's answer."
        raise OAuthError("invalid_request", "Token is unknown.", hint)
    with simulator.lock:
        status = shown.current()
        if status == "refused":
            if simulator.troubles.qr_refusal == "access_denied":
                raise OAuthError("access_denied", "User cancelled the authorization")
            status = "expired"
        if status != "confirmed":
            return _shaped(simulator, {"status": status})
        shown.status = "utilised"
    told = {"status": status, "client_ticket": simulator.troubles.qr_ticket or shown.ticket, "state": shown.state}
    if simulator.troubles.qr_code_in == "code":
        return _shaped(simulator, told | {"code": shown.code})
    back = f"{_redirect_uri(app)}?{urlencode({'code': shown.code, 'state': shown.state})}"
    return _shaped(simulator, told | {"redirect_uri": back})


def _redirect_uri(app: App) -> str:
    """Return the address that a QR code's authorization code stands in, where it stands in one."""
    return (app.redirect_uris or ("https://app.example/callback",))[0]


def _shaped(simulator: Simulator, told: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in one of the two shapes that apps have seen."""
    error = {"code": "ok", "message": "", "log_id": "0"}
    return {"data": told, "error": error} if simulator.troubles.qr_wrapped else told


async def phone(request: Request) -> Response:
    """Be the phone: opening this page is scanning the code; then confirm or refuse."""
    simulator: Simulator = request.app.state.simulator
    shown = simulator.qr_codes.get(request.query_params.get("token", ""))
    if shown is None or shown.current() not in {"new", "scanned"}:
        return _say("This code does not work any more", "Have a new one shown.", 410)
    if request.method == "GET":
        shown.status, shown.ticket = "scanned", request.query_params.get("client_ticket", "")
        body = f"<h1>Sign in on another device?</h1>{build_choices(simulator, shown.scopes)}"
        return HTMLResponse(PAGE.format(title="TikTok simulator: phone", body=body))
    form = await read_form(request)
    person = simulator.people.get(form.get("person", [""])[0])
    if person is None or "allow" not in form:
        shown.status = "refused"
        return _say("Nobody was signed in", "You have refused.", 200)
    with simulator.lock:
        as_address = simulator.troubles.qr_code_in == "redirect_uri"
        redirect_uri = _redirect_uri(shown.app) if as_address else ""
        scopes = choose(shown.scopes, form.get("scope", []))
        shown.code = simulator.new_code(person, scopes, redirect_uri, challenge=None, client_key=shown.app.client_key)
        shown.status = "confirmed"
    return _say("Confirmed", "The other device goes on by itself.", 200)


def _say(title: str, words: str, status: int) -> Response:
    body = f"<h1>{escape(title)}</h1><p>{escape(words)}</p>"
    return HTMLResponse(PAGE.format(title="TikTok simulator: phone", body=body), status_code=status)
