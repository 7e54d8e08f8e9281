"""What every endpoint does on a bad day."""

from __future__ import annotations

import asyncio

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gateway.simulator.troubles import Troubles


async def outage(troubles: Troubles, delay: float) -> Response | None:
    """Wait as long as the switches say; returns the answer of a bad day, or None."""
    if delay:
        await asyncio.sleep(delay)
    if troubles.hang:
        await asyncio.sleep(3600)
    if troubles.html:
        return bad_gateway()
    if troubles.plain_text:
        return PlainTextResponse("upstream connect error")
    if troubles.empty_body:
        return Response(b"")
    return None


def bad_gateway() -> Response:
    """A page of whatever stands before TikTok."""
    return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", status_code=502)
