"""A transport over another: what it does not do by itself, the one below does."""

from __future__ import annotations

import asyncio
from typing import Any


class Overlay(asyncio.Transport):
    """What a protocol above asks of the transport below, and is told as it is."""

    _raw: asyncio.Transport  # below
    _above: Any = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol take over."""
        self._above = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol above."""
        return self._above  # type: ignore[no-any-return]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        return self._raw.get_extra_info(name, default)

    def can_write_eof(self) -> bool:
        """Whether one direction can be ended alone: it can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the client."""
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when the protocol above is told to pause, and to resume."""
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol above is told to pause, and to resume."""
        self._raw.set_write_buffer_limits(high, low)
