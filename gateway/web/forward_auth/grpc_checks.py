"""Checks by gRPC: Envoy's `envoy.service.auth.v3.Authorization`, on `forward_auth.grpc`.

A call holds the visitor's request. It is read as the same check over HTTP is, and answered by the same judgement; only
here Envoy hands on whatever is a no as it is, a 503 with its page included. Every other field of the visitor's comes
along, so a name that poses as identity by its spelling is a no, whatever Envoy would have forwarded.

What comes over this address is believed to be a front's: only fronts may reach it. It needs the extra `grpc`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.rpc.code_pb2 import OK, PERMISSION_DENIED
from google.rpc.status_pb2 import Status

from gateway.errors import RequestRefused, StartError
from gateway.flows.kept_posts import ReadBody
from gateway.telemetry.logs import log
from gateway.telemetry.metrics import Metrics
from gateway.web.answers.answer import Answer
from gateway.web.asgi_head import HeadReader
from gateway.web.exchange import Exchange
from gateway.web.forward_auth.dialect import IN_PATH
from gateway.web.forward_auth.endpoint import ForwardAuth
from gateway.web.pipeline import Pipeline

END: Final = 1.0
"""Seconds that calls under way have at the end."""
_OF_A_BODY: Final = frozenset({"content-length", "transfer-encoding", "expect"})
"""What a call says of the visitor's body, which it seldom has."""
_OURS: Final = frozenset({b"cache-control", IN_PATH.removes})


class GrpcChecks:
    """Answers calls on an address, `host:port` or `unix:/path`; `shared`: with other workers."""

    def __init__(
        self,
        address: str,
        *,
        prefix: str,
        forward_auth: ForwardAuth,
        pipeline: Pipeline,
        reader: HeadReader,
        metrics: Metrics,
        shared: bool,
    ) -> None:
        self._address = address
        self._page = f"{prefix}/{IN_PATH.page}"
        self._forward_auth = forward_auth
        self._pipeline = pipeline
        self._reader = reader
        self._metrics = metrics
        self._shared = shared
        self._server: Any = None
        self._starting: asyncio.Task[None] | None = None
        self._servicer = _Servicer(self)
        self._under_way = 0

    @property
    def in_use(self) -> bool:
        """Whether calls are under way."""
        return self._under_way > 0

    def take_over(self, before: GrpcChecks) -> None:
        """Answer from now on where another did before, which ends when the calls that it has are answered."""
        self._servicer, self._server, self._starting = before._servicer, before._server, before._starting
        self._servicer.checks = self
        before._server = before._starting = None

    def start(self) -> None:
        """Listen, within the event loop. Raises `StartError` when the address is taken."""
        if self._server is not None:
            return
        options = [("grpc.so_reuseport", int(self._shared)), ("grpc.max_receive_message_length", 1 << 20)]
        server = grpc.aio.server(options=options)
        external_auth_pb2_grpc.add_AuthorizationServicer_to_server(self._servicer, server)
        try:
            server.add_insecure_port(self._address)
        except RuntimeError:
            raise StartError(
                f"forward_auth.grpc: {self._address} cannot be listened on: it is taken, or not of this machine"
            ) from None
        self._server = server
        self._starting = asyncio.get_running_loop().create_task(server.start())
        log.info("started_grpc", address=self._address)

    async def close(self) -> None:
        """Take no more calls, and let those under way end."""
        if self._server is not None and self._starting is not None:
            await self._starting
            await self._server.stop(END)

    async def check(self, request: Any, context: Any) -> Any:
        """Answer one call."""
        self._under_way += 1
        try:
            return await self._check(request, context)
        finally:
            self._under_way -= 1

    async def _check(self, request: Any, context: Any) -> Any:
        http, exchange = request.attributes.request.http, Exchange()
        try:
            answer = await self._answer(http, _peer_of(context), exchange)
        except Exception as error:  # noqa: BLE001 -- the border: everything becomes an answer here
            answer = self._pipeline.answer_error(error, None, exchange)
        exchange.status = answer.status
        exchange.tell(http.method, http.path.partition("?")[0], self._metrics)
        return _build_yes(answer) if answer.status == IN_PATH.yes else _build_no(answer)

    async def _answer(self, http: Any, peer: str | None, exchange: Exchange) -> Answer:
        body = http.raw_body or http.body.encode()
        fields = [
            (name.encode("latin-1", "replace"), value.encode("utf-8", "replace"))
            for name, value in http.headers.items()
            if not name.startswith(":") and name not in _OF_A_BODY and name != "host"
        ]
        fields.append((b"host", http.host.encode("utf-8", "replace")))
        if body:
            fields.append((b"content-length", str(len(body)).encode()))
        try:
            head = self._reader.read_raw(
                method=http.method,
                scheme=http.scheme or "http",
                target=(self._page + http.path).encode("utf-8", "replace"),
                headers=fields,
                peer=peer,
            )
        except RequestRefused as refused:
            return self._forward_auth.refuse(refused, exchange)
        exchange.client_address = head.client_address
        return await self._forward_auth.check(head, exchange, _reading(body))


class _Servicer:
    """What the server calls, for as long as it listens."""

    def __init__(self, checks: GrpcChecks) -> None:
        self.checks = checks

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the service's own name
        """Answer one call by the settings in force."""
        return await self.checks.check(request, context)


def _peer_of(context: Any) -> str | None:
    """Return the address of Envoy, of `ipv4:192.0.2.1:4711` or `ipv6:%5B::1%5D:4711`; None over a unix socket."""
    kind, _, rest = context.peer().partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return None
    return str(rest).rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")


def _reading(body: bytes) -> ReadBody:
    async def read(limit: int) -> bytes | None:
        return body if len(body) <= limit else None

    return read


def _build_yes(answer: Answer) -> Any:
    removed = next((value for name, value in answer.headers if name == IN_PATH.removes), b"")
    ok = external_auth_pb2.OkHttpResponse(
        headers=[_field(name, value) for name, value in answer.headers if name not in _OURS],
        headers_to_remove=removed.decode("ascii").split(",") if removed else (),
    )
    return external_auth_pb2.CheckResponse(status=Status(code=OK), ok_response=ok)


def _build_no(answer: Answer) -> Any:
    denied = external_auth_pb2.DeniedHttpResponse(
        status=HttpStatus(code=answer.status),
        headers=[_field(name, value, several=name == b"set-cookie") for name, value in answer.headers],
        body=answer.body.decode("utf-8", "replace"),
    )
    return external_auth_pb2.CheckResponse(status=Status(code=PERMISSION_DENIED), denied_response=denied)


def _field(name: bytes, value: bytes, *, several: bool = False) -> Any:
    action = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD if several else HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    header = HeaderValue(key=name.decode("ascii"), value=value.decode("latin-1"))
    return HeaderValueOption(header=header, append_action=action)
