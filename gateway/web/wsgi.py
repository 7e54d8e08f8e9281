"""The gateway around a WSGI app (PEP 3333): the same pipeline, asked from the server's threads.

The gate is asynchronous and lives in one event loop, in a thread of this process. Each request asks it and waits; the
app itself then runs in the server's thread as ever, with its own streaming of bodies.

WSGI has no raw path: `PATH_INFO` is decoded. So exactly what the app will see is encoded again and judged, and the raw
target that some servers add (`REQUEST_URI`, `RAW_URI`) serves only to return to it after a sign-in.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from gateway.core.headers import in_process_headers
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead, read_head
from gateway.core.response import client_headers
from gateway.errors import GatewayError
from gateway.flows.gate import Passage
from gateway.flows.kept_posts import ReadBody
from gateway.flows.live import Live
from gateway.telemetry.metrics import Metrics
from gateway.web.body_limit import check_length
from gateway.web.exchange import Exchange, Message
from gateway.web.pipeline import OwnPage, Pipeline
from gateway.web.reading import EXCHANGE_KEY, HEAD_KEY, MAX_OWN_BODY
from gateway.web.responses import Answer
from gateway.web.scope import HeadReader
from gateway.web.wsgi_body import LimitedInput, LiveBody

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
T = TypeVar("T")

_SAFE: Final = "/!$&'()*+,;=:@-._~"


class LoopThread:
    """An event loop in a daemon thread, made in the process that first needs it (servers fork after loading)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the loop, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._running_loop()).result()

    def stop(self) -> None:
        """Stop the loop of this process."""
        with self._lock:
            if self._loop is not None and self._pid == os.getpid():
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(timeout=5)
                self._loop.close()
            self._loop = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
                self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
                self._thread.start()
            return self._loop


class WsgiGateway:
    """Stands before a WSGI app."""

    def __init__(
        self,
        app: Any,
        *,
        pipeline: Pipeline,
        reader: HeadReader,
        own_pages: Any,
        own_cookies: frozenset[bytes],
        live: Live,
        metrics: Metrics,
        start: Callable[[], None],
        close: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """`start` is called on the loop with every request: it begins what runs by itself, once."""
        self._app = app
        self._start = start
        self._close = close
        self._pipeline = pipeline
        self._reader = reader
        self._own_pages = own_pages
        self._own_cookies = own_cookies
        self._live = live
        self._metrics = metrics
        self.loop = LoopThread()

    def close(self) -> None:
        """Close the gateway's connections and end its thread; the server must have stopped."""
        self.loop.run(self._close())
        self.loop.stop()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        exchange = Exchange()
        head: RequestHead | None = None
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        try:
            head = read_environ(environ, self._reader)
            outcome = self.loop.run(self._judge(head, exchange, environ))
            if isinstance(outcome, Passage):
                check_length(head, outcome.match.route.body_limit)
        except Exception as error:  # noqa: BLE001 -- the one border: everything becomes an answer here
            outcome = self._pipeline.answer_error(error, head, exchange)
        if isinstance(outcome, Answer):
            exchange.status = outcome.status
            exchange.tell(method, path, self._metrics)
            start_response(_status_line(outcome.status), _to_wsgi(outcome.headers))
            return [b"" if method == "HEAD" else outcome.body]
        assert head is not None  # noqa: S101 -- a passage was judged from it
        return self._call_app(head, outcome, exchange, environ, start_response)

    async def _judge(self, head: RequestHead, exchange: Exchange, environ: Environ) -> Passage | Answer:
        self._start()
        outcome = await self._pipeline.judge(head, exchange, _read_from(environ))
        if isinstance(outcome, OwnPage):
            return await self._own_page(head, exchange, environ)
        return outcome

    async def _own_page(self, head: RequestHead, exchange: Exchange, environ: Environ) -> Answer:
        """Run a page of the gateway's own, whose requests and answers are small and whole."""
        sent: list[Message] = []
        body = environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), MAX_OWN_BODY + 1))

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": head.method,
            "scheme": head.scheme,
            "path": head.path.text,
            "raw_path": head.path.raw,
            "query_string": head.query,
            "headers": list(head.headers),
            "client": (environ["REMOTE_ADDR"], 0) if environ.get("REMOTE_ADDR") else None,
            HEAD_KEY: head,
            EXCHANGE_KEY: exchange,
        }
        await self._own_pages(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], tuple(sent[0]["headers"]), body)

    def _call_app(
        self,
        head: RequestHead,
        passage: Passage,
        exchange: Exchange,
        environ: Environ,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        allow = passage.allow

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            exchange.status = int(status[:3])
            edited = client_headers(
                [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
                own_cookies=self._own_cookies,
                remove_headers=allow.remove_headers,
                identity_bearing=allow.identity is not None,
                varies=allow.varies,
            )
            return start_response(status, _to_wsgi(edited), *rest)

        try:
            body: Iterable[bytes] = self._app(self._edit_environ(head, passage, exchange, environ), start)
            return body if passage.caller is None else LiveBody(body, passage, self._live)
        except GatewayError as error:
            answer = self._pipeline.answer_error(error, head, exchange)
            if exchange.status:
                raise
            exchange.status = answer.status
            start_response(_status_line(answer.status), _to_wsgi(answer.headers))
            return [answer.body]
        finally:
            exchange.tell(head.method, environ.get("PATH_INFO", ""), self._metrics)

    def _edit_environ(self, head: RequestHead, passage: Passage, exchange: Exchange, environ: Environ) -> Environ:
        """Return the app's environ, with the judged and injected headers in place of the client's."""
        allow = passage.allow
        headers = in_process_headers(
            head,
            set_headers=allow.set_headers,
            remove_headers=allow.remove_headers,
            own_cookies=self._own_cookies,
            request_id=exchange.request_id,
        )
        inner = {name: value for name, value in environ.items() if not name.startswith("HTTP_")}
        for name, value in headers:
            if name not in {b"content-type", b"content-length"}:
                variable = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
                text = value.decode("latin-1")
                joiner = "; " if variable == "HTTP_COOKIE" else ","
                inner[variable] = inner[variable] + joiner + text if variable in inner else text
        limit = passage.match.route.body_limit
        if limit is not None:
            inner["wsgi.input"] = LimitedInput(environ["wsgi.input"], limit)
        inner["PATH_INFO"] = unquote_to_bytes(head.path.raw).decode("latin-1")[len(environ.get("SCRIPT_NAME", "")) :]
        inner.pop("REMOTE_USER", None)
        if allow.identity is not None:
            inner["REMOTE_USER"] = allow.identity.open_id
            inner["gateway.identity"] = allow.identity
        return inner


def read_environ(environ: Environ, reader: HeadReader) -> RequestHead:
    """Read the head of a request from its environ. Raises a `RequestRefused` when it is ambiguous."""
    headers = [
        (name[5:].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    for name, variable in ((b"content-type", "CONTENT_TYPE"), (b"content-length", "CONTENT_LENGTH")):
        if environ.get(variable):
            headers.append((name, environ[variable].encode("latin-1")))
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1") or b"/"
    query = environ.get("QUERY_STRING", "").encode("latin-1")
    judged = quote_from_bytes(path, safe=_SAFE).encode() + (b"?" + query if query else b"")
    head = read_head(
        method=environ["REQUEST_METHOD"],
        scheme=environ["wsgi.url_scheme"],
        target=judged,
        headers=headers,
        peer=environ.get("REMOTE_ADDR") or None,
        trusted=reader.trusted,
        limits=reader.limits,
        names=reader.names,
        http_version=environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
    )
    raw = (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").encode("latin-1", "replace")
    raw_path, _, raw_query = raw.partition(b"?")
    if raw.startswith(b"/") and unquote_to_bytes(raw_path) == path and raw_query == query:
        canonicalise(raw_path)  # refuses what decoding has hidden, such as an encoded slash
        return msgspec.structs.replace(head, raw_target=raw)
    return head


def _read_from(environ: Environ) -> ReadBody:
    """Return what reads a body of announced length; the server's thread waits meanwhile, and does not read itself."""

    async def read_body(limit: int) -> bytes | None:
        length = int(environ.get("CONTENT_LENGTH") or limit + 1)
        if length > limit:
            return None
        body: bytes = await asyncio.to_thread(environ["wsgi.input"].read, length)
        return body if len(body) == length else None

    return read_body


def _to_wsgi(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
