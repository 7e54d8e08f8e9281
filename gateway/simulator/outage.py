"""What every endpoint does on a bad day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gateway.simulator.refusal import note_error
from gateway.simulator.troubles import Troubles


async def outage(request: Request, troubles: Troubles, delay: float) -> Response | None:
    """Wait as long as the switches say; returns the answer of a bad day, or None.

    It is the way to TikTok that is slow: whoever hangs up meanwhile has asked for nothing.
    """
    until = asyncio.get_running_loop().time() + delay
    while (left := until - asyncio.get_running_loop().time()) > 0:
        await asyncio.sleep(min(left, 0.05))
        if await request.is_disconnected():
            return bad_gateway()
    if troubles.hang:
        await asyncio.sleep(3600)
    for switch, answer in _BAD_DAYS.items():
        if getattr(troubles, switch):
            note_error(request, "a bad day", f"The switch is {switch}.")
            return answer()
    return None


def bad_gateway() -> Response:
    """A page of whatever stands before TikTok."""
    return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", status_code=502)


_BAD_DAYS: Final[Mapping[str, Callable[[], Response]]] = {
    "html": bad_gateway,
    "plain_text": lambda: PlainTextResponse("upstream connect error"),
    "empty_body": lambda: Response(b""),
}
