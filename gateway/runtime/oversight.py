"""The operator's view without a gateway that serves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from gateway.core.audit import Asker, Who
from gateway.flows.audit import asked_by
from gateway.flows.oversight import Erased, Oversight, SessionView, describe_unreadable
from gateway.runtime.build import build
from gateway.settings import Settings

__all__ = ["Erased", "Oversight", "SessionView", "describe_unreadable", "oversee"]


@contextlib.asynccontextmanager
async def oversee(settings: Settings) -> AsyncGenerator[Oversight]:
    """Open the store that the settings name, for as long as the context lasts."""
    generation = build(settings)
    try:
        with asked_by(Asker(who=Who.OPERATOR, key="command")):
            yield generation.flows.oversight
    finally:
        await generation.close()
