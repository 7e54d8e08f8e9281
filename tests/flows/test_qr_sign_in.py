"""The sign-in by QR code by itself: how often TikTok is asked, and what is left when nobody asks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.core.binding import Binding, new_binding
from gateway.core.qr_code import QR_LASTS, ScanStatus
from gateway.core.sign_in import build_scan_key
from gateway.errors import AttemptUnknown, TooManyAttempts
from gateway.flows import qr_sign_in
from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.qr_sign_in import QrSignIn
from gateway.flows.sign_in import Completed
from gateway.flows.visitor import Visitor
from tests.flows.conftest import Process, World
from tests.flows.test_sign_in import SCOPES, Flow, wanted
from tests.qr import confirm, scan

pytestmark = pytest.mark.anyio


class QrFlow:
    """The flow of one process, and a screen."""

    def __init__(self, world: World, process: Process, *, of_network: int = 0) -> None:
        self.world = world
        limit = AttemptLimit(world.store, of_network=of_network, of_all=0, clock=world.clock)
        usual = Flow(world, process)
        self.flow = QrSignIn(
            world.store,
            usual.attempts,
            usual.flow,
            process.provider,
            world.keyring,
            limit,
            scopes=SCOPES,
            clock=world.clock,
        )

    @property
    def asked(self) -> int:
        return self.world.simulator.simulator.calls["check_qrcode"]

    async def begin(self, binding: Binding) -> str:
        return await self.flow.begin(wanted(), binding=binding, client_address="192.0.2.7")

    async def status(self, state: str, binding: Binding) -> ScanStatus:
        return (await self.flow.look(state, bindings=[binding])).status


async def act(what: object, *words: object) -> None:
    """Do something over HTTP beside this event loop."""
    assert callable(what)
    await asyncio.to_thread(what, *words)


async def test_tiktok_is_asked_once_in_a_while_whoever_asks(world: World) -> None:
    one, two = QrFlow(world, world.process()), QrFlow(world, world.process())  # two processes on one store
    binding = new_binding()
    state = await one.begin(binding)
    assert {await each.status(state, binding) for each in (one, two) * 20} == {ScanStatus.NEW}
    assert one.asked == 1


async def test_nothing_asks_by_itself(world: World, process: Process) -> None:
    screen, binding = QrFlow(world, process), new_binding()
    state = await screen.begin(binding)
    tasks = asyncio.all_tasks()
    assert screen.asked == 0
    await screen.status(state, binding)
    assert asyncio.all_tasks() == tasks


async def test_what_is_over_is_not_asked_for_again(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qr_sign_in, "PAUSE", timedelta(milliseconds=1))
    world.simulator.troubles.qr_lifetime = 0
    screen, binding = QrFlow(world, process), new_binding()
    state = await screen.begin(binding)
    for _ in range(5):
        assert await screen.status(state, binding) is ScanStatus.EXPIRED
        await asyncio.sleep(0.005)
    assert screen.asked == 1


async def test_our_own_time_is_short(world: World, process: Process) -> None:
    screen, binding = QrFlow(world, process), new_binding()
    state = await screen.begin(binding)
    code = (await screen.flow.look(state, bindings=[binding])).qr.url
    await act(confirm, code)
    world.clock.forward(QR_LASTS)
    before = screen.asked
    assert await screen.status(state, binding) is ScanStatus.EXPIRED
    assert screen.asked == before
    with pytest.raises(AttemptUnknown) as refused:
        await screen.flow.complete(state, Visitor([binding], [], "", ""))
    assert refused.value.return_to == wanted().url
    assert world.simulator.redemptions == 0


async def test_an_answer_that_comes_late_takes_nothing_away(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TikTok tells the code once: a slower question, asked before, must not put its older answer in its place."""
    monkeypatch.setattr(qr_sign_in, "PAUSE", timedelta(milliseconds=1))
    screen, binding = QrFlow(world, process), new_binding()
    state = await screen.begin(binding)
    qr = (await screen.flow.look(state, bindings=[binding])).qr
    await act(scan, qr.url)
    real, asked, slow = process.provider.check_qr_code, asyncio.Event(), asyncio.Event()

    async def check_slowly(token: str) -> object:
        answer = await real(token)
        asked.set()
        await slow.wait()
        return answer

    monkeypatch.setattr(process.provider, "check_qr_code", check_slowly)
    await asyncio.sleep(0.005)
    late = asyncio.create_task(screen.status(state, binding))
    await asyncio.wait_for(asked.wait(), 20)
    monkeypatch.setattr(process.provider, "check_qr_code", real)
    await act(confirm, qr.url)
    await asyncio.sleep(0.005)
    assert await screen.status(state, binding) is ScanStatus.CONFIRMED
    slow.set()
    assert await late is ScanStatus.SCANNED
    assert await screen.status(state, binding) is ScanStatus.CONFIRMED
    done = await screen.flow.complete(state, Visitor([binding], [], "TV", ""))
    assert isinstance(done, Completed)
    assert done.location == wanted().url
    assert await world.store.read(build_scan_key(state)) is None


async def test_what_is_not_confirmed_is_not_completed(world: World, process: Process) -> None:
    screen, binding = QrFlow(world, process), new_binding()
    state = await screen.begin(binding)
    with pytest.raises(AttemptUnknown):
        await screen.flow.complete(state, Visitor([binding], [], "", ""))
    assert world.simulator.redemptions == 0


async def test_beyond_the_limit_tiktok_is_not_asked_for_a_code(world: World, process: Process) -> None:
    screen = QrFlow(world, process, of_network=1)
    await screen.begin(new_binding())
    with pytest.raises(TooManyAttempts):
        await screen.begin(new_binding())
    assert world.simulator.simulator.calls["get_qrcode"] == 1
