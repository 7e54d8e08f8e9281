"""The apps behind the gateway: where they are, and how they are spoken to."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gateway.settings.problem import KeyFault
from gateway.settings.scalars import Duration, ExistingFile, Span, UpstreamUrls
from gateway.settings.section import Section


class TimeoutSettings(Section):
    """How long an app may take."""

    connect: Duration = timedelta(seconds=5)
    """Longest time to connect, and to wait for a free connection."""
    first_byte: Duration = timedelta(seconds=60)
    """Longest time until the app begins to answer."""
    idle: Span = timedelta(minutes=5)
    """Longest pause within a body; 0s for no limit."""


class UpstreamTlsSettings(Section):
    """How an https upstream is trusted, and how we show who we are."""

    ca: ExistingFile | None = None
    """PEM file of the certificate authorities to trust instead of the system's."""
    certificate: ExistingFile | None = None
    """PEM file of our client certificate, with its chain."""
    key: ExistingFile | None = None
    """PEM file of the client certificate's key, if it is not in the same file."""
    server_name: str | None = None
    """Name the app's certificate must have; default the host of the url."""
    verify: bool = True
    """Check the app's certificate; false trusts whoever answers."""

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise KeyFault(("key",), "has no certificate to go with: name it in `certificate`")
        if not self.verify and (self.ca is not None or self.server_name is not None):
            raise KeyFault(("verify",), "is false, with which `ca` and `server_name` mean nothing")
        return self


class UpstreamSettings(Section):
    """An app behind the gateway."""

    url: UpstreamUrls
    """Address of the app: scheme, host and port, or unix:/path; a list for an app that runs in several places."""
    timeouts: TimeoutSettings = TimeoutSettings()
    """How long the app may take."""
    tls: UpstreamTlsSettings = UpstreamTlsSettings()
    """Certificates, for https."""
    pass_host: bool = True
    """Send the Host that the browser asked for; false sends the upstream's own."""
    strip_prefix: str = ""
    """Path to take off the front of request paths; the app finds it in X-Forwarded-Prefix."""
    rewrite_addresses: bool = False
    """Translate the app's own addresses in Location, Content-Location, Refresh and cookie paths to what browsers use,
    and WebDAV's Destination back; for an app that knows nothing of strip_prefix or of the public host."""
    header_case: Literal["lower", "title"] = "lower"
    """How names of header fields are spelled to the app: lower, or title (Content-Length) for embedded servers."""
    websockets: bool = True
    """Whether WebSockets may be opened."""
    audience: str | None = None
    """Whom an assertion for this app is for (`identity.assertion`); default the app's name in `upstreams`."""
    max_connections: int = Field(default=1000, ge=1, le=100_000)
    """Most requests to the app at once; more wait. WebSockets that are open do not count."""

    @field_validator("strip_prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if prefix and not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", prefix):
            raise ValueError("must be a path like /api: begins with /, does not end with /")
        return prefix

    @property
    def secure(self) -> bool:
        """Whether the app is spoken to over TLS."""
        return self.url[0].startswith("https:")

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if self.tls != UpstreamTlsSettings() and not self.secure:
            raise KeyFault(("tls",), "is for https, which the app's url is not: write https:// there, or leave it out")
        return self


def read_upstream(value: Any) -> Any:
    """Read an upstream: the mapping, or its url alone."""
    return {"url": value} if isinstance(value, str | list) else value


NamedUpstream = Annotated[UpstreamSettings, BeforeValidator(read_upstream)]
