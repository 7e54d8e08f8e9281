"""Metrics where there is no admin listener: an app to mount, for a scraper that has a key (RFC 6750).

Where it is mounted decides who reaches it, and a path of a web app is usually everybody's, so a key is asked for unless
the operator says that none is.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.web.answers.answer import NO_STORE, Answer, send_answer, text_answer
from gateway.web.asgi_head import Receive, Scope, Send
from gateway.web.behind.visit import find_visit

_CHALLENGE = ((b"www-authenticate", b'Bearer realm="metrics"'),)


class MetricsPage:
    """Answers who has the `key`; None: everybody.

    Without `metrics`, it is those of the gateway through which a request has come.
    """

    def __init__(self, metrics: Metrics | None, key: str | None) -> None:
        self._metrics = metrics
        self._expected = f"Bearer {key}".encode() if key is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] == "http":
            given = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), b"")
            await send_answer(self._answer(given, scope), send, head_only=scope["method"] == "HEAD")

    def answer_wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        answer = self._answer(environ.get("HTTP_AUTHORIZATION", "").encode("latin-1"), environ)
        fields = [(name.decode(), value.decode()) for name, value in (*answer.headers, *answer.length_headers())]
        start_response("200 OK" if answer.status == 200 else "401 Unauthorized", fields)
        return [answer.body]

    def _answer(self, given: bytes, where: Mapping[str, Any]) -> Answer:
        if self._expected is not None and not hmac.compare_digest(given, self._expected):
            refused = text_answer(401, "a key is needed: Authorization: Bearer KEY\n")
            return Answer(401, (*refused.headers, *_CHALLENGE), refused.body)
        metrics = self._metrics if self._metrics is not None else find_visit(where).metrics
        if metrics is None:
            raise LookupError("an event that the gateway passes on asks for no metrics")
        return Answer(200, ((b"content-type", CONTENT_TYPE.encode()), NO_STORE), metrics.exposition())
