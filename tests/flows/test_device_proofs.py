"""Which proofs of a request count: those of the session that asks, however many others there are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.core.device_binding import GRACE, build_proof, mark_of, name_binding
from gateway.flows.device_binding import Outcome
from gateway.flows.device_proofs import CAUSES, MOST_READ, why_skipped
from gateway.telemetry.metrics import DEVICES, SKIPS
from tests.device_binding.device import Device
from tests.flows.conftest import Process, World
from tests.flows.test_device_binding import COOKIE, Replica, key_of

pytestmark = pytest.mark.anyio


async def test_proofs_of_other_sessions_hide_none(world: World, process: Process, session_id: str) -> None:
    replica, key = Replica(world, process), key_of(session_id)
    await replica.register(session_id, Device())
    world.clock.forward(GRACE)
    proof = build_proof(world.keyring, key, world.clock() + timedelta(minutes=10))
    others = "; ".join(f"{COOKIE}-{number:08x}={proof}" for number in range(3 * MOST_READ))
    fields = ((b"cookie", f"{others}; {COOKIE}-{mark_of(key)}={proof}".encode()),)
    assert replica.gate.read_proofs(fields, key) == (proof.encode(),)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    assert replica.proofs.is_proven(signed_in, fields)


async def test_few_are_kept_whoever_sends_many(world: World, process: Process, session_id: str) -> None:
    replica, key = Replica(world, process), key_of(session_id)
    fields = ((b"cookie", b";".join([f"{COOKIE}-{mark_of(key)}=".encode()] * 1000)),)
    assert len(replica.gate.read_proofs(fields, key)) == MOST_READ
    assert replica.gate.read_proofs(fields, None) == ()


async def test_whoever_has_no_proof_does_not_keep_a_session_alive(
    world: World, process: Process, session_id: str
) -> None:
    replica = Replica(world, process)
    await replica.register(session_id, Device())
    world.clock.forward(world.limits.touch_interval + GRACE)
    assert not await replica.passes(session_id)
    await process.sessions.close()
    assert await last_seen(process, session_id) == timedelta()
    proof = build_proof(world.keyring, key_of(session_id), world.clock() + timedelta(minutes=10))
    assert await replica.passes(session_id, proof)
    await process.sessions.close()
    assert await last_seen(process, session_id) > timedelta()


async def last_seen(process: Process, session_id: str) -> timedelta:
    """Return how long after the sign-in a session was last used."""
    signed_in = await process.read(session_id)
    assert signed_in is not None
    return signed_in.session.last_seen_at - signed_in.session.signed_in_at


def test_why_a_proof_was_skipped_is_one_of_few_words() -> None:
    key = key_of("s" * 43)
    own, other = (f'session_identifier="{each}"' for each in (name_binding(key), "0" * 64))
    said = {
        f"quota_exceeded;{own}": "quota_exceeded",
        f"unreachable;{other}, server_error ; a=1; {own}": "server_error",
        f"unreachable;{other}": "other",
        f"anything;{own}": "other",
        "unreachable": "other",
        ";,;": "other",
        "": "other",
    }
    for value, cause in said.items():
        assert why_skipped(((b"secure-session-skipped", value.encode()),), key) == cause
    both = [(b"secure-session-skipped", value.encode()) for value in ("?", f"unreachable;{own}")]
    assert why_skipped(tuple(both), key) == "unreachable"
    assert why_skipped(((b"cookie", b"a=b"),), key) == "none"
    assert set(SKIPS) == {each.decode() for each in CAUSES} | {"none", "other"}
    assert set(DEVICES) == set(Outcome)
