"""Envoy by `ext_authz` over HTTP, with the file that users copy."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from ruamel.yaml import YAML

from gateway.simulator import RunningSimulator
from gateway.web.forward_auth import dialect
from tests.fronts.lies import RESERVED
from tests.fronts.scenarios import SETTINGS, Scenarios, assert_look_alikes_are_dropped, assert_nobody_gets_in
from tests.fronts.starting import CONFIG, Front, Places, replaced, run_front, serve_front, serve_unanswered
from tests.harness import Browser, headers_of
from tests.programs import need
from tests.talk import Talk, compose

SHIPPED = CONFIG / "envoy" / "envoy.yaml"
MANIFEST = CONFIG / "kubernetes" / "envoy-gateway.yaml"


@contextlib.contextmanager
def begin_envoy(places: Places, folder: Path) -> Generator[None]:
    """Run Envoy with the shipped file."""
    with run_envoy(placed(SHIPPED.read_text(), places), places, folder):
        yield


PICKY = frozenset({"X-Forwarded-Host, Host", "X-Forwarded-For, Host"})
"""What Envoy refuses where a client has `Connection` name it."""
OTHER_PROTOCOLS = ("h2c", "foo", "h2c, foo")
"""Of several, WebSocket alone is left, which the gateway knows by its key."""


def placed(text: str, places: Places) -> str:
    """Return the file's text with addresses replaced."""
    asked = ((8080, places.gateway), (8081, places.checks), (3000, places.app))
    ports = [(f"port_value: {usual}}}", f"port_value: {place.partition(':')[2]}}}") for usual, place in asked]
    host, _, port = places.front.partition(":")
    listening = ("address: 0.0.0.0, port_value: 80}", f"address: {host}, port_value: {port}}}")
    return replaced(text, (*ports, listening))


@contextlib.contextmanager
def run_envoy(text: str, places: Places, folder: Path) -> Generator[None]:
    """Run Envoy with a file of this text, YAML or JSON."""
    file = folder / "envoy.yaml"
    file.write_text(text)
    command = [need("envoy"), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning"]
    with run_front(command, f"http://{places.front}/oauth2/livez"):
        yield


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    with serve_front(begin_envoy, simulator, **SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def forgetful(simulator: RunningSimulator) -> Generator[Front]:
    """The same without what comes before the question."""
    text = SHIPPED.read_text()
    begin, end = text.index("                  - name: told-by-nobody"), text.index("                  # Yes is 200")

    @contextlib.contextmanager
    def begin_forgetful(places: Places, folder: Path) -> Generator[None]:
        with run_envoy(placed(text[:begin] + text[end:], places), places, folder):
            yield

    with serve_front(begin_forgetful, simulator, **SETTINGS) as running:
        yield running


class TestEnvoy(Scenarios):
    """It keeps an answer of 500 and above to itself, and says 503 in its own words.

    It takes away what Connection names before it asks: at worst somebody seems signed out. Of several protocols in
    Upgrade WebSocket alone is left, which the gateway knows by its key.
    """

    loses = frozenset({"Cookie"})
    refuses = PICKY
    other_protocols = OTHER_PROTOCOLS
    tells_when_to_retry = False


def test_look_alikes_of_names_are_dropped(front: Front) -> None:
    assert_look_alikes_are_dropped(front)


@pytest.mark.parametrize("path", ["/public/x", "/optional/x", "/private/x"])
def test_the_gateway_has_a_clients_names_taken_away_where_the_file_forgets_to(
    simulator: RunningSimulator, forgetful: Front, path: str
) -> None:
    with Browser(forgetful.url) as browser:
        if path.startswith("/private"):
            browser.sign_in()
        for name in RESERVED:
            fields = headers_of(browser.fetch(path, headers={name: "SPOOF"}))
            assert "SPOOF" not in fields.values(), name
            assert bool(fields.get("x-tiktok-open-id")) == path.startswith("/private")


def test_the_file_keeps_a_clients_names_out_where_the_gateway_takes_nothing_away(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "IN_PATH", msgspec.structs.replace(dialect.IN_PATH, removes=b""))
    for path in ("/public/x", "/optional/x"):
        for name in RESERVED:
            answer = httpx.get(front.url + path, headers={name: "SPOOF"}, trust_env=False)
            assert answer.status_code == 200
            assert "SPOOF" not in headers_of(answer).values(), name


def test_what_is_judged_is_what_the_app_gets(front: Front, person: Browser) -> None:
    """Envoy resolves a path before both."""
    front.app.reset()
    who = f"Cookie: gateway={person.client.cookies['gateway']}\r\n".encode()
    fields = f"Host: {front.host}\r\n".encode() + who
    for sent, arrives in (
        (b"/private//x", b"/private/x"),
        (b"/public/../private/./x?a//b=../c", b"/private/x?a//b=../c"),
        (b"/private/%2e%2e/public/x", b"/public/x"),
    ):
        with Talk(front.running.address) as talk:
            answer = talk.say(compose(sent, fields)).answer()
        assert answer is not None
        assert answer.status == 200
        assert [seen.target for seen in front.app.take()] == [arrives]


def test_of_two_cookie_fields_the_session_is_not_read(front: Front, person: Browser) -> None:
    """Envoy joins them by a comma in the check: nobody gets in by it, and browsers send one."""
    front.app.reset()
    cookie = person.client.cookies["gateway"]
    fields = f"Host: {front.host}\r\nCookie: a=1\r\nCookie: gateway={cookie}\r\n".encode()
    with Talk(front.running.address) as talk:
        answer = talk.say(compose(b"/private/x", fields)).answer()
    assert answer is not None
    assert answer.status == 401
    assert front.app.take() == []


def test_a_store_that_is_away_is_told_in_envoys_words(
    front: Front, person: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.running.take_store_away(monkeypatch)
    answer = person.fetch("/private/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.text == "The sign-in is away for a moment. Please try again.\n"


def test_without_an_answer_nobody_gets_in(simulator: RunningSimulator) -> None:
    with serve_unanswered(begin_envoy, simulator) as front:
        assert_nobody_gets_in(front, 503)


def test_the_manifest_says_the_same() -> None:
    """Nobody runs a cluster here: what the real program was put through is what the resources say, name by name."""
    yaml = YAML(typ="safe")
    (filters,) = yaml.load(SHIPPED.read_text())["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    manager = filters["typed_config"]
    told_by_nobody, asking = (each["typed_config"] for each in manager["http_filters"][:2])
    resources = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in yaml.load_all(MANIFEST.read_text())}

    asked = resources["SecurityPolicy", "gateway"]["extAuth"]
    assert asked["failOpen"] is asking["failure_mode_allow"] is False
    assert (asked["statusOnError"], asking["status_on_error"]) == (503, {"code": "ServiceUnavailable"})
    assert asked["http"]["path"] == asking["http_service"]["path_prefix"]
    assert asked["timeout"] == asking["http_service"]["server_uri"]["timeout"]
    _assert_names_match(asked["headersToExtAuth"], asking["allowed_headers"]["patterns"], whole=True)
    told = asking["http_service"]["authorization_response"]["allowed_upstream_headers"]["patterns"]
    _assert_names_match(asked["http"]["headersToBackend"], told)

    traffic = resources["ClientTrafficPolicy", "web"]
    removed = traffic["headers"]["earlyRequestHeaders"]
    mutations = told_by_nobody["mutations"]["request_mutations"]
    assert removed["remove"] == [each["remove"] for each in mutations if "remove" in each]
    patterns = [each["remove_on_match"]["key_matcher"] for each in mutations if "remove_on_match" in each]
    assert [(each["type"], each["value"]) for each in removed["removeOnMatch"]] == [_kind_of(each) for each in patterns]
    said, address = (each["append"]["header"] for each in mutations if "append" in each)
    assert address["key"] == "X-Forwarded-For"  # there, only what is behind the client's word is Envoy's
    assert removed["set"] == [{"name": said["key"], "value": said["value"]}]
    assert max(map(len, removed.values())) <= 64  # the resource takes no more
    assert traffic["headers"]["withUnderscoresAction"] == "DropHeader"
    assert traffic["path"]["disableMergeSlashes"] is not manager["merge_slashes"]

    expected = [route["match"]["safe_regex"]["regex"] for route in _routes_of(manager)[:2]]
    rules = resources["HTTPRoute", "gateway"]["rules"]
    assert [rule["matches"][0]["path"]["value"] for rule in rules] == expected
    (about,) = resources["SecurityPolicy", "gateway"]["targetRefs"]
    assert (about["kind"], about["name"]) == ("HTTPRoute", "app")


def _routes_of(manager: Any) -> Any:
    return manager["route_config"]["virtual_hosts"][0]["routes"]


def _kind_of(pattern: dict[str, Any]) -> tuple[str, str]:
    """Return a pattern of Envoy's in the words of Envoy Gateway."""
    if "safe_regex" in pattern:
        return "RegularExpression", pattern["safe_regex"]["regex"]
    return ("Prefix", pattern["prefix"]) if "prefix" in pattern else ("Suffix", pattern["suffix"])


def _assert_names_match(names: list[str], patterns: list[dict[str, Any]], *, whole: bool = False) -> None:
    """Each name is one that the file's patterns mean; with `whole`, what the file names exactly is there too."""
    exact = {each["exact"] for each in patterns if "exact" in each}
    begins = tuple(each["prefix"] for each in patterns if "prefix" in each)
    ends = tuple(each["suffix"] for each in patterns if "suffix" in each)
    assert [
        name for name in names if not (name in exact or name.startswith(begins) or name.endswith(ends or ("?",)))
    ] == []
    if whole:
        assert exact - set(names) == {"x-forwarded-host"}  # Host says it, which every check has
