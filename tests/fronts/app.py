"""The app behind the fronts: it echoes, and keeps what reaches it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from typing import Any

from tests.harness import echo
from tests.recorder import Seen

PATIENCE = 10.0  # seconds


class App:
    """Echoes. `…/upload` digests a body as it comes, `…/events` tells a second event once `go_on` is set."""

    def __init__(self) -> None:
        self.began = threading.Event()  # some of an upload has come
        self.go_on = threading.Event()
        self.left = threading.Event()  # whoever listened to events has gone
        self._seen: list[Seen] = []

    def take(self) -> list[Seen]:
        """Return what arrived since the last time."""
        taken, self._seen = self._seen, []
        return taken

    def reset(self) -> None:
        self._seen = []
        for each in (self.began, self.go_on, self.left):
            each.clear()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        seen = Seen(scope.get("method", "GET").encode(), target, tuple(scope["headers"]))
        self._seen.append(seen)
        try:
            await self._answer(scope, receive, send)
        finally:
            seen.fields = tuple(scope["headers"])  # once more: some servers add a body's trailers

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/upload"):
            await self._digest(receive, send)
        elif scope["path"].endswith("/events"):
            await self._tell_events(receive, send)
        else:
            await echo(scope, receive, send)

    async def _digest(self, receive: Any, send: Any) -> None:
        digest, length, more = hashlib.sha256(), 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            piece, more = message.get("body", b""), message.get("more_body", False)
            digest.update(piece)
            length += len(piece)
            if piece:
                self.began.set()
        body = json.dumps({"length": length, "digest": digest.hexdigest()}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def _tell_events(self, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
        await asyncio.to_thread(self.go_on.wait, PATIENCE)
        await send({"type": "http.response.body", "body": b"data: second\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()
