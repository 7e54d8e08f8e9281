"""What the gateway's own pages tell and do for somebody who has stolen a session cookie, and nothing else."""

from __future__ import annotations

import httpx
import pytest

from tests.device_binding.browser import DeviceBrowser
from tests.harness import NAVIGATION, SAME_ORIGIN

SESSION = "__Host-gateway"
TOLD = ("open_id", "username", "display_name", "session_id")


@pytest.mark.parametrize("said", [NAVIGATION | {"sec-fetch-site": "same-origin"}, SAME_ORIGIN], ids=["page", "script"])
@pytest.mark.parametrize(
    ("method", "page", "form"),
    [
        ("GET", "account", None),
        ("GET", "userinfo", None),
        ("POST", "refresh", None),
        ("POST", "disconnect", None),
        ("GET", "disconnect", None),
        ("GET", "kept_post?id=x", None),
        ("POST", "sign_out", {"everywhere": "1"}),
        ("POST", "sign_out", {"session": "@"}),
        ("GET", "sign_out", None),
        ("GET", "sign_in", None),
        ("GET", "start?scopes=video.list", None),
        ("GET", "auth", None),
        ("GET", "ext_authz/private/x", None),
        ("GET", "callback?state=x&code=y", None),
    ],
)
def test_nothing_is_told_of_them_and_nobody_is_signed_out(
    browser: DeviceBrowser, said: dict[str, str], method: str, page: str, form: dict[str, str] | None
) -> None:
    who = browser.fetch("/oauth2/userinfo").json()
    form = {"session": who["session_id"]} if form == {"session": "@"} else form
    headers = said | {"cookie": f"{SESSION}={browser.client.cookies[SESSION]}", "origin": browser.url}
    with httpx.Client(verify=False, trust_env=False) as thief:
        answer = thief.request(method, f"{browser.url}/oauth2/{page}", headers=headers, data=form)
    assert not [each for each in TOLD if who[each] in answer.text + str(answer.headers)]
    if method == "POST" or page in {"account", "userinfo", "auth"}:
        assert answer.status_code == 401
    assert browser.fetch("/private/x").status_code == 200


def test_a_renewal_under_way_brings_back_nobody_who_signs_out(browser: DeviceBrowser) -> None:
    bound, cookies = browser.bound, dict(browser.client.cookies)
    assert bound is not None
    whole = "; ".join(f"{name}={value}" for name, value in cookies.items())
    out = browser.navigate("/oauth2/sign_out", method="POST", headers={"origin": browser.url})
    assert out.status_code == 303
    with httpx.Client(verify=False, trust_env=False) as late:
        said = {"cookie": whole, "sec-secure-session-id": bound["session_identifier"]}
        ended = late.post(browser.url + bound["refresh_url"], headers=said)
        assert (ended.json(), "set-cookie" in ended.headers) == ({"continue": False}, False)
        assert late.get(browser.url + "/private/x", headers={"cookie": whole}).status_code == 401
