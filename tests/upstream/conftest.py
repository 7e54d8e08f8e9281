"""Both event loops: their transports differ in what they tell, and when. And a whole gateway before a script."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from gateway.simulator import RunningSimulator
from tests.harness import WAYS, Running
from tests.scripted import ScriptedUpstream, Visit, scripted
from tests.talk import Answer, Talk, ask, compose

# short enough to be waited for, long enough for a busy machine
TIMEOUTS = {
    "upstream__timeouts__first_byte": "1s",
    "upstream__timeouts__idle": "1s",
    "upstream__timeouts__connect": "2s",
}


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


def echo_paths(visit: Visit) -> None:
    """Answer each request with its own path: whoever reads another's notices."""
    while head := visit.head():
        path = head.split(b" ")[1]
        visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))


class Stage:
    """A gateway before an upstream that follows a script."""

    def __init__(self, running: Running, upstream: ScriptedUpstream) -> None:
        self.running = running
        self.upstream = upstream

    def first_say(self, *pieces: bytes, pause: float = 0.0, hang_up: bool = False) -> None:
        """Have the first connection answer one request so; others behave."""

        def script(visit: Visit) -> None:
            if visit.number:
                echo_paths(visit)
            elif visit.head():
                visit.say(*pieces, pause=pause)
                if not hang_up:
                    visit.rest()

        self.upstream.follow(script)

    def talk(self, *, room: int | None = None) -> Talk:
        return Talk(self.running.address, room=room)

    def ask(self, path: bytes = b"/public/x", *, method: bytes = b"GET", fields: bytes = b"") -> Answer:
        """Send a request on a connection of its own; there must be an answer, whole or not."""
        answer = ask(self.running.address, compose(path, b"Host: app.example\r\n" + fields, method=method))
        assert answer is not None
        return answer

    def assert_next_is_served(self) -> None:
        """Others get their own answers: nothing is left of what came before."""
        for number in range(3):
            answer = self.ask(b"/public/next%d" % number)
            assert (answer.status, answer.body, answer.whole) == (200, b"/public/next%d" % number, True)


@pytest.fixture(scope="module", params=WAYS)
def stage(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Stage]:
    """The whole gateway, both ways."""
    with scripted() as upstream, WAYS[request.param](simulator, upstream.url, **TIMEOUTS) as running:
        yield Stage(running, upstream)
