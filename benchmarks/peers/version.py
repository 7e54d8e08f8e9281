"""Another version of this project, from a folder with its checkout, as one more peer."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from datetime import datetime
from pathlib import Path

from benchmarks.peers.peer import Peer
from gateway.simulator import SimulatorSettings

HERE = Path(__file__).parents[2]
"""This checkout."""
CLIENT_KEY = SimulatorSettings().client_key


def of_version(peer: Peer, folder: Path) -> Peer:
    """Return the gateway, or what asks it, with the gateway of the folder. Its name says that it is the one before.

    Raises `ValueError` for a folder that holds no gateway.
    """
    if not (folder / "gateway" / "__main__.py").exists():
        raise ValueError(f"{folder} holds no version of this project: there is no gateway/__main__.py")
    name = f"{peer.name}, before"
    if peer.beside is not None:
        return dataclasses.replace(peer, name=name, beside=of_version(peer.beside, folder))
    command, environ = run_from(folder, *peer.command)
    return dataclasses.replace(peer, name=name, command=command, environ={**peer.environ, **environ})


def run_from(folder: Path, *arguments: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return arguments and environment with which Python finds the packages of this folder, and of no other."""
    return ("-P", *arguments), {"PYTHONPATH": str(folder.resolve())}  # -P: not those of the folder it is started in


def sign_in_many(
    peer: Peer, port: int, secret_key: str, count: int, *, seen_at: datetime, tokens_only: bool = False
) -> list[bytes]:
    """Sign in so many people at the Redis on `port`, as this version of the gateway writes it; returns session ids.

    `seen_at`, `tokens_only`: as for `benchmarks.seed.sign_in_many`. Raises `CalledProcessError`.
    """
    folder = Path(peer.environ.get("PYTHONPATH", HERE))
    words = (str(port), secret_key, CLIENT_KEY, str(count), str(int(seen_at.timestamp())))
    rest = ("tokens-only",) if tokens_only else ()
    arguments, environ = run_from(folder, str(HERE / "benchmarks" / "seed.py"), *words, *rest)
    done = subprocess.run([peer.program, *arguments], env={**os.environ, **environ}, stdout=subprocess.PIPE, check=True)
    return done.stdout.split()
