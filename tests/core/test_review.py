"""The list for TikTok's app review: what settings prove, what they contradict, and what is done by hand."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.review import App, Link, Mark, list_review
from gateway.runtime.doctor import review
from gateway.simulator import RunningSimulator
from tests.harness import read_settings

GOOD: dict[str, Any] = {
    "public_url": "https://app.example.com",
    "redirect_uri": "https://app.example.com/oauth2/callback",
    "webhook_url": "https://app.example.com/oauth2/webhook",
    "authorize_url": "https://www.tiktok.com/v2/auth/authorize/",
    "scopes": ("user.info.basic",),
    "uses": {"user.info.basic": "who is signed in"},
    "files": ("https://app.example.com/tiktokA.txt",),
    "qr_sign_in": False,
    "links": {"terms_url": Link("https://app.example.com/terms", is_public=True), "privacy_url": Link("")},
}


def marks(**changes: Any) -> dict[Mark, set[str]]:
    found: dict[Mark, set[str]] = {mark: set() for mark in Mark}
    for item in list_review(App(**(GOOD | changes))):
        assert item.text
        found[item.mark].add(item.name)
    return found


def test_what_settings_prove_holds_and_what_nobody_has_seen_is_by_hand() -> None:
    found = marks()
    assert found[Mark.HOLDS] == {"redirect URI", "scope", "site ownership", "terms"}
    assert found[Mark.MEND] == set()
    assert {"demo video", "privacy policy", "sandbox", "webhook", "redirect URI"} <= found[Mark.BY_HAND]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"redirect_uri": "http://app.example.com/oauth2/callback"}, "redirect URI"),
        ({"scopes": ("user.info.basic", "video.list")}, "scope"),
        ({"links": {"terms_url": Link("https://app.example.com/terms", is_public=False)}}, "terms"),
        ({"authorize_url": "http://127.0.0.1:9000/v2/auth/authorize/"}, "endpoints"),
    ],
)
def test_what_tiktok_would_refuse_is_to_be_mended(changes: dict[str, Any], name: str) -> None:
    assert marks(**changes)[Mark.MEND] == {name}


def test_without_a_file_the_ownership_is_by_hand() -> None:
    assert "site ownership" not in marks(files=())[Mark.HOLDS]
    assert "QR code" not in marks()[Mark.BY_HAND]
    assert "QR code" in marks(qr_sign_in=True)[Mark.BY_HAND]


def test_what_scopes_are_for_is_taken_from_the_routes(simulator: RunningSimulator) -> None:
    routes = (
        "[{path: /feed, scopes: [video.list], reason: To show your clips}, {path: /staff, allow: {usernames: [a]}},"
        " {path: /stars, creator: {follower_count: {min: 1}}}, {path: /up, scopes: [video.upload]}, {path: /**}]"
    )
    settings = read_settings(simulator, "https://app.example.com", routes=routes, tiktok__ownership_files="{a.txt: x}")
    said = {item.text.partition(" ")[0]: (item.mark, item.text) for item in review(settings) if item.name == "scope"}
    assert {scope: mark for scope, (mark, _) in said.items()} == dict.fromkeys(
        ["user.info.basic", "user.info.profile", "video.list", "user.info.stats", "video.upload"], Mark.HOLDS
    )
    assert said["video.list"][1].endswith(": To show your clips")
    assert said["user.info.stats"][1].endswith(": /stars needs it")
    job = '[{name: export, key: "' + "k" * 40 + '", scopes: [video.publish]}]'
    used = read_settings(
        simulator,
        "https://app.example.com",
        tiktok__scopes='["user.info.basic", "video.publish"]',
        tokens__clients=job,
    )
    assert not [item for item in review(used) if item.mark is Mark.MEND and item.name == "scope"]
    idle = read_settings(simulator, "https://app.example.com", tiktok__scopes='["user.info.basic", "video.publish"]')
    assert [item.name for item in review(idle) if item.mark is Mark.MEND and "video.publish" in item.text] == ["scope"]
    (file,) = [item.text for item in review(settings) if item.name == "site ownership" and item.mark is Mark.HOLDS]
    assert file.endswith("https://app.example.com/a.txt")


@pytest.mark.parametrize(
    ("link", "mark", "text"),
    [
        ("/open/terms", Mark.HOLDS, "https://app.example.com/open/terms needs no sign-in"),
        ("https://app.example.com/open/terms?x=1", Mark.HOLDS, "needs no sign-in"),
        ("/terms", Mark.MEND, "https://app.example.com/terms asks for a sign-in: give it a route with access: public"),
        ("/open/a%2Fterms", Mark.MEND, "asks for a sign-in"),
        ("https://www.example.com/terms", Mark.BY_HAND, "https://www.example.com/terms must open without a sign-in"),
        ("", Mark.BY_HAND, "set brand.terms_url"),
    ],
)
def test_terms_are_looked_up_where_the_brand_has_them(
    simulator: RunningSimulator, link: str, mark: Mark, text: str
) -> None:
    routes = "[{path: /open/**, access: public}, {path: /**}]"
    brand = {"brand__terms_url": link} if link else {}
    settings = read_settings(simulator, "https://app.example.com", routes=routes, **brand)
    (item,) = [item for item in review(settings) if item.name == "terms"]
    assert item.mark is mark
    assert text in item.text
