"""`POST /v2/oauth/token/` and `/v2/oauth/revoke/`: flat JSON, errors with HTTP 200 or 4xx, form bodies only."""

from __future__ import annotations

import base64
import hashlib
import random
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.simulator.form import read_form
from gateway.simulator.outage import bad_gateway, outage
from gateway.simulator.people import PEOPLE, Person
from gateway.simulator.state import Simulator


class OAuthError(Exception):
    """An error of the token endpoint: `error` and `error_description`."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


async def token(request: Request) -> Response:
    """Redeem a code, or refresh."""
    simulator: Simulator = request.app.state.simulator
    form, refusal = await _read_form(request)
    simulator.calls[f"token:{form.get('grant_type', '?')}"] += 1
    trouble = await outage(request, simulator.troubles, simulator.troubles.token_delay)
    if trouble is not None or refusal is not None:
        return trouble or refusal or Response()
    try:
        authenticate(form, simulator)
        if simulator.troubles.token_error:
            raise OAuthError(simulator.troubles.token_error, "switched on at the simulator")
        match form.get("grant_type"):
            case "authorization_code":
                reply = _redeem(form, simulator)
            case "refresh_token":
                reply = _refresh(form, simulator)
            case _:
                raise OAuthError("unsupported_grant_type", "Grant type is not supported.")
    except OAuthError as error:
        return _error(error, simulator.troubles.error_status)
    if simulator.troubles.lose_token_answers > 0:
        simulator.troubles.lose_token_answers -= 1
        return bad_gateway()
    return JSONResponse(reply)


async def answer_form(
    request: Request, name: str, act: Callable[[Mapping[str, str], Simulator], dict[str, Any]]
) -> Response:
    """Answer a form as these endpoints do, by what `act` makes of it; count the call as `name`."""
    simulator: Simulator = request.app.state.simulator
    simulator.calls[name] += 1
    form, refusal = await _read_form(request)
    trouble = await outage(request, simulator.troubles, simulator.troubles.token_delay)
    if trouble is not None or refusal is not None:
        return trouble or refusal or Response()
    try:
        if simulator.troubles.token_error:
            raise OAuthError(simulator.troubles.token_error, "switched on at the simulator")
        return JSONResponse(act(form, simulator))
    except OAuthError as error:
        return _error(error, simulator.troubles.error_status)


async def revoke(request: Request) -> Response:
    """End a person's grant to the app."""
    simulator: Simulator = request.app.state.simulator
    simulator.calls["revoke"] += 1
    form, refusal = await _read_form(request)
    trouble = await outage(request, simulator.troubles, simulator.troubles.token_delay)
    if trouble is not None or refusal is not None:
        return trouble or refusal or Response()
    try:
        authenticate(form, simulator)
        access = simulator.live(simulator.access_tokens, form.get("token", ""))
        if access is None:
            raise OAuthError("invalid_grant", "Token is invalid.")
    except OAuthError as error:
        return _error(error, simulator.troubles.error_status)
    simulator.disconnect(access.person.open_id)
    return Response(b"") if simulator.troubles.empty_revoke_body else JSONResponse({})


async def _read_form(request: Request) -> tuple[Mapping[str, str], Response | None]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        # TikTok reports this one inside HTTP 200
        return {}, _error(OAuthError("invalid_request", "Only `application/x-www-form-urlencoded` is supported."), 200)
    return {name: values[0] for name, values in (await read_form(request)).items()}, None


def authenticate(form: Mapping[str, str], simulator: Simulator) -> None:
    """Raise `OAuthError` unless a form has the app's key and secret."""
    settings = simulator.settings
    if "client_id" in form:
        raise OAuthError("invalid_request", "client_id is not a parameter.")
    given = (form.get("client_key", ""), form.get("client_secret", ""))
    if given != (settings.client_key, settings.client_secret):
        raise OAuthError("invalid_client", "Client key or secret is incorrect.")


def _redeem(form: Mapping[str, str], simulator: Simulator) -> dict[str, Any]:
    code = simulator.take_code(form.get("code", ""))
    if code is None:
        raise OAuthError("invalid_grant", "Authorization code is expired.")
    if form.get("redirect_uri", "") != code.redirect_uri:
        raise OAuthError("invalid_request", "Redirect_uri is not matched with the uri when requesting code.")
    if code.challenge is not None and code.challenge != _challenge(form.get("code_verifier", ""), simulator):
        raise OAuthError("invalid_request", "Code verifier or code challenge is invalid.")
    return _reply(simulator, code.person, code.scopes, None)


def _challenge(verifier: str, simulator: Simulator) -> str:
    digest = hashlib.sha256(verifier.encode())
    if simulator.troubles.challenge_form == "hex":
        return digest.hexdigest()
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _refresh(form: Mapping[str, str], simulator: Simulator) -> dict[str, Any]:
    text = form.get("refresh_token", "")
    with simulator.lock:
        old = simulator.live(simulator.refresh_tokens, text)
        if old is None:
            raise OAuthError("invalid_grant", "Refresh token is invalid or expired.")
        rotates = simulator.troubles.rotate == "always"
        old.dead = rotates
    person = PEOPLE["plain"] if simulator.troubles.other_open_id else old.person
    return _reply(simulator, person, old.scopes, None if rotates else text)


def _reply(simulator: Simulator, person: Person, scopes: tuple[str, ...], refresh_token: str | None) -> dict[str, Any]:
    troubles = simulator.troubles
    access, refresh = simulator.new_tokens(person, scopes, refresh_token=refresh_token)
    listed = list(scopes)
    if troubles.shuffle_scopes:
        random.shuffle(listed)
    reply = {
        "access_token": access,
        "expires_in": int(troubles.access_lifetime),
        "open_id": person.open_id,
        "refresh_expires_in": int(simulator.refresh_tokens[refresh].expires_at - time.time()),
        "refresh_token": refresh,
        "scope": ",".join(listed),
        "token_type": "Bearer",
    }
    if troubles.omit_scope:
        del reply["scope"]
    return reply


def _error(error: OAuthError, status: int) -> Response:
    log_id = f"20261124{secrets.token_hex(8).upper()}"
    return JSONResponse({"error": error.error, "error_description": str(error), "log_id": log_id}, status_code=status)
