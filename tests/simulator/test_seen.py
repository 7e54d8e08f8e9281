"""The list of requests shows what an app sent, and no secret."""

from __future__ import annotations

import httpx

from gateway.simulator import RunningSimulator
from gateway.simulator.seen import LONGEST, MOST
from tests.simulator.asking import authorization, code, redeem, tokens, user_info


def test_it_shows_what_came_and_what_was_answered(tiktok: RunningSimulator, client: httpx.Client) -> None:
    redeem(client, tiktok, code=code(tiktok), client_secret="wrong-secret-of-somebody")
    redeemed, consented = client.get(tiktok.url + "/simulator/requests").json()
    assert (consented["method"], consented["path"], consented["status"]) == ("POST", "/v2/auth/authorize/", 302)
    assert consented["given"]["state"] == "the-state"
    assert (redeemed["status"], redeemed["said"]) == (400, "invalid_client")
    assert redeemed["given"]["client_secret"] == "wrong-se...(24 characters)"
    assert redeemed["notes"] == ["client_secret is not the one of that app."]


def test_no_secret_is_shown(tiktok: RunningSimulator, client: httpx.Client) -> None:
    the_code = code(tiktok)
    reply = redeem(client, tiktok, code=the_code).json()
    user_info(client, tiktok, reply["access_token"], "open_id")
    refresh = {"grant_type": "refresh_token", "refresh_token": reply["refresh_token"]}
    redeem(client, tiktok, **refresh)
    shown = client.get(tiktok.url + "/simulator/requests").text
    console = "\n".join(seen.describe() for seen in tiktok.simulator.requests)
    for secret in (the_code, reply["access_token"], reply["refresh_token"], tiktok.settings.client_secret):
        assert secret not in shown
        assert secret not in console
    assert f"(Authorization)=Bearer {reply['access_token'][:8]}..." in console


def test_a_short_secret_is_not_shown_whole(tiktok: RunningSimulator, client: httpx.Client) -> None:
    client.post(tiktok.token_url, data={"client_secret": "abc", "code": "xy"})
    (seen,) = tiktok.simulator.requests
    assert seen.given["client_secret"] == "a...(3 characters)"
    assert seen.given["code"] == "...(2 characters)"


def test_it_is_bounded_and_harmless(tiktok: RunningSimulator, client: httpx.Client) -> None:
    for _ in range(MOST + 3):
        client.post(tiktok.token_url, data={"client_key": "x" * 5000, "<b>\r\n": "\x1b[31m"})
    kept = list(tiktok.simulator.requests)
    assert len(kept) == MOST
    assert len(kept[0].given["client_key"]) < LONGEST + 10
    assert kept[0].given["<b>\\x0d\\x0a"] == "\\x1b[31m"
    page = client.get(tiktok.url + "/simulator/requests", headers={"accept": "text/html"}).text
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_the_console_is_told_each(tiktok: RunningSimulator, client: httpx.Client) -> None:
    told: list[str] = []
    tiktok.simulator.requests.tell = lambda seen: told.append(seen.describe())
    client.get(authorization(tiktok, state=None))
    tokens(client, tiktok)
    tiktok.simulator.requests.tell = None
    assert told[0].startswith("GET /v2/auth/authorize/ client_key=simulated-client-key ")
    assert "\n    state is missing" in told[0]
    assert told[-1].endswith("-> 200")
