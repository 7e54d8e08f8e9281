"""Traefik by `forwardAuth`, with the files that users copy."""

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

SHIPPED = CONFIG / "traefik" / "traefik.yaml"
MANIFEST = CONFIG / "kubernetes" / "traefik.yaml"
RULES = CONFIG / "traefik" / "gateway.yaml"


@contextlib.contextmanager
def begin_traefik(places: Places, folder: Path) -> Generator[None]:
    """Run Traefik with the shipped files."""
    program = need("traefik")
    rules = RULES.read_text().replace("app.example.com", "127.0.0.1")
    addresses = (("127.0.0.1:3000", places.app), ("127.0.0.1:8080", places.gateway))
    asked = ("127.0.0.1:8081/", f"{places.checks}/")
    (folder / "gateway.yaml").write_text(replaced(rules, (*addresses, asked)))
    listening = (('":80"', f'"{places.front}"'), ("/etc/traefik/gateway.yaml", str(folder / "gateway.yaml")))
    static = replaced(SHIPPED.read_text(), listening)
    file = folder / "traefik.yaml"
    file.write_text(static)
    with run_front([program, f"--configFile={file}"], f"http://{places.front}/oauth2/livez"):
        yield


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    with serve_front(begin_traefik, simulator, **SETTINGS) as running:
        yield running


class TestTraefik(Scenarios):
    """It takes away what Connection names before it asks, whatever that is; at worst somebody seems signed out."""

    loses = frozenset({"Cookie"})


def test_the_manifest_says_the_same() -> None:
    """Nobody runs a cluster here: what the real program was put through is what the resources say."""
    yaml = YAML(typ="safe")
    told = yaml.load(RULES.read_text())["http"]
    resources = list(yaml.load_all(MANIFEST.read_text()))
    middlewares = {each["metadata"]["name"]: each["spec"] for each in resources if each["kind"] == "Middleware"}
    expected = told["middlewares"]
    asked = expected["gateway"]["forwardAuth"]["address"]
    expected["gateway"]["forwardAuth"]["address"] = asked.replace("127.0.0.1", "gateway")
    assert middlewares == expected
    (routes,) = [each["spec"]["routes"] for each in resources if each["kind"] == "IngressRoute"]
    assert [
        {
            "rule": route["match"],
            "priority": route["priority"],
            "middlewares": [each["name"] for each in route["middlewares"]],
            "service": route["services"][0]["name"],
        }
        for route in routes
    ] == list(told["routers"].values())
