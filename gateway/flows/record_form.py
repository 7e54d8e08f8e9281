"""In which form sessions and grants are written: the compact one, as soon as every gateway on the store can read it.

Versions before 0.2 cannot: for them, such a session would be nobody's. So the first gateway of this version that writes
to a store notes there from when on records may be compact, and till then all write as those versions do. Both forms are
read at any time, and what is written anew takes the form of the day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.flows.ports import Records

KEY: Final = "compact-from"
"""Where the moment is noted, in Unix seconds. It is no secret, and nothing leans on it but sizes."""
KEPT: Final = timedelta(days=30)
"""How long it is noted since a gateway has last started; if it is lost, another such while begins: nobody notices."""


class RecordForm:
    """Knows from when on records are compact. `wait`: how long earlier versions may run beside this one."""

    def __init__(self, store: Records, wait: timedelta) -> None:
        self._store = store
        self._wait = wait
        self._since: datetime | None = None
        self.compact = False
        """Whether they are, as far as is known."""

    async def settle(self, now: datetime) -> bool:
        """Return whether records are to be compact now. Raises `StoreUnavailable`."""
        if self._since is None:
            self._since = await self._find_out(now)
        self.compact = now >= self._since
        return self.compact

    async def _find_out(self, now: datetime) -> datetime:
        since = _read(await self._store.read(KEY)) or now + self._wait
        await self._store.write(KEY, b"%d" % since.timestamp(), int(KEPT.total_seconds()))
        return min(since, now + self._wait)


def _read(noted: bytes | None) -> datetime | None:
    """Return the moment; None where there is none, or something that is none."""
    try:
        return datetime.fromtimestamp(int(noted), UTC) if noted is not None else None
    except (ValueError, OverflowError, OSError):
        return None
