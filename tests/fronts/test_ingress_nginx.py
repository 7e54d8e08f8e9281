"""The Ingress that users copy, by what ingress-nginx's controller makes of it, in a real nginx."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway.core.identity import IdentityHeaders
from gateway.simulator import RunningSimulator
from tests.fronts import ingress_nginx
from tests.fronts.lies import LIES, RESERVED
from tests.fronts.scenarios import DEEP, SETTINGS
from tests.fronts.starting import Front, Places, serve_front
from tests.harness import SAME_ORIGIN, Browser, headers_of
from tests.nginx import run_nginx
from tests.threats.identity import reads_as_identity

SHIPPED = ingress_nginx.read_shipped()
ANNOTATIONS = ingress_nginx.annotations_of(SHIPPED["Ingress/app"])
CHECK_HEADERS = SHIPPED["ConfigMap/gateway-check-headers"]["data"]


@contextlib.contextmanager
def begin(places: Places, _: Path) -> Generator[None]:
    http = ingress_nginx.write_http(ANNOTATIONS, CHECK_HEADERS, places)
    with run_nginx(http, f"http://{places.front}/oauth2/livez", modules=ingress_nginx.MODULES):
        yield


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    with serve_front(begin, simulator, **SETTINGS) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(front: Front) -> None:
    front.app.reset()


def test_the_file_is_what_the_controller_takes_by_its_defaults() -> None:
    """No snippet, which it refuses; and values as it checks them."""
    assert not [name for name in ANNOTATIONS if "snippet" in name]
    assert re.fullmatch(r"[A-Za-z0-9-_, ]*", ANNOTATIONS["auth-response-headers"])
    for name in ("auth-url", "auth-signin"):
        assert re.fullmatch(r"[A-Za-z0-9\-._~/:?&=%$]*", ANNOTATIONS[name])
    assert ANNOTATIONS["auth-proxy-set-headers"] == "default/gateway-check-headers"


def test_checks_go_where_no_ingress_leads() -> None:
    ports = {each["name"]: each["port"] for each in SHIPPED["Service/gateway"]["spec"]["ports"]}
    asked = urlsplit(ANNOTATIONS["auth-url"])
    assert (asked.hostname, asked.port, asked.path) == (
        "gateway.default.svc.cluster.local",
        ports["checks"],
        "/oauth2/auth",
    )
    for name in ("Ingress/gateway-pages", "Ingress/app"):
        for path in SHIPPED[name]["spec"]["rules"][0]["http"]["paths"]:
            assert path["backend"]["service"]["port"].get("name") != "checks"
    assert ingress_nginx.annotations_of(SHIPPED["Ingress/gateway-pages"]) == {}
    (anyone, controller) = SHIPPED["NetworkPolicy/gateway-checks"]["spec"]["ingress"]
    assert anyone == {"ports": [{"port": ports["pages"]}]}
    assert controller["ports"] == [{"port": ports["checks"]}]
    assert controller["from"]


def test_every_name_of_an_identity_is_answered_or_taken_away() -> None:
    names = {each.strip().lower() for each in ANNOTATIONS["auth-response-headers"].split(",")}
    assert {name.decode() for name in IdentityHeaders([], {}).reserved} - names == set()
    assert "cookie" in names


def test_people_get_in_back_and_out(front: Front) -> None:
    with Browser(front.url) as browser:
        told = browser.navigate(DEEP)
        assert (told.status_code, told.headers["location"].partition("?")[0]) == (302, f"{front.url}/oauth2/start")
        assert front.app.take() == []
        begun = browser.navigate(told.headers["location"])
        returned = browser.navigate(browser.consent(begun.headers["location"]))
        assert returned.headers["location"] == front.url + DEEP
        assert headers_of(browser.navigate(DEEP))["x-tiktok-open-id"]
        (seen,) = front.app.take()
        assert seen.target.decode() == DEEP
        assert browser.fetch("/private/form", method="POST", content=b"a=1").json()["body"] == "a=1"
        assert browser.fetch("/oauth2/sign_out", method="POST").status_code == 204
        front.app.take()
        assert browser.fetch("/private/x").status_code == 302
        assert front.app.take() == []


@pytest.fixture(scope="module")
def person(front: Front) -> Generator[Browser]:
    with Browser(front.url) as browser:
        begun = browser.navigate(browser.navigate("/private/x").headers["location"])
        browser.navigate(browser.consent(begun.headers["location"]))
        yield browser


def test_a_method_decides_and_public_routes_are_open(front: Front) -> None:
    with Browser(front.url) as stranger:
        assert stranger.fetch("/public/x").status_code == 200
        assert stranger.fetch("/read/x").status_code == 200
        front.app.take()
        assert stranger.fetch("/read/x", method="POST", content=b"a").status_code == 403
        assert front.app.take() == []


@pytest.mark.parametrize("path", ["/staff/x", "/denied/x", "/videos/x"])
def test_who_may_not_sees_the_controllers_own_page(front: Front, person: Browser, path: str) -> None:
    answer = person.navigate(path)
    assert (answer.status_code, "nginx" in answer.text) == (403, True)
    assert front.app.take() == []


def test_a_program_that_follows_hears_why(front: Front) -> None:
    with Browser(front.url) as stranger:
        answer = stranger.fetch(stranger.fetch("/private/x").headers["location"])
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


def test_a_websocket_is_for_our_own_pages(front: Front, person: Browser) -> None:
    url = front.url.replace("http", "ws") + "/private/socket"
    cookie = {"Cookie": f"a=1; gateway={person.client.cookies['gateway']}"}
    with connect(url, additional_headers=cookie | {"Origin": front.url}, proxy=None) as ours:
        told = dict(map(tuple, json.loads(ours.recv())))
        assert told["x-tiktok-open-id"]
        assert told["cookie"] == "a=1"
    front.app.take()
    evil = cookie | {"Origin": "https://evil.example"}
    with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=evil, proxy=None):
        pass
    assert refused.value.response.status_code == 403
    assert front.app.take() == []


@pytest.mark.parametrize("path", ["/public/x", "/optional/x", "/private/x"])
def test_no_client_says_who_it_is(front: Front, person: Browser, path: str) -> None:
    with Browser(front.url) as stranger:
        visitor = person if path == "/private/x" else stranger
        for name in RESERVED:
            alike = {name, name.upper(), name.replace("-", "_"), name.replace("-", "."), name.replace("-", "_", 1)}
            assert visitor.fetch(path, headers=dict.fromkeys(sorted(alike), "SPOOF")).status_code == 200
            (seen,) = front.app.take()
            assert not [field for field in seen.fields if b"SPOOF" in field[1]], name
            assert (b"x-tiktok-open-id" in dict(seen.fields)) == (visitor is person)


def test_no_script_hears_an_identity_and_no_lie_opens_a_path(front: Front, person: Browser) -> None:
    with Browser(front.url) as stranger:
        for lie in LIES:
            for own in (
                "/oauth2/auth",
                "/oauth2/ext_authz",
                "/oauth2/ext_authz/private/x",
                "/_external-auth-Lw-Prefix",
            ):
                answer = person.fetch(own, headers=SAME_ORIGIN | lie)
                assert not [name for name in answer.headers if reads_as_identity(name.encode()) or name == "cookie"]
            public = {name: value.replace("/private/x", "/public/x") for name, value in lie.items()}
            front.app.take()
            assert stranger.fetch("/private/x", headers=public).status_code == 302, lie
            assert front.app.take() == []
            assert person.fetch("/private/x", headers=public).status_code == 200, lie


def test_without_the_host_every_check_is_refused(simulator: RunningSimulator) -> None:
    """The controller sends the check to the gateway by the gateway's name; the file says so."""

    @contextlib.contextmanager
    def begin_bare(places: Places, _: Path) -> Generator[None]:
        http = ingress_nginx.write_http(ANNOTATIONS, {}, places)
        with run_nginx(http, f"http://{places.front}/oauth2/livez", modules=ingress_nginx.MODULES):
            yield

    with serve_front(begin_bare, simulator, **SETTINGS) as bare, Browser(bare.url) as stranger:
        assert stranger.fetch("/public/x").status_code == 403
        assert bare.app.take() == []
