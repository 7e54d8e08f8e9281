"""The refresh protocol against everything that may go wrong, in any order: see the top of `flows/refresh.py`.

`GATEWAY_TESTS_LONG=1` searches for minutes instead of seconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.flows.refresh import LEASE, WAIT
from tests.flows.model import ModelWorld, VirtualLoop

REPLICAS = st.integers(0, 2)
STORE_SLOWNESS = 5.0  # a few calls of the store, each as slow as they get


class RefreshMachine(RuleBasedStateMachine):
    """Three replicas, one person."""

    @initialize(
        seed=st.integers(0, 1000), skews=st.lists(st.sampled_from([-300.0, 0.0, 0.0, 300.0]), min_size=3, max_size=3)
    )
    def begin(self, seed: int, skews: list[float]) -> None:
        self.loop = VirtualLoop()
        self.skew = max(0.0, *skews) - min(0.0, *skews)  # who signed in had the right time
        self.crashed = self.lost = self.ended = False
        self.world = self.do(lambda: ModelWorld(seed, skews))
        self.loop.run_until_complete(self.world.sign_in())

    def do(self, act: Callable[[], Any]) -> Any:
        """Do something within the loop."""

        async def within() -> Any:
            return act()

        return self.loop.run_until_complete(within())

    @rule(replica=REPLICAS, number=st.sampled_from([1, 1, 20]))
    def requests(self, replica: int, number: int) -> None:
        for _ in range(number):
            self.do(self.world.replicas[replica].begin_request)

    @rule()
    def requests_everywhere(self) -> None:
        for replica in self.world.replicas * 5:
            self.do(replica.begin_request)

    @rule(seconds=st.sampled_from([0.01, 0.1, 1.0, 4.0, 7.0, 60.0, 400.0, 490.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule(delay=st.sampled_from([0.1, 0.1, 3.0, 8.0, 25.0]))
    def tiktok_is_slow(self, delay: float) -> None:
        self.world.tiktok.delay = delay

    @rule(failing=st.booleans())
    def tiktok_fails(self, failing: bool) -> None:
        self.world.tiktok.failing = failing

    @rule()
    def tiktok_loses_an_answer(self) -> None:
        self.world.tiktok.losing = 1
        self.lost = True

    @rule(rotates=st.booleans())
    def tiktok_rotates(self, rotates: bool) -> None:
        self.world.tiktok.rotates = rotates

    @rule(replica=REPLICAS)
    def a_replica_is_killed(self, replica: int) -> None:
        if self.world.tiktok.asked:
            self.lost = True  # its answer goes nowhere
        self.lost = self.lost or bool(self.world.tiktok.received)  # or it was not written down yet
        self.crashed = True
        self.do(self.world.replicas[replica].kill)

    @rule(seconds=st.sampled_from([0.5, 3.0, 12.0]))
    def the_store_is_away(self, seconds: float) -> None:
        self.crashed = True  # leases may run out
        self.do(lambda: setattr(self.world.store, "away_until", self.loop.time() + seconds))

    @rule()
    def the_person_signs_in_again(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(15))  # the store is here
        self.loop.run_until_complete(self.world.sign_in())

    @rule()
    def the_person_disconnects(self) -> None:
        self.world.tiktok.connected = False
        self.ended = True

    @rule()
    def all_is_well_for_a_while(self) -> None:
        """Whatever was received is stored then, for what is not stored is lost."""
        tiktok = self.world.tiktok
        self.loop.run_until_complete(asyncio.sleep(90))
        if tiktok.connected and tiktok.number in tiktok.received and not self.ended:
            stored = self.loop.run_until_complete(self.world.stored_token())
            assert stored == f"a{tiktok.number}", (stored, tiktok.number, tiktok.received)

    @invariant()
    def one_refresh_at_a_time(self) -> None:
        if hasattr(self, "world") and not self.crashed:
            assert self.world.tiktok.most_at_once <= 1

    @invariant()
    def nobody_is_signed_out_for_nothing(self) -> None:
        if hasattr(self, "world") and not (self.lost or self.ended):
            assert self.world.refused == 0

    @invariant()
    def no_expired_token_is_handed_on(self) -> None:
        if hasattr(self, "world"):
            assert self.world.latest_end <= self.skew

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        if hasattr(self, "world"):
            assert self.world.longest_wait <= WAIT.total_seconds() + STORE_SLOWNESS

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.do(lambda: [task.cancel() for task in asyncio.all_tasks() if task is not asyncio.current_task()])
            self.loop.run_until_complete(asyncio.sleep(LEASE.total_seconds()))
            self.loop.close()


LONG = bool(os.environ.get("GATEWAY_TESTS_LONG"))

TestRefresh = RefreshMachine.TestCase
TestRefresh.settings = settings(
    max_examples=3000 if LONG else 60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
