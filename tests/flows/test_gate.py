"""The gate by itself: what it decides, of whom it asks, and what of an answer may be used again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.assertion import AssertionKeys, Assertions
from gateway.core.decision import Challenge, ChallengeKind, Consent, Deny
from gateway.core.fields import Fields
from gateway.core.identity import IdentityHeaders
from gateway.core.path import canonicalise
from gateway.core.policy import Policy
from gateway.core.request import RequestHead
from gateway.core.requirement import Requirement
from gateway.core.route import Access, Route
from gateway.errors import DestinationElsewhere, SessionsDiffer, StoreUnavailable
from gateway.flows.authentication import Authentication
from gateway.flows.gate import Gate, Passage, Refusal, Unknown
from gateway.flows.memory import KnownCaller, Memory
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio

KEPT = timedelta(minutes=10)
ROUTES = (
    Route(path="/public/**", access=Access.PUBLIC),
    Route(path="/maybe/**", access=Access.OPTIONAL),
    Route(path="/no/**", access=Access.DENY, preflight="pass"),
    Route(path="/pass/**", preflight="pass"),
    Route(path="/videos/**", requirement=Requirement(scopes=frozenset({"video.list"})), reason="to list them"),
    Route(path="/office/**", upstream="office"),
    Route(path="/app/**"),
)


def ask(path: str, *session_ids: str, method: str = "GET", mount: str = "", **fields: str) -> RequestHead:
    """Return a request head; each session id comes in a cookie of its own."""
    lines: Fields = [(b"host", b"app.example")]
    lines += [(b"cookie", b"gateway=" + each.encode()) for each in session_ids]
    lines += [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    destination = fields.get("destination")
    return RequestHead(
        method=method,
        scheme="https",
        host="app.example",
        path=canonicalise(path.encode()),
        query=b"",
        raw_target=path.encode(),
        headers=tuple(lines),
        client_address="192.0.2.1",
        mount=mount,
        destination=destination.encode() if destination is not None else None,
    )


def build_gate(world: World, process: Process, routes: Sequence[Route] = ROUTES, **parts: Any) -> Gate:
    authentication = Authentication(process.sessions, process.refresh, cookie_name="gateway", clock=world.clock)
    memory = Memory(world.store, parts.pop("lasts", KEPT))
    headers = IdentityHeaders(["tiktok"], {})
    parts.setdefault("own_prefix", "/oauth2")
    return Gate(Policy(routes), headers, authentication, process.sessions, memory, clock=world.clock, **parts)


@pytest.fixture
def gate(world: World, process: Process) -> Gate:
    return build_gate(world, process)


async def passage(gate: Gate, head: RequestHead) -> Passage:
    verdict = await gate.check(head)
    assert isinstance(verdict, Passage), verdict
    return verdict


async def decision(gate: Gate, head: RequestHead) -> Challenge | Consent | Deny:
    verdict = await gate.check(head)
    assert isinstance(verdict, Refusal), verdict
    return verdict.decision


# One question, one of three answers


async def test_who_is_signed_in_passes_by_name_and_nobody_else_does(gate: Gate, session_id: str) -> None:
    passed = await passage(gate, ask("/app/x", session_id))
    assert passed.allow.identity is not None
    assert passed.session_key == gate.read_session_keys(ask("/", session_id).headers)[0]
    assert passed.session_name == passed.allow.identity.session_id
    assert passed.allow.remove_headers == gate.identity_headers.reserved
    assert await decision(gate, ask("/app/x")) == Challenge(ChallengeKind.PROGRAM)


async def test_a_public_route_asks_nobody_and_an_optional_one_who_is_there(
    gate: Gate, world: World, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await passage(gate, ask("/maybe/x", session_id))).allow.identity is not None
    nobody = await passage(gate, ask("/maybe/x"))
    assert (nobody.allow.identity, nobody.allow.varies, nobody.session_key) == (None, True, "")

    async def away(keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.store, "read_many", away)
    public = await passage(gate, ask("/public/x", session_id))
    assert (public.allow.identity, public.allow.varies, public.caller) == (None, False, None)
    assert public.allow.remove_headers == gate.identity_headers.reserved


async def test_what_is_denied_or_has_no_route_is_denied_to_everybody(gate: Gate, session_id: str) -> None:
    for path in ("/no/x", "/elsewhere"):
        for ids in ((), (session_id,)):
            assert isinstance(await decision(gate, ask(path, *ids)), Deny)
            match = gate.match("GET", "app.example", canonicalise(path.encode()))
            assert gate.admit_at_once(match, None) is None


async def test_a_scope_that_is_missing_is_asked_for(gate: Gate, session_id: str) -> None:
    assert await decision(gate, ask("/videos/x", session_id)) == Consent(("video.list",), "to list them")
    assert isinstance(await decision(gate, ask("/videos/x")), Challenge)


async def test_a_store_that_is_away_is_no_reason_to_be_signed_out(
    gate: Gate, world: World, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.store._reads, "read", away)
    with pytest.raises(StoreUnavailable):
        await gate.check(ask("/app/x", session_id))


# Several session cookies


async def test_of_several_sessions_the_live_one_counts_and_two_live_ones_are_nobody(
    gate: Gate, world: World, process: Process, session_id: str
) -> None:
    dead = "A" * 43
    passed = await passage(gate, ask("/app/x", dead, session_id))
    assert passed.session_key == gate.read_session_keys(ask("/", session_id).headers)[0]
    other = (await world.signed_in(process, "emoji"))[2]
    with pytest.raises(SessionsDiffer):
        await gate.check(ask("/app/x", session_id, other))
    assert (await passage(gate, ask("/maybe/x", session_id, other))).allow.identity is None
    assert (await passage(gate, ask("/public/x", session_id, other))).allow.identity is None


# A second address: `Destination`


async def test_a_destination_is_judged_as_a_put_there(world: World, process: Process, session_id: str) -> None:
    closed = Route(path="/app/closed/**", methods=frozenset({"PUT"}), access=Access.DENY)
    gate = build_gate(world, process, (closed, *ROUTES))
    await passage(gate, ask("/app/x", session_id, method="COPY", destination="/app/y"))
    assert isinstance(await decision(gate, ask("/app/x", session_id, method="COPY", destination="/app/closed/y")), Deny)
    assert isinstance(await decision(gate, ask("/no/x", session_id, method="COPY", destination="/app/y")), Deny)


@pytest.mark.parametrize("destination", ["/oauth2", "/oauth2/sign_out", "https://app.example/oauth2/x"])
async def test_nothing_is_copied_onto_our_own_pages(world: World, process: Process, destination: str) -> None:
    gate = build_gate(world, process, (Route(path="/**", access=Access.PUBLIC),))
    with pytest.raises(DestinationElsewhere, match="own"):
        await gate.check(ask("/x", method="COPY", destination=destination))


async def test_nothing_is_copied_to_another_upstream_or_out_of_the_mount(gate: Gate, session_id: str) -> None:
    with pytest.raises(DestinationElsewhere, match="another upstream"):
        await gate.check(ask("/app/x", session_id, method="COPY", destination="/office/y"))
    await passage(gate, ask("/app/x", session_id, method="COPY", destination="/app/y", mount="/app"))
    with pytest.raises(DestinationElsewhere, match="mounted"):
        await gate.check(ask("/app/x", session_id, method="COPY", destination="/public/y", mount="/app"))


# Preflights


def preflight(path: str, method: str = "PUT", **fields: str) -> RequestHead:
    return ask(path, method="OPTIONS", origin="https://other.example", access_control_request_method=method, **fields)


async def test_a_preflight_passes_as_nobody_where_its_route_says_so_and_never_where_all_is_denied(gate: Gate) -> None:
    passed = await passage(gate, preflight("/pass/x"))
    assert (passed.allow.identity, passed.caller) == (None, None)
    for path in ("/app/x", "/no/x", "/elsewhere"):
        assert isinstance(await gate.check(preflight(path)), Refusal)
    assert isinstance(await gate.check(preflight("/pass/x", cookie="a=1")), Refusal)  # it is none


# What may be used again


async def test_it_decides_from_memory_what_it_has_found_out(gate: Gate, session_id: str) -> None:
    head = ask("/app/x", session_id)
    match, (key,) = gate.match("GET", head.host, head.path), gate.read_session_keys(head.headers)
    assert isinstance(gate.admit_at_once(match, key), Unknown)
    passed = await passage(gate, head)
    assert gate.admit_at_once(match, key) == passed
    assert passed.caller is not None
    assert 0 < gate.seconds_left(passed.caller) <= KEPT.total_seconds()


async def confirmed(gate: Gate, caller: KnownCaller) -> bool | StoreUnavailable:
    told: asyncio.Future[bool | StoreUnavailable] = asyncio.get_running_loop().create_future()
    gate.confirm(caller, told.set_result)
    async with asyncio.timeout(5):
        return await told


async def test_what_was_decided_before_people_were_judged_anew_is_never_confirmed(gate: Gate, session_id: str) -> None:
    caller = (await passage(gate, ask("/app/x", session_id))).caller
    assert caller is not None
    assert await confirmed(gate, caller) is True
    gate.judge_anew()
    assert not caller.remembered
    assert gate.seconds_left(caller) == 0.0
    assert await confirmed(gate, caller) is False
    again = (await passage(gate, ask("/app/x", session_id))).caller
    assert again is not None
    assert again is not caller
    assert await confirmed(gate, again) is True


async def test_what_has_to_be_seen_to_is_not_confirmed(world: World, gate: Gate, session_id: str) -> None:
    """The bytes are the same, but the session must be marked as seen, or has ended."""
    caller = (await passage(gate, ask("/app/x", session_id))).caller
    assert caller is not None
    world.clock.forward(caller.settled_until - world.clock())
    assert await confirmed(gate, caller) is False
    assert not caller.remembered or gate.seconds_left(caller) <= 0.0


async def test_an_assertion_is_signed_anew_before_it_is_old(world: World, process: Process, session_id: str) -> None:
    lifetime = timedelta(seconds=20)
    assertions = Assertions(
        AssertionKeys([b"k" * 32]), header="X-Assertion", issuer="https://app.example", lifetime=lifetime, audiences={}
    )
    gate = build_gate(world, process, assertions=assertions)
    head = ask("/app/x", session_id)
    first = await passage(gate, head)
    assert first.caller is not None
    assert first.caller.settled_until <= world.clock() + assertions.lasts
    signed = dict(first.allow.set_headers)[b"x-assertion"]
    assert dict((await passage(gate, head)).allow.set_headers)[b"x-assertion"] == signed
    world.clock.forward(assertions.lasts)
    assert dict((await passage(gate, head)).allow.set_headers)[b"x-assertion"] != signed
    assert b"x-assertion" not in dict((await passage(gate, ask("/maybe/x"))).allow.set_headers)


async def test_headers_of_a_route_are_for_that_route_only(world: World, process: Process, session_id: str) -> None:
    routes = (Route(path="/bearer/**", headers=(("Authorization", "Bearer {access_token}"),)), Route(path="/**"))
    own = IdentityHeaders(["tiktok"], {"Authorization": "Bearer {access_token}"})
    gate = build_gate(world, process, routes, headers_of_routes={0: own})
    for _ in range(2):
        bearing = await passage(gate, ask("/bearer/x", session_id))
        assert dict(bearing.allow.set_headers)[b"authorization"].startswith(b"Bearer act.")
        assert b"authorization" not in dict((await passage(gate, ask("/x", session_id))).allow.set_headers)
        assert b"authorization" in dict(gate.build_forward_auth(bearing))
