"""The sections `session`, `return_to` and `cors`: how long, and for which addresses, a sign-in holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import field_validator, model_validator

from gateway.settings.headers import TOKEN
from gateway.settings.problem import KeyFault, quote
from gateway.settings.scalars import HOST_AND_PORT, Duration, PublicUrl, Size, Span, write_duration
from gateway.settings.section import OneOrMore, Section, Strings

SHORTEST_PROOF: Final = timedelta(minutes=5)
LONGEST_PROOF: Final = timedelta(hours=1)


class SessionSettings(Section):
    """Sessions and their cookie."""

    cookie_name: str = ""
    """Name of the session cookie; default __Host-gateway on https, gateway on http."""
    cookie_domain: str | None = None
    """Share the session between sub-domains of this domain; the name then begins with __Secure-."""
    cookie_same_site: Literal["lax", "none"] = "lax"
    """none sends the cookie with requests from other sites too, for an app within their frames. The app must then guard
    itself against requests that other sites make in a person's name."""
    cookie_partitioned: bool = False
    """With none: a cookie for each site that frames the app (CHIPS). A sign-in in a window of its own does not count in
    a frame of another site."""
    idle_timeout: Duration = timedelta(days=7)
    """A session ends when it is not used for this long."""
    absolute_timeout: Duration = timedelta(days=30)
    """A session ends this long after the sign-in, whatever happens."""
    device_binding: Literal["off", "on"] = "off"
    """Bind sessions to devices (DBSC): browsers that can are asked for proof that they still hold a key which cannot
    leave the device, and the session cookie alone is worth nothing elsewhere. Other browsers notice nothing."""
    device_proof_lifetime: Duration = timedelta(minutes=10)
    """How long such a proof holds, from 5m to 1h: whoever steals all cookies has that long, and a minute more."""
    cache_for: Span = timedelta(seconds=5)
    """Longest time a process may answer from memory; 0s asks Redis for each request."""
    cache_size: Size = 64 * 1024**2
    """Most memory that each worker keeps people in."""

    @field_validator("cookie_name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name and not TOKEN.fullmatch(name):
            raise ValueError("is no cookie name: letters, digits, - and _")
        return name

    @field_validator("device_proof_lifetime")
    @classmethod
    def _check_proof(cls, lifetime: timedelta) -> timedelta:
        if not SHORTEST_PROOF <= lifetime <= LONGEST_PROOF:
            least, most = write_duration(SHORTEST_PROOF), write_duration(LONGEST_PROOF)
            raise ValueError(
                f"must be from {least} to {most}: browsers renew a proof two minutes before it ends, and sign only six "
                "times within nine"
            )
        return lifetime

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.idle_timeout > self.absolute_timeout:
            if "idle_timeout" in self.model_fields_set:
                longest = write_duration(self.absolute_timeout)
                raise KeyFault(("idle_timeout",), f"must not be longer than absolute_timeout, {longest}")
            least = write_duration(self.idle_timeout)
            raise KeyFault(("absolute_timeout",), f"must not be shorter than idle_timeout, {least}: write that, too")
        if self.cookie_partitioned and self.cookie_same_site != "none":
            raise KeyFault(("cookie_partitioned",), "means nothing without cookie_same_site: none")
        return self


class ReturnToSettings(Section):
    """Where a sign-in may lead."""

    allowed_hosts: Strings = ()
    """Other hosts (with port, if any) that a sign-in may return to."""

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not HOST_AND_PORT.fullmatch(host):
                raise ValueError(
                    f"has {quote(host)}, which is no host: write it like other.example.com or other.example.com:8443"
                )
        return tuple(host.lower() for host in hosts)


class CorsSettings(Section):
    """Scripts of other origins. The app's own answers are its own affair."""

    allowed_origins: Annotated[tuple[PublicUrl, ...], OneOrMore()] = ()
    """Origins whose scripts may read the gateway's own JSON answers, with credentials."""
