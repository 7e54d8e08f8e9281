"""What programs ask for: `livez`, `readyz`, `jwks.json` and the files beside the pages. No session is looked at."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request

from gateway.errors import NoSuchPage
from gateway.web.answers.answer import Answer, text_answer
from gateway.web.answers.static_files import StaticFiles
from gateway.web.table import Table


class ForPrograms:
    """Handlers of what is no page. `keys` are those that assertions are checked with, None without assertions."""

    def __init__(
        self,
        *,
        static: StaticFiles,
        keys: Mapping[str, object] | None,
        readiness: Callable[[], Awaitable[str | None]],
    ) -> None:
        self._static = static
        self._keys = keys
        self._readiness = readiness

    @property
    def table(self) -> Table:
        """Where they are."""
        return {
            "/livez": {"GET": self.livez},
            "/readyz": {"GET": self.readyz},
            "/jwks.json": {"GET": self.jwks},
            "/static/{name}": {"GET": self.static},
        }

    async def livez(self, request: Request) -> Answer:
        """Say that the process serves."""
        return text_answer(200, "ok\n")

    async def readyz(self, request: Request) -> Answer:
        """Say whether requests can be answered now; the reason stays in the log and on the admin listener."""
        return text_answer(200, "ok\n") if await self._readiness() is None else text_answer(503, "not ready\n")

    async def jwks(self, request: Request) -> Answer:
        """Publish the keys that assertions are checked with (RFC 7517)."""
        if self._keys is None:
            raise NoSuchPage("there are no assertions: see `identity.assertion`")
        headers = (
            (b"content-type", b"application/jwk-set+json"),
            (b"cache-control", b"public, max-age=300"),
            (b"x-content-type-options", b"nosniff"),
        )
        return Answer(200, headers, json.dumps(self._keys).encode())

    async def static(self, request: Request) -> Answer:
        """Serve what lies beside the pages."""
        asked, etag = request.path_params["name"], request.headers.get("if-none-match", "")
        found = self._static.answer(asked, etag)
        if found is None:
            raise NoSuchPage("no such static file")
        return found
