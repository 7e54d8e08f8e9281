"""`GET /v2/auth/authorize/`: TikTok's consent page, and its error page for whatever the app got wrong.

A wrong key, redirect URI, scope or challenge is told on this page and never by a redirect: TikTok cannot know that the
address belongs to the app.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.simulator.form import read_form
from gateway.simulator.state import Simulator

_ACCOUNT: Final = "simulated-account"
_BASIC: Final = "user.info.basic"
_CHALLENGE: Final = {"hex": re.compile(r"[0-9a-f]{64}"), "base64url": re.compile(r"[A-Za-z0-9_-]{43}")}
PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 8vh auto; padding: 0 1.2rem; }}
h1 {{ font-size: 1.35rem; }} fieldset {{ border: 1px solid #8886; border-radius: .6rem; margin: 0 0 1rem; }}
label {{ display: block; padding: .3rem 0; }} .note {{ opacity: .75; font-size: .9rem; }}
button {{ font: inherit; padding: .6rem 1.4rem; border-radius: .5rem; border: 1px solid #8888; cursor: pointer; }}
button.main {{ background: #111; color: #fff; }}
@media (prefers-color-scheme: dark) {{ button.main {{ background: #fff; color: #111; }} }}
</style></head><body><main>{body}</main></body></html>"""


class Refused(Exception):
    """The authorization request is wrong; the text is for the app's developer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid authorization request."""

    scopes: tuple[str, ...]
    redirect_uri: str
    state: str
    challenge: str | None


async def authorize(request: Request) -> Response:
    """Show the consent page, or take the choice made on it."""
    simulator: Simulator = request.app.state.simulator
    simulator.calls["authorize"] += 1
    try:
        asked = _read(request, simulator)
    except Refused as refused:
        body = f"<h1>Something went wrong</h1><p>{escape(str(refused))}</p>"
        return HTMLResponse(PAGE.format(title="Error", body=body), status_code=400)
    if request.method == "POST":
        form = await read_form(request)
        person = form.get("person", [""])[0]
        return _answer(simulator, asked, person, form.get("scope", []), allowed="allow" in form)
    account = request.cookies.get(_ACCOUNT, "")
    silent = simulator.troubles.auto_auth and request.query_params.get("disable_auto_auth") != "1"
    if silent and account in simulator.people:
        return _answer(simulator, asked, account, list(asked.scopes), allowed=True)
    return HTMLResponse(PAGE.format(title="TikTok simulator", body=_consent_form(simulator, asked)))


def _read(request: Request, simulator: Simulator) -> Asked:
    query, settings = request.query_params, simulator.settings
    if any(len(query.getlist(name)) > 1 for name in query):
        raise Refused("A parameter is given twice.")
    if "client_id" in query:
        raise Refused("client_id is no parameter: it is called client_key.")
    if "client_secret" in query:
        raise Refused("The client secret does not belong in an address.")
    if query.get("client_key") != settings.client_key:
        raise Refused("client_key: there is no such app.")
    if query.get("response_type") != "code":
        raise Refused("response_type must be code.")
    redirect_uri = query.get("redirect_uri", "")
    _check_redirect_uri(redirect_uri, settings.redirect_uris)
    scopes = tuple(query.get("scope", "").split(","))
    unknown = [scope for scope in scopes if scope not in settings.scopes]
    if unknown:
        raise Refused(f"scope: {unknown[0]!r} is none of this app's. Scopes are separated by commas.")
    return Asked(scopes, redirect_uri, query.get("state", ""), _read_challenge(request, simulator))


def _check_redirect_uri(uri: str, registered: tuple[str, ...] | None) -> None:
    parts = urlsplit(uri)
    loopback = parts.hostname in {"localhost", "127.0.0.1"} and parts.port is not None
    static = not parts.query and not parts.fragment and len(uri) < 512
    if not static or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise Refused("redirect_uri must be absolute and static: https, or loopback with a port.")
    if registered is not None and uri not in registered:
        raise Refused("redirect_uri is not registered, to the letter.")


def _read_challenge(request: Request, simulator: Simulator) -> str | None:
    challenge = request.query_params.get("code_challenge")
    if challenge is None:
        if simulator.troubles.require_challenge:
            raise Refused("code_challenge is missing.")
        return None
    if request.query_params.get("code_challenge_method") != "S256":
        raise Refused("code_challenge_method must be S256.")
    if not _CHALLENGE[simulator.troubles.challenge_form].fullmatch(challenge):
        raise Refused(f"code_challenge is not of the form {simulator.troubles.challenge_form}.")
    return challenge


def _consent_form(simulator: Simulator, asked: Asked) -> str:
    return f"""<h1>Sign in with the TikTok simulator</h1>
<p class="note">This is not TikTok. It stands in for it while you try or test an app.</p>
{build_choices(simulator, asked.scopes)}"""


def build_choices(simulator: Simulator, asked: tuple[str, ...]) -> str:
    """Return the form on which a person says who they are, and what an app may see."""
    people = "".join(
        f'<label><input type="radio" name="person" value="{key}" {"checked" if not number else ""}> '
        f'<bdi>{escape(person.display_name)}</bdi> <span class="note">{escape(person.open_id[:12])}…</span></label>'
        for number, (key, person) in enumerate(simulator.people.items())
    )
    scopes = "".join(
        f'<label><input type="checkbox" name="scope" value="{escape(scope)}" checked'
        f"{' disabled' if scope == _BASIC else ''}> {escape(scope)}</label>"
        for scope in asked
    )
    return f"""<form method="post"><fieldset><legend>Who are you?</legend>{people}</fieldset>
<fieldset><legend>What may the app see?</legend>{scopes}</fieldset>
<p><button class="main" id="allow" name="allow" value="1">Allow</button>
<button id="deny" name="deny" value="1">Deny</button></p></form>"""


def _answer(simulator: Simulator, asked: Asked, account: str, chosen: list[str], *, allowed: bool) -> Response:
    person = simulator.people.get(account)
    if not allowed or person is None:
        return _redirect(asked.redirect_uri, _denial(simulator, asked))
    scopes = choose(asked.scopes, chosen)
    answer = {
        "code": simulator.new_code(person, scopes, asked.redirect_uri, asked.challenge),
        "scopes": ",".join(reversed(scopes)),
        "state": asked.state,
    }
    response = _redirect(asked.redirect_uri, answer)
    response.set_cookie(_ACCOUNT, account, httponly=True, samesite="lax", path="/v2/auth/")
    return response


def choose(asked: tuple[str, ...], chosen: list[str]) -> tuple[str, ...]:
    """Return what a person shares of what was asked for."""
    return tuple(scope for scope in asked if scope in chosen or scope == _BASIC)


def _denial(simulator: Simulator, asked: Asked) -> dict[str, str]:
    answer = {"error": "access_denied", "error_description": "User cancelled the authorization"}
    if simulator.troubles.error_type:
        answer["error_type"] = simulator.troubles.error_type
    if not simulator.troubles.error_without_state:
        answer["state"] = asked.state
    return answer


def _redirect(redirect_uri: str, answer: dict[str, str]) -> Response:
    return RedirectResponse(f"{redirect_uri}?{urlencode(answer)}", status_code=302)
