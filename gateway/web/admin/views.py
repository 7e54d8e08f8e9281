"""The operator's pages as HTML: templates, filled with plain values. No script, no inline style, no foreign asset."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.core.user_agent import describe_user_agent
from gateway.web.answers.answer import Answer
from gateway.web.answers.views import shorten

ROOT: Final = "/admin"
"""Where the pages are, on the admin listener."""
PLACES: Final = (
    ("", "Overview"),
    ("/sessions", "Sessions"),
    ("/grants", "Grants"),
    ("/activity", "Activity"),
    ("/settings", "Settings"),
)
"""Pages that every page leads to."""
HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    # forms are to say where they come from: under `no-referrer` their Origin is null
    (b"referrer-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        b"frame-ancestors 'none'",
    ),
)
SOON: Final = timedelta(days=14)
"""A refresh token that ends before that is worth a second look."""
_TYPES: Final = {"css": b"text/css; charset=utf-8", "svg": b"image/svg+xml"}
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"))


class Views:
    """Fills the templates."""

    def __init__(self, site: str, version: str, clock: Callable[[], datetime]) -> None:
        """`site` is the host that the gateway stands before."""
        folder = files("gateway.web.admin").joinpath("static")
        self._static = {file.name: file.read_bytes() for file in folder.iterdir()}
        self._clock = clock
        self._environment = Environment(
            loader=PackageLoader("gateway.web.admin"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        digest = hashlib.sha256(self._static["admin.css"]).hexdigest()[:16]
        self._environment.globals.update(
            root=ROOT, places=PLACES, site=site, version=version, stylesheet=f"{ROOT}/static/admin.css?v={digest}"
        )
        self._environment.filters.update(
            ago=self._ago,
            ahead=self._ahead,
            device=describe_user_agent,
            line=shorten,
            soon=lambda moment: moment < self._clock() + SOON,
            moment=lambda moment: moment.strftime("%-d %b %Y, %H:%M UTC"),
        )

    def page(
        self, template: str, *, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = (), **values: Any
    ) -> Answer:
        """Answer with a template, filled."""
        html = self._environment.get_template(template).render(**values).encode("utf-8", "replace")
        return Answer(status, (*HEADERS, *headers), html)

    def static_file(self, name: str) -> Answer | None:
        """Return a file of ours, or None."""
        if name not in self._static:
            return None
        kept = (b"cache-control", b"public, max-age=3600")
        kind = (b"content-type", _TYPES[name.rpartition(".")[2]])
        return Answer(200, (kind, kept, (b"x-content-type-options", b"nosniff")), self._static[name])

    def _ago(self, moment: datetime) -> str:
        span = self._clock() - moment
        return "just now" if span < timedelta(minutes=1) else f"{in_words(span)} ago"

    def _ahead(self, moment: datetime) -> str:
        span = moment - self._clock()
        return "ended" if span <= timedelta(0) else in_words(span)


def in_words(span: timedelta) -> str:
    """Say how long that is, by its largest unit."""
    for seconds, name in _UNITS:
        number = int(span.total_seconds()) // seconds
        if number:
            return f"{number} {name}{'' if number == 1 else 's'}"
    return "less than a minute"
