"""The provider works with either of authlib's HTTP clients: which one it takes depends on what else is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.simulator import RunningSimulator

ASK = """
import asyncio, sys
if sys.argv[1] == "httpx":
    sys.modules["httpx2"] = None
from types import SimpleNamespace
from gateway.errors import ProviderUnavailable
from gateway.provider import AsyncOAuth2Client, TikTok, TikTokAddresses

async def ask(token_url):
    addresses = [token_url] * (len(TikTokAddresses.__struct_fields__) - 3)
    tiktok = TikTok(TikTokAddresses("key", "secret", "https://app.example/callback", *addresses))
    try:
        return await tiktok.redeem(SimpleNamespace(code="code", code_verifier=None, scopes_asked=(), redirect_uri=None))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await tiktok.close()

print([base.__module__.partition(".")[0] for base in AsyncOAuth2Client.__mro__ if base.__name__ == "AsyncClient"])
print(asyncio.run(ask(sys.argv[2])))
print(asyncio.run(ask("http://127.0.0.1:9/token/")))
"""


@pytest.mark.parametrize("client", ["httpx", "httpx2"])
def test_tiktok_is_asked_and_its_absence_understood(simulator: RunningSimulator, client: str) -> None:
    command = [sys.executable, "-W", "error", "-c", ASK, client, simulator.token_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    taken, refused, away = done.stdout.splitlines() or [done.stderr] * 3
    assert taken == f"['{client}']"
    assert refused.startswith("ProviderMisconfigured")
    assert away == "ProviderUnavailable: TikTok cannot be reached: ConnectError"
