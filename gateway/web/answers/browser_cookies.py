"""What the gateway asks browsers to keep, and to forget: the session cookie and the binding cookies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from gateway.core import cookies
from gateway.core.binding import BINDING_LASTS, MOST_FREED, Binding, choose_binding, find_surplus, read_bindings
from gateway.core.cookies import CookieSpec
from gateway.core.fields import Headers
from gateway.core.request import RequestHead
from gateway.core.session import build_session_key

_MARK: Final = re.compile(rb"[0-9a-f]{8}")
_PORT: Final = re.compile(r":[0-9]+$")
_ADDRESS: Final = re.compile(r"[0-9.]+|\[.*\]")


class BrowserCookies:
    """Reads and sets the gateway's cookies; `host` is the one of the public address.

    `offer` returns the fields that go with a new session, given its id: they offer to bind it to its device.
    """

    def __init__(
        self,
        *,
        session: CookieSpec,
        binding: CookieSpec,
        host: str,
        device: CookieSpec | None = None,
        offer: Callable[[str], Headers] = lambda _: (),
    ) -> None:
        self._device = device
        self._offer = offer
        self.session = session
        self.binding = binding
        self._others = tuple(_build_others(session, _PORT.sub("", host)))

    def read_bindings(self, head: RequestHead) -> tuple[Binding, ...]:
        """Return the bindings of this browser, oldest first."""
        return read_bindings(cookies.read_marked(head.headers, self.binding.name.encode()))

    def choose_binding(self, head: RequestHead) -> Binding:
        """Return the binding that this browser goes on with, or a fresh one."""
        return choose_binding(self.read_bindings(head))

    def bind(self, head: RequestHead, binding: Binding) -> Headers:
        """Return the fields that set a binding cookie, and take away those of this browser that are too many."""
        surplus = find_surplus(self.read_bindings(head), binding)
        gone = ((b"set-cookie", self.binding.marked(each.mark).delete()) for each in surplus)
        return (*self._keep((binding,)), *gone)

    def forget_turns(self, head: RequestHead) -> Headers:
        """Return the fields after which a sign-in that begins at once is no turn of a loop."""
        return self._keep(each.forget() for each in self.read_bindings(head) if each.completed_at is not None)

    def _keep(self, bindings: Iterable[Binding]) -> Headers:
        lasts = int(BINDING_LASTS.total_seconds())
        return tuple((b"set-cookie", self.binding.marked(each.mark).set(str(each), lasts)) for each in bindings)

    def brings_session(self, head: RequestHead) -> bool:
        """Whether a session cookie came that could be one of ours, whatever it is worth."""
        return any(build_session_key(value) for value in cookies.read(head.headers, self.session.name.encode()))

    def keep_session(self, head: RequestHead, session_id: str, seconds: int) -> Headers:
        """Return the fields that set the session cookie, and take others of its name away, and proofs of before."""
        kept = (b"set-cookie", self.session.set(session_id, seconds))
        return (*self.forget_others(head), kept, *self._forget_proofs(head), *self._offer(session_id))

    def forget_session(self, head: RequestHead) -> Headers:
        """Return the fields that delete the session cookie, and others of its name."""
        return (*self.forget_others(head), (b"set-cookie", self.session.delete()), *self._forget_proofs(head))

    def _forget_proofs(self, head: RequestHead) -> Headers:
        """Return the fields that delete proofs of a device, of sessions that end."""
        if self._device is None:
            return ()
        marks = [mark for mark, _ in cookies.read_marked(head.headers, self._device.name.encode())][:MOST_FREED]
        proper = [mark.decode() for mark in marks if _MARK.fullmatch(mark)]
        return tuple((b"set-cookie", self._device.marked(mark).delete()) for mark in proper)

    def forget_others(self, head: RequestHead) -> Headers:
        """Return the fields that delete cookies of the session cookie's name but of another domain, if several came.

        A server is not told the domain of a cookie (RFC 6265 §5.4), so all that this host could have are deleted.
        """
        if len(cookies.read(head.headers, self.session.name.encode())) < 2:
            return ()
        return tuple((b"set-cookie", each.delete()) for each in self._others)


def _build_others(session: CookieSpec, host: str) -> Iterable[CookieSpec]:
    """Yield the cookie as it would be for every other domain that a cookie of this host may have (RFC 6265 §5.3)."""
    if session.name.startswith("__Host-"):
        return
    labels = host.split(".") if not _ADDRESS.fullmatch(host) else []
    domains = [None, *(".".join(labels[at:]) for at in range(len(labels) - 1))]
    yield from (msgspec.structs.replace(session, domain=each) for each in domains if each != session.domain)
