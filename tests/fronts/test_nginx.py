"""nginx by `auth_request`, with the file that users copy; what is nginx's alone is in tests/threats/test_nginx.py."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from gateway.simulator import RunningSimulator
from tests.fronts.app import App
from tests.fronts.scenarios import SETTINGS, Scenarios
from tests.fronts.starting import Front
from tests.harness import serve_app
from tests.nginx import serve_behind_nginx


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    app = App()
    with serve_app(app) as upstream, serve_behind_nginx(simulator, upstream, **SETTINGS) as running:
        yield Front(running, app)


class TestNginx(Scenarios):
    """It differs in nothing."""
