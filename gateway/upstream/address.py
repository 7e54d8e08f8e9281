"""Where the upstream is, and the limits of talking to it. All times in seconds."""

from __future__ import annotations

import ssl
from typing import Literal

import msgspec


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream. A `unix_path` wins over host and port for the connection itself.

    `keep_alive` is how long an unused connection is kept. It must end before the server's own limit, or a
    request meets a connection that is just being closed: uvicorn, hypercorn, Node and Apache close after 5 s,
    so we do at 4. `idle_timeout` is how long a body may stand still once the answer has begun; 0 means for
    ever. It is long because event streams may be silent for minutes.
    """

    scheme: Literal["http", "https"] = "http"
    host: str = "127.0.0.1"
    port: int = 80
    unix_path: str | None = None
    ssl_context: ssl.SSLContext | None = None  # https only; None: the system's certificate authorities
    connect_timeout: float = 5.0  # for DNS, TCP and TLS together, and for waiting for a free connection
    first_byte_timeout: float = 60.0  # from the last byte of the request to the whole head of the answer
    idle_timeout: float = 300.0
    keep_alive: float = 4.0
    max_connections: int = 1000

    def __str__(self) -> str:
        """The address as an operator knows it, e.g. `http://127.0.0.1:8080`."""
        if self.unix_path is not None:
            return f"{self.scheme}+unix:{self.unix_path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def build_ssl_context(self) -> ssl.SSLContext | None:
        """The TLS settings to connect with; None for plain HTTP."""
        if self.scheme == "http":
            return None
        return self.ssl_context or ssl.create_default_context()
