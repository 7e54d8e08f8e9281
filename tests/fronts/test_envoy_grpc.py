"""Envoy by `ext_authz` over gRPC, with the files that users copy."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from gateway.simulator import RunningSimulator
from tests.fronts.scenarios import SETTINGS, Scenarios
from tests.fronts.starting import CONFIG, Front, Places, serve_front
from tests.fronts.test_envoy import OTHER_PROTOCOLS, PICKY, SHIPPED, placed, run_envoy
from tests.harness import headers_of
from tests.ports import free_port

PART = CONFIG / "envoy" / "grpc.yaml"


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    pytest.importorskip("grpc", reason="needs gRPC: pip install '.[grpc]'")
    port = free_port()

    @contextlib.contextmanager
    def begin(places: Places, folder: Path) -> Generator[None]:
        yaml = YAML(typ="safe")
        whole = yaml.load(placed(SHIPPED.read_text(), places))
        part = yaml.load(PART.read_text().replace("8082", str(port)))
        resources = whole["static_resources"]
        manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        del manager["local_reply_config"]
        for there, name, new in (
            (manager["http_filters"], part["filter"]["name"], part["filter"]),
            (resources["clusters"], part["cluster"]["name"], part["cluster"]),
        ):
            there[[each["name"] for each in there].index(name)] = new
        with run_envoy(json.dumps(whole), places, folder):
            yield

    with serve_front(begin, simulator, **SETTINGS, forward_auth__grpc=f"127.0.0.1:{port}") as running:
        yield running


class TestEnvoyByGrpc(Scenarios):
    """It refuses some of what others take away."""

    is_answered_at_once = False  # by gRPC's own server
    refuses = PICKY
    loses = frozenset({"Cookie"})
    other_protocols = OTHER_PROTOCOLS


def test_the_visitors_address_is_the_one_that_envoy_says(front: Front) -> None:
    told = headers_of(httpx.get(front.url + "/public/x", headers={"X-Forwarded-For": "192.0.2.9"}, trust_env=False))
    assert told["x-forwarded-for"] == "127.0.0.1"
