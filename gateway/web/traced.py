"""Spans of what a request goes through here: the door, the judgement, the app.

What is traced is wrapped when a gateway is built with tracing on; without it nothing of this module is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Coroutine, Sequence
from typing import Any, Final

import msgspec

from gateway.core.decision import Allow
from gateway.core.fields import Fields
from gateway.core.request import RequestHead
from gateway.core.response import EditResponse
from gateway.flows.gate import Passage, Refusal
from gateway.flows.kept_posts import ReadBody
from gateway.telemetry.traces import Traces, current, note_status
from gateway.web.answers.answer import Answer
from gateway.web.asgi_head import AsgiApp, Message, Receive, Scope, Send
from gateway.web.behind.apps import InProcessApp
from gateway.web.behind.proxied_app import Forwarder
from gateway.web.exchange import Exchange
from gateway.web.pipeline import OwnPage, Pipeline

Forward = Callable[[RequestHead, Fields, Receive, Send, EditResponse], Coroutine[Any, Any, None]]
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})


class TracedDoor:
    """A door (ASGI 3), each of whose requests is a span. `joins` says of a peer whether its trace is gone on with."""

    def __init__(self, door: AsgiApp, traces: Traces, joins: Callable[[str | None], bool]) -> None:
        self._door = door
        self._traces = traces
        self._joins = joins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the server's start and end."""
        if scope["type"] == "lifespan":
            await self._door(scope, receive, send)
            return
        method, client = _name_method(scope.get("method", "GET")), scope.get("client")
        attributes = {
            "http.request.method": method,
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", "1.1"),
        }
        join = self._joins(client[0] if client else None)
        with self._traces.serve(method, scope["headers"], attributes, join=join) as span:
            await self._door(scope, receive, _noting_status(send, lambda status: note_status(span, status)))


def trace_judging(pipeline: Pipeline, traces: Traces, routes: Sequence[str], own: Container[str]) -> None:
    """Have a request's span told what is known once it was read and judged.

    `routes` are the patterns, in order; `own` the paths of the gateway's own pages.
    """
    judge, decide = pipeline.judge, pipeline.decide

    async def judge_traced(
        head: RequestHead, exchange: Exchange, read_body: ReadBody | None = None
    ) -> OwnPage | Passage | Answer:
        span = current()
        try:
            return await judge(head, exchange, read_body)
        finally:
            route = routes[exchange.route] if exchange.route >= 0 else ""
            method = _name_method(head.method)
            span.set_attribute("url.path", head.path.text)
            span.set_attribute("gateway.request_id", exchange.request_id)
            span.set_attribute("gateway.decision", exchange.decision)
            if exchange.decision == "own" and head.path.text in own:
                route = head.path.text
            if route:
                span.set_attribute("http.route", route)
                span.update_name(f"{method} {route}")

    async def decide_traced(head: RequestHead) -> Passage | Refusal:
        with traces.step("gate", {}):
            return await decide(head)

    pipeline.judge = judge_traced  # type: ignore[method-assign]
    pipeline.decide = decide_traced  # type: ignore[method-assign]


def trace_forwarding(forwarder: Forwarder, name: str, traces: Traces) -> None:
    """Make a span of each request to an upstream, and have the upstream told of it."""

    def trace(act: Forward) -> Forward:
        async def forward(
            head: RequestHead, headers: Fields, receive: Receive, send: Send, edit_response: EditResponse
        ) -> None:
            method = _name_method(head.method)
            attributes = {"http.request.method": method, "gateway.upstream": name}
            with traces.call(f"{method} {name}", attributes) as span:
                noting = _noting_status(send, lambda status: note_status(span, status))
                await act(head, traces.carry(headers), receive, noting, edit_response)

        return forward

    for way in ("forward", "relay"):
        setattr(forwarder, way, trace(getattr(forwarder, way)))


def trace_app(app: InProcessApp, traces: Traces) -> None:
    """Make a span of each call of an app in this process, which is told of it as an upstream is."""
    answer = app.answer

    async def answer_traced(
        head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        with traces.step("app", {}):
            told = msgspec.structs.replace(head, headers=tuple(traces.carry(head.headers)))
            await answer(told, allow, request_id, scope, receive, send)

    app.answer = answer_traced  # type: ignore[method-assign]


def _name_method(method: str) -> str:
    """Return a method as the semantic conventions for HTTP have it: of a few, or `_OTHER`."""
    return method if method in _METHODS else "_OTHER"


def _noting_status(send: Send, note: Callable[[int], Any]) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] in _STARTS:
            note(message["status"])
        await send(message)

    return noting
