"""`POST /v2/oauth/token/` and `/v2/oauth/revoke/`: flat JSON, errors with HTTP 200 or 4xx, form bodies only."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.simulator.apps import App
from gateway.simulator.challenge import find_fault, fits
from gateway.simulator.form import read_form
from gateway.simulator.outage import bad_gateway, outage
from gateway.simulator.people import Person
from gateway.simulator.refusal import OAuthError, note, note_error, show
from gateway.simulator.state import Code, Simulator

Form = Mapping[str, str]


class AnswerLost(Exception):
    """The tokens have changed, and the app is not told."""


async def token(request: Request) -> Response:
    """Redeem a code, refresh, or give the app a token of its own."""

    def act(form: Form, simulator: Simulator) -> dict[str, Any]:
        app = authenticate(form, simulator)
        _fail_if_switched_on(simulator)
        match form.get("grant_type"):
            case "authorization_code":
                return _redeem(form, app, simulator)
            case "refresh_token":
                return _refresh(form, app, simulator)
            case "client_credentials":
                return _give_to_app(simulator)
            case other:
                raise OAuthError(
                    "unsupported_grant_type",
                    "Grant type is not supported.",
                    f"It came as {show(other)}; there are authorization_code, refresh_token, client_credentials.",
                )

    def act_and_lose(form: Form, simulator: Simulator) -> dict[str, Any]:
        reply = act(form, simulator)
        if simulator.troubles.lose_token_answers > 0:
            simulator.troubles.lose_token_answers -= 1
            raise AnswerLost
        return reply

    return await _answer_form(request, lambda form: f"token:{form.get('grant_type', '?')}", act_and_lose)


async def revoke(request: Request) -> Response:
    """End a person's grant to the app."""

    def act(form: Form, simulator: Simulator) -> dict[str, Any]:
        app = authenticate(form, simulator)
        access = simulator.live(simulator.access_tokens, form.get("token", ""), app)
        if access is None:
            raise OAuthError("invalid_grant", "Token is invalid.", _explain_token("access token, in `token`"))
        simulator.disconnect(access.person.open_id, app.client_key)
        return {}

    simulator: Simulator = request.app.state.simulator
    answer = await _answer_form(request, lambda form: "revoke", act)
    return Response(b"") if simulator.troubles.empty_revoke_body and answer.body == b"{}" else answer


async def answer_form(request: Request, name: str, act: Callable[[Form, Simulator], dict[str, Any]]) -> Response:
    """Answer a form as these endpoints do, by what `act` makes of it; count the call as `name`."""

    def act_if_well(form: Form, simulator: Simulator) -> dict[str, Any]:
        _fail_if_switched_on(simulator)
        return act(form, simulator)

    return await _answer_form(request, lambda form: name, act_if_well)


async def _answer_form(
    request: Request, name: Callable[[Form], str], act: Callable[[Form, Simulator], dict[str, Any]]
) -> Response:
    simulator: Simulator = request.app.state.simulator
    form, refusal = await _read_form(request)
    simulator.calls[name(form)] += 1
    trouble = await outage(request, simulator.troubles, simulator.troubles.token_delay)
    if trouble is not None or refusal is not None:
        return trouble or refusal or Response()
    if "client_id" in form and "client_key" in form and not simulator.troubles.refuse_client_id:
        note(request, "client_id came beside client_key: TikTok ignores it.")
    if request.headers.get("authorization", "").startswith("Basic "):
        note(
            request,
            "`Authorization: Basic` came, where TikTok does not look: key and secret belong into the form.",
        )
    try:
        return JSONResponse(act(form, simulator))
    except OAuthError as error:
        return _error(request, error, simulator.troubles.error_status)
    except AnswerLost:
        note(request, "The answer was lost, by the switch lose_token_answers: the tokens have changed all the same.")
        return bad_gateway()


def _fail_if_switched_on(simulator: Simulator) -> None:
    if simulator.troubles.token_error:
        raise OAuthError(simulator.troubles.token_error, "switched on at the simulator", "The switch is token_error.")


async def _read_form(request: Request) -> tuple[Form, Response | None]:
    kind = request.headers.get("content-type", "")
    if not kind.startswith("application/x-www-form-urlencoded"):
        # TikTok reports this one inside HTTP 200
        words = "Only `application/x-www-form-urlencoded` is supported."
        hint = f"Content-Type came as {show(kind or None)}. The body is a form, never JSON."
        return {}, _error(request, OAuthError("invalid_request", words, hint), 200)
    return {name: values[0] for name, values in (await read_form(request)).items()}, None


def authenticate(form: Form, simulator: Simulator) -> App:
    """Return the app whose key and secret a form has. Raises `OAuthError`."""
    if "client_id" in form and ("client_key" not in form or simulator.troubles.refuse_client_id):
        raise OAuthError("invalid_request", "client_id is not a parameter.", "TikTok calls it client_key.")
    words = "Client key or secret is incorrect."
    app = simulator.settings.find_app(form.get("client_key"))
    if app is None:
        hint = f"client_key came as {show(form.get('client_key'))}, which is registered to no app here."
        raise OAuthError("invalid_client", words, hint)
    if form.get("client_secret", "") != app.client_secret:
        came = "not the one of that app" if form.get("client_secret") else "missing: it belongs into the form"
        raise OAuthError("invalid_client", words, f"client_secret is {came}.")
    return app


def _redeem(form: Form, app: App, simulator: Simulator) -> dict[str, Any]:
    code, fault = simulator.take_code(form.get("code", ""), app)
    if code is None:
        raise OAuthError("invalid_grant", "Authorization code is expired.", fault)
    if form.get("redirect_uri", "") != code.redirect_uri:
        hint = f"It came as {show(form.get('redirect_uri'))}; the code was requested with {show(code.redirect_uri)}."
        raise OAuthError("invalid_request", "Redirect_uri is not matched with the uri when requesting code.", hint)
    _check_verifier(form.get("code_verifier"), code, simulator)
    return _reply(simulator, app, code.person, code.scopes, None)


def _check_verifier(verifier: str | None, code: Code, simulator: Simulator) -> None:
    taken = simulator.troubles.challenge_form
    if code.challenge is None or fits(code.challenge, verifier or "", taken):
        return
    hint = find_fault(code.challenge, taken) or (
        "code_verifier is missing." if verifier is None else "code_challenge is not the SHA-256 of this code_verifier."
    )
    raise OAuthError("invalid_request", "Code verifier or code challenge is invalid.", hint)


def _refresh(form: Form, app: App, simulator: Simulator) -> dict[str, Any]:
    text = form.get("refresh_token", "")
    with simulator.lock:
        old = simulator.live(simulator.refresh_tokens, text, app)
        if old is None:
            hint = _explain_token("refresh token, in `refresh_token`")
            raise OAuthError("invalid_grant", "Refresh token is invalid or expired.", hint)
        rotates = simulator.troubles.rotate == "always"
        old.dead = rotates
    person = next(iter(simulator.people.values())) if simulator.troubles.other_open_id else old.person
    return _reply(simulator, app, person, old.scopes, None if rotates else text)


def _explain_token(wanted: str) -> str:
    return f"Wanted is a live {wanted}: each refresh makes the refresh token before it invalid (switch `rotate`)."


def _reply(
    simulator: Simulator, app: App, person: Person, scopes: tuple[str, ...], refresh_token: str | None
) -> dict[str, Any]:
    troubles = simulator.troubles
    access, refresh = simulator.new_tokens(person, scopes, app, refresh_token=refresh_token)
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


def _give_to_app(simulator: Simulator) -> dict[str, Any]:
    """Return a token that stands for the app and nobody ("Client Access Token Management")."""
    return {
        "access_token": f"clt.{secrets.token_urlsafe(40)}",
        "expires_in": int(simulator.troubles.access_lifetime),
        "token_type": "Bearer",
    }


def _error(request: Request, error: OAuthError, status: int) -> Response:
    note_error(request, error.error, error.hint)
    log_id = f"{time.strftime('%Y%m%d%H%M%S', time.gmtime())}{secrets.token_hex(9).upper()}"
    told = {"error": error.error, "error_description": str(error), "log_id": log_id}
    simulator: Simulator = request.app.state.simulator
    if error.hint and simulator.troubles.hints:
        told["hint"] = error.hint
    return JSONResponse(told, status_code=status)
