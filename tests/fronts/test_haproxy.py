"""HAProxy by a Lua script of ours, with the files that users copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.fronts.app import App
from tests.fronts.scenarios import SETTINGS, Scenarios
from tests.fronts.starting import Front
from tests.haproxy import serve_behind_haproxy
from tests.harness import Browser, serve_app
from tests.talk import Talk, compose


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    app = App()
    with serve_app(app) as upstream, serve_behind_haproxy(simulator, upstream, **SETTINGS) as running:
        yield Front(running, app)


class TestHAProxy(Scenarios):
    """Before 3.2 it cannot drop trailers, and takes no body without a length."""

    @pytest.mark.parametrize("chunked", [False])
    def test_an_upload_is_streamed(self, front: Front, person: Browser, chunked: bool) -> None:
        super().test_an_upload_is_streamed(front, person, chunked)
