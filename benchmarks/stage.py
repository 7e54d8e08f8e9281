"""What stands round the proxies, on the other core: the apps, Redis, an OpenID provider and the TikTok simulator."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import Running, choose_port, running
from gateway.core.keyring import new_secret_key

PYTHON = sys.executable


@dataclass(frozen=True)
class Stage:
    """What peers are started with."""

    folder: Path
    """Where everything is written; removed at the end."""
    proxy_core: int
    load_core: int
    secret_key: str
    """What seals the gateway's sessions."""
    app: int
    """Port of the app that answers small requests and WebSockets."""
    bodies: int
    """Port of the app that gives and takes bodies."""
    redis: int
    provider: int
    simulator: int

    def words(self) -> Mapping[str, str]:
        """What a peer's config may name."""
        ports = {name: getattr(self, name) for name in ("app", "redis", "provider", "simulator")}
        return {name: str(port) for name, port in ports.items()} | {"secret_key": self.secret_key, "python": PYTHON}


@contextlib.contextmanager
def set_up(folder: Path, proxy_core: int, load_core: int) -> Generator[Stage]:
    """Start all of it until the block ends. Raises `ProgramFailed`."""
    ports = {name: choose_port() for name in ("app", "bodies", "redis", "provider", "simulator")}
    commands = {
        "app": [PYTHON, "-m", "benchmarks.servers.app", str(ports["app"])],
        "bodies": [PYTHON, "-m", "benchmarks.servers.bodies", str(ports["bodies"])],
        "provider": [PYTHON, "-m", "benchmarks.servers.provider", str(ports["provider"])],
        "simulator": [PYTHON, "-m", "gateway", "simulator", "--port", str(ports["simulator"])],
    }
    with contextlib.ExitStack() as stack:
        for name, command in commands.items():
            stack.enter_context(running(command, port=ports[name], core=load_core, log=folder / f"{name}.log"))
        stack.enter_context(run_redis(folder, ports["redis"], load_core))
        yield Stage(folder, proxy_core, load_core, new_secret_key(), **ports)


@contextlib.contextmanager
def run_redis(folder: Path, port: int, core: int) -> Generator[Running]:
    """A Redis that writes nothing to disk, until the block ends."""
    command: Sequence[str] = [
        *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        *("--dir", str(folder), "--loglevel", "warning"),
    ]
    with running(command, port=port, core=core, log=folder / "redis.log") as redis:
        yield redis


def has_redis() -> bool:
    """Whether Redis is installed: without it nothing here can be signed in."""
    return shutil.which("redis-server") is not None
