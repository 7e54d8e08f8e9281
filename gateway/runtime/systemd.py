"""What systemd hands over (socket activation, sd_listen_fds(3)), and what it is told (sd_notify(3)).

Nothing of it needs systemd's own library, and outside of it every function does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final

from gateway.telemetry.logs import log

FIRST: Final = 3
"""The first file descriptor that is handed over."""
_HANDED_OVER: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_TOLD: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
UNNAMED: Final = "unknown"
"""What a socket is called whose unit does not say."""


def take_sockets(environ: MutableMapping[str, str]) -> list[tuple[str, socket.socket]]:
    """Return the sockets that were handed over, with their names; once, so that no child takes them for its own.

    Raises `ValueError` for what is no listening stream socket.
    """
    pid, count, names = (environ.pop(name, "") for name in _HANDED_OVER)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    called = names.split(":") if names else []
    taken = []
    for number in range(int(count)):
        handed = socket.socket(fileno=FIRST + number)
        handed.set_inheritable(False)
        name = called[number] if number < len(called) else UNNAMED
        if handed.type != socket.SOCK_STREAM or not handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ValueError(f"{name} is no stream socket that listens: `Accept=no` and `ListenStream=` make one")
        handed.setblocking(False)
        taken.append((name, handed))
    return taken


class Systemd:
    """Whoever started this process, and wants to know how it does (`Type=notify`)."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address, interval, pid = (environ.pop(name, "") for name in _TOLD)
        self._address = "\0" + address[1:] if address.startswith("@") else address  # abstract
        watched = interval.isdecimal() and pid in {"", str(os.getpid())}
        self.watchdog: Final = int(interval) / 1_000_000 if watched else 0.0
        """Seconds within which it wants to hear again and again that all is well; 0 if it does not."""

    def tell_ready(self, status: str) -> None:
        """Say that every listener serves; also once a reload is done."""
        self._tell("READY=1", f"STATUS={status}")

    def tell_reloading(self) -> None:
        """Say that other settings are being taken; `tell_ready` says that it is done."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def tell_stopping(self) -> None:
        """Say that it ends."""
        self._tell("STOPPING=1", "STATUS=finishing what is under way")

    def tell_status(self, status: str) -> None:
        """Say how it does, in words for an operator."""
        self._tell(f"STATUS={status}")

    def tell_alive(self) -> None:
        """Say that all is well, as the watchdog wants to hear."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
                notifier.setblocking(False)
                notifier.connect(self._address)
                notifier.send(text.encode())
        except OSError as error:  # a service that cannot say that it is well may be well all the same
            log.debug("systemd_not_told", reason=str(error))
