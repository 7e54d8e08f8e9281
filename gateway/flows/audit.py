"""Announces what is worth an audit line, in the name of who asks.

Who asks is known where a request comes in, and wanted far below; in between nobody decides by it. So it goes along with
the task (context variable), set by the gateway's own pages and the admin listener, and inherited by the tasks that they
begin. The path of every request does not touch it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from typing import Final, Protocol

import msgspec

from gateway.core.audit import Asker, AuditEvent, Who, describe

_asker: Final[ContextVar[Asker]] = ContextVar("asker", default=Asker())  # noqa: B039 -- frozen


class Announce(Protocol):
    """Has what has happened written down (audit trail): the port that flows name."""

    def __call__(self, event: AuditEvent) -> None:
        """Write it down, in the name of who asks; never raises, and nobody waits for it."""


@contextlib.contextmanager
def asked_by(asker: Asker) -> Generator[None]:
    """Have what is announced within the context be in the name of `asker`."""
    token = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(token)


def asker() -> Asker:
    """Return who asks now."""
    return _asker.get()


def identify(who: Who, key: str) -> None:
    """Note who the asker has proved to be, by the name of a key, until the end of `asked_by`."""
    _asker.set(msgspec.structs.replace(_asker.get(), who=who, key=key))


class Audit:
    """Describes events, and has them written and counted; `name_subject` says how a person is called."""

    def __init__(
        self,
        write: Callable[[Mapping[str, str | int]], None],
        name_subject: Callable[[str], str],
        count: Callable[[str, str], None],
    ) -> None:
        self._write = write
        self._count = count
        self._name_subject = name_subject

    def __call__(self, event: AuditEvent) -> None:
        """Write an event down."""
        told = describe(event, _asker.get(), self._name_subject)
        self._count(str(told["what"]), str(told["outcome"]))
        self._write(told)


def keep_silent(event: AuditEvent) -> None:
    """Write nothing: for flows on their own."""
