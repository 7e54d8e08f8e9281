"""`gateway health`: one question to the admin listener, without anything that a slim image lacks."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.settings import find, load


def health(config: Path | None, environ: Mapping[str, str]) -> int:
    """Ask `/livez`; returns the exit code."""
    listen = load(find(environ, config), environ).admin.listen
    if listen is None or listen.unix_path:
        print("gateway: `admin.listen` is not a TCP address; there is nobody to ask", file=sys.stderr)
        return 1
    # whoever listens everywhere also listens on loopback
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, listen.port, timeout=2)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except OSError as error:
        print(f"gateway: {host}:{listen.port} does not answer: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    return 0 if status == 200 else 1
