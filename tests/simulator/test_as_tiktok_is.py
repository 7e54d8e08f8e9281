"""No stricter than TikTok: what real client libraries send there, and what is said of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.simulator import App, RunningSimulator, SimulatorSettings, run_in_thread
from tests.simulator.asking import BASE64URL, HEX, REDIRECT_URI, VERIFIER, authorization, code, redeem, tokens


def notes(tiktok: RunningSimulator) -> str:
    """What is said of the requests so far."""
    return "\n".join(words for seen in tiktok.simulator.requests for words in seen.notes)


def test_people_come_to_the_authorization_page_without_the_slash_too(
    tiktok: RunningSimulator, client: httpx.Client
) -> None:
    url = authorization(tiktok).replace("/v2/auth/authorize/?", "/v2/auth/authorize?")
    assert client.get(url).status_code == 200
    answer = client.post(url, data={"person": "plain", "allow": "1"})
    assert answer.headers["location"].startswith(REDIRECT_URI)


def test_client_id_beside_the_key_is_ignored_and_told(tiktok: RunningSimulator, client: httpx.Client) -> None:
    the_code = code(tiktok, client_id="simulated-client-key")
    assert "access_token" in redeem(client, tiktok, code=the_code, client_id="anything").json()
    assert notes(tiktok).count("client_id came beside client_key") == 2
    tiktok.troubles.refuse_client_id = True
    refused = client.get(authorization(tiktok, client_id="x"))
    assert refused.status_code == 400
    assert "refuse_client_id" in refused.text
    assert redeem(client, tiktok, code=code(tiktok), client_id="x").json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("form", "challenge", "good"),
    [
        ("either", HEX, True),
        ("either", BASE64URL, True),
        ("either", "neither", False),
        ("hex", HEX, True),
        ("hex", BASE64URL, False),
        ("base64url", BASE64URL, True),
        ("base64url", HEX, False),
        ("ignored", "neither", True),
    ],
)
@pytest.mark.parametrize("step", ["token", "authorize"])
def test_the_form_of_the_challenge(
    tiktok: RunningSimulator, client: httpx.Client, form: str, challenge: str, good: bool, step: str
) -> None:
    tiktok.troubles.update({"challenge_form": form, "challenge_refused_at": step})
    asked = {"code_challenge": challenge, "code_challenge_method": "S256"}
    page = client.get(authorization(tiktok, **asked))
    assert page.status_code == (200 if good or step == "token" else 400)
    if page.status_code == 200:
        reply = redeem(client, tiktok, code=code(tiktok, **asked), code_verifier=VERIFIER).json()
        assert ("access_token" in reply) is good
        assert good or "code_challenge is" in reply["hint"]


def test_a_verifier_is_compared_unless_challenges_are_ignored(tiktok: RunningSimulator, client: httpx.Client) -> None:
    asked = {"code_challenge": BASE64URL, "code_challenge_method": "S256"}
    reply = redeem(client, tiktok, code=code(tiktok, **asked), code_verifier="x" * 43).json()
    assert reply["error_description"] == "Code verifier or code challenge is invalid."
    assert redeem(client, tiktok, code=code(tiktok, **asked)).json()["hint"] == "code_verifier is missing."
    tiktok.troubles.update({"challenge_form": "ignored"})
    assert "access_token" in redeem(client, tiktok, code=code(tiktok, **asked)).json()


def test_a_missing_state_is_told_and_refused_by_a_switch(tiktok: RunningSimulator, client: httpx.Client) -> None:
    assert client.get(authorization(tiktok, state=None)).status_code == 200
    assert "state is missing" in notes(tiktok)
    tiktok.troubles.require_state = True
    assert client.get(authorization(tiktok, state=None)).status_code == 400


def test_several_apps_have_each_their_own(client: httpx.Client) -> None:
    other = App("other-key", "other-secret", redirect_uris=(REDIRECT_URI + "/other",), scopes=("user.info.basic",))
    with run_in_thread(SimulatorSettings(more_apps=(other,))) as tiktok:
        asked: dict[str, Any] = {"client_key": "other-key", "redirect_uri": REDIRECT_URI + "/other"}
        assert client.get(authorization(tiktok, **asked)).status_code == 400  # video.list is none of its scopes
        asked["scope"] = "user.info.basic"
        credentials = {"client_key": "other-key", "client_secret": "other-secret"}
        stolen = redeem(client, tiktok, code=code(tiktok, **asked), redirect_uri=REDIRECT_URI + "/other").json()
        assert stolen["error"] == "invalid_grant"
        theirs = redeem(
            client, tiktok, code=code(tiktok, **asked), redirect_uri=REDIRECT_URI + "/other", **credentials
        ).json()
        ours = tokens(client, tiktok)
        assert theirs["open_id"] == ours["open_id"]
        client.post(tiktok.revoke_url, data={**credentials, "token": theirs["access_token"]})
        refreshed = {"grant_type": "refresh_token", "redirect_uri": None}
        assert "access_token" in redeem(client, tiktok, refresh_token=ours["refresh_token"], **refreshed).json()
        mine = {**refreshed, **credentials, "refresh_token": theirs["refresh_token"]}
        assert redeem(client, tiktok, **mine).json()["error"] == "invalid_grant"


def test_an_app_has_a_token_of_its_own(tiktok: RunningSimulator, client: httpx.Client) -> None:
    reply = redeem(client, tiktok, grant_type="client_credentials", redirect_uri=None).json()
    assert reply["access_token"].startswith("clt.")
    assert set(reply) == {"access_token", "expires_in", "token_type"}


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"client_secret": "x"}, "not the one of that app"),
        ({"client_secret": None}, "missing: it belongs into the form"),
        ({"client_key": "x"}, "client_key came as 'x'"),
        ({"client_key": None, "client_id": "x"}, "TikTok calls it client_key"),
        ({"redirect_uri": REDIRECT_URI + "/"}, "the code was requested with 'http://127.0.0.1:1/callback'"),
        ({"grant_type": "password"}, "It came as 'password'; there are authorization_code"),
        ({"code": "nonsense"}, "There was no such code"),
        ({"code": None}, "code is missing"),
    ],
)
def test_a_refusal_says_what_would_be_right(
    tiktok: RunningSimulator, client: httpx.Client, changes: dict[str, str | None], hint: str
) -> None:
    answer = redeem(client, tiktok, **{"code": code(tiktok), **changes}).json()
    assert hint in answer["hint"]
    assert hint in notes(tiktok)
    tiktok.troubles.hints = False
    assert "hint" not in redeem(client, tiktok, **{"code": code(tiktok), **changes}).json()


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v2/oauth/token", "The path ends with a slash: /v2/oauth/token/"),
        ("/v1/oauth/access_token/", "Version 1 of the API is gone"),
        ("/v2/user/info/", "POST is not what this path takes."),
        ("/v2/users", "/v2/user/info/"),
    ],
)
def test_an_unknown_path_says_what_would_be_right(
    tiktok: RunningSimulator, client: httpx.Client, path: str, hint: str
) -> None:
    answer = client.post(tiktok.url + path)
    assert (answer.status_code, answer.text) == (404, "Unsupported path(Janus)")
    assert hint in notes(tiktok)


def test_of_a_code_it_is_told_why_it_is_none(tiktok: RunningSimulator, client: httpx.Client) -> None:
    the_code = code(tiktok)
    redeem(client, tiktok, code=the_code)
    assert "redeemed before" in redeem(client, tiktok, code=the_code).json()["hint"]
    tiktok.troubles.code_lifetime = 0
    assert "the switch code_lifetime" in redeem(client, tiktok, code=code(tiktok)).json()["hint"]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"person": "nobody", "allow": "1"}, "There is no person 'nobody'; there are plain, "),
        ({"person": "plain"}, "either `allow` or `deny`"),
        ({"allow": "1", "deny": "1"}, "either `allow` or `deny`"),
    ],
)
def test_a_slip_of_a_test_is_no_refusal_of_a_persons(
    tiktok: RunningSimulator, client: httpx.Client, form: dict[str, str], told: str
) -> None:
    answer = client.post(authorization(tiktok), data=form)
    assert answer.status_code == 400
    assert told in notes(tiktok)


def test_a_secret_at_the_wrong_place_is_told(tiktok: RunningSimulator, client: httpx.Client) -> None:
    client.post(tiktok.token_url, data={"grant_type": "authorization_code"}, auth=("key", "secret"))
    assert "Authorization: Basic` came" in notes(tiktok)


@pytest.mark.parametrize("switch", ["html", "plain_text", "empty_body"])
def test_a_bad_day_says_which_switch_it_is(tiktok: RunningSimulator, client: httpx.Client, switch: str) -> None:
    tiktok.troubles.update({switch: True})
    redeem(client, tiktok, code="x")
    assert f"The switch is {switch}." in notes(tiktok)
