"""Opens stores from the words of the settings, and makes what Redis needs for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import trustme

from gateway.settings.redis import RedisSettings
from gateway.store import open_store
from gateway.store.redis import RedisStore


def _read_rights() -> str:
    page = Path(__file__).parents[2].joinpath("docs", "redis.md").read_text()
    rights = re.search(r"A Redis user of its own needs `([^`]*)`", page)
    assert rights is not None
    return " ".join(rights[1].split()).replace("~gateway:*", "~test:*")


LEAST_RIGHTS = _read_rights()
"""What the documentation says a user of the gateway needs."""


def open_at(url: str = "", *, timeout: float = 10, **words: Any) -> RedisStore:
    """Return a store at a URL, or at `sentinel=` or `cluster=`; `timeout` in seconds."""
    where = {"url": url} if url else {}
    more = {"key_prefix": "test:", "timeout": timedelta(seconds=timeout)}
    return open_store(RedisSettings.model_validate(where | words | more))


async def until(said: Callable[[], bool]) -> None:
    """Wait until something is so; at most twenty seconds."""
    for _ in range(2000):
        if said():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


@dataclass
class Certificates:
    """Words for redis-server, and the section of the settings."""

    redis_words: list[str]
    settings: dict[str, str]


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, and certificates for the server and its client."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    for name, whose in (("server", "127.0.0.1"), ("client", "gateway")):
        issued = ca.issue_cert(whose)
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    words = ["--tls-cert-file", f"{folder}/server.pem", "--tls-key-file", f"{folder}/server.key"]
    words += ["--tls-ca-cert-file", f"{folder}/ca.pem", "--tls-auth-clients", "yes"]
    client = {"ca": f"{folder}/ca.pem", "certificate": f"{folder}/client.pem", "key": f"{folder}/client.key"}
    return Certificates(words, client)
