"""The sections `admin`, `tokens`, `drain` and `log`: what operators and their programs see and do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from gateway.settings.listening import OptionalListener, listener_at
from gateway.settings.problem import quote
from gateway.settings.scalars import HOST_AND_PORT, Duration, Span
from gateway.settings.secret import StrongKey
from gateway.settings.section import OneOrMore, Section, Strings

_NAME = r"^[A-Za-z0-9_.@-]{1,64}$"


class NamedKeySettings(Section):
    """A key, and whose it is."""

    name: str = Field(pattern=_NAME)
    """Name in the audit trail."""
    key: StrongKey
    """The key, sent as a bearer token."""

    def get_secret_value(self) -> str:
        """Return the key, as a lone one does."""
        return self.key.get_secret_value()


FORMS: Final = ("a lone key", "a named key")
"""How a key may be written; pydantic puts this into the place of a fault, where it is no key of the file."""


def _find_form(value: Any) -> str:
    return FORMS[isinstance(value, Mapping | NamedKeySettings)]


AdminKey = Annotated[
    Annotated[StrongKey, Tag(FORMS[0])] | Annotated[NamedKeySettings, Tag(FORMS[1])], Discriminator(_find_form)
]


class AdminSettings(Section):
    """The operator's listener: /livez, /readyz, /metrics, and with a key /sessions, /grants."""

    listen: OptionalListener = listener_at("127.0.0.1:9090")
    """Address of the admin listener, or off."""
    keys: Annotated[tuple[AdminKey, ...], OneOrMore()] = ()
    """Keys of the API for sessions and grants, sent as a bearer token; without any it is off. With `name` and `key`
    in place of a key, the audit trail tells them apart."""
    hosts: Strings = ()
    """Names that it may be asked for by, besides addresses, loopback names and that in `listen`; without a port."""

    @property
    def all_hosts(self) -> tuple[str, ...] | None:
        """All such names; None for any: no browser reaches a unix socket."""
        if self.listen is None or self.listen.unix_path:
            return None
        return (self.listen.host, *self.hosts)

    @property
    def named_keys(self) -> Iterator[tuple[str, str]]:
        """Each key with a name: its own, or its place in the list."""
        for number, key in enumerate(self.keys):
            yield key.name if isinstance(key, NamedKeySettings) else f"admin.keys[{number}]", key.get_secret_value()

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not HOST_AND_PORT.fullmatch(host) or ":" in host:
                raise ValueError(f"has {quote(host)}, which is no name: write it like gateway.internal, without a port")
        return tuple(host.lower() for host in hosts)


class TokenClientSettings(Section):
    """One of the app's own jobs, which asks the admin listener for access tokens."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Name in the log."""
    key: StrongKey
    """Its key, sent as a bearer token to POST /tokens."""
    scopes: Strings = ()
    """Scopes it may ask for; a person who has not granted them has no token for it."""
    per_minute: int = Field(default=60, ge=0)
    """Most tokens in a minute; 0 for no limit."""


class TokensSettings(Section):
    """Access tokens outside a request."""

    keep_grants: bool = False
    """Keep a person's grant when their last session has ended, for jobs that run when nobody is signed in."""
    clients: tuple[TokenClientSettings, ...] = ()
    """Who may ask for tokens."""

    @field_validator("clients")
    @classmethod
    def _check_names(cls, clients: tuple[TokenClientSettings, ...]) -> tuple[TokenClientSettings, ...]:
        names = [client.name for client in clients]
        if len(set(names)) < len(names):
            raise ValueError("has the same name twice")
        keys = [client.key.get_secret_value() for client in clients]
        if len(set(keys)) < len(keys):
            raise ValueError("has the same key twice: each client needs its own")
        return clients


def _read_level(value: Any) -> Any:
    """Read a level in any case, and as other programs write it."""
    return {"warn": "warning"}.get(value.lower(), value.lower()) if isinstance(value, str) else value


class DrainSettings(Section):
    """The end of a process, after SIGTERM."""

    delay: Span = timedelta(0)
    """Time in which it serves on and says that it is not ready, so that load balancers notice; 0s for none."""
    timeout: Duration = timedelta(seconds=20)
    """Longest time that requests under way have after that; below the 30 s that Kubernetes gives by default."""


class LogSettings(Section):
    """The log, on standard error."""

    format: Literal["json", "console"] = "json"
    """json for machines, console for people."""
    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_read_level)] = "info"
    """Least level that is written."""
    answer_request_id: bool = False
    """Put the id of a request, by which the log names it, into its answer: X-Request-Id."""
