"""Tracing, where the settings ask for it: what is to be traced is wrapped, once, when all of it has been made.

Nothing on the path of a request knows of it, so that without it there is nothing to pay. With it, requests take the
long way; only WebSockets, which are not traced, keep the short one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import SettingsError
from gateway.runtime.wiring.apps import Behind
from gateway.runtime.wiring.gate import Judging
from gateway.runtime.wiring.pages import OwnPages
from gateway.runtime.wiring.records import RecordKeeping
from gateway.settings import Settings
from gateway.web.behind.apps import InProcessApp

if TYPE_CHECKING:
    from gateway.telemetry.traces import Traces

_OF_STORE: Final = (
    *("read", "read_many", "write", "take", "delete", "replace", "remove", "increment"),
    *("add_member", "members", "remove_member", "acquire_lease", "renew_lease", "release_lease"),
)
_OF_PROVIDER: Final = ("redeem", "refresh", "revoke", "user_info")


def open_traces(settings: Settings) -> Traces | None:
    """Return what makes spans; None where tracing is off. Raises `SettingsError` without OpenTelemetry."""
    if settings.tracing == "off":
        return None
    try:
        from gateway.telemetry.traces import TRACES
    except ImportError:
        raise SettingsError(
            "tracing needs the extra `otel`: install it too (a clone: pip install '.[otel]'). Where it is installed, "
            "xds-protos, of the extra `grpc`, has an older version of its files: "
            "pip install --force-reinstall --no-deps opentelemetry-proto"
        ) from None
    return TRACES


def trace_all(traces: Traces, settings: Settings, behind: Behind, records: RecordKeeping, pages: OwnPages) -> None:
    """Wrap the store, TikTok, what is behind the gate, and the judgement."""
    from gateway.web.traced import trace_app, trace_forwarding, trace_judging

    for name in _OF_STORE:
        setattr(records.store, name, _trace_store(getattr(records.store, name), name, traces))
    for name in _OF_PROVIDER:
        setattr(records.provider, name, _trace_provider(getattr(records.provider, name), name, traces))
    for name, proxy in behind.proxies.items():
        trace_forwarding(proxy, name, traces)
    if isinstance(behind.default, InProcessApp):
        trace_app(behind.default, traces)
    trace_judging(pages.pipeline, traces, [route.path for route in settings.routes], pages.endpoints.paths)


def trace_door(traces: Traces, settings: Settings, judging: Judging, door: Any) -> Any:
    """Return a door whose requests are spans."""
    from gateway.web.traced import TracedDoor

    join = (lambda _: True) if settings.tracing == "join_anyone" else judging.reader.trusted.trusts
    return TracedDoor(door, traces, join)


Act = Callable[..., Awaitable[Any]]


def _trace_store(act: Act, name: str, traces: Traces) -> Act:
    async def traced(*args: Any, **kwargs: Any) -> Any:
        first = args[0] if args and isinstance(args[0], str) else next(iter(args[0] if args else ()), "")
        kind = first.partition(":")[0]  # what is kept, never whose: keys have hashes of cookies in them
        attributes = {"db.system.name": "redis", "db.operation.name": name, "gateway.record": kind}
        with traces.step(f"store {name}", attributes, out=True):
            return await act(*args, **kwargs)

    return traced


def _trace_provider(act: Act, name: str, traces: Traces) -> Act:
    async def traced(*args: Any, **kwargs: Any) -> Any:
        with traces.call(f"tiktok {name}", {"gateway.operation": name}):
            return await act(*args, **kwargs)

    return traced
