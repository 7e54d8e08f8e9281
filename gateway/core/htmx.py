"""htmx, which puts answers to its requests into the page: what it says, and how it is led out of it.

Source: htmx.org/docs, "Requests & Responses". An answer of any status may carry `HX-Redirect`: the window goes there.
"""

from __future__ import annotations

from gateway.core.fields import every
from gateway.core.request import RequestHead


def is_htmx(head: RequestHead) -> bool:
    """Whether htmx asks; other sites' pages cannot pretend to, since their browsers would ask us first (Fetch §4.9)."""
    return every(head.headers, b"hx-request") == (b"true",)


def read_current_url(head: RequestHead) -> str | None:
    """Return the address of the page that the person is on, as htmx says it: not checked."""
    found = every(head.headers, b"hx-current-url")
    return found[0].decode("latin-1") if len(found) == 1 else None
