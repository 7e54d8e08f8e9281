"""A gateway in this process that listens as its settings say: with TLS, with PROXY headers, on a unix socket."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from gateway.runtime.build import build
from gateway.runtime.http_server import build_server
from gateway.runtime.listeners import open_listeners
from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.harness import Closing, Running, read_settings, serve_in_thread
from tests.ports import free_port
from tests.talk import Talk


@contextlib.contextmanager
def serve_listening(
    simulator: RunningSimulator,
    upstream: str,
    how: Mapping[str, Any] | None = None,
    files: tuple[Path, Path] | None = None,
    way: str = "fast",
    /,
    **changes: str,
) -> Generator[Running]:
    """Serve on an address with `how` it listens, and with a certificate and its key in `files`."""
    port = free_port()
    changes.setdefault("public_url", f"{'https' if files else 'http'}://127.0.0.1:{port}")
    changes.setdefault("listen", json.dumps({"address": f"127.0.0.1:{port}", **(how or {})}))
    if files is not None:
        changes |= {"tls__certificate": str(files[0]), "tls__key": str(files[1])}
    settings = read_settings(simulator, upstream=upstream, **changes)
    generation = build(settings)
    short_way = generation.doors.short_way if way == "fast" else None
    with contextlib.ExitStack() as stack:
        listeners = open_listeners(settings, 1, stack)
        server = build_server(
            Closing(generation),
            settings,
            short_way=short_way,
            checks=generation.doors.proven_checks if way == "fast" else None,
            lifespan="on",
            listeners=listeners.by_socket,
        )
        with serve_in_thread(server, listeners.public[0].sockets[0]):
            yield Running(settings.public_url, settings, simulator, generation)


class TlsTalk(Talk):
    """As `Talk`, over TLS; `before` is said in the clear, before the handshake."""

    def __init__(self, address: tuple[str, int], issued: Issued, *, before: bytes = b"", **options: Any) -> None:
        super().__init__(address, **options)
        self._socket.sendall(before)
        context = ssl.create_default_context(cadata=issued.pem.decode())
        self._socket = context.wrap_socket(self._socket, server_hostname=address[0], suppress_ragged_eofs=False)
