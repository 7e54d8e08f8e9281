"""Access logs of the server around an app in this process: none of them shall have TikTok's answer in it.

That comes in the query of `{prefix}/callback`: the authorization code, and the state. Servers in Python log through
loggers of known names; to each of those is added what takes the query of that one address out of its lines. Servers
that write their lines by themselves (uWSGI, Apache) cannot be reached from here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, MutableMapping
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


class HidesCallbacks(logging.Filter):
    """Takes the query of callbacks out of records, and lets all of them pass."""

    def __init__(self, prefix: str) -> None:
        """`prefix` is the public one; a server may log the path without the mount, so its last part is looked for."""
        super().__init__()
        self.callback = f"/{prefix.rpartition('/')[2]}/callback"
        self._query = re.compile(re.escape(self.callback) + r"/?\?([^\s\"']+)")

    def filter(self, record: logging.LogRecord) -> bool:
        """Edit the parts of a line; formatters want them as they are, one by one."""
        parts = record.args
        if isinstance(parts, MutableMapping):
            self._edit(parts)
        elif isinstance(parts, tuple):
            record.args = tuple(self._hide(each, self._find(parts)) for each in parts)
        record.msg = self._hide(record.msg, self._find([record.msg]))
        return True

    def _edit(self, parts: MutableMapping[str, Any]) -> None:
        """Hide the query wherever a mapping has it: as gunicorn's `r` and `q`, for instance."""
        query = self._find(parts.values())
        if not query and any(isinstance(each, str) and each.endswith(self.callback) for each in parts.values()):
            query = parts.get("query_string", "")  # granian tells it apart from the path
        for name, value in parts.items() if query else ():
            parts[name] = self._hide(value, query)

    def _find(self, parts: Iterable[Any]) -> str:
        found = (self._query.search(part) for part in parts if isinstance(part, str))
        return next((each[1] for each in found if each is not None), "")

    def _hide(self, part: Any, query: str) -> Any:
        return part.replace(query, HIDDEN) if query and isinstance(part, str) else part


def hide_callbacks(prefix: str) -> None:
    """Have the loggers of servers hide the queries of callbacks below a prefix, once."""
    hiding = HidesCallbacks(prefix)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, HidesCallbacks) and each.callback == hiding.callback for each in logger.filters):
            logger.addFilter(hiding)
