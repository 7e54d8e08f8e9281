"""Whether requests can be answered now: `/readyz` (readiness probe)."""

from __future__ import annotations

from gateway.errors import StoreUnavailable
from gateway.flows.ports import Store
from gateway.web.admin.reload import Reloads


class Readiness:
    """Ready until the store fails, or the end has begun."""

    def __init__(self, store: Store, reloads: Reloads | None = None) -> None:
        self._store = store
        self._reloads = reloads
        self.draining = False

    async def __call__(self) -> str | None:
        """Return why not, or None when ready."""
        if self.draining:
            return "the gateway is shutting down"
        try:
            await self._store.ping()
        except StoreUnavailable as error:
            return str(error)
        return None

    def notes(self) -> dict[str, str]:
        """Return what does not make it unready, and is worth a word all the same."""
        followed = "followed" if self._store.following else "not followed: every request asks Redis (see the log)"
        refused = self._reloads.refused if self._reloads is not None else ""
        settings = {"settings": f"those of before are in force, the new ones are refused: {refused}"} if refused else {}
        return {"changes in redis": followed} | settings
