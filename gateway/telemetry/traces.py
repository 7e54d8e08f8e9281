"""Traces (OpenTelemetry): where the time of a request goes, as spans, sent by OTLP over HTTP.

Everything about the sending is said by the standard's variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`,
`OTEL_TRACES_SAMPLER` …). A span never has a query, a header, a token, or a key of the store: paths, routes, codes and
names of operations only. This module is imported only where tracing is on; the thread that sends is begun with the
first span, so after workers were forked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Generator, Iterable, Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway import __version__
from gateway.errors import GatewayError

Fields = Iterable[tuple[bytes, bytes]]
Attributes = Mapping[str, str | int]

CARRIED: Final = frozenset({b"traceparent", b"tracestate"})
"""Fields that carry a trace from one program to the next (W3C Trace Context)."""


class Traces:
    """Makes spans. A span that is begun while another is current, is its child."""

    def __init__(self) -> None:
        self._provider: TracerProvider | None = None
        self._propagator = TraceContextTextMapPropagator()

    @property
    def _tracer(self) -> trace.Tracer:
        if self._provider is None:
            self._provider = TracerProvider(resource=_describe_service(), shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return self._provider.get_tracer("gateway", __version__)

    @contextlib.contextmanager
    def serve(self, name: str, headers: Fields, attributes: Attributes, *, join: bool) -> Generator[Span]:
        """Make the span of a request that came in.

        It goes on with the trace of whoever has begun one around us; else, with `join`, that of the request's fields;
        else it begins a trace.
        """
        around = trace.get_current_span().get_span_context().is_valid
        context = None if around else self._extract(headers) if join else Context()
        with self._span(name, SpanKind.SERVER, attributes, context) as span:
            yield span

    @contextlib.contextmanager
    def call(self, name: str, attributes: Attributes) -> Generator[Span]:
        """Make the span of a call to another server."""
        with self._span(name, SpanKind.CLIENT, attributes, None) as span:
            yield span

    @contextlib.contextmanager
    def step(self, name: str, attributes: Attributes, *, out: bool = False) -> Generator[Span | None]:
        """Make the span of a part of what is traced already (`out`: of a call); none where nothing is."""
        if not trace.get_current_span().get_span_context().is_valid:
            yield None
            return
        with self._span(name, SpanKind.CLIENT if out else SpanKind.INTERNAL, attributes, None) as span:
            yield span

    @contextlib.contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: Attributes, context: Context | None) -> Generator[Span]:
        # an exception's words stay in the log: they are for the operator, and spans go further
        with self._tracer.start_as_current_span(
            name, context, kind, attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except (Exception, asyncio.CancelledError) as error:
                span.set_attribute(
                    "error.type", error.code if isinstance(error, GatewayError) else type(error).__name__
                )
                span.set_status(Status(StatusCode.ERROR))
                raise

    def _extract(self, headers: Fields) -> Context:
        found = [(name, value) for name, value in headers if name in CARRIED]
        if len({name for name, _ in found}) < len(found):
            return Context()  # said twice: nobody could say whose child this is
        carrier = {name.decode("ascii"): value.decode("latin-1") for name, value in found}
        return self._propagator.extract(carrier, Context())

    def carry(self, headers: Fields) -> list[tuple[bytes, bytes]]:
        """Return the fields with those that carry the current trace, in place of any that were there."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        kept = [field for field in headers if field[0] not in CARRIED]
        return [*kept, *((name.encode(), value.encode()) for name, value in carrier.items())]

    async def close(self) -> None:
        """Send what waits, and end the thread that sends; it takes as long as `OTEL_EXPORTER_OTLP_TIMEOUT` at most."""
        provider, self._provider = self._provider, None
        if provider is not None:
            await asyncio.to_thread(provider.shutdown)


TRACES: Final = Traces()
"""The process's own: generations that follow one another send by one thread. Closed, it opens with the next span."""


def current() -> Span:
    """Return the span that is current; one that records nothing where there is none."""
    return trace.get_current_span()


def note_status(span: Span, status: int) -> None:
    """Note the status of an answer (semantic conventions for HTTP): of a server's, only 5xx is its error."""
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))


def _describe_service() -> Resource:
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    own = {"service.version": __version__} | ({} if named else {"service.name": "tiktok-gateway"})
    return Resource.create(own)
