"""The `redis` section: one server, servers behind Sentinel, or a cluster."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.settings.problem import KeyFault, quote
from gateway.settings.redis_url import NAME, check_redis_url
from gateway.settings.scalars import Duration, ExistingFile, Span
from gateway.settings.secret import Password
from gateway.settings.section import OneOrMore, Section

_NODE: Final = re.compile(rf"({NAME}|\[[0-9A-Fa-f:.]+\]):([0-9]{{1,5}})")


def _check_nodes(nodes: tuple[str, ...]) -> tuple[str, ...]:
    for node in nodes:
        found = _NODE.fullmatch(node)
        if found is None or not 1 <= int(found[2]) <= 65535:
            raise ValueError(f"has {quote(node)}, which is no address: write it like redis-1.internal:6379")
    return nodes


Nodes = Annotated[tuple[str, ...], OneOrMore(least=1)]


def split_node(node: str) -> tuple[str, int]:
    """Return host and port of a checked node."""
    host, _, port = node.rpartition(":")
    return host.strip("[]"), int(port)


class SentinelSettings(Section):
    """A master that Sentinels watch."""

    nodes: Nodes
    """Addresses of the Sentinels, host:port each."""
    service: str = Field(min_length=1)
    """Name that the Sentinels have for the master."""
    username: str | None = None
    """User at the data nodes."""
    password: Password | None = None
    """Password at the data nodes."""
    sentinel_username: str | None = None
    """User at the Sentinels."""
    sentinel_password: Password | None = None
    """Password at the Sentinels."""
    database: int = Field(default=0, ge=0)
    """Number of the database."""

    _nodes = field_validator("nodes")(_check_nodes)


class ClusterSettings(Section):
    """A Redis Cluster."""

    nodes: Nodes
    """Addresses of some nodes, host:port each; the others are learnt from them."""
    username: str | None = None
    """User at every node."""
    password: Password | None = None
    """Password at every node."""

    _nodes = field_validator("nodes")(_check_nodes)


class RedisTlsSettings(Section):
    """TLS towards Redis, and towards Sentinels."""

    ca: ExistingFile | None = None
    """PEM file of the authorities that are believed; default: the system's."""
    certificate: ExistingFile | None = None
    """PEM file of the client certificate."""
    key: ExistingFile | None = None
    """PEM file of its key."""
    verify: bool = True
    """Whether the server must prove who it is."""

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together: name both, or none")
        return self


class RedisSettings(Section):
    """Where sessions live: one of `url`, `sentinel` and `cluster`."""

    url: SecretStr | None = None
    """redis://, rediss:// or unix:// URL; memory:// is the embedded store, one process, for development."""
    username: str | None = None
    """User at the server of the URL."""
    password: Password | None = None
    """Password at the server of the URL, which a URL could have only percent-encoded."""
    sentinel: SentinelSettings | None = None
    """A master that Sentinels watch, instead of a URL."""
    cluster: ClusterSettings | None = None
    """A Redis Cluster, instead of a URL."""
    tls: RedisTlsSettings | None = None
    """TLS: for rediss://, Sentinel and cluster; {} for the defaults."""
    key_prefix: str = "gateway:"
    """Prefix of every key, so that a Redis can be shared."""
    timeout: Duration = timedelta(seconds=2)
    """Longest time one call to Redis may take."""
    upgrade_window: Span = timedelta(hours=24)
    """How long gateways before 0.2 may run beside the first of this version; then records take half the memory."""

    @property
    def address(self) -> str:
        """The URL; empty when there is none."""
        return self.url.get_secret_value() if self.url is not None else ""

    @property
    def has_password(self) -> bool:
        """Whether the server of the URL is given a password."""
        return self.password is not None or bool(self.address and check_redis_url(self.address).password)

    @property
    def embedded(self) -> bool:
        """Whether sessions live in this process alone."""
        return self.address.startswith("memory:")

    @field_validator("key_prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if not re.fullmatch(r"[\x21-\x7e]*", prefix):
            raise ValueError("must be visible ASCII, like gateway:")
        return prefix

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_redis_url(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        given = [name for name in ("url", "sentinel", "cluster") if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"has {' and '.join(given)}" if given else "says nowhere where Redis is"
            raise ValueError(f"{found}: give one of url, sentinel and cluster, like url: redis://127.0.0.1:6379/0")
        if self.url is not None and self.tls is not None and not self.address.startswith("rediss:"):
            raise KeyFault(("tls",), "needs a rediss:// URL: this one is not encrypted")
        self._check_user()
        return self

    def _check_user(self) -> None:
        if self.username is None and self.password is None:
            return
        if self.url is None or self.embedded:
            raise ValueError("username and password here are for `url`; `sentinel` and `cluster` have their own")
        if self.username is not None and self.password is None:
            raise KeyFault(("username",), "is there without a password")
        if any(check_redis_url(self.address)):
            raise ValueError("has a user in the URL and beside it: name both user and password beside it only")
