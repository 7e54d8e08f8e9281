"""Envoy by `ext_authz` over HTTP, with the file that users copy."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway.simulator import RunningSimulator
from tests.fronts.scenarios import SETTINGS, Scenarios
from tests.fronts.starting import CONFIG, Front, Places, replaced, run_front, serve_front
from tests.programs import need

SHIPPED = CONFIG / "envoy" / "envoy.yaml"
MANIFEST = CONFIG / "kubernetes" / "envoy-gateway.yaml"


@contextlib.contextmanager
def begin_envoy(places: Places, folder: Path) -> Generator[None]:
    """Run Envoy with the shipped file."""
    program = need("envoy")
    port = {name: address.rpartition(":")[2] for name, address in places.__dict__.items()}
    text = replaced(
        SHIPPED.read_text(),
        (
            ("address: 0.0.0.0, port_value: 80}", f"address: 127.0.0.1, port_value: {port['front']}}}"),
            ("port_value: 8080}", f"port_value: {port['gateway']}}}"),
            ("port_value: 8081}", f"port_value: {port['checks']}}}"),
            ("port_value: 3000}", f"port_value: {port['app']}}}"),
        ),
    )
    file = folder / "envoy.yaml"
    file.write_text(text)
    command = [program, "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    with run_front(command, f"http://{places.front}/oauth2/livez"):
        yield


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    with serve_front(begin_envoy, simulator, **SETTINGS) as running:
        yield running


class TestEnvoy(Scenarios):
    """It makes an answer of its own of whatever is above 499, and refuses some of what others take away."""

    tells_when_to_retry = False
    loses = frozenset({"Cookie"})
    refuses = frozenset({"X-Forwarded-Host, Host", "X-Forwarded-For, Host"})
    refuses_upgrades = frozenset({"foo"})
    picks_websocket = True


def test_the_manifest_says_the_same() -> None:
    """Nobody runs a cluster here: what the real program was put through is what the resources say."""
    yaml = YAML(typ="safe")
    resources = list(yaml.load_all(MANIFEST.read_text()))
    policies = [each["spec"] for each in resources if each["kind"] == "SecurityPolicy"]
    (listener,) = yaml.load(SHIPPED.read_text())["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    (asked,) = [each["typed_config"] for each in manager["http_filters"] if each["name"] == "gateway"]
    (said,) = [each["extAuth"] for each in policies]
    assert said["failOpen"] is asked["failure_mode_allow"] is False
    assert said["http"]["path"] == asked["http_service"]["path_prefix"]
    allowed = asked["http_service"]["authorization_response"]["allowed_upstream_headers"]
    for names, patterns in (
        (said["headersToExtAuth"], asked["allowed_headers"]["patterns"]),
        (said["http"]["headersToBackend"], allowed["patterns"]),
    ):
        exact = {pattern["exact"] for pattern in patterns if "exact" in pattern}
        beginnings = tuple(pattern["prefix"] for pattern in patterns if "prefix" in pattern)
        assert exact <= set(names)
        assert all(any(name.startswith(beginning) for name in names) for beginning in beginnings)
        assert all(name in exact or name.startswith(beginnings) for name in names)
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    told = [
        match["path"]["value"]
        for each in resources
        if each["kind"] == "HTTPRoute" and each["metadata"]["name"] == "gateway"
        for rule in each["spec"]["rules"]
        for match in rule["matches"]
    ]
    assert told == [route["match"]["safe_regex"]["regex"] for route in routes[:2]]
