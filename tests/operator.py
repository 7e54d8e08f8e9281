"""An operator with a browser at the admin listener, and a gateway that has one."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.runtime.build import build
from gateway.runtime.generation import Generation
from gateway.runtime.http_server import build_server
from gateway.simulator import RunningSimulator
from tests.harness import Closing, listener, read_settings, serve_both_in_thread, url_of

KEY = "operator-key-of-at-least-32-characters"
OTHER_KEY = "another-key-of-at-least-32-characters"
SHOWN = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


@dataclass(frozen=True)
class Overseen:
    """A gateway, and where its operator's listener is."""

    url: str
    admin: str
    generation: Generation
    simulator: RunningSimulator


@contextlib.contextmanager
def serve_overseen(simulator: RunningSimulator, upstream: str, **changes: str) -> Generator[Overseen]:
    """Serve a gateway with its admin listener, in one event loop."""
    with listener() as public, listener() as admin:
        changes = {"admin__keys": f'["{KEY}"]', "admin__listen": "127.0.0.1:1"} | changes
        public_url = changes.pop("public_url", url_of(public))
        settings = read_settings(simulator, public_url, upstream=upstream, **changes)
        generation = build(settings)
        server = build_server(Closing(generation), settings, short_way=generation.doors.short_way, lifespan="on")
        with serve_both_in_thread(server, public, build_server(generation.doors.admin, settings), admin):
            yield Overseen(url_of(public), url_of(admin), generation, simulator)


class Operator:
    """A browser: it keeps cookies, and says where a form comes from."""

    def __init__(self, admin: str) -> None:
        self.admin = admin
        self.client = httpx.Client(base_url=admin, timeout=20, trust_env=False)

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def cookie(self) -> str:
        """The value of the cookie."""
        return self.client.cookies["gateway-operator"]

    def open(self, path: str = "", **options: Any) -> httpx.Response:
        """Open a page."""
        return self.client.get(f"/admin{path}", headers=SHOWN | {"sec-fetch-site": "none"}, **options)

    def send(self, path: str, headers: Mapping[str, str] | None = None, **fields: str) -> httpx.Response:
        """Send a form, as a page of the listener does; `headers` in place of what the browser would say."""
        said = {"origin": self.admin, "sec-fetch-site": "same-origin"} if headers is None else headers
        return self.client.post(f"/admin{path}", data=fields, headers={**SHOWN, **said})

    def sign_in(self, key: str = KEY) -> httpx.Response:
        """Show a key."""
        return self.send("/sign_in", key=key, to="/admin")

    def token(self) -> str:
        """Return what stands in this operator's forms."""
        found = _TOKEN.search(self.open("/sessions").text)
        assert found is not None
        return found[1]

    def act(self, path: str, **fields: str) -> httpx.Response:
        """Send a form with the token."""
        return self.send(path, None, token=self.token(), **fields)
