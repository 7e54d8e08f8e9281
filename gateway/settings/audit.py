"""The section `audit`: who did what, for those who ask later."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from gateway.settings.problem import quote
from gateway.settings.section import Section


def _read_to(value: Any) -> Any:
    if value is False or value is None:  # YAML 1.1's `off`
        return "off"
    if isinstance(value, str) and (value in {"log", "off"} or value.startswith("/")) and value.isprintable():
        return value
    raise ValueError(f"is {quote(value)}: it is log, off, or the path of a file, which begins with /")


class AuditSettings(Section):
    """Who signed in, was refused, signed out, was ended by whom: one line of JSON an event."""

    to: Annotated[str, BeforeValidator(_read_to)] = "log"
    """log, or off, or a file of its own: /var/log/gateway/audit.log."""
    subject: Literal["hash", "open_id"] = "hash"
    """How a person is called: by a keyed hash, see `gateway subject`, or by the open_id."""
