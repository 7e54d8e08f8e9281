"""The operator's view without a gateway that serves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import NamedTuple

from gateway.core.audit import Asker, Who
from gateway.core.user_agent import describe_user_agent
from gateway.flows.audit import asked_by
from gateway.flows.listing import Listing
from gateway.flows.oversight import Erased, GrantView, Oversight, SessionView, describe_unreadable
from gateway.runtime.build import build
from gateway.settings import Settings
from gateway.web.admin.openapi import describe_api

__all__ = [
    "Erased",
    "GrantView",
    "Overseen",
    "Oversight",
    "SessionView",
    "describe_api",
    "describe_unreadable",
    "describe_user_agent",
    "oversee",
]


class Overseen(NamedTuple):
    """What there is, and what can be done about it."""

    oversight: Oversight
    listing: Listing


@contextlib.asynccontextmanager
async def oversee(settings: Settings) -> AsyncGenerator[Overseen]:
    """Open the store that the settings name, for as long as the context lasts."""
    generation = build(settings)
    try:
        with asked_by(Asker(who=Who.OPERATOR, key="command")):
            yield Overseen(generation.flows.oversight, generation.flows.listing)
    finally:
        await generation.close()
