"""Lets requests in, as the gate says. What that took is kept as a permit, for those that come after.

In this order, each only where the one before does not do: from the permit that the sender has for the route; from the
gate's memory; when the store has said who asks, or that nothing has changed; when the gate has judged the whole head.
"""

from __future__ import annotations

from gateway.core.route import Match
from gateway.errors import GatewayError, NoSuchPage, NothingHere, StoreUnavailable
from gateway.flows.gate import Passage
from gateway.server.short.exchange import ShortExchange
from gateway.server.short.lane import Means
from gateway.server.short.permit import Permit
from gateway.upstream.request import encode_fields
from gateway.web.answers.answer import Answer
from gateway.web.body_limit import check_length
from gateway.web.pipeline import OwnPage


class Admission:
    """Admits requests, or answers them, or leaves them to the app."""

    def __init__(self, means: Means) -> None:
        self._pipeline = means.pipeline
        self._lanes = means.lanes

    def let_in(self, exchange: ShortExchange) -> bool:
        """Let a request in if the gate does so from memory, or have the gate ask the store.

        False leaves it to the app: it is to be answered in another way.
        """
        if exchange.is_websocket:  # rare, and there is more to judge; no other way takes them
            self._ask(exchange)
            return True
        match = exchange.target.match
        if match is None:
            return False
        sender = exchange.block.sender
        passage = self._pipeline.admit_at_once(match, sender.session_key, sender.proofs)
        if passage is None:
            return False
        if not isinstance(passage, Passage):
            if match.route.needs_body_to_answer:
                return False  # which the app can read, and nobody here
            self._recognise(exchange, match)
            return True
        try:
            self._enter(exchange, passage)
        except GatewayError:
            return False
        return True

    def confirm(self, exchange: ShortExchange, permit: Permit) -> None:
        """Let a request in with a permit that no longer holds, if the store says that nothing has changed."""
        caller = permit.passage.caller
        if caller is None:
            raise GatewayError("a passage that depends on nobody always holds")

        def told(same: bool | StoreUnavailable) -> None:
            if exchange.done:
                return
            if isinstance(same, StoreUnavailable):
                exchange.fail(same)
            elif same and self._pipeline.is_in_time(permit.passage):
                if caller.remembered:
                    permit.renew(self._pipeline.seconds_left(permit.passage))
                exchange.go(permit)
            else:
                self._recognise(exchange, permit.passage.match)

        self._pipeline.confirm(caller, told)

    def _recognise(self, exchange: ShortExchange, match: Match) -> None:
        """Have the store say who asks: the gate is asked only if there is more to it."""
        sender = exchange.block.sender
        if sender.session_key is None:
            raise GatewayError("a passage that depends on nobody is always known")

        def told(passage: Passage | StoreUnavailable | None) -> None:
            if exchange.done:
                return
            if isinstance(passage, StoreUnavailable):
                exchange.fail(passage)
            elif passage is None:
                self._ask(exchange)
            else:
                try:
                    self._enter(exchange, passage)
                except GatewayError as error:
                    exchange.fail(error)
                else:
                    exchange.flush()

        self._pipeline.recognise(match, sender.session_key, told, proofs=sender.proofs)

    def _ask(self, exchange: ShortExchange) -> None:
        """Have the gate ask the store."""
        exchange.run(self._judge(exchange))

    async def _judge(self, exchange: ShortExchange) -> None:
        match await self._pipeline.judge(exchange.head(), exchange):
            case Passage() as passage:
                self._enter(exchange, passage)
                exchange.flush()
            case Answer() as answer:
                exchange.answer(answer)
            case OwnPage():  # only of a WebSocket: other requests for them are left to the app
                raise NoSuchPage("none of the gateway's own pages takes WebSockets")

    def _enter(self, exchange: ShortExchange, passage: Passage) -> None:
        """Let a request in, and remember what that took.

        Raises `NothingHere` where the route leads to no upstream, `ContentTooLarge` or `Forbidden`.
        """
        route = passage.match.route
        lane = self._lanes.get(route.upstream)
        if lane is None:
            raise NothingHere("the route leads to no upstream")
        sender = exchange.block.sender
        if not exchange.block.raw:  # read by the parser: not judged yet
            head = exchange.head()
            lane.app.check_websocket(head)
            check_length(head, route.body_limit)
            sender.passing = encode_fields(lane.app.passing_fields(head, passage.allow))
        if exchange.body is not None:
            exchange.body.limit(route.body_limit)
        origin = sender.origin
        permit = Permit(passage, lane.towards(origin), self._pipeline.seconds_left(passage), origin.client_address)
        sender.permits[passage.match.index] = permit
        exchange.enter(permit)
