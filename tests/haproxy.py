"""A real HAProxy: with the files that users copy, asking a gateway about an app, or with anything else."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path

from gateway.simulator import RunningSimulator
from tests.fronts.starting import CONFIG, Places, replaced, run_front, serve_behind
from tests.harness import Running
from tests.programs import need

SCRIPT = CONFIG / "haproxy" / "gateway.lua"


@contextlib.contextmanager
def run_haproxy(configuration: str, url: str) -> Generator[Path]:
    """Run HAProxy until the block ends; yields the file of its log. `url` answers 200 once it runs."""
    program = need("haproxy")
    with tempfile.NamedTemporaryFile("w") as main:
        main.write(configuration.replace("log /dev/log local0", "log stdout format raw local0"))
        main.flush()
        with run_front([program, "-db", "-f", main.name], url) as log:
            yield log


def read_shipped(places: Places, changes: Iterable[tuple[str, str]] = ()) -> str:
    """Return the file that users copy, with addresses and `changes` replaced."""
    at = [
        ("/etc/haproxy/gateway.lua", str(SCRIPT)),
        ("bind *:80 ", f"bind {places.front} "),
        ("bind abns@gateway-checks", f"bind abns@checks-of-{places.front}"),
        ("ask_gateway abns@gateway-checks", f"ask_gateway abns@checks-of-{places.front}"),
        ("app 127.0.0.1:3000", f"app {places.app}"),
        ("gateway 127.0.0.1:8080", f"gateway {places.gateway}"),
        ("gateway 127.0.0.1:8081", f"gateway {places.checks}"),
    ]
    return replaced((CONFIG / "haproxy" / "haproxy.cfg").read_text(), [*at, *changes])


@contextlib.contextmanager
def begin_haproxy(places: Places, _: Path) -> Generator[None]:
    """Run HAProxy with the file that users copy."""
    with run_haproxy(read_shipped(places), f"http://{places.front}/oauth2/livez"):
        yield


def serve_behind_haproxy(
    simulator: RunningSimulator, upstream: str, **changes: str
) -> contextlib.AbstractContextManager[Running]:
    """The gateway beside such a HAProxy, before `upstream`."""
    return serve_behind(begin_haproxy, simulator, upstream, **changes)
