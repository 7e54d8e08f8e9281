"""Settings that cannot be used, told plainly where an app is imported.

Whoever starts a server wants to read what to mend, not forty lines of how the server came to import the app. The error
is raised as ever; but where nobody catches it, Python is told to end with its message alone. Servers that catch it
themselves (gunicorn) write what they always write, with the same message as its end.
"""

from __future__ import annotations

import sys
from types import TracebackType

from gateway.errors import SettingsError


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
