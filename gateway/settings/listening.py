"""Where to listen: addresses, unix sockets, sockets that systemd hands over; and how connections are taken there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic_core import CoreSchema, core_schema

from gateway.settings.problem import quote
from gateway.settings.scalars import HOST
from gateway.settings.section import Section

_SOCKET_NAME: Final = re.compile(r"[\x21-\x39\x3b-\x7e]{1,255}")  # systemd.socket(5), FileDescriptorName=
_MODE: Final = re.compile(r"0?[0-7]{3}")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: host and port, the path of a unix socket, or a socket of systemd's."""

    host: str = ""
    port: int = 0
    unix_path: str = ""
    systemd: str | None = None
    """Name of the socket that systemd hands over; "" for all that nobody else names."""

    def __str__(self) -> str:
        """Write the address as it stands in the settings."""
        if self.unix_path:
            return f"unix:{self.unix_path}"
        if self.systemd is not None:
            return f"systemd:{self.systemd}" if self.systemd else "systemd"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_listen(value: Any) -> Listen:
    """Read `0.0.0.0:8080`, `[::]:8080`, `:8080`, `unix:/path`, `systemd` or `systemd:NAME`."""
    if isinstance(value, Listen):
        return value
    text = value if isinstance(value, str) else ""
    if text.startswith("unix:/"):
        return Listen(unix_path=text.removeprefix("unix:"))
    if text == "systemd":
        return Listen(systemd="")
    if text.startswith("systemd:") and _SOCKET_NAME.fullmatch(text.removeprefix("systemd:")):
        return Listen(systemd=text.removeprefix("systemd:"))
    host, separator, port = text.rpartition(":")
    if not separator or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("is no address to listen on: write it like 0.0.0.0:8080 or unix:/run/gateway.sock")
    if host and not HOST.fullmatch(host):
        raise ValueError(f"has a host that is none: {quote(host)}: write it like 0.0.0.0:8080, without http://")
    return Listen(host=host.strip("[]") or "0.0.0.0", port=int(port))  # noqa: S104 -- what ":8080" means


def _read_mode(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise ValueError('is no mode: write it in quotes, like "0660"')
    return int(value, 8)


def _read_group(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("is no group: write its name, like www-data")
    return str(value)


class ListenerSettings(Section):
    """An address to listen on, and how connections are taken there."""

    address: Annotated[Listen, BeforeValidator(read_listen), WithJsonSchema({"type": "string"})]
    """host:port, unix:/path, systemd or systemd:NAME."""
    mode: Annotated[int | None, BeforeValidator(_read_mode), WithJsonSchema({"type": "string"})] = None
    """Permissions of the unix socket, in quotes, like "0660"; default: as the umask has it."""
    group: Annotated[str, BeforeValidator(_read_group), WithJsonSchema({"type": ["string", "integer"]})] = ""
    """Group that the unix socket belongs to; default: the process's own."""
    proxy_protocol: bool = False
    """Whether each connection begins with who it is for (PROXY protocol, 1 or 2), as those in trusted_proxies say."""
    tls: bool | None = None
    """Whether TLS is spoken, with the certificate in `tls`; default: if there is one, except on a unix socket."""

    def __str__(self) -> str:
        """Write the address as it stands in the settings."""
        return str(self.address)

    @property
    def host(self) -> str:
        """The host, or "" for another kind of address."""
        return self.address.host

    @property
    def unix_path(self) -> str:
        """The path of a unix socket, or ""."""
        return self.address.unix_path

    @property
    def speaks_tls(self) -> bool:
        """Whether TLS is spoken here once there is a certificate; a front on a unix socket needs none."""
        return self.tls if self.tls is not None else not self.unix_path

    def collides_with(self, other: ListenerSettings) -> bool:
        """Whether both name one address; port 0 is any free one."""
        where = self.address
        return where == other.address and bool(where.port or where.unix_path or where.systemd is not None)

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if not self.unix_path and (self.mode is not None or self.group):
            raise ValueError("has a mode or a group, which only the file of a unix socket has")
        return self


def _read_listener(value: Any) -> Any:
    return value if isinstance(value, dict | ListenerSettings) else {"address": read_listen(value)}


def _read_many(value: Any) -> Any:
    return tuple(map(_read_listener, value)) if isinstance(value, list | tuple) else (_read_listener(value),)


def _read_optional(value: Any) -> Any:
    return None if value is None or value is False or value == "off" else _read_listener(value)


def _check_many(listeners: tuple[ListenerSettings, ...]) -> None:
    for index, each in enumerate(listeners):
        if any(each.collides_with(other) for other in listeners[:index]):
            raise ValueError(f"has {each} twice")


def _check_public(listeners: tuple[ListenerSettings, ...]) -> tuple[ListenerSettings, ...]:
    if not listeners:
        raise ValueError("is empty: write it like 0.0.0.0:8080")
    _check_many(listeners)
    return listeners


def _check_private(found: Any) -> Any:
    listeners = () if found is None else found if isinstance(found, tuple) else (found,)
    for each in listeners:
        for name in ("proxy_protocol", "tls"):
            if name in each.model_fields_set:
                raise ValueError(f"has `{name}`, which only `listen` can have: browsers do not come here")
    _check_many(listeners)
    return found


def read_optional_listen(value: Any) -> Listen | None:
    """Read an address that another library listens on; `off` is None."""
    listen = None if value is None or value is False or value == "off" else read_listen(value)
    if listen is not None and listen.systemd is not None:
        raise ValueError("cannot be systemd's: gRPC opens its sockets itself")
    return listen


class ManyWays:
    """How listeners may be written: as an address, or as a mapping; several as a list of both."""

    def __init__(self, read: Any, check: Any, *, many: bool) -> None:
        self._read, self._check, self.many = read, check, many

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return how they are read."""
        read = core_schema.no_info_before_validator_function(self._read, handler(source))
        return core_schema.no_info_after_validator_function(self._check, read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return what editors are told."""
        written = handler(schema)
        text = {"type": "string"}
        if self.many:
            one = [text, written["items"]]
            return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}]}
        return {"anyOf": [text, *(part for part in written["anyOf"] if "$ref" in part), {"type": ["boolean", "null"]}]}


PublicListeners = Annotated[tuple[ListenerSettings, ...], ManyWays(_read_many, _check_public, many=True)]
PrivateListeners = Annotated[tuple[ListenerSettings, ...], ManyWays(_read_many, _check_private, many=True)]
OptionalListener = Annotated[ListenerSettings | None, ManyWays(_read_optional, _check_private, many=False)]
OptionalListen = Annotated[
    Listen | None, BeforeValidator(read_optional_listen), WithJsonSchema({"type": ["string", "boolean", "null"]})
]


def listener_at(address: str) -> ListenerSettings:
    """Return a plain listener, for a default."""
    return ListenerSettings(address=read_listen(address))
