"""Whether somebody is still there, on a connection that is not being read from.

Where a client has more to say than may be taken, its connection is not read, and so its end is not noticed. The kernel
knows of it.
"""

from __future__ import annotations

import asyncio
import select
import socket


def has_left(transport: asyncio.Transport) -> bool:
    """Whether the other end has closed its side, or is gone."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "POLLRDHUP"):  # not on every system
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
