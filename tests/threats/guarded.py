"""A gateway with something behind it that keeps what reaches it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from functools import cached_property
from typing import Literal

from gateway.asgi import protect
from gateway.simulator import RunningSimulator
from tests.harness import WAYS, Browser, Running, listener, read_settings, serve_app, url_of
from tests.nginx import serve_behind_nginx
from tests.recorder import Recorder, RecordingApp, Seen, record
from tests.talk import Answer, Talk, ask


class Guarded:
    """A gateway and what is behind it."""

    def __init__(self, running: Running, behind: Recorder | RecordingApp, *, own_server: bool = True) -> None:
        self.running = running
        self.behind = behind
        self.own_server = own_server
        self.by_nginx = running.folder is not None

    @property
    def recorder(self) -> Recorder:
        """The upstream, where there is one."""
        assert isinstance(self.behind, Recorder)
        return self.behind

    def talk(self) -> Talk:
        return Talk(self.running.address, framed=self.own_server)

    def ask(self, request: bytes) -> Answer:
        """Send a request on a connection of its own; there must be an answer."""
        answer = ask(self.running.address, request, framed=self.own_server)
        assert answer is not None
        return answer

    def status(self, request: bytes) -> int:
        return self.ask(request).status

    def forwarded(self, request: bytes) -> Seen:
        """Send a request that passes; returns what arrived, which is exactly one whole request."""
        answer = self.ask(request)
        seen = self.behind.take()
        assert (answer.status, len(seen)) == (200, 1), (answer, seen)
        assert seen[0].whole
        return seen[0]

    def forwarded_if_at_all(self, request: bytes, *statuses: int) -> Seen | None:
        """Send a request that passes whole, or is refused with one of these statuses (400); what arrived, if it did."""
        answer = self.ask(request)
        seen = [each for each in self.behind.take() if each.whole]
        assert answer.status in (200, *(statuses or (400,))), (request[:200], answer)
        assert len(seen) == (answer.status == 200), (answer, seen)
        return seen[0] if seen else None

    def refuses(self, request: bytes, *statuses: int) -> Answer:
        """Send a request that must not pass: one of these statuses, and nothing arrives."""
        answer = self.ask(request)
        assert answer.status in statuses, (request[:200], answer)
        assert not [seen for seen in self.behind.take() if seen.whole]
        return answer

    @cached_property
    def cookie(self) -> bytes:
        """The Cookie of somebody who is signed in."""
        with Browser(self.running.url) as browser:
            assert browser.sign_in().status_code == 200
            self.behind.take()
            return b"gateway=" + browser.client.cookies["gateway"].encode()


@contextlib.contextmanager
def guard_upstream(simulator: RunningSimulator, way: str, **changes: str) -> Generator[Guarded]:
    """The gateway before a recorder."""
    with record() as recorder, WAYS[way](simulator, recorder.url, **changes) as running:
        yield Guarded(running, recorder)


@contextlib.contextmanager
def guard_behind_nginx(simulator: RunningSimulator, **changes: str) -> Generator[Guarded]:
    """A real nginx with the file that users copy before a recorder, asking the gateway."""
    with record() as recorder, serve_behind_nginx(simulator, recorder.url, **changes) as running:
        yield Guarded(running, recorder)


@contextlib.contextmanager
def guard_app(simulator: RunningSimulator, http: Literal["h11", "httptools"], **changes: str) -> Generator[Guarded]:
    """The gateway inside a recording app, under a server that is not ours."""
    bound, app = listener(), RecordingApp()
    settings = read_settings(simulator, url_of(bound), **changes)
    with serve_app(protect(app, settings), bound, http=http) as url:
        yield Guarded(Running(url, settings, simulator), app, own_server=False)
