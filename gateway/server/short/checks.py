"""Answers fronts that ask, from the bytes of a check to those of a yes, without ASGI in between.

Nothing is decided here: what a check is about is read by `ForwardAuth`, whether it may pass is the gate's to say, from
its memory or when the store has said who asks, or that nothing has changed. And nothing but a yes is said here:
whatever is not plain, not proven, not known or not let in is left to the ASGI app, which judges it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.core.fields import build_lines
from gateway.core.original import BY_STATUS, WHOLE
from gateway.errors import StoreUnavailable
from gateway.flows.gate import Passage
from gateway.server.short.check_reader import Asked, Asker, CheckReader
from gateway.server.short.lane import Means
from gateway.server.short.permit import Yes
from gateway.web.asgi_head import HeadReader
from gateway.web.exchange import Exchange
from gateway.web.forward_auth.endpoint import ForwardAuth

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Asking(Protocol):
    """The connection that a check came on, as far as it is needed; `ChecksProtocol` obeys."""

    transport: asyncio.Transport

    @property
    def spoken(self) -> str:
        """Return the scheme that is spoken on it."""

    @property
    def peer(self) -> str | None:
        """Return the address of the other end; None over a unix socket."""

    def check_fields(self) -> bytes:
        """Return the lines of a yes that are the server's own."""

    def wait_for(self, check: WaitingCheck) -> None:
        """Take nothing more until the check ends."""

    def end_check(self) -> None:
        """Go on: it was answered."""

    def leave_check(self, data: bytes) -> None:
        """Go on, by having the app answer it."""


class Checks:
    """Answers checks on a listener, where it can."""

    def __init__(
        self, reader: HeadReader, means: Means, forward_auth: ForwardAuth, *, prefix: str, by_proof: bool
    ) -> None:
        """`by_proof`: anybody may ask on this listener, so the secret must be shown."""
        pages = frozenset({f"{prefix}/{BY_STATUS}", f"{prefix}/{WHOLE}"})
        self._reader = CheckReader(
            reader, forward_auth, means.pipeline, means.own_cookies, pages=pages, by_proof=by_proof
        )
        self._means = means
        self._forward_auth = forward_auth
        self._by_proof = by_proof
        self._answer_ids = means.answer_ids and by_proof  # the other listener tells none
        self.begins: Final = tuple(_begin(prefix))
        """How checks begin."""
        self.waiting: Final[set[WaitingCheck]] = set()
        """Those about which the store is being asked."""

    @property
    def in_use(self) -> bool:
        """Whether some check is under way."""
        return bool(self.waiting)

    def take(self, client: Asking, data: bytes) -> bool:
        """Take a check that came whole, without a body; False leaves it to the app."""
        exchange = Exchange()
        found = self._reader.read(data, client.peer, client.spoken)
        if found is None:
            return False
        asker, asked = found
        yes = asker.yes.get(asked.place)
        if yes is None:
            return self._admit(client, data, exchange, asker, asked)
        if yes.holds():
            self.say(yes, client, exchange, asked)
        else:
            self._confirm(WaitingCheck(self, client, data, asker, asked), yes)
        return True

    def _admit(self, client: Asking, data: bytes, exchange: Exchange, asker: Asker, asked: Asked) -> bool:
        """Say yes if the gate does so, from its memory or once the store has said who asks; False for any other way."""
        passage = self._means.pipeline.admit_at_once(asked.match, asker.session_key, asker.proofs)
        if isinstance(passage, Passage):
            self.say(self._keep(passage, asker, asked), client, exchange, asked)
        elif passage is not None:
            self._recognise(WaitingCheck(self, client, data, asker, asked))
        return passage is not None

    def _recognise(self, check: WaitingCheck) -> None:
        asker, asked = check.asker, check.asked

        def told(passage: Passage | StoreUnavailable | None) -> None:
            if isinstance(passage, Passage):
                check.end(self._keep(passage, asker, asked))
            elif isinstance(passage, StoreUnavailable):
                check.fail(passage)
            else:
                check.leave()

        check.begin()
        assert asker.session_key is not None  # noqa: S101 -- whoever shows none is known for nobody
        self._means.pipeline.recognise(asked.match, asker.session_key, told, proofs=asker.proofs)

    def _keep(self, passage: Passage, asker: Asker, asked: Asked) -> Yes:
        """Make a yes, and keep it for the next check."""
        seconds_left = self._means.pipeline.seconds_left(passage)
        yes = self._build(passage, asker, asked, seconds_left)
        self._reader.keep_yes(asker, asked, yes)
        return yes

    def _build(self, passage: Passage, asker: Asker, asked: Asked, seconds_left: float) -> Yes:
        answer = self._forward_auth.say_yes(asked.dialect, passage, asker.cookies)
        lines = build_lines((*answer.headers, *answer.length_headers()))
        return Yes(passage, seconds_left, asker.origin.client_address, answer.status, lines)

    def say(self, yes: Yes, client: Asking, exchange: Exchange, asked: Asked) -> None:
        """Say yes, and tell of it."""
        means = self._means
        exchange.status = yes.status
        ids = build_lines((exchange.id_field(),)) if self._answer_ids else b""
        client.transport.write(b"".join((STATUS_LINE[yes.status], client.check_fields(), yes.lines, ids, b"\r\n")))
        if means.lines is not None:
            exchange.tell_allowed(asked.described, yes.described, means.lines, means.metrics)
            return
        exchange.note_passage(yes.passage)
        exchange.client_address = yes.client_address
        exchange.tell(*asked.original, means.metrics)

    def say_why_not(self, error: StoreUnavailable, client: Asking, check: WaitingCheck) -> bool:
        """Answer that it cannot be told now, as the app would; False leaves it to the app."""
        head = self._reader.read_whole(check.data, client.peer, client.spoken)
        if head is None:
            return False
        means, pipeline = self._means, self._means.pipeline
        check.client_address = head.client_address
        if check.asked.dialect.whole:
            answer = pipeline.answer_error(error, self._forward_auth.read_asked(head), check)
        else:  # on their own listener it is not looked at whether somebody is still signed in
            answer = pipeline.answer_error(error, head if self._by_proof else None, check, head.headers)
        check.status = answer.status
        ids = (check.id_field(),) if self._answer_ids else ()
        lines = build_lines((*answer.headers, *answer.length_headers(), *ids))
        body = answer.body if head.method != "HEAD" else b""
        client.transport.write(b"".join((STATUS_LINE[answer.status], client.check_fields(), lines, b"\r\n", body)))
        check.tell(*check.asked.original, means.metrics)
        return True

    def tell_abandoned(self, check: WaitingCheck) -> None:
        """Tell of a check whose front has gone before it was answered."""
        check.client_address = check.asker.origin.client_address
        check.tell(*check.asked.original, self._means.metrics)

    def _confirm(self, check: WaitingCheck, yes: Yes) -> None:
        """Say yes if the store says that nothing has changed."""
        pipeline, caller = self._means.pipeline, yes.passage.caller

        def told(same: bool | StoreUnavailable) -> None:
            if isinstance(same, StoreUnavailable):
                check.fail(same)  # to have the app ask again would take another timeout
                return
            if not same or not pipeline.is_in_time(yes.passage):
                check.asker.yes.pop(check.asked.place, None)
                check.leave()
                return
            if caller is not None and caller.remembered:
                yes.renew(pipeline.seconds_left(yes.passage))
            check.end(yes)

        check.begin()
        assert caller is not None  # noqa: S101 -- a passage that depends on nobody always holds
        pipeline.confirm(caller, told)


class WaitingCheck(Exchange):
    """A check about which the store is being asked."""

    def __init__(self, checks: Checks, client: Asking, data: bytes, asker: Asker, asked: Asked) -> None:
        super().__init__()
        self.asker = asker
        self.asked = asked
        self.data = data
        self._checks = checks
        self._client: Asking | None = client

    def begin(self) -> None:
        """Have the connection wait."""
        if self._client is not None:
            self._client.wait_for(self)
            self._checks.waiting.add(self)

    def end(self, yes: Yes) -> None:
        """Say yes, and have the connection go on."""
        client = self._let_go()
        if client is not None:
            self._checks.say(yes, client, self, self.asked)
            client.end_check()

    def leave(self) -> None:
        """Leave it to the app."""
        client = self._let_go()
        if client is not None:
            client.leave_check(self.data)

    def fail(self, error: StoreUnavailable) -> None:
        """Say that the store is away, and have the connection go on."""
        client = self._let_go()
        if client is None:
            return
        if self._checks.say_why_not(error, client, self):
            client.end_check()
        else:
            client.leave_check(self.data)

    def abandon(self) -> None:
        """The front is gone: so is the check."""
        if self._let_go() is not None:
            self._checks.tell_abandoned(self)

    def _let_go(self) -> Asking | None:
        client, self._client = self._client, None
        self._checks.waiting.discard(self)
        return client


def _begin(prefix: str) -> Iterator[bytes]:
    for method in _METHODS:
        yield f"{method} {prefix}/{WHOLE} ".encode()
        yield f"{method} {prefix}/{WHOLE}/".encode()
    for method in ("GET", "HEAD"):
        yield f"{method} {prefix}/{BY_STATUS} ".encode()
