"""The life of a generation: what it has made and can be closed is closed at its end, and what can be started was.

Nothing here knows which services there are: every class of the package that has a `close` or a `start` is watched, so
that one which is made and forgotten is found, whoever adds it.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import gateway
from gateway.core.keyring import new_secret_key
from gateway.runtime.build import build
from gateway.runtime.life import Life
from gateway.settings import Settings, load
from tests.store.stores import until

pytestmark = pytest.mark.anyio

REDIS = {
    "embedded": {"GATEWAY__REDIS": "memory://"},
    "single": {"GATEWAY__REDIS": "redis://127.0.0.1:1"},
    "sentinel": {"GATEWAY__REDIS__SENTINEL": "{service: main, nodes: ['127.0.0.1:1']}"},
    "cluster": {"GATEWAY__REDIS__CLUSTER": "{nodes: ['127.0.0.1:1']}"},
}
"""Nobody listens at these addresses."""


def read_settings(**redis: str) -> Settings:
    return load(
        None,
        {
            "GATEWAY__PUBLIC_URL": "http://127.0.0.1:8080",
            "GATEWAY__UPSTREAM": "http://127.0.0.1:1",
            "GATEWAY__UPSTREAMS": "{other: 'http://127.0.0.1:2'}",
            "GATEWAY__SECRET_KEYS": json.dumps([new_secret_key()]),
            "GATEWAY__TIKTOK__CLIENT_KEY": "k",
            "GATEWAY__TIKTOK__CLIENT_SECRET": "s",
            "GATEWAY__TIKTOK__WEBHOOK__FORWARD_TO": "/events",
            **redis,
        },
    )


OF_EXTRAS = {"grpc", "envoy", "opentelemetry", "segno"}
"""What an extra brings, as it is imported; a module of ours that needs it makes nothing where it is not installed."""


def modules() -> Iterator[ModuleType]:
    """Yield every module of the package that can be imported."""
    for each in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if not each.name.endswith("__main__"):
            try:
                yield importlib.import_module(each.name)
            except ModuleNotFoundError as error:
                if error.name not in OF_EXTRAS:
                    raise


def classes() -> Iterator[type[Any]]:
    """Yield every class of the package."""
    for module in modules():
        for made in vars(module).values():
            if inspect.isclass(made) and made.__module__ == module.__name__:
                yield made


def needs_nothing(method: Callable[..., Any]) -> bool:
    """Whether a method can be called by whoever has the object alone."""
    return len(inspect.signature(method).parameters) == 1


class Watched:
    """Which objects were made, and of which a method was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self.made: dict[int, Any] = {}
        self.called: set[int] = set()
        for each in [*classes()]:
            own = inspect.getattr_static(each, method, None)
            if not inspect.isfunction(own) or not needs_nothing(own) or getattr(each, "_is_protocol", False):
                continue
            if "__init__" in vars(each):
                monkeypatch.setattr(each, "__init__", self._noting(each.__init__, self._note_made))
            if method in vars(each):
                monkeypatch.setattr(each, method, self._noting(own, self._note_called))

    def _note_made(self, made: Any) -> None:
        self.made[id(made)] = made  # kept, so that its id is nobody else's

    def _note_called(self, made: Any) -> None:
        self.called.add(id(made))

    @property
    def forgotten(self) -> list[str]:
        return sorted(type(made).__name__ for number, made in self.made.items() if number not in self.called)

    @staticmethod
    def _noting(method: Callable[..., Any], note: Callable[[Any], None]) -> Callable[..., Any]:
        @functools.wraps(method)
        def noted(self: Any, *args: Any, **words: Any) -> Any:
            note(self)
            return method(self, *args, **words)

        return noted


@pytest.mark.parametrize("kind", REDIS)
async def test_whatever_was_made_and_can_be_closed_is_closed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, tasks = Watched(monkeypatch, "close"), asyncio.all_tasks()
    generation = build(read_settings(**REDIS[kind]))
    generation.start()
    assert {type(made).__name__ for made in watched.made.values()} >= {"Life", "Outbox", "Pool", "LateTikTok", "Watch"}
    await generation.close()
    assert watched.forgotten == []
    assert asyncio.all_tasks() <= tasks


async def test_whatever_was_made_and_can_be_started_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, "start")
    generation = build(read_settings(**REDIS["embedded"]))
    generation.start()
    try:
        # the store by who waits for it to answer
        await until(lambda: watched.forgotten == [])
        assert len(watched.made) > 3
    finally:
        await generation.close()


async def test_the_latest_made_ends_first_and_one_that_fails_keeps_nobody_open() -> None:
    ended: list[str] = []

    class Part:
        def __init__(self, name: str, failure: Exception | None = None) -> None:
            self.name, self.failure = name, failure

        async def close(self) -> None:
            ended.append(self.name)
            if self.failure is not None:
                raise self.failure

    life = Life()
    life.closing(Part("store"))
    life.closing(Part("flow", RuntimeError("cannot")))
    life.closing(Part("page"))
    with pytest.raises(RuntimeError, match="cannot"):
        await life.close()
    assert ended == ["page", "flow", "store"]


async def test_two_generations_live_beside_each_other_and_one_ends_without_the_other() -> None:
    old, new = build(read_settings(**REDIS["embedded"])), build(read_settings(**REDIS["embedded"]))
    for each in (old, new):
        each.start()
    old.drain()
    assert await old.readiness() == "the gateway is shutting down"
    await old.close()
    assert await new.readiness() is None
    await new.records.store.write("session:x", b"1", 60)
    assert await new.records.store.read("session:x") == b"1"
    await new.close()
