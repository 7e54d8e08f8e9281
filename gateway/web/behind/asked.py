"""The request that an app asks about, as its framework has it, and where that keeps what the gateway has put there.

That is the ASGI scope or the WSGI environ (PEP 3333). Which of the two it is depends on the server, and not on the
framework: Django has both, so whoever asks by the wrong door is told the right one.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol


class HasScope(Protocol):
    """A request or WebSocket of Starlette or FastAPI, or of Django under ASGI."""

    @property
    def scope(self) -> MutableMapping[str, Any]:
        """The ASGI scope."""


class HasEnviron(Protocol):
    """A request of Flask, Bottle, or Django under WSGI."""

    @property
    def environ(self) -> dict[str, Any]:
        """The WSGI environ."""


class HasMeta(Protocol):
    """A request of Django, as its types have it: which server it is under they do not say."""

    @property
    def META(self) -> dict[str, Any]:  # noqa: N802 -- Django's name
        """The WSGI environ; under ASGI a likeness of one."""


Asked = HasScope | HasEnviron | HasMeta | Mapping[str, Any]
"""A request, as an app has it."""


def read_state(request: Asked) -> Mapping[str, Any]:
    """Return the scope or environ of a request. Raises `TypeError` for what is none."""
    if isinstance(request, Mapping):  # as Starlette's is, of what its scope has
        return request
    for name in ("environ", "scope", "META"):
        state = getattr(request, name, None)
        if isinstance(state, Mapping):
            return state
    raise TypeError(f"{type(request).__name__} is no request: it has neither a scope (ASGI) nor an environ (WSGI)")


def read_scope(request: Asked) -> Mapping[str, Any]:
    """Return the ASGI scope of a request. Raises `TypeError` for one under WSGI."""
    state = read_state(request)
    if "type" not in state:
        raise TypeError("this request has come through a WSGI server: import from gateway.wsgi, not from gateway.asgi")
    return state


def read_environ(request: Asked) -> Mapping[str, Any]:
    """Return the WSGI environ of a request. Raises `TypeError` for one under ASGI."""
    state = read_state(request)
    if "type" in state:
        raise TypeError("this request has come through an ASGI server: import from gateway.asgi, not from gateway.wsgi")
    return state
