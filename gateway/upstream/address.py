"""Where an upstream is, and the limits of talking to it. All times in seconds."""

from __future__ import annotations

import ipaddress
import ssl
from typing import Literal

import msgspec


class Address(msgspec.Struct, frozen=True):
    """One place where an app listens: a unix socket, or a host (name or address) and a port."""

    host: str = "127.0.0.1"
    port: int = 80
    unix_path: str = ""

    def __str__(self) -> str:
        """The address as an operator knows it, e.g. `127.0.0.1:8080`."""
        if self.unix_path:
            return f"unix:{self.unix_path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_name(self) -> bool:
        """Whether the host has to be looked up."""
        if self.unix_path:
            return False
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One app, in one place or several.

    `keep_alive` is how long an unused connection is kept. It must end before the server's own limit, or a
    request meets a connection that is just being closed: uvicorn, hypercorn, Node and Apache close after 5 s,
    so we do at 4. `idle_timeout` is how long a body may stand still once the answer has begun; 0 means for
    ever. It is long because event streams may be silent for minutes.
    """

    name: str = "default"
    addresses: tuple[Address, ...]
    ssl_context: ssl.SSLContext | None = None  # None: plain HTTP
    server_name: str | None = None  # TLS: the name in the certificate; None: the host of the address
    connect_timeout: float = 5.0  # for DNS, TCP and TLS together, and for waiting for a free connection
    first_byte_timeout: float = 60.0  # from the last byte of the request to the whole head of the answer
    idle_timeout: float = 300.0
    keep_alive: float = 4.0
    max_connections: int = 1000
    title_case: bool = False  # names of header fields are sent as `Content-Length`, not as `content-length`

    @property
    def scheme(self) -> Literal["http", "https"]:
        """How the app is spoken to."""
        return "https" if self.ssl_context is not None else "http"

    def __str__(self) -> str:
        """The app as an operator knows it, e.g. `default (http://127.0.0.1:8080)`."""
        return f"{self.name} ({', '.join(f'{self.scheme}://{address}' for address in self.addresses)})"
