"""Settings that cannot be used, told plainly where an app is imported.

Whoever starts a server wants to read what to mend, not forty lines of how the server came to import the app. The error
is raised as ever; but where nobody catches it, Python is told to end with its message alone. Servers that catch it
themselves (gunicorn) write what they always write, with the same message as its end.

A framework that makes its middleware when the server starts (Starlette, FastAPI) is given an app that refuses to start:
the server says why, in one line, and ends (ASGI specification, "Lifespan Protocol").
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Final

from gateway.errors import SettingsError
from gateway.web.asgi_head import Receive, Send

_FRAMEWORKS: Final = ("starlette", "fastapi")


def told_plainly(error: SettingsError) -> SettingsError:
    """Return the error to be raised, without the way it has come; uncaught, it is told by its message alone."""
    before = sys.excepthook

    def hook(kind: type[BaseException], raised: BaseException, trace: TracebackType | None) -> None:
        if raised is error:
            sys.stderr.write(f"gateway: {error}\n")
        else:
            before(kind, raised, trace)

    sys.excepthook = hook
    return error.with_traceback(None)


class NeverStarts:
    """Stands where the gateway would, and says at the start why it cannot be there; nothing is served."""

    def __init__(self, error: SettingsError, app: Any) -> None:
        self.error = error
        self.app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Refuse to start. Raises the error, also for servers that know of no start."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"gateway: {self.error}"})
        raise self.error.with_traceback(None)


def is_made_by_framework() -> bool:
    """Whether who has called the caller is a framework that makes its middleware late, rather than the program."""
    module: str = sys._getframe(2).f_globals.get("__name__", "")
    return module.partition(".")[0] in _FRAMEWORKS
