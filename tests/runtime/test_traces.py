"""Traces of a gateway that runs, at a receiver that is a process of its own."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from gateway.errors import SettingsError
from gateway.runtime.build import build
from gateway.simulator import RunningSimulator
from gateway.wsgi import protect as protect_wsgi
from tests.harness import Browser, asgi_form, headers_of, read_settings
from tests.otlp import Receiver, Span, receive_traces
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, run_gateway

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(autouse=True)
def afresh(simulator: RunningSimulator) -> None:
    simulator.simulator.reset()


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Receiver]:
    with receive_traces(tmp_path) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield receiver


@pytest.fixture
def running(
    tmp_path: Path, receiver: Receiver, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[RunningProcess]:
    with run_gateway(tmp_path, simulator, redis_server, upstream, tracing="on") as running:
        yield running


def children(spans: list[Span], of: Span) -> list[Span]:
    return [span for span in spans if span.parent == of.id and span.trace == of.trace]


def test_a_request_is_a_tree_of_spans(running: RunningProcess, receiver: Receiver) -> None:
    with Browser(running.url) as browser:
        answer = browser.sign_in(person="plain")
        assert answer.status_code == 200
        assert running.stop() == 0  # what was made is sent before it ends
    (served,) = [span for span in receiver.named("GET /**") if span.attributes["gateway.decision"] == "allow"]
    assert (served.kind, served.service, served.parent) == ("server", "tiktok-gateway", "")
    assert served.attributes["http.request.method"] == "GET"
    assert served.attributes["http.response.status_code"] == 200
    assert (served.attributes["http.route"], served.attributes["url.path"]) == ("/**", "/private/x")
    assert f'"request_id":"{served.attributes["gateway.request_id"]}"' in running.log.read_text().replace(" ", "")
    below = children(receiver.spans(), served)
    assert [(span.name, span.kind) for span in below] == [("gate", "internal"), ("GET default", "client")]
    asked = children(receiver.spans(), below[0])
    assert {(span.name, span.attributes["gateway.record"]) for span in asked} == {
        ("store read", "session"),
        ("store read", "grant"),
    }
    assert below[1].attributes["http.response.status_code"] == 200
    upstream_saw = headers_of(answer)["traceparent"].split("-")
    assert upstream_saw[1:3] == [served.trace, below[1].id]
    (completed,) = receiver.named("GET /oauth2/callback")
    assert [span.name for span in children(receiver.spans(), completed) if span.name.startswith("tiktok")] == [
        "tiktok redeem",
        "tiktok user_info",
    ]


def test_what_fails_is_said_by_its_code(running: RunningProcess, receiver: Receiver) -> None:
    with Browser(running.url) as browser:
        begun = browser.navigate("/private/x")
        running.simulator.troubles.html = True
        callback = browser.consent(begun.headers["location"])
        browser.navigate(callback)
    (asked,) = receiver.wait_for("tiktok redeem")
    assert (asked.failed, asked.attributes["error.type"]) == (True, "provider_unavailable")
    (served,) = receiver.wait_for("GET /oauth2/callback")
    assert (served.failed, served.attributes["http.response.status_code"]) == (True, 503)


def test_strangers_do_not_choose_the_trace(running: RunningProcess, receiver: Receiver) -> None:
    """Their flag would have every request of theirs recorded, whatever the sampler says."""
    with Browser(running.url) as browser:
        answer = browser.navigate("/public/x", headers={"traceparent": TRACEPARENT, "tracestate": "a=b"})
    (served,) = receiver.wait_for("GET /public/**")
    assert served.trace != TRACE
    assert served.parent == ""
    headers = headers_of(answer)
    assert headers["traceparent"].split("-")[1] == served.trace
    assert "tracestate" not in headers


@pytest.mark.parametrize(
    "settings", [{"trusted_proxies": '["127.0.0.0/8"]'}, {"tracing": "join_anyone"}], ids=["of a front", "of anyone"]
)
def test_a_trace_that_has_begun_is_gone_on_with(
    tmp_path: Path,
    receiver: Receiver,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    upstream: str,
    settings: dict[str, str],
) -> None:
    settings = {"tracing": "on", **settings}
    with run_gateway(tmp_path, simulator, redis_server, upstream, **settings) as running, Browser(running.url) as one:
        answer = one.navigate("/public/x", headers={"traceparent": TRACEPARENT, "tracestate": "a=b"})
        (served,) = receiver.wait_for("GET /public/**")
        assert (served.trace, served.parent) == (TRACE, PARENT)
        headers = headers_of(answer)
        assert headers["traceparent"].split("-")[1] == TRACE
        assert headers["traceparent"].split("-")[2] not in {PARENT, served.id}
        assert headers["tracestate"] == "a=b"
        for broken in (TRACEPARENT + "x", "00-" + "0" * 32 + f"-{PARENT}-01", ""):
            assert one.navigate("/public/y", headers={"traceparent": broken}).status_code == 200
        httpx.get(running.url + "/public/z", headers=[("traceparent", TRACEPARENT)] * 2, trust_env=False)
        assert {span.trace == TRACE for span in receiver.wait_for("GET /public/**", 5)[1:]} == {False}


def test_the_standards_variables_sample_and_name(
    tmp_path: Path,
    receiver: Receiver,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    upstream: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "front-door")
    with run_gateway(tmp_path, simulator, redis_server, upstream, tracing="on") as running, Browser(running.url) as one:
        one.navigate("/public/x")
        assert receiver.wait_for("GET /public/**")[0].service == "front-door"
        running.stop()
    before = len(receiver.spans())
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with run_gateway(tmp_path, simulator, redis_server, upstream, tracing="on") as running, Browser(running.url) as one:
        one.navigate("/public/x")
        running.stop()
    assert len(receiver.spans()) == before


def test_every_worker_sends_its_own(
    tmp_path: Path, receiver: Receiver, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    with run_gateway(tmp_path, simulator, redis_server, upstream, "--workers", "2", tracing="on") as running:
        for _ in range(20):  # the kernel spreads connections over both
            with Browser(running.url) as browser:
                browser.navigate("/public/x")
        spans = receiver.wait_for("GET /public/**", 20)
        assert len(spans) == len({span.id for span in spans}) == 20
        assert running.stop() == 0


def test_a_receiver_that_is_away_holds_nobody_up(
    tmp_path: Path,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    upstream: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    with run_gateway(tmp_path, simulator, redis_server, upstream, tracing="on") as running, Browser(running.url) as one:
        assert one.sign_in(person="plain").status_code == 200
        assert running.stop() == 0


def test_websockets_are_carried_all_the_same(running: RunningProcess) -> None:
    with Browser(running.url) as browser:
        browser.sign_in(person="plain")
        cookie = f"gateway={browser.client.cookies['gateway']}"
    with connect(
        f"{running.url.replace('http', 'ws')}/private/x",
        additional_headers={"cookie": cookie},
        origin=Origin(running.url),
    ) as socket:
        assert json.loads(socket.recv(timeout=20))


def test_an_app_in_this_process_is_traced_too(
    receiver: Receiver, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asgi_form(simulator, tracing="on") as running, Browser(running.url) as browser:
        answer = browser.sign_in(person="plain")
        (served,) = [
            span for span in receiver.wait_for("GET /private/**", 2) if span.attributes["gateway.decision"] == "allow"
        ]
        (app,) = receiver.wait_for("app")
        assert (app.parent, app.trace) == (served.id, served.trace)
        assert headers_of(answer)["traceparent"].split("-")[1:3] == [served.trace, app.id]


def test_off_is_off(simulator: RunningSimulator) -> None:
    generation = build(read_settings(simulator, "http://127.0.0.1:1", upstream="http://127.0.0.1:2"))
    for made in (generation.records.store, generation.records.provider, generation.pages.pipeline):
        assert not {"read", "redeem", "judge", "decide"} & set(vars(made))
    assert type(generation.doors.app).__name__ == "GatewayMiddleware"
    assert type(generation.doors.short_way).__name__ == "ShortWay"


def test_wsgi_says_that_it_makes_no_spans(simulator: RunningSimulator) -> None:
    settings = read_settings(simulator, "http://127.0.0.1:1", tracing="on")
    with pytest.raises(SettingsError, match="opentelemetry-instrumentation-wsgi"):
        protect_wsgi(lambda *_: [], settings)
