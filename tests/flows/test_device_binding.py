"""Binding over time: who comes first, what a proof is worth when, clocks, replicas, keys, and what is written down."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from starlette.requests import Request

from gateway.core.audit import AuditEvent, What
from gateway.core.cookies import CookieSpec
from gateway.core.device_binding import CHALLENGE_EVERY, GRACE, SKEW, mark_of, name_binding
from gateway.core.keyring import Keyring
from gateway.core.session import build_session_key
from gateway.errors import DeviceProofMissing, DeviceProofRefused, NoSuchPage
from gateway.flows.device_binding import Challenged, Confirmed, DeviceBinding
from gateway.flows.device_proofs import DeviceProofs, MissingProofs
from gateway.flows.gate import Gate, Passage
from gateway.flows.sessions import Sessions
from gateway.web.asgi_head import HEAD_KEY
from gateway.web.own.device import DevicePages
from tests.device_binding.device import Device
from tests.flows.conftest import Process, World
from tests.flows.test_gate import ask, build_gate

pytestmark = pytest.mark.anyio

LASTS = timedelta(minutes=10)
COOKIE = "gateway-device"


class Replica:
    """One gateway among others: what binds, and what asks for proofs."""

    def __init__(self, world: World, process: Process, keyring: Keyring | None = None) -> None:
        self.told: list[AuditEvent] = []
        self.counted: list[str] = []
        self.skipped: list[str] = []
        keyring = keyring or world.keyring
        limits, client_key = world.limits, world.simulator.settings.client_key
        self.sessions = Sessions(world.store, keyring, limits, client_key=client_key)
        self.binding = DeviceBinding(
            self.sessions,
            keyring,
            lasts=LASTS,
            clock=world.clock,
            announce=self.announce,
            count=self.counted.append,
        )
        missing = MissingProofs(self.announce, self.count_missing, clock=world.clock)
        self.proofs = DeviceProofs(keyring, COOKIE, clock=world.clock, missed=missing.note)
        self.gate: Gate = build_gate(world, process, devices=self.proofs)

    def count_missing(self, outcome: str, skipped: str) -> None:
        self.counted.append(outcome)
        self.skipped.append(skipped)

    def announce(self, event: AuditEvent) -> None:
        self.told.append(event)

    async def register(self, session_id: str, device: Device) -> Confirmed | None:
        offer = self.binding.offer(session_id)
        return await self.binding.register(device.register(offer.challenge, offer.authorization))

    async def refresh(self, session_id: str, device: Device) -> Confirmed:
        """Have the proof renewed, however many challenges that takes."""
        binding, token = name_binding(key_of(session_id)).encode(), None
        for _ in range(3):
            found = await self.binding.refresh(binding, token)
            if isinstance(found, Confirmed):
                return found
            assert isinstance(found, Challenged)
            token = device.prove(found.challenge)
        raise AssertionError("it was never satisfied")

    async def passes(self, session_id: str, proof: str = "") -> bool:
        """Whether a request may pass, told by all ways there are."""
        cookie = f"{COOKIE}-{mark_of(key_of(session_id))}={proof}" if proof else "a=b"
        head = ask("/app/x", session_id, cookie=cookie)
        match, key = self.gate.match("GET", head.host, head.path), key_of(session_id)
        proofs = self.gate.read_proofs(head.headers, key)
        assert match is not None
        try:
            passed = isinstance(await self.gate.check(head), Passage)
        except DeviceProofMissing:
            passed = False
        told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.gate.recognise(match, key, told.set_result, proofs=proofs)
        assert isinstance(await told, Passage) == passed
        assert isinstance(self.gate.admit_at_once(match, key, proofs), Passage) == passed
        return passed


def key_of(session_id: str) -> str:
    key = build_session_key(session_id.encode())
    assert key is not None
    return key


@pytest.fixture
def replica(world: World, process: Process) -> Replica:
    return Replica(world, process)


@pytest.fixture
async def bound(world: World, replica: Replica, session_id: str) -> tuple[str, Device, str]:
    """Return a session that was bound a while ago, its device, and a proof of now."""
    device = Device()
    assert await replica.register(session_id, device) is not None
    world.clock.forward(GRACE)
    return session_id, device, (await replica.refresh(session_id, device)).proof


async def test_right_after_the_binding_nobody_needs_a_proof(world: World, replica: Replica, session_id: str) -> None:
    assert await replica.passes(session_id)
    await replica.register(session_id, Device())
    assert await replica.passes(session_id)  # it was under way
    world.clock.forward(GRACE)
    assert not await replica.passes(session_id)


async def test_a_proof_lasts_ten_minutes_and_one_for_clocks(
    world: World, replica: Replica, bound: tuple[str, Device, str]
) -> None:
    session_id, device, proof = bound
    world.clock.forward(LASTS + SKEW - timedelta(seconds=2))
    assert await replica.passes(session_id, proof)
    world.clock.forward(timedelta(seconds=2))
    assert not await replica.passes(session_id, proof)
    assert await replica.passes(session_id, (await replica.refresh(session_id, device)).proof)


async def test_what_was_let_in_holds_no_longer_than_its_proof(
    world: World, replica: Replica, bound: tuple[str, Device, str]
) -> None:
    session_id, _, proof = bound
    head = ask("/app/x", session_id, cookie=f"{COOKIE}-{mark_of(key_of(session_id))}={proof}")
    passage = await replica.gate.check(head)
    assert isinstance(passage, Passage)
    assert passage.caller is not None
    assert replica.gate.is_in_time(passage)
    world.clock.forward(LASTS)
    assert replica.gate.seconds_left(passage.caller, passage.until) <= SKEW.total_seconds()
    world.clock.forward(SKEW)
    assert not replica.gate.is_in_time(passage)


async def test_who_comes_first_stays(replica: Replica, session_id: str) -> None:
    mine, theirs = Device(), Device()
    offer = replica.binding.offer(session_id)
    both = await asyncio.gather(
        *(replica.binding.register(each.register(offer.challenge, offer.authorization)) for each in (mine, theirs))
    )
    assert [each is not None for each in both] == [True, False]
    again = await replica.binding.register(mine.register(offer.challenge, offer.authorization))
    assert again is not None  # the answer was lost
    assert [each.what for each in replica.told] == [What.SESSION_BOUND]


async def test_an_offer_serves_for_five_minutes_and_its_own_session(
    world: World, replica: Replica, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer, device = replica.binding.offer(session_id), Device()
    world.clock.forward(timedelta(minutes=6))
    with pytest.raises(DeviceProofRefused, match="expired"):
        await replica.binding.register(device.register(offer.challenge, offer.authorization))
    monkeypatch.delattr("gateway.core.device_proof._verify")  # no signature is looked at
    with pytest.raises(DeviceProofRefused):
        await replica.binding.register(device.register("c", "a"))
    assert await replica.passes(session_id)


async def test_a_session_that_has_ended_is_bound_no_more(replica: Replica, process: Process, session_id: str) -> None:
    signed_in = await process.read(session_id)
    assert signed_in is not None
    offer = replica.binding.offer(session_id)
    await process.sessions.end(signed_in)
    assert await replica.binding.register(Device().register(offer.challenge, offer.authorization)) is None
    assert await replica.binding.refresh(name_binding(key_of(session_id)).encode(), None) is None


async def test_a_challenge_of_before_is_taken_and_an_older_one_gives_another(
    world: World, replica: Replica, bound: tuple[str, Device, str]
) -> None:
    session_id, device, _ = bound
    binding = name_binding(key_of(session_id)).encode()
    first = await replica.binding.refresh(binding, None)
    assert isinstance(first, Challenged)
    token = device.prove(first.challenge)
    for _ in range(3):  # a browser sends what it has signed again, which costs it nothing
        assert isinstance(await replica.binding.refresh(binding, token), Confirmed)
    world.clock.forward(LASTS)
    assert isinstance(await replica.binding.refresh(binding, token), Confirmed)
    world.clock.forward(2 * CHALLENGE_EVERY)
    late = await replica.binding.refresh(binding, token)
    assert isinstance(late, Challenged)
    assert late.challenge != first.challenge


async def test_another_device_gets_nothing(replica: Replica, bound: tuple[str, Device, str]) -> None:
    session_id, _, _ = bound
    binding = name_binding(key_of(session_id)).encode()
    asked = await replica.binding.refresh(binding, None)
    assert isinstance(asked, Challenged)
    for token in (Device().prove(asked.challenge), Device("RS256").prove(asked.challenge), b"a.b.c", b""):
        assert isinstance(await replica.binding.refresh(binding, token), Challenged)
    assert replica.counted.count("refused") == 4


async def test_replicas_take_each_other_s_words_and_keys_may_be_rotated(
    world: World, process: Process, replica: Replica, bound: tuple[str, Device, str]
) -> None:
    session_id, device, proof = bound
    rotated = Replica(world, world.process(), Keyring([b"n" * 32, b"k" * 32]))
    assert await rotated.passes(session_id, proof)
    asked = await replica.binding.refresh(name_binding(key_of(session_id)).encode(), None)
    assert isinstance(asked, Challenged)
    token = device.prove(asked.challenge)
    assert isinstance(await rotated.binding.refresh(name_binding(key_of(session_id)).encode(), token), Confirmed)


async def test_being_seen_and_sealed_anew_keep_the_binding(
    world: World, replica: Replica, process: Process, bound: tuple[str, Device, str]
) -> None:
    session_id, _, proof = bound
    for _ in range(3):
        world.clock.forward(timedelta(minutes=2))
        assert await replica.passes(session_id, proof)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    assert signed_in.session.device is not None
    assert signed_in.session.last_seen_at > signed_in.session.signed_in_at


async def test_binding_and_being_seen_at_once(
    world: World, replica: Replica, process: Process, session_id: str
) -> None:
    signed_in = await process.read(session_id)
    assert signed_in is not None
    world.clock.forward(timedelta(minutes=5))
    bound, _ = await asyncio.gather(
        replica.register(session_id, Device()), process.sessions.touch(signed_in, world.clock())
    )
    assert bound is not None
    after = await process.read(session_id)
    assert after is not None
    assert after.session.device is not None


async def test_a_proof_that_is_missing_is_written_down_once_in_ten_minutes(
    world: World, replica: Replica, bound: tuple[str, Device, str]
) -> None:
    session_id, _, _ = bound
    for _ in range(3):
        assert not await replica.passes(session_id)
    missing = [each for each in replica.told if each.what is What.PROOF_MISSING]
    assert len(missing) == 1
    assert missing[0].cause == "device_proof_missing"
    assert replica.counted.count("proof_missing") == 3
    assert replica.skipped == ["none"] * 3
    world.clock.forward(timedelta(minutes=11))
    assert not await replica.passes(session_id)
    assert len([each for each in replica.told if each.what is What.PROOF_MISSING]) == 2


async def test_where_nobody_asks_a_bound_session_is_as_any_other(
    world: World, replica: Replica, bound: tuple[str, Device, str]
) -> None:
    session_id, _, _ = bound
    assert isinstance(await build_gate(world, world.process()).check(ask("/app/x", session_id)), Passage)


def post(binding: str = "", token: bytes = b"") -> Request:
    fields = {b"sec-secure-session-id": b'"%b"' % binding.encode(), b"secure-session-response": token}
    shown = [pair for pair in fields.items() if pair[1].strip(b'"')]
    return Request({"type": "http", "method": "POST", "headers": shown, HEAD_KEY: ask("/oauth2/device/refresh")})


async def test_bound_browsers_are_answered_while_it_is_off_and_nobody_else(
    replica: Replica, bound: tuple[str, Device, str]
) -> None:
    session_id, device, _ = bound
    read = replica.gate.read_session_keys
    pages = DevicePages(
        replica.binding,
        CookieSpec(COOKIE, secure=True),
        read_session_keys=read,
        host="h",
        prefix="/oauth2",
        offers=False,
    )
    assert pages.offer(session_id) == ()
    binding = name_binding(key_of(session_id))
    asked = await pages.go_on(post(binding))
    challenge = dict(asked.headers)[b"secure-session-challenge"].split(b'"')[1].decode()
    assert (await pages.go_on(post(binding, device.prove(challenge)))).status == 200
    for stranger in (post(), post("0" * 64), post("x")):
        with pytest.raises(NoSuchPage):
            await pages.go_on(stranger)


async def test_a_refusal_names_nobody_to_a_thief(replica: Replica, bound: tuple[str, Device, str]) -> None:
    session_id, _, _ = bound
    for path in ("/videos/x", "/app/x"):
        with pytest.raises(DeviceProofMissing):
            await replica.gate.check(ask(path, session_id))
