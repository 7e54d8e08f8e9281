"""One generation takes over from another, and the other closes when nothing of it is open."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from gateway.core.keyring import new_secret_key
from gateway.errors import SettingsError
from gateway.runtime import current as currents
from gateway.runtime.build import build
from gateway.runtime.current import MANY, Current, settle_memory
from gateway.runtime.generation import Generation
from gateway.settings import Settings
from gateway.simulator import RunningSimulator
from tests.harness import read_settings
from tests.ports import free_port

pytestmark = pytest.mark.anyio
KEY = f'["{new_secret_key()}"]'


@pytest.fixture
def settings(simulator: RunningSimulator) -> Settings:
    return read_settings(simulator, "http://127.0.0.1:1", secret_keys=KEY)


@pytest.fixture
async def current(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Current]:
    monkeypatch.setattr(currents, "TICK", 0.01)
    current = Current(build(settings))
    current.generation.start()
    yield current
    await current.close()


def note_end(generation: Generation) -> list[str]:
    """Return where it is noted that a generation has closed."""
    ended: list[str] = []

    class Last:
        async def close(self) -> None:
            ended.append("closed")

    generation.life.closing(Last())
    return ended


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.01)


async def succeed(current: Current, settings: Settings) -> None:
    current.put_in_force(await current.prepare(settings))


async def test_a_request_under_way_keeps_what_it_began_with_open(current: Current, settings: Settings) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    served: list[Any] = []

    async def slow(*_: Any) -> None:
        began.set()
        await go_on.wait()

    def choose(doors: Any) -> Any:
        served.append(doors)
        return slow

    before = current.generation
    ended = note_end(before)
    app = current.door(choose)
    request = asyncio.create_task(app({}, None, None))
    await began.wait()
    await succeed(current, settings)
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert ended == []
    go_on.set()
    await request
    await until(lambda: ended)
    await app({}, None, None)
    assert served == [before.doors, current.generation.doors]


async def test_whoever_has_to_get_ready_may_refuse_and_nothing_has_changed(
    current: Current, settings: Settings
) -> None:
    committed: list[str] = []
    prepared: list[list[str]] = []

    def able(generation: Generation) -> Any:
        prepared.append(note_end(generation))
        return lambda: committed.append("able")

    def unable(_: Generation) -> Any:
        raise SettingsError("tls.certificate: cannot be used")

    before = current.generation
    current.preparing += [able, unable]
    with pytest.raises(SettingsError, match=r"tls\.certificate"):
        await current.prepare(settings)
    assert committed == []
    assert prepared == [["closed"]]
    assert current.generation is before
    current.preparing.remove(unable)
    await succeed(current, settings)
    assert committed == ["able"]
    assert current.generation is not before


async def test_one_that_drains_is_not_ready_again_by_a_reload(current: Current, settings: Settings) -> None:
    current.generation.announce_end()
    await succeed(current, settings)
    assert await current.generation.readiness() == "the gateway is shutting down"


async def test_it_is_told_how_many_are_open_and_of_many_warned(
    current: Current, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = asyncio.Event()

    async def slow(*_: Any) -> None:
        await go_on.wait()

    def count() -> float:
        text = current.generation.metrics.exposition().decode()
        return float(text.partition("\ngateway_former_generations_open ")[2].split()[0])

    app, requests = current.door(lambda _: slow), []
    assert count() == 0
    for number in range(1, MANY + 3):
        requests.append(asyncio.create_task(app({}, None, None)))
        await asyncio.sleep(0)
        await succeed(current, settings)
        assert count() == number
    warned = [told.partition(" open=")[2].split()[0] for told in caplog.messages if "many_former_generations" in told]
    assert warned == [str(MANY + 1), str(MANY + 2)]
    go_on.set()
    await asyncio.gather(*requests)
    await until(lambda: not count())


async def test_many_leave_nothing_behind(current: Current, settings: Settings) -> None:
    """No task, and no memory: what is left of a generation is found by whoever still refers to it."""
    left = []
    for _ in range(5):
        left.append(weakref.ref(current.generation.life))
        await succeed(current, settings)
    await until(lambda: "former generation" not in [task.get_name() for task in asyncio.all_tasks()])
    await until(lambda: "store watch" not in [task.get_name() for task in asyncio.all_tasks()])  # the store answers
    gc.unfreeze()  # of the last, some may have been in a thread's hands when memory was settled: the next time has it
    gc.collect()
    assert [each() for each in left[1:]] == [None] * 4
    names = Counter(task.get_name() for task in asyncio.all_tasks())
    assert {names["live"], names["outbox"]} <= {0, 1}


async def test_checks_by_grpc_go_by_the_new_settings_at_the_same_address(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    grpc = pytest.importorskip("grpc", reason="needs gRPC: pip install 'tiktok-gateway[grpc]'")
    from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

    monkeypatch.setattr(currents, "TICK", 0.01)
    address = f"127.0.0.1:{free_port()}"

    def read(access: str) -> Settings:
        routes = f"[{{path: /**, access: {access}}}]"
        where = "http://127.0.0.1:1"
        return read_settings(simulator, where, secret_keys=KEY, routes=routes, forward_auth__grpc=address)

    async def ask() -> int:
        request = external_auth_pb2.CheckRequest()
        http = request.attributes.request.http
        http.method, http.path, http.host, http.scheme = "GET", "/x", "127.0.0.1:1", "http"
        async with grpc.aio.insecure_channel(address) as channel:
            told = await external_auth_pb2_grpc.AuthorizationStub(channel).Check(request, timeout=10)
        return int(told.status.code)

    current = Current(build(read("public")))
    current.generation.start()
    try:
        assert await ask() == 0
        ended = note_end(current.generation)
        await succeed(current, read("deny"))
        assert await ask() != 0
        await until(lambda: ended)
        assert await ask() != 0
        await succeed(current, read("public"))
        assert await ask() == 0
    finally:
        await current.close()


def test_what_is_remembered_never_keeps_the_collector_of_cycles_busy_for_long() -> None:
    """It stops everything meanwhile, so it is how much it goes over at once that counts."""
    before, gone_over = gc.get_threshold(), list[int]()

    def note(phase: str, told: dict[str, int]) -> None:
        if phase == "start":
            gone_over.append(sum(len(gc.get_objects(generation)) for generation in range(told["generation"] + 1)))

    settle_memory()
    gc.callbacks.append(note)
    try:
        kept = [tuple((b"x-name", b"%d" % number) for _ in range(5)) for number in range(30_000)]
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*before)
        gc.unfreeze()
    assert len(gone_over) > len(kept) * 5 / 10_000
    assert max(gone_over) < 15_000
