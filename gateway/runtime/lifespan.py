"""The gateway's start and end inside somebody else's server: when the server shuts down, what was opened is closed.

The lifespan belongs to the app; the gateway only listens for its end. An app that does not know the protocol is
answered for, so that the gateway is closed all the same (ASGI specification, "Lifespan Protocol"). What an app raises
that does know it is the server's to see.
"""

from __future__ import annotations

from typing import Any

from gateway.runtime.generation import Generation
from gateway.web.asgi_head import Message, Receive, Send


class Lifespan:
    """An ASGI app: the gateway, plus the lifespan of the app behind it, which is `app`."""

    def __init__(self, generation: Generation, app: Any | None) -> None:
        self.generation = generation
        self.app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve a request, or take part in the server's start and end."""
        self.generation.judging.allow_files.start()  # not every server tells of its start
        if scope["type"] != "lifespan":
            await self.generation.doors.app(scope, receive, send)
        elif self.app is None:
            await self._answer(receive, send)
        else:
            await self._share(self.app, scope, receive, send)

    async def _share(self, app: Any, scope: Any, receive: Receive, send: Send) -> None:
        received: list[str] = []
        answered = False

        async def receive_noted() -> Message:
            message = await receive()
            received.append(message["type"])
            if message["type"] == "lifespan.startup":
                self.generation.start()
            return message

        async def send_noted(message: Message) -> None:
            nonlocal answered
            answered = True
            if message["type"].startswith("lifespan.shutdown"):
                await self.generation.close()
            await send(message)

        try:
            await app(scope, receive_noted, send_noted)
        except Exception:
            # an app without lifespan raises at once; who has asked what there is to do has really failed
            if received or answered:
                raise
        if not answered:
            await self._answer(receive, send, started="lifespan.startup" in received)

    async def _answer(self, receive: Receive, send: Send, *, started: bool = False) -> None:
        if not started:
            await receive()
            self.generation.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.generation.close()
        await send({"type": "lifespan.shutdown.complete"})
