"""The site: the public address, and which addresses are ours to show, to lead to and to return to.

What a visitor brings as an address to return to passes here, and nothing unchecked is ever led to (open redirect).
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from gateway.core.challenge import is_navigation
from gateway.core.original import BY_STATUS, WHOLE
from gateway.core.path import CanonicalPath
from gateway.core.request import RequestHead
from gateway.core.urls import ReturnTo, check_return_to

_MOVED: Final = b"moved=1"
"""Parameter of our own pages: the visitor was sent here from another address of the same page."""


class Site:
    """Where the gateway is, as browsers know it.

    `allowed_hosts` are further hosts that a sign-in may return to; `shared`: the session cookie holds at them too.
    """

    def __init__(self, *, public_url: str, prefix: str, allowed_hosts: frozenset[str], shared: bool) -> None:
        self.public_url = public_url
        self.prefix = prefix
        self.host = public_url.partition("://")[2]
        self.origins = frozenset({public_url})
        self._allowed_hosts = allowed_hosts
        self._shared = shared

    def is_own_path(self, path: CanonicalPath) -> bool:
        """Whether the path is one of the gateway's own; nothing outside the prefix ever is."""
        return path.is_under(self.prefix)

    def own_page(self, name: str) -> str:
        """Return the absolute address of a page of ours."""
        return f"{self.public_url}{self.prefix}/{name}"

    def start_url(self, return_to: str, *, switch: bool = False) -> str:
        """Return the absolute address that begins a sign-in for `return_to`; to `switch`, with a choice of account."""
        leading = "switch=1&" if switch else ""
        return f"{self.own_page('start')}?{leading}rd={quote(return_to, safe='/')}"

    def check_return_to(self, rd: str | None) -> ReturnTo:
        """Return the checked address, or the site's front page when it is missing or leads elsewhere."""
        checked = self.check(rd) if rd else None
        home = checked or self.check("/")
        assert home is not None  # noqa: S101 -- "/" is always ours
        return home

    def check(self, rd: str) -> ReturnTo | None:
        """Return the checked address; None for one that leads elsewhere."""
        return check_return_to(rd, public_url=self.public_url, allowed_hosts=self._allowed_hosts, prefix=self.prefix)

    def is_abroad(self, head: RequestHead) -> bool:
        """Whether the browser is at another address than the callback: a cookie set there would not be seen again.

        That is another host; and plain http, if a trusted proxy says so. Otherwise, with another scheme, a front stands
        between that is not in `trusted_proxies`, and nothing is known.
        """
        if self.public_url.startswith(f"{head.scheme}:"):
            return head.host.lower() != self.host
        return head.scheme == "http" and head.scheme_told

    def find_home(self, head: RequestHead) -> str | None:
        """Return the public address of a page of ours that a person opens by another host, or without TLS.

        None where they are at home. Behind some chains of proxies every visit seems to come by another: whoever was
        sent once is not sent again.
        """
        if not is_navigation(head) or not self.is_abroad(head) or _MOVED in head.query.split(b"&"):
            return None
        path, _, query = head.raw_target.partition(b"?")
        target = path + b"?" + b"&".join(part for part in (_MOVED, query) if part)
        return self.public_url + target.decode("ascii")

    def address_of(self, head: RequestHead, target: str) -> str:
        """Return where a sign-in from here leads back: to the host it came from, if the session will hold there."""
        if not self._shared or head.host.lower() not in self._allowed_hosts:
            return target
        return f"{self.public_url.partition(':')[0]}://{head.host}{target}"

    def find_here(self, head: RequestHead) -> str | None:
        """Return the address that was asked for, if it may be asked for again; never a callback, which works once."""
        target = head.raw_target.decode("ascii", "replace")
        if head.method != "GET" or self.is_callback(head.path):
            return None
        if self.is_own_path(head.path):
            return self.public_url + target
        checked = self.check(self.address_of(head, target))
        return checked.url if checked is not None else None

    def is_check(self, path: CanonicalPath) -> bool:
        """Whether fronts ask here about requests that they serve themselves."""
        return path.text in {f"{self.prefix}/{BY_STATUS}", f"{self.prefix}/{WHOLE}"}

    def is_callback(self, path: CanonicalPath) -> bool:
        """Whether TikTok's answer comes here."""
        return path.text == f"{self.prefix}/callback"

    def keeps_session_at(self, return_to: ReturnTo) -> bool:
        """Whether the session cookie is for the address: it is on our own host, or the cookie is shared."""
        return self._shared or self.is_at_home(return_to)

    def is_at_home(self, return_to: ReturnTo) -> bool:
        """Whether the address is at the public one."""
        own = return_to.url.lower().partition("?")[0]
        return own == self.public_url or own.startswith(self.public_url + "/")


class SiteWithFiles(Site):
    """A site that has pages of its own outside of the prefix, by their exact paths."""

    def __init__(self, files: frozenset[str], **site: Any) -> None:
        super().__init__(**site)
        self._files = files

    def is_own_path(self, path: CanonicalPath) -> bool:
        """Whether the path is one of the gateway's own, or that of a file."""
        return path.text in self._files or super().is_own_path(path)
