"""A client that has hung up when its answer is ready is no fault of anybody's: nothing is told as one."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from tests.server.conftest import Dry

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["websocket", "http"])
@pytest.mark.parametrize("path", ["/private", "/no/x", "/oauth2/livez", "/public/%2f"])
async def test_an_answer_that_nobody_takes_is_no_bug(
    dry: Dry, caplog: pytest.LogCaptureFixture, kind: str, path: str
) -> None:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": f"{kind}.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        raise BrokenPipeError

    scope = {
        "type": kind,
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"app.example")],
        "client": ("192.0.2.7", 5000),
        "scheme": "http",
        "extensions": {"websocket.http.response": {}},
        "asgi": {"version": "3.0"},
    }
    await dry.generation.doors.app(scope, receive, send)
    assert not [record for record in caplog.records if "bug" in record.getMessage() or record.exc_info]
