"""Access logs of the server around an app in this process: none of them shall have TikTok's answer in it.

That comes in the query of `{prefix}/callback`: the authorization code, and the state. Servers in Python log through
loggers of known names; to each of those is added what takes the query of that one address out of its lines. Servers
that write their lines by themselves (uWSGI, Apache) cannot be reached from here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any, Final

LOGGERS: Final = (
    "uvicorn.access",
    "gunicorn.access",
    "hypercorn.access",
    "granian.access",
    "werkzeug",
    "django.server",
)
HIDDEN: Final = "..."


_PATHS: Final = ("U", "path")
_QUERIES: Final = ("q", "query_string", "{query_string}e")
"""What servers call them that tell the two apart: gunicorn and hypercorn, and granian."""


class HidesCallbacks(logging.Filter):
    """Takes the query of callbacks out of records, and lets all of them pass.

    Nothing is hidden anywhere else: whoever could choose what is might have their own address missing from the log.
    """

    def __init__(self, prefix: str) -> None:
        """`prefix` is the public one; a server may log the path without the mount, so its last part is looked for."""
        super().__init__()
        self.callback = f"/{prefix.rpartition('/')[2]}/callback"
        # a target or a request line, maybe in colour: what is before the first question mark is the path
        target = r"(?:\x1b\[[0-9;]*m)*(?:[A-Z]{1,16} )?[^?\s\"']*" + re.escape(self.callback) + r"/?\?"
        self._alone = re.compile(rf"\A({target})[^\s\"']+")
        self._quoted = re.compile(rf"(\"{target})[^\s\"']+")

    def filter(self, record: logging.LogRecord) -> bool:
        """Edit the parts of a line; formatters want them as they are, one by one."""
        parts = record.args
        if isinstance(parts, MutableMapping):
            self._edit(parts)
        elif isinstance(parts, tuple):
            record.args = tuple(map(self._hide, parts))
        if isinstance(record.msg, str):
            record.msg = self._quoted.sub(rf"\1{HIDDEN}", self._hide(record.msg))
        return True

    def _edit(self, parts: MutableMapping[str, Any]) -> None:
        is_callback = any(str(parts.get(name, "")).rstrip("/").endswith(self.callback) for name in _PATHS)
        for name, value in parts.items():
            parts[name] = HIDDEN if is_callback and value and name in _QUERIES else self._hide(value)

    def _hide(self, part: Any) -> Any:
        return self._alone.sub(rf"\1{HIDDEN}", part) if isinstance(part, str) else part


def hide_callbacks(prefix: str) -> None:
    """Have the loggers of servers hide the queries of callbacks below a prefix, once."""
    hiding = HidesCallbacks(prefix)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, HidesCallbacks) and each.callback == hiding.callback for each in logger.filters):
            logger.addFilter(hiding)
