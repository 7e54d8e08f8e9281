"""The one way of every request, by itself: own page, passage or answer; and an answer for whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from gateway.core.fields import Fields
from gateway.core.keyring import new_secret_key
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.errors import GatewayError, MalformedRequest, StoreUnavailable
from gateway.flows.gate import Passage, Refusal, Unknown
from gateway.runtime.build import build
from gateway.runtime.generation import Generation
from gateway.settings import load
from gateway.web.answers.answer import Answer
from gateway.web.exchange import Exchange
from gateway.web.pipeline import OwnPage, Pipeline
from tests.harness import NAVIGATION, SAME_ORIGIN

pytestmark = pytest.mark.anyio

HOST = "app.example"
ORIGIN = f"https://{HOST}"
FRIEND = "https://friend.example"
ROUTES = """[
  {path: /public/**, access: public, preflight: answer},
  {path: /friends/**, access: public, allowed_origins: ["https://friend.example"]},
  {path: /no/**, access: deny, preflight: answer},
  {path: /form/**, keep_post: true},
  {path: /**}
]"""
FORM = NAVIGATION | {"sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"}


def build_generation(**changes: str) -> Generation:
    """Return a gateway on the embedded store; nothing of it opens a socket."""
    environ = {
        "PUBLIC_URL": ORIGIN,
        "UPSTREAM": "http://127.0.0.1:3000",
        "REDIS": "memory://",
        "SECRET_KEYS": json.dumps([new_secret_key()]),
        "TIKTOK__CLIENT_KEY": "k",
        "TIKTOK__CLIENT_SECRET": "s",
        "ADMIN__LISTEN": "off",
        "ROUTES": ROUTES,
        "CORS__ALLOWED_ORIGINS": json.dumps([FRIEND]),
    } | changes
    return build(load(None, {f"GATEWAY__{name}": value for name, value in environ.items()}))


@pytest.fixture
async def generation() -> AsyncGenerator[Generation]:
    generation = build_generation()
    yield generation
    await generation.close()


@pytest.fixture
def pipeline(generation: Generation) -> Pipeline:
    return generation.pages.pipeline


def ask(target: str, said: dict[str, str] | None = None, **more: Any) -> RequestHead:
    """Return a request head with these fields; `more` are parts of it."""
    fields: Fields = [(b"host", HOST.encode())]
    fields += [(name.encode(), value.encode()) for name, value in (said or {}).items()]
    path, _, query = target.encode().partition(b"?")
    parts: dict[str, Any] = {
        "method": "GET",
        "scheme": "https",
        "host": HOST,
        "path": canonicalise(path, encoded_slashes=True),
        "query": query,
        "raw_target": target.encode(),
        "headers": tuple(fields),
        "client_address": "192.0.2.7",
    }
    return RequestHead(**parts | more)


async def answer_of(pipeline: Pipeline, head: RequestHead, exchange: Exchange | None = None, **more: Any) -> Answer:
    found = await pipeline.judge(head, exchange or Exchange(), **more)
    assert isinstance(found, Answer), found
    return found


# Whose request it is


@pytest.mark.parametrize("target", ["/oauth2", "/oauth2/", "/oauth2/auth", "/oauth2/none?x", "/x/../oauth2/start"])
async def test_what_is_below_the_prefix_is_ours_whatever_a_route_says(pipeline: Pipeline, target: str) -> None:
    exchange = Exchange()
    assert isinstance(await pipeline.judge(ask(target), exchange), OwnPage)
    assert (exchange.decision, exchange.client_address) == ("own", "192.0.2.7")
    assert pipeline.match("GET", HOST, ask(target).path) is None  # so nobody keeps a route for it


@pytest.mark.parametrize("target", ["/oauth", "/oauth22", "/x/oauth2", "/OAUTH2/start"])
async def test_nothing_else_is(pipeline: Pipeline, target: str) -> None:
    assert not isinstance(await pipeline.judge(ask(target), Exchange()), OwnPage)


async def test_no_page_of_ours_has_an_encoded_slash(pipeline: Pipeline) -> None:
    with pytest.raises(MalformedRequest, match="own"):
        await pipeline.judge(ask("/oauth2/a%2Fb"), Exchange())


async def test_the_id_that_a_trusted_front_gives_is_kept(pipeline: Pipeline) -> None:
    exchange = Exchange()
    own = exchange.request_id
    await pipeline.judge(ask("/public/x"), exchange)
    assert exchange.request_id == own
    head = ask("/public/x")
    front = type(head.front)(request_id="of-the-front")
    await pipeline.judge(ask("/public/x", front=front), exchange)
    assert exchange.request_id == "of-the-front"


async def test_a_passage_is_noted_and_so_is_a_refusal(pipeline: Pipeline) -> None:
    exchange = Exchange()
    assert isinstance(await pipeline.judge(ask("/public/x"), exchange), Passage)
    assert (exchange.decision, exchange.route) == ("allow", 0)
    assert (await answer_of(pipeline, ask("/x", SAME_ORIGIN), exchange)).status == 401
    assert (exchange.decision, exchange.route) == ("challenge", 4)
    assert (await answer_of(pipeline, ask("/no/x"), exchange)).status == 403
    assert (exchange.decision, exchange.route) == ("deny", 2)


# WebSockets


@pytest.mark.parametrize(
    ("target", "said", "passes"),
    [
        ("/public/x", {}, True),  # a program
        ("/public/x", {"origin": ORIGIN}, True),
        ("/public/x", {"origin": "https://evil.example"}, False),
        ("/public/x", {"origin": "null"}, False),
        ("/public/x", {"origin": FRIEND}, False),  # CORS is another matter
        ("/friends/x", {"origin": FRIEND}, True),
        ("/friends/x", {"origin": "https://friend.example.evil.example"}, False),
        ("/public/x", {"sec-fetch-site": "cross-site"}, False),
    ],
)
async def test_no_other_sites_page_opens_a_websocket(
    pipeline: Pipeline, target: str, said: dict[str, str], passes: bool
) -> None:
    verdict = await pipeline.decide(ask(target, said, websocket=True))
    assert isinstance(verdict, Passage) is passes
    assert isinstance(await pipeline.decide(ask(target, said)), Passage)  # any page may link here
    if isinstance(verdict, Refusal):
        assert (await pipeline.answer_refusal(verdict, ask(target, said, websocket=True), "id")).status == 403


# Refusals


async def test_a_form_is_kept_only_where_the_body_can_be_read_and_the_route_says_so(pipeline: Pipeline) -> None:
    asked: list[int] = []

    async def read_body(limit: int) -> bytes | None:
        asked.append(limit)
        return b"text=hello"

    kept = await answer_of(pipeline, ask("/form/x", FORM, method="POST"), read_body=read_body)
    assert (kept.status, len(asked)) == (401, 1)
    assert b"kept_post" in kept.body
    for head, reader in ((ask("/x", FORM, method="POST"), read_body), (ask("/form/x", FORM, method="POST"), None)):
        plain = await answer_of(pipeline, head, read_body=reader)
        assert (plain.status, len(asked)) == (401, 1)
        assert b"kept_post" not in plain.body


def preflight(target: str, origin: str = FRIEND) -> RequestHead:
    said = {"origin": origin, "access-control-request-method": "PUT"}
    return ask(target, said, method="OPTIONS")


async def test_a_preflight_is_answered_where_nothing_is_denied_to_everybody(pipeline: Pipeline) -> None:
    assert (await answer_of(pipeline, preflight("/oauth2/refresh"))).status == 204
    assert isinstance(await pipeline.judge(preflight("/oauth2/refresh", "https://evil.example"), Exchange()), OwnPage)
    assert (await answer_of(pipeline, preflight("/no/x"))).status == 403
    assert (await answer_of(pipeline, preflight("/x"))).status == 401


async def test_an_answer_for_programs_may_be_read_by_allowed_origins_and_no_other(pipeline: Pipeline) -> None:
    for origin, readable in ((FRIEND, True), ("https://evil.example", False)):
        said = {"origin": origin, "sec-fetch-mode": "cors", "sec-fetch-site": "cross-site", "sec-fetch-dest": "empty"}
        named = dict((await answer_of(pipeline, ask("/x", said))).headers)
        assert (b"access-control-allow-origin" in named) is readable
        assert named[b"vary"] == b"origin"


# At once, and again


async def test_what_is_decided_at_once_is_what_judging_decides(pipeline: Pipeline) -> None:
    public, private, denied = (pipeline.match("GET", HOST, ask(each).path) for each in ("/public/x", "/x", "/no/x"))
    found = pipeline.admit_at_once(public, None)
    assert found == await pipeline.judge(ask("/public/x"), Exchange())
    assert isinstance(found, Passage)
    assert pipeline.seconds_left(found) == float("inf")
    assert isinstance(pipeline.admit_at_once(private, "session:x"), Unknown)
    assert pipeline.admit_at_once(private, None) is None
    assert pipeline.admit_at_once(denied, "session:x") is None
    assert pipeline.match("GET", HOST, ask("/x%2Fy").path) is None  # which `judge` refuses, with a reason


# What goes wrong


async def test_an_error_is_answered_with_fixed_words_and_noted(pipeline: Pipeline) -> None:
    exchange = Exchange()
    answer = pipeline.answer_error(StoreUnavailable("redis-7.internal is away"), ask("/x", SAME_ORIGIN), exchange)
    assert (answer.status, isinstance(exchange.error, StoreUnavailable)) == (503, True)
    assert dict(answer.headers)[b"retry-after"]
    assert b"redis-7" not in answer.body
    assert json.loads(answer.body)["request_id"] == exchange.request_id


async def test_a_bug_is_told_in_the_log_and_to_nobody_else(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("gateway.web.pipeline.log.error", lambda event, **more: told.append((event, more["exc_info"])))
    exchange, bug = Exchange(), RuntimeError("the token is act.secret")
    answer = pipeline.answer_error(bug, ask("/x", NAVIGATION), exchange)
    assert (answer.status, told) == (500, [("bug", bug)])
    assert type(exchange.error) is GatewayError
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    ("fields", "kind"),
    [((), b"application/problem+json"), (tuple((k.encode(), v.encode()) for k, v in NAVIGATION.items()), b"text/html")],
)
async def test_of_what_cannot_be_read_the_fields_tell_who_sees_the_answer(
    pipeline: Pipeline, fields: Sequence[tuple[bytes, bytes]], kind: bytes
) -> None:
    answer = pipeline.answer_error(MalformedRequest("two hosts"), None, Exchange(), fields)
    assert answer.status == 400
    assert dict(answer.headers)[b"content-type"].startswith(kind)
    assert dict(answer.headers)[b"cache-control"] == b"no-store"
