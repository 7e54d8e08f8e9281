"""The embedded store notices that it is not the only one of its gateway, and that half of it is not installed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from gateway.errors import SettingsError
from gateway.settings.redis import RedisSettings
from gateway.store import company, open_store

EMBEDDED = RedisSettings(url="memory://")
OTHER = """
import asyncio, sys
from gateway.settings.redis import RedisSettings
from gateway.store import open_store
store = open_store(RedisSettings(url="memory://"), gateway=sys.argv[1])
print(asyncio.run(store.read("x")), flush=True)
sys.stdin.read()
"""
WARNING = "memory_store_not_alone"


def use(gateway: str) -> None:
    async def once() -> None:
        store = open_store(EMBEDDED, gateway=gateway)
        await store.read("x")
        await store.write("x", b"", 1)
        await store.close()

    asyncio.run(once())


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(company, "_welcome", False)  # as in a process that runs no tests
    return f"http://app-{os.getpid()}.example"


def test_two_in_one_process_are_one(gateway: str, caplog: pytest.LogCaptureFixture) -> None:
    async def both() -> None:
        stores = [open_store(EMBEDDED, gateway=gateway) for _ in range(2)]
        for store in stores:
            await store.read("x")
        for store in stores:
            await store.close()

    asyncio.run(both())
    use(gateway)
    assert WARNING not in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="noticed on Linux only")
def test_another_process_is_noticed_once_while_it_lives(gateway: str, caplog: pytest.LogCaptureFixture) -> None:
    command = [sys.executable, "-c", OTHER, gateway]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"None\n"
        use(gateway + "/another")
        assert WARNING not in caplog.text
        use(gateway)
        assert caplog.text.count(WARNING) == 1
        other.communicate()
    caplog.clear()
    use(gateway)
    assert WARNING not in caplog.text


@pytest.mark.parametrize("missing", ["lupa", "fakeredis"])
def test_without_the_whole_extra_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SettingsError, match="needs the extra"):
        open_store(EMBEDDED)
