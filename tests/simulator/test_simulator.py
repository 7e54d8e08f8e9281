"""The simulator is as faithful as TikTok's pages, and as awkward as the real one has been seen to be."""

from __future__ import annotations

import httpx
import pytest

from gateway.simulator import RunningSimulator, SimulatorSettings, consent, run_in_thread, send_webhook, sign
from tests.simulator.asking import (
    HEX,
    REDIRECT_URI,
    VERIFIER,
    authorization,
    code,
    query_of,
    redeem,
    tokens,
    user_info,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_key": "wrong"},
        {"client_key": None, "client_id": "x"},
        {"client_secret": "x"},
        {"scope": "user.info.basic video.list"},
        {"scope": "nonsense"},
        {"scope": None},
        {"redirect_uri": "http://app.example/callback"},
        {"redirect_uri": "https://app.example/callback?x=1"},
        {"redirect_uri": "https://app.example/callback#x"},
        {"redirect_uri": "https://app.example/" + "a" * 512},
        {"redirect_uri": "http://127.0.0.1:99999/cb"},
        {"redirect_uri": "http://[::1/cb"},
        {"redirect_uri": "https:///cb"},
        {"response_type": "token"},
        {"code_challenge": HEX, "code_challenge_method": "plain"},
    ],
)
def test_what_the_app_got_wrong_is_told_on_a_page(
    tiktok: RunningSimulator, client: httpx.Client, changes: dict[str, str | None]
) -> None:
    answer = client.get(authorization(tiktok, **changes))
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_a_missing_challenge_is_refused_when_asked_for(tiktok: RunningSimulator, client: httpx.Client) -> None:
    tiktok.troubles.require_challenge = True
    assert client.get(authorization(tiktok)).status_code == 400
    good = authorization(tiktok, code_challenge=HEX, code_challenge_method="S256")
    assert client.get(good).status_code == 200


def test_registered_addresses_are_compared_to_the_letter(client: httpx.Client) -> None:
    with run_in_thread(SimulatorSettings(redirect_uris=(REDIRECT_URI,))) as tiktok:
        assert client.get(authorization(tiktok)).status_code == 200
        assert client.get(authorization(tiktok, redirect_uri=REDIRECT_URI + "/")).status_code == 400


def test_consent_leads_back_with_code_scopes_and_state(tiktok: RunningSimulator) -> None:
    location = consent(authorization(tiktok), untick=("video.list",))
    query = query_of(location)
    assert location.startswith(REDIRECT_URI + "?")
    assert (query["state"], query["scopes"]) == ("the-state", "user.info.basic")
    assert "*" in query["code"]
    assert "!" in query["code"]


def test_a_refusal_with_and_without_state(tiktok: RunningSimulator) -> None:
    assert query_of(consent(authorization(tiktok), allow=False))["error"] == "access_denied"
    tiktok.troubles.update({"error_without_state": True, "error_type": "non_sandbox_target"})
    query = query_of(consent(authorization(tiktok), allow=False))
    assert "state" not in query
    assert query["error_type"] == "non_sandbox_target"


def test_a_connected_person_is_reconnected_silently_unless_asked(
    tiktok: RunningSimulator, client: httpx.Client
) -> None:
    tiktok.troubles.auto_auth = True
    client.post(authorization(tiktok), data={"person": "dash", "allow": "1"})
    assert client.get(authorization(tiktok)).status_code == 302
    assert client.get(authorization(tiktok, disable_auto_auth="1")).status_code == 200


def test_a_code_is_redeemed_once(tiktok: RunningSimulator, client: httpx.Client) -> None:
    the_code = code(tiktok)
    reply = redeem(client, tiktok, code=the_code).json()
    assert reply["access_token"].startswith("act.")
    assert reply["refresh_token"].startswith("rft.")
    assert reply["expires_in"] == 7200
    assert reply["refresh_expires_in"] in {15551999, 15552000}
    assert set(reply["scope"].split(",")) == {"user.info.basic", "video.list"}
    assert "union_id" not in reply
    again = redeem(client, tiktok, code=the_code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert again.json()["log_id"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_key": None, "client_id": "x"}, "invalid_request"),
        ({"redirect_uri": REDIRECT_URI + "/"}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"code": "nonsense"}, "invalid_grant"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_token_errors_are_flat_and_come_with_either_status(
    tiktok: RunningSimulator, client: httpx.Client, changes: dict[str, str | None], error: str, status: int
) -> None:
    tiktok.troubles.error_status = status
    answer = redeem(client, tiktok, **{"code": code(tiktok), **changes})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_codes_end(tiktok: RunningSimulator, client: httpx.Client) -> None:
    tiktok.troubles.code_lifetime = 0
    assert redeem(client, tiktok, code=code(tiktok)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(("verifier", "good"), [(VERIFIER, True), ("x" * 43, False), (None, False)])
def test_the_hex_challenge(tiktok: RunningSimulator, client: httpx.Client, verifier: str | None, good: bool) -> None:
    challenge = {"code_challenge": HEX, "code_challenge_method": "S256"}
    reply = redeem(client, tiktok, code=code(tiktok, **challenge), code_verifier=verifier).json()
    assert ("access_token" in reply) is good


def test_a_json_body_is_an_error_inside_200(tiktok: RunningSimulator, client: httpx.Client) -> None:
    answer = client.post(tiktok.token_url, json={"grant_type": "refresh_token"})
    assert (answer.status_code, answer.json()["error"]) == (200, "invalid_request")


def test_paths_without_slash_and_wrong_methods_are_unknown(tiktok: RunningSimulator, client: httpx.Client) -> None:
    for url in (tiktok.token_url, tiktok.revoke_url, tiktok.user_info_url):
        answer = client.post(url.rstrip("/"))
        assert (answer.status_code, answer.text) == (404, "Unsupported path(Janus)")
    assert client.get(tiktok.token_url).status_code == 404
    assert client.post(tiktok.user_info_url).status_code == 404


@pytest.mark.parametrize("rotate", ["always", "never"])
def test_refresh_rotates_or_not(tiktok: RunningSimulator, client: httpx.Client, rotate: str) -> None:
    first = tokens(client, tiktok)
    tiktok.troubles.update({"rotate": rotate})
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "redirect_uri": None}
    second = redeem(client, tiktok, **form).json()
    assert second["access_token"] != first["access_token"]
    assert (second["refresh_token"] != first["refresh_token"]) is (rotate == "always")
    again = redeem(client, tiktok, **form).json()
    assert (again.get("error") == "invalid_grant") is (rotate == "always")


def test_a_lost_answer_has_rotated_all_the_same(tiktok: RunningSimulator, client: httpx.Client) -> None:
    first = tokens(client, tiktok)
    tiktok.troubles.lose_token_answers = 1
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "redirect_uri": None}
    assert redeem(client, tiktok, **form).status_code == 502
    assert redeem(client, tiktok, **form).json()["error"] == "invalid_grant"


def test_user_info_by_scope(tiktok: RunningSimulator, client: httpx.Client) -> None:
    token = tokens(client, tiktok, person="dash")["access_token"]
    found = user_info(client, tiktok, token, "open_id,union_id,display_name,avatar_url")
    assert found["error"]["code"] == "ok"
    assert found["data"]["user"]["open_id"].startswith("-000")
    assert user_info(client, tiktok, token, "open_id,username")["error"]["code"] == "scope_not_authorized"
    assert user_info(client, tiktok, token, "")["error"]["code"] == "invalid_params"
    assert user_info(client, tiktok, token, "email")["status"] == 400
    assert user_info(client, tiktok, "act.wrong", "open_id")["error"]["code"] == "access_token_invalid"
    tiktok.troubles.omit_union_id = True
    assert "union_id" not in user_info(client, tiktok, token, "open_id,union_id")["data"]["user"]


@pytest.mark.parametrize(
    ("code", "status"), [("access_token_invalid", 401), ("scope_not_authorized", 401), ("rate_limit_exceeded", 429)]
)
def test_user_info_errors_by_switch(tiktok: RunningSimulator, client: httpx.Client, code: str, status: int) -> None:
    token = tokens(client, tiktok)["access_token"]
    tiktok.troubles.user_info_error = code
    found = user_info(client, tiktok, token, "open_id")
    assert (found["status"], found["error"]["code"], found["data"]) == (status, code, {})


@pytest.mark.parametrize("empty", [True, False])
def test_revoking_ends_every_token(tiktok: RunningSimulator, client: httpx.Client, empty: bool) -> None:
    tiktok.troubles.empty_revoke_body = empty
    reply = tokens(client, tiktok)
    form = {"grant_type": None, "redirect_uri": None, "token": reply["access_token"]}
    credentials = {"client_key": tiktok.settings.client_key, "client_secret": tiktok.settings.client_secret}
    answer = client.post(tiktok.revoke_url, data={**credentials, "token": str(form["token"])})
    assert answer.text == ("" if empty else "{}")
    assert user_info(client, tiktok, reply["access_token"], "open_id")["error"]["code"] == "access_token_invalid"
    refresh = {"grant_type": "refresh_token", "refresh_token": reply["refresh_token"], "redirect_uri": None}
    assert redeem(client, tiktok, **refresh).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("trouble", "status", "text"),
    [("html", 502, "<html>"), ("plain_text", 200, "upstream connect error"), ("empty_body", 200, "")],
)
def test_bad_days(tiktok: RunningSimulator, client: httpx.Client, trouble: str, status: int, text: str) -> None:
    tiktok.troubles.update({trouble: True})
    answer = redeem(client, tiktok, code="x")
    assert (answer.status_code, answer.text[: len(text)]) == (status, text)


def test_switches_over_http(tiktok: RunningSimulator, client: httpx.Client) -> None:
    url = tiktok.url + "/simulator/troubles"
    assert client.patch(url, json={"token_delay": 1, "rotate": "never"}).json()["token_delay"] == 1.0
    assert tiktok.troubles.rotate == "never"
    for wrong in ({"nonsense": 1}, {"rotate": "sometimes"}, {"html": "yes"}, {"token_delay": True}):
        answer = client.patch(url, json=wrong)
        assert answer.status_code == 400
        assert next(iter(wrong)) in answer.json()["problem"]
    client.post(tiktok.url + "/simulator/reset")
    assert client.get(url).json()["rotate"] == "always"
    assert client.get(tiktok.url + "/simulator/calls").json() == {}
    assert set(client.get(tiktok.url + "/simulator/people").json()) >= {"plain", "emoji", "no_union_id", "dash", "crlf"}


def test_the_signature_is_the_vector_of_tiktoks_page() -> None:
    body = (
        b'{"client_key":"test_client_key","event":"authorization.removed","create_time":1615338610,'
        b'"user_openid":"-000test0test0test0test0test0test0tes","content":"{\\"reason\\": 1 }"}'
    )
    assert len(body) == 172
    signature = "93c3027c87676ae87a1a8be989c3f284eba2c394ea38123427318495ed27408a"
    assert sign("test_client_secret", body, 1633174587) == f"t=1633174587,s={signature}"


def test_webhooks_are_sent_signed(tiktok: RunningSimulator) -> None:
    answer = send_webhook(
        tiktok.url + "/nowhere", "authorization.removed", "-x", client_key="k", secret="s", timestamp=1
    )
    assert answer.request.headers["tiktok-signature"] == sign("s", answer.request.content, 1)
    assert b'"user_openid": "-x"' in answer.request.content
    assert b'"content": "{\\"reason\\": 1}"' in answer.request.content
