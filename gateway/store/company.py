"""Whether an embedded store is the only one of its gateway: two processes would each know half of the sessions.

`gateway run` refuses more than one worker; under somebody else's server it can only be noticed. Each process that uses
its store takes a name of the gateway's (a Linux abstract socket, which is free again when the process ends, however it
ends); who finds it taken is not alone. On other systems nothing is noticed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import sys
from typing import Final

from gateway.telemetry.logs import log

_taken: Final[dict[bytes, int]] = {}  # by name, the process that has it: a fork inherits what is not its own
_welcome = False


def welcome_company() -> None:
    """Have this process, and those that are forked from it, look for nobody: each is to have sessions of its own."""
    global _welcome
    _welcome = True


class Company:
    """Looks, once a process and when the store is first used, for another process with a store of the same gateway."""

    def __init__(self, gateway: str) -> None:
        user = os.getuid() if sys.platform != "win32" else 0
        self._name = b"\0gateway-" + hashlib.sha256(f"{user}:{gateway}".encode()).hexdigest()[:32].encode()
        self._looked_in = 0
        self._file = -1  # the number of the socket, which stays open until the process ends or we leave

    def look(self) -> None:
        """Warn of another."""
        process = os.getpid()
        if self._looked_in == process:
            return
        self._looked_in = process
        if sys.platform != "linux" or _welcome or _taken.get(self._name) == process:
            return
        taking = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            taking.bind(self._name)
        except OSError as error:
            taking.close()
            if error.errno == errno.EADDRINUSE:
                log.warning(
                    "memory_store_not_alone",
                    advice="several processes run this gateway, and with `redis: memory://` each has sessions of its "
                    "own: sign-ins fail, and who is signed in comes and goes. Run one worker, or use a real Redis",
                )
        else:
            self._file, _taken[self._name] = taking.detach(), process

    def leave(self) -> None:
        """Give the name back."""
        if self._file >= 0:
            os.close(self._file)
            if _taken.get(self._name) == os.getpid():
                del _taken[self._name]
        self._file = -1
