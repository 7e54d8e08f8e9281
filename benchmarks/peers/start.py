"""How a peer is started, signed in to, and checked to do what it is there for."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass

import httpx

from benchmarks.peers.peer import Peer
from benchmarks.process import ProgramFailed, Running, choose_port, running
from benchmarks.servers.app import HEADERS
from benchmarks.stage import Stage


@dataclass(frozen=True)
class Proxy:
    """A peer that runs, with somebody signed in."""

    name: str
    port: int
    cookie: str
    """The Cookie header of requests; empty for proxies that ask nobody."""
    process: Running
    """All its programs."""
    second: int
    """Its other port: of the gateway, the admin listener."""


_numbers = itertools.count()


@contextlib.contextmanager
def start(peer: Peer, stage: Stage) -> Generator[Proxy]:
    """Run a peer until the block ends, signed in. Raises `ProgramFailed`, also when it lets anybody through."""
    with contextlib.ExitStack() as stack:
        words = {"front": str(choose_port()), "second": str(choose_port())}
        processes = []
        if peer.beside is not None:
            words |= {"beside": str(choose_port()), "checks": str(choose_port())}
            own = {"port": words["beside"], "second": str(choose_port())}
            beside = stack.enter_context(_run(peer.beside, stage, {**words, **own}))
            processes.append(beside)
        processes.append(stack.enter_context(_run(peer, stage, {**words, "port": words["front"]})))
        url = f"http://127.0.0.1:{words['front']}"
        try:
            cookie = peer.sign_in(url) if peer.sign_in else ""
            _check(peer, url, cookie)
        except (httpx.HTTPError, AssertionError) as error:
            raise ProgramFailed(f"{peer.name}: {error}") from error
        pids = [pid for process in processes for pid in process.pids]
        yield Proxy(peer.name, int(words["front"]), cookie, Running(*pids), int(words["second"]))


@contextlib.contextmanager
def _run(peer: Peer, stage: Stage, words: Mapping[str, str]) -> Generator[Running]:
    program = peer.find()
    if program is None:
        raise ProgramFailed(f"{peer.name} is not installed: {peer.how_to_get}")
    folder = stage.folder / f"{next(_numbers)}-{re.sub('[^a-z0-9]+', '-', peer.name.lower())}"
    folder.mkdir()
    known = {
        **stage.words(),
        **words,
        "folder": str(folder),
        "config": str(folder / "config"),
        "modules": peer.find_modules() if peer.module else "",
    }
    (folder / "config").write_text(_fill(peer.config, known))
    command = [program, *(_fill(word, known) for word in peer.command)]
    environ = {name: _fill(value, known) for name, value in peer.environ.items()}
    with running(
        command, port=int(words["port"]), core=stage.proxy_core, log=folder / "log", environ=environ
    ) as process:
        yield process


def _fill(text: str, words: Mapping[str, str]) -> str:
    return re.sub(r"@\{(\w+)\}", lambda found: words[found.group(1)], text)


def _check(peer: Peer, url: str, cookie: str) -> None:
    """Assert that the app hears who is signed in, and that nobody else gets through."""
    with httpx.Client(base_url=url, trust_env=False, timeout=10) as browser:
        answer = browser.get(HEADERS, headers={"cookie": cookie} if cookie else {})
        if answer.status_code != 200 or "content-length" not in answer.headers:
            raise AssertionError(f"does not forward: {answer.status_code} {answer.text[:300]}")
        if peer.identity and f"\r\n{peer.identity}: ".lower() not in answer.text.lower():
            raise AssertionError(f"tells the app no {peer.identity}, only:\n{answer.text}")
        if peer.sign_in and browser.get(HEADERS).status_code == 200:
            raise AssertionError("lets everybody through")
