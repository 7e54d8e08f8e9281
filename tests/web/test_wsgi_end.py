"""A WSGI process that ends closes its gateway, though no server tells it to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.testing import environment

PROGRAM = """
import os, sys
from gateway.wsgi import protect

gateway = protect(lambda environ, start: [])
close = gateway._close

async def told_close():
    print("closed in", "parent" if os.getpid() == parent else "child", flush=True)
    await close()

gateway._close = told_close
parent = os.getpid()
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "testserver", "wsgi.url_scheme": "http"}
if "before" in sys.argv:
    gateway(environ, lambda *_: None)
if "fork" in sys.argv and os.fork() == 0:
    if "idle" not in sys.argv:
        gateway(environ, lambda *_: None)
    sys.exit()
if "fork" in sys.argv:
    os.wait()
"""


@pytest.mark.parametrize(
    ("words", "closed"),
    [
        ((), []),
        (("before",), ["parent"]),
        (("fork",), ["child"]),
        (("before", "fork"), ["child", "parent"]),
        (("before", "fork", "idle"), ["parent"]),
    ],
)
def test_what_was_opened_is_closed_where_it_was_opened(words: tuple[str, ...], closed: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"closed in {where}" for where in closed]
