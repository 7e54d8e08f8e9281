"""The operator's pages: who gets in, what they see, and what they end."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from gateway.flows.webhook_log import mark_person
from gateway.simulator import RunningSimulator
from gateway.simulator.webhook import send_webhook
from gateway.web.admin.notice import NOTICES
from tests.harness import Browser
from tests.operator import KEY, Operator, Overseen, serve_overseen


@pytest.fixture(scope="module")
def overseen(simulator: RunningSimulator, upstream: str) -> Generator[Overseen]:
    with serve_overseen(simulator, upstream, tiktok__webhook__enabled="true") as overseen:
        yield overseen


@pytest.fixture
def operator(overseen: Overseen) -> Generator[Operator]:
    with Operator(overseen.admin) as operator:
        assert operator.sign_in().status_code == 303
        yield operator


@pytest.fixture
def browser(overseen: Overseen) -> Generator[Browser]:
    with Browser(overseen.url) as browser:
        yield browser


def open_id(overseen: Overseen, person: str) -> str:
    return overseen.simulator.people[person].open_id


def is_signed_in(browser: Browser) -> bool:
    return browser.fetch("/private/x").status_code == 200


def test_who_has_no_key_sees_a_form_and_nothing_else(overseen: Overseen) -> None:
    with Operator(overseen.admin) as stranger:
        for path in ("", "/sessions", "/grants", "/person?open_id=x"):
            answer = stranger.open(path)
            assert (answer.status_code, answer.text) == (303, "")
            assert answer.headers["location"].startswith("/admin/sign_in?to=/admin")
        form = stranger.open("/sign_in?to=/admin/grants")
        assert form.status_code == 200
        assert 'name="to" value="/admin/grants"' in form.text
        refused = stranger.sign_in(KEY + "x")
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers
        assert "none of the keys" in refused.text
    assert httpx.get(overseen.admin + "/", trust_env=False).headers["location"] == "/admin"


def test_a_key_opens_the_pages_and_signing_out_shuts_them(overseen: Overseen) -> None:
    with Operator(overseen.admin) as operator:
        answer = operator.sign_in()
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
        assert operator.open().status_code == 200
        copy = operator.cookie
        left = operator.act("/sign_out")
        assert (left.status_code, left.headers["location"]) == (303, "/admin/sign_in")
        assert "gateway-operator" not in operator.client.cookies
        assert operator.open().status_code == 303
        # who has kept a copy has nothing
        operator.client.cookies.set("gateway-operator", copy)
        assert operator.open().status_code == 303


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/admin/../x", "/admin/sign_out", "x", ""])
def test_a_sign_in_leads_to_a_page_of_these(overseen: Overseen, to: str) -> None:
    with Operator(overseen.admin) as operator:
        assert operator.send("/sign_in", key=KEY, to=to).headers["location"] == "/admin"
        assert operator.send("/sign_in", key=KEY, to="/admin/grants").headers["location"] == "/admin/grants"


def test_a_session_is_seen_and_ended(overseen: Overseen, operator: Operator, browser: Browser) -> None:
    browser.client.headers["user-agent"] = "Mozilla/5.0 (iPhone) Version/18.0 Safari/604.1"
    browser.sign_in(person="dash")
    subject = open_id(overseen, "dash")
    text = operator.open("/sessions").text
    assert "@dash" in text
    assert "Safari on iPhone" in text
    assert browser.client.cookies["gateway"] not in text
    person = operator.open(f"/person?open_id={subject}").text
    session_id = person.partition('name="session_id" value="')[2].partition('"')[0]
    answer = operator.act("/end_session", open_id=subject, session_id=session_id)
    assert answer.headers["location"].startswith(f"/admin/person?open_id={subject}&did=session.")
    assert "The session has ended." in operator.open(answer.headers["location"].removeprefix("/admin")).text
    assert not is_signed_in(browser)
    again = operator.act("/end_session", open_id=subject, session_id=session_id, back="sessions")
    assert again.headers["location"].startswith("/admin/sessions?did=gone.")
    assert "It had ended already." in operator.open(again.headers["location"].removeprefix("/admin")).text


@pytest.mark.parametrize(("act", "did"), [("end_sessions", "sessions"), ("end_grant", "grant"), ("erase", "erased")])
def test_what_cannot_be_undone_asks_first(
    overseen: Overseen, operator: Operator, browser: Browser, act: str, did: str
) -> None:
    browser.sign_in(person="dash")
    subject = open_id(overseen, "dash")
    asked = operator.act(f"/{act}", open_id=subject)
    assert asked.status_code == 200
    assert 'name="sure" value="1"' in asked.text
    assert "`" not in asked.text
    assert ("<code>tokens.keep_grants</code>" in asked.text) == (act == "end_sessions")
    assert "<bdi>Dash O&#39;Hare</bdi> (<bdi>@dash</bdi>)" in asked.text
    assert is_signed_in(browser)
    done = operator.act(f"/{act}", open_id=subject, sure="1")
    assert done.headers["location"].startswith(f"/admin/person?open_id={subject}&did={did}.")
    assert NOTICES[did] in operator.open(done.headers["location"].removeprefix("/admin")).text
    assert not is_signed_in(browser)


def test_what_is_said_of_webhooks_goes_with_the_person(
    overseen: Overseen, operator: Operator, browser: Browser
) -> None:
    browser.sign_in(person="dash")
    subject, settings = open_id(overseen, "dash"), overseen.simulator.settings
    sent = send_webhook(
        overseen.url + "/oauth2/webhook",
        "video.publish.completed",
        subject,
        client_key=settings.client_key,
        secret=settings.client_secret,
    )
    assert sent.status_code == 200
    seen = operator.open("/activity").text
    assert "video.publish.completed" in seen
    assert mark_person(subject) in seen
    assert mark_person(subject) in operator.open(f"/person?open_id={subject}").text
    assert subject not in seen
    operator.act("/erase", open_id=subject, sure="1")
    assert "video.publish.completed" not in operator.open("/activity").text


def test_grants_are_found_by_username(overseen: Overseen, operator: Operator, browser: Browser) -> None:
    browser.sign_in(person="dash")
    with Browser(overseen.url) as other:
        other.sign_in(person="plain")
        everybody = operator.open("/grants").text
        assert "@dash" in everybody
        assert "@ada.plain" in everybody
        found = operator.open("/grants?who=@ADA.plain").text
        assert "sessions are on their page" in found
        assert "sessions are on their page" not in operator.open("/grants").text
        assert "@ada.plain" in found
        assert "@dash" not in found
        assert "No grant of anybody whose name begins so." in operator.open("/grants?who=nobody").text


def test_without_keys_the_page_says_how_to_set_one(simulator: RunningSimulator, upstream: str) -> None:
    with serve_overseen(simulator, upstream, admin__keys="[]") as overseen, Operator(overseen.admin) as operator:
        text = operator.open("/sign_in").text
        assert "gateway keys new" in text
        assert "<form" not in text
        for key in ("", KEY, "[]"):
            assert operator.sign_in(key).status_code == 403
        assert operator.open("/sessions").status_code == 303


def test_who_has_no_username_is_shown_and_found_by_their_name(simulator: RunningSimulator, upstream: str) -> None:
    """Without `user.info.profile` TikTok tells no username."""
    changes = {"tiktok__scopes": '["user.info.basic"]'}
    with serve_overseen(simulator, upstream, **changes) as overseen, Browser(overseen.url) as browser:
        browser.sign_in(person="plain")
        subject, name = open_id(overseen, "plain"), overseen.simulator.people["plain"].display_name
        with Operator(overseen.admin) as operator:
            operator.sign_in()
            link = f'<a href="/admin/person?open_id={subject}"><bdi>{name}</bdi></a>'
            assert link in operator.open("/sessions").text
            for who in (name.upper(), name[:3], subject):
                assert link in operator.open(f"/grants?who={who}").text
            assert link not in operator.open("/grants?who=nobody").text


def test_to_erase_nobody_is_told(operator: Operator) -> None:
    answer = operator.act("/erase", open_id="-000nobody", sure="1")
    assert "did=nobody." in answer.headers["location"]
    told = operator.open(answer.headers["location"].removeprefix("/admin")).text
    assert "There was neither session nor grant of this person." in told
