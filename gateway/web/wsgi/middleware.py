"""The gateway around a WSGI app (PEP 3333): the same pipeline, asked from the server's threads.

The gate is asynchronous and lives in one event loop, in a thread of this process. Each request asks it and waits; the
app itself then runs in the server's thread as ever, with its own streaming of bodies.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Coroutine, Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from gateway.core.headers import in_process_headers
from gateway.core.request import RequestHead
from gateway.core.response import client_headers
from gateway.errors import GatewayError
from gateway.flows.gate import Passage
from gateway.flows.live import Live
from gateway.telemetry.metrics import Metrics
from gateway.web.answers.answer import Answer
from gateway.web.asgi_head import EXCHANGE_KEY, HEAD_KEY, Message, Receive
from gateway.web.behind.user import AskForToken
from gateway.web.behind.visit import VISIT_KEY
from gateway.web.body_limit import check_length, read_from
from gateway.web.exchange import Exchange
from gateway.web.pipeline import OwnPage, Pipeline
from gateway.web.wsgi.body import LimitedInput, LiveBody, ToldBody, receive_from
from gateway.web.wsgi.environ import Environ, EnvironReader
from gateway.web.wsgi.loop import Here, LoopThread
from gateway.web.wsgi.user import USER_KEY, User

StartResponse = Callable[..., Any]


class WsgiGateway:
    """Stands before a WSGI app."""

    def __init__(
        self,
        app: Any,
        *,
        pipeline: Pipeline,
        reader: EnvironReader,
        own_pages: Any,
        own_cookies: frozenset[bytes],
        live: Live,
        metrics: Metrics,
        ask_for_token: AskForToken,
        start: Callable[[], None],
        close: Callable[[], Coroutine[Any, Any, None]],
        answer_ids: bool = False,
    ) -> None:
        """`start` is called on the loop with every request: it begins what runs by itself, once.

        `answer_ids`: every answer carries the id of its request.
        """
        self._answer_ids = answer_ids
        self.app = app
        self._ask_for_token = ask_for_token
        self._start = start
        self._close = close
        self._pipeline = pipeline
        self._reader = reader
        self._own_pages = own_pages
        self._own_cookies = own_cookies
        self._live = live
        self.metrics = metrics
        self.loop = LoopThread()
        atexit.register(self._end)

    def close(self) -> None:
        """Close the gateway's connections and end its thread; the server must have stopped.

        At the end of the process that is done by itself.
        """
        atexit.unregister(self._end)
        self.loop.run(lambda _: self._close())
        self.loop.stop()

    def _end(self) -> None:
        """Let refreshes under way be written down: each may hold the only copy of a rotated token."""
        if self.loop.is_running:
            self.close()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        exchange = Exchange()
        head: RequestHead | None = None
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        try:
            head = self._reader.read(environ)
            outcome = self._judge(head, exchange, environ)
            if isinstance(outcome, Passage):
                check_length(head, outcome.match.route.body_limit)
        except Exception as error:  # noqa: BLE001 -- the one border: everything becomes an answer here
            outcome = self._pipeline.answer_error(error, head, exchange, self._reader.read_fields(environ))
        if isinstance(outcome, Answer):
            exchange.status = outcome.status
            exchange.tell(method, path, self.metrics)
            start_response(_status_line(outcome.status), self._to_wsgi(outcome.headers, exchange))
            return [b"" if method == "HEAD" else outcome.body]
        assert head is not None  # noqa: S101 -- a passage was judged from it
        if head.path.merged:
            head = msgspec.structs.replace(head, path=outcome.match.route.form_of(head.path))
        return self._call_app(head, outcome, exchange, environ, start_response)

    def _judge(self, head: RequestHead, exchange: Exchange, environ: Environ) -> Passage | Answer:
        async def judge(here: Here) -> Passage | Answer:
            self._start()
            receive = receive_from(environ, here)
            outcome = await self._pipeline.judge(head, exchange, read_from(receive))
            if isinstance(outcome, OwnPage):
                return await self._own_page(head, exchange, environ, receive)
            return outcome

        return self.loop.run(judge)

    async def _own_page(self, head: RequestHead, exchange: Exchange, environ: Environ, receive: Receive) -> Answer:
        """Run a page of the gateway's own, whose requests and answers are small and whole."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": head.method,
            "scheme": head.scheme,
            "path": head.path.text,
            "raw_path": head.path.raw,
            "query_string": head.query,
            "headers": self._reader.read_fields(environ),  # as under ASGI: the head lacks what no app may have
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
            return start_response(status, self._to_wsgi(edited, exchange), *rest)

        def tell() -> None:
            exchange.status = exchange.status or 500  # as the server will answer what the app has raised
            exchange.tell(head.method, environ.get("PATH_INFO", ""), self.metrics)

        try:
            body: Iterable[bytes] = self.app(self._edit_environ(head, passage, exchange, environ), start)
        except GatewayError as error:
            answer = self._pipeline.answer_error(error, head, exchange)
            if exchange.status:
                tell()
                raise
            exchange.status = answer.status
            tell()
            start_response(_status_line(answer.status), self._to_wsgi(answer.headers, exchange))
            return [answer.body]
        except BaseException:
            tell()
            raise
        if passage.caller is not None:
            return LiveBody(body, tell, passage, self._live)
        if _is_made(body, environ):
            tell()
            return body
        return ToldBody(body, tell)

    def _to_wsgi(self, headers: Iterable[tuple[bytes, bytes]], exchange: Exchange) -> list[tuple[str, str]]:
        told = [*headers, exchange.id_field()] if self._answer_ids else headers
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in told]

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
        inner = {name: value for name, value in environ.items() if not name.startswith(("HTTP_", "gateway."))}
        for name, value in headers:
            if name not in {b"content-type", b"content-length"}:
                variable = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
                text = value.decode("latin-1")
                joiner = "; " if variable == "HTTP_COOKIE" else ","
                inner[variable] = inner[variable] + joiner + text if variable in inner else text
        limit = passage.match.route.body_limit
        if limit is not None:
            inner["wsgi.input"] = LimitedInput(environ["wsgi.input"], limit)
        inner["SCRIPT_NAME"] = head.mount.encode().decode("latin-1")
        inner["PATH_INFO"] = head.path.decoded[len(head.mount) :].encode().decode("latin-1")
        inner.pop("REMOTE_USER", None)
        if allow.identity is not None:
            inner["REMOTE_USER"] = allow.identity.open_id
            inner["gateway.identity"] = allow.identity
            inner[USER_KEY] = User(allow.identity, allow.session_key, self._fetch_token)
        inner[VISIT_KEY] = self._pipeline.visit(head, exchange, self.metrics)
        return inner

    def _fetch_token(self, session_key: str, scopes: Sequence[str]) -> str:
        async def ask(_: Here) -> str:
            return await self._ask_for_token(session_key, scopes)

        return self.loop.run(ask)


def _is_made(body: Iterable[bytes], environ: Environ) -> bool:
    """Whether a body has all its chunks already, or is a file: servers have quick ways for those, as they are."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(body, list | tuple) or (isinstance(wrapper, type) and isinstance(body, wrapper))


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
