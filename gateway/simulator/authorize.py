"""`GET /v2/auth/authorize/`: TikTok's consent page, and its error page for whatever the app got wrong.

A wrong key, redirect URI, scope or challenge is told on this page and never by a redirect: TikTok cannot know that the
address belongs to the app.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.simulator.apps import App
from gateway.simulator.challenge import find_fault
from gateway.simulator.form import Form, read_form
from gateway.simulator.page import PAGE
from gateway.simulator.refusal import Refused, note, note_error, show
from gateway.simulator.state import Simulator
from gateway.simulator.troubles import Troubles

_ACCOUNT: Final = "simulated-account"
_BASIC: Final = "user.info.basic"
_LONGEST_URI: Final = 512  # characters; "Login Kit for Web", redirect URIs
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid authorization request."""

    app: App
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
        note_error(request, str(refused), refused.hint)
        body = f"<h1>Something went wrong</h1><p>{escape(str(refused))}</p><p>{escape(refused.hint)}</p>"
        return HTMLResponse(PAGE.format(title="Error", body=body), status_code=400)
    if request.method == "POST":
        form = await read_form(request)
        return _take_choice(request, simulator, asked, form)
    account = request.cookies.get(_ACCOUNT, "")
    silent = simulator.troubles.auto_auth and request.query_params.get("disable_auto_auth") != "1"
    if silent and account in simulator.people:
        return _answer(simulator, asked, account, list(asked.scopes), allowed=True)
    return HTMLResponse(PAGE.format(title="TikTok simulator", body=_consent_form(simulator, asked)))


def _read(request: Request, simulator: Simulator) -> Asked:
    query = request.query_params
    for name in query:
        if len(query.getlist(name)) > 1:
            raise Refused(f"{name} is given twice.", "Each parameter comes once.")
    app = _find_app(request, simulator)
    if query.get("response_type") != "code":
        raise Refused("response_type must be code.", f"It came as {show(query.get('response_type'))}.")
    redirect_uri = query.get("redirect_uri", "")
    _check_redirect_uri(redirect_uri, app.redirect_uris, allow_http=simulator.troubles.allow_http)
    scopes = tuple(query.get("scope", "").split(","))
    _check_scopes(scopes, app)
    _check_state(request, simulator.troubles)
    return Asked(app, scopes, redirect_uri, query.get("state", ""), _read_challenge(request, simulator.troubles))


def _find_app(request: Request, simulator: Simulator) -> App:
    query = request.query_params
    if "client_secret" in query:
        raise Refused(
            "The client secret does not belong in an address.",
            "Everybody who sees the address has it: send it to the token endpoint alone.",
        )
    if "client_key" not in query and "client_id" in query:
        raise Refused("client_id is no parameter: it is called client_key.", "TikTok's name for it is its own.")
    app = simulator.settings.find_app(query.get("client_key"))
    if app is None:
        known = ", ".join(each.client_key for each in (simulator.settings, *simulator.settings.more_apps))
        raise Refused(
            "client_key: there is no such app.",
            f"It came as {show(query.get('client_key'))}; registered here: {known}. `--client-key` registers yours.",
        )
    if "client_id" in query:
        if simulator.troubles.refuse_client_id:
            raise Refused("client_id is no parameter: it is called client_key.", "The switch refuse_client_id is on.")
        note(request, "client_id came beside client_key: TikTok ignores it.")
    return app


def _check_redirect_uri(uri: str, registered: Sequence[str] | None, *, allow_http: bool) -> None:
    words = "redirect_uri must be absolute and static: https, or loopback with a port."
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise Refused(words, f"It came as {show(uri)}, which is no address: {error}.") from error
    if parts.query or parts.fragment:
        raise Refused(words, f"It came as {show(uri)}: what is after the path belongs into `state`.")
    if len(uri) >= _LONGEST_URI:
        raise Refused(words, f"It has {len(uri)} characters; it may have {_LONGEST_URI - 1}.")
    name = parts.hostname
    plain = parts.scheme == "http" and (allow_http or (name in _LOOPBACK and port is not None))
    if not name or not (parts.scheme == "https" or plain):
        hint = "Without TLS there are only localhost and 127.0.0.1, with a port; the switch allow_http takes others."
        raise Refused(words, f"It came as {show(uri)}. {hint}")
    if registered is not None and uri not in registered:
        raise Refused(
            "redirect_uri is not registered, to the letter.",
            f"It came as {show(uri)}; registered: {', '.join(registered) or 'none'}. `--redirect-uri` registers yours.",
        )


def _check_scopes(scopes: Sequence[str], app: App) -> None:
    unknown = [scope for scope in scopes if scope not in app.scopes]
    if unknown:
        raise Refused(
            f"scope: {show(unknown[0])} is none of this app's. Scopes are separated by commas.",
            f"The app may ask for {', '.join(app.scopes)}.",
        )


def _check_state(request: Request, troubles: Troubles) -> None:
    if request.query_params.get("state"):
        return
    if troubles.require_state:
        raise Refused("state is missing.", "The switch require_state is on.")
    note(request, "state is missing: without it, anybody can sign your visitors in as somebody else (login CSRF).")


def _read_challenge(request: Request, troubles: Troubles) -> str | None:
    challenge = request.query_params.get("code_challenge")
    if challenge is None:
        if troubles.require_challenge:
            raise Refused("code_challenge is missing.", "The switch require_challenge is on.")
        return None
    method = request.query_params.get("code_challenge_method")
    if method != "S256" and troubles.challenge_form != "ignored":
        raise Refused("code_challenge_method must be S256.", f"It came as {show(method)}.")
    fault = find_fault(challenge, troubles.challenge_form)
    if fault and troubles.challenge_refused_at == "authorize":
        raise Refused("code_challenge is invalid.", fault)
    if fault:
        note(request, f"{fault} The token endpoint is going to refuse it.")
    return challenge


def _consent_form(simulator: Simulator, asked: Asked) -> str:
    return f"""<h1>Sign in with the TikTok simulator</h1>
<p class="note">This is not TikTok. It stands in for it while you try or test an app.</p>
{build_choices(simulator, asked.scopes)}"""


def build_choices(simulator: Simulator, asked: tuple[str, ...]) -> str:
    """Return the form on which a person says who they are, and what an app may see."""
    people = "".join(
        f'<label><input type="radio" name="person" value="{escape(key)}" {"checked" if not number else ""}> '
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


def _take_choice(request: Request, simulator: Simulator, asked: Asked, form: Form) -> Response:
    """Take what a person chose on the page; a form that no such page sends is an error, and no refusal."""
    name = form.get("person", [""])[0]
    wrong = ""
    if ("allow" in form) == ("deny" in form):
        wrong = "Wanted is either `allow` or `deny`, in a form."
    elif "allow" in form and name not in simulator.people:
        wrong = f"There is no person {show(name)}; there are {', '.join(simulator.people)}."
    if wrong:
        note_error(request, "a choice that the page does not offer", wrong)
        return HTMLResponse(PAGE.format(title="Error", body=f"<h1>Nobody chose that</h1><p>{escape(wrong)}</p>"), 400)
    return _answer(simulator, asked, name, form.get("scope", []), allowed="allow" in form)


def _answer(simulator: Simulator, asked: Asked, account: str, chosen: list[str], *, allowed: bool) -> Response:
    person = simulator.people.get(account)
    if not allowed or person is None:
        return _redirect(asked.redirect_uri, _denial(simulator, asked))
    scopes = choose(asked.scopes, chosen)
    code = simulator.new_code(
        person, scopes, asked.redirect_uri, challenge=asked.challenge, client_key=asked.app.client_key
    )
    answer = {"code": code, "scopes": ",".join(reversed(scopes)), "state": asked.state}
    response = _redirect(asked.redirect_uri, answer)
    response.set_cookie(_ACCOUNT, account, httponly=True, samesite="lax", path="/v2/auth/")
    return response


def choose(asked: tuple[str, ...], chosen: list[str]) -> tuple[str, ...]:
    """Return what a person shares of what was asked for."""
    ticked = {scope for each in chosen for scope in each.split(",")}
    return tuple(scope for scope in asked if scope in ticked or scope == _BASIC)


def _denial(simulator: Simulator, asked: Asked) -> dict[str, str]:
    answer = {"error": "access_denied", "error_description": "User cancelled the authorization"}
    if simulator.troubles.error_type:
        answer["error_type"] = simulator.troubles.error_type
    if not simulator.troubles.error_without_state:
        answer["state"] = asked.state
    return answer


def _redirect(redirect_uri: str, answer: dict[str, str]) -> Response:
    return RedirectResponse(f"{redirect_uri}?{urlencode(answer)}", status_code=302)
