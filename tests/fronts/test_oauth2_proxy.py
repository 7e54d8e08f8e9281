"""The fronts of oauth2-proxy's documentation, with nothing changed but addresses: in, back, told, and out.

What these recipes cannot do stands in docs/fronts.md, and each such thing here too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme

from gateway.migrate.conversion import convert
from gateway.settings import load
from gateway.simulator import RunningSimulator
from tests.fronts import oauth2_proxy
from tests.fronts.lies import LIES
from tests.fronts.starting import Front, Places, run_front, serve_front
from tests.harness import SAME_ORIGIN, Browser, headers_of
from tests.nginx import run_nginx
from tests.ports import free_port
from tests.programs import need
from tests.waiting import wait_for

PUBLIC = f"https://{oauth2_proxy.HOST}"
PLAIN = "/deep/%C3%A4;p=1/a+b?x=y+%20"
DEEP = "/deep/%C3%A4;p=1/x?x=1&y=a%2Fb&z=%26+%20"
SETTINGS = {
    "public_url": PUBLIC,
    "identity__presets": '["oauth2-proxy"]',
    "routes": """[
      {path: /public/**, access: public},
      {path: /staff/**, allow: {open_ids: [somebody-else]}},
      {path: /**}
    ]""",
}


@dataclass(frozen=True)
class Recipe:
    """A recipe, and what it does. `told`: names by which the app hears of whom it serves."""

    name: str
    text: str
    told: Mapping[str, str]
    status: int
    """Of a navigation that is not signed in."""
    whole: bool = True
    """Whether addresses with a `&` come back whole."""
    clears: tuple[str, ...] = ()
    """Fields that it puts in place of a client's."""


RECIPES = [
    Recipe(
        "nginx", oauth2_proxy.NGINX, {"x-user": "user", "x-access-token": "token"}, 302, False, ("X-User", "X-Email")
    ),
    Recipe("nginx", oauth2_proxy.OLD_NGINX, {"x-user": "user", "x-access-token": "token"}, 403, clears=("X-User",)),
    Recipe("traefik", oauth2_proxy.TRAEFIK_ERRORS, {}, 302),
    Recipe("traefik", oauth2_proxy.TRAEFIK_STATIC, {"x-auth-request-access-token": "token"}, 302),
    Recipe("caddy", oauth2_proxy.CADDY, {"x-auth-request-user": "user"}, 302, False, ("X-Auth-Request-User",)),
]
NAMES = ["nginx", "nginx-403-page", "traefik-errors", "traefik-static", "caddy"]


class ToFront(httpx.HTTPTransport):
    """Reaches the front, whatever name a browser has for it."""

    def __init__(self, front: str) -> None:
        super().__init__(trust_env=False, verify=False)
        host, _, port = front.partition(":")
        self._host, self._port = host, int(port)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(host=self._host, port=self._port)
        named = dict(request.extensions) | {"sni_hostname": oauth2_proxy.HOST}
        # a request of its own: cookies are kept by the name
        sent = httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=named)
        return super().handle_request(sent)


class Visitor(Browser):
    """Somebody who knows the app by its public name."""

    def __init__(self, front: Front) -> None:
        super().__init__(PUBLIC)
        self.client = httpx.Client(timeout=15, transport=ToFront(front.host))

    def __enter__(self) -> Visitor:
        return self

    def enter(self, target: str) -> str:
        """Open an address, press the button if there is one, go through TikTok; returns where that leads."""
        begun = self.navigate(target)
        while not begun.headers.get("location", "").startswith("http://"):  # TikTok's stand-in has no TLS
            if "location" in begun.headers:
                begun = self.navigate(begun.headers["location"])
            else:
                start = begun.text.partition('id="start"')[0].rpartition('href="')[2].partition('"')[0]
                begun = self.navigate(start.replace("&amp;", "&"))
        return str(self.navigate(self.consent(begun.headers["location"])).headers["location"])


@contextlib.contextmanager
def begin(recipe: Recipe, places: Places, folder: Path) -> Generator[None]:
    """Run the front of a recipe."""
    text = recipe.text
    alive = f"127.0.0.1:{free_port()}"
    certificate = folder / "certificate.pem"
    trustme.CA().issue_cert(oauth2_proxy.HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    names = {"front": places.front, "gateway": places.gateway, "checks": places.checks, "app": places.app}
    names |= {"port": places.front.partition(":")[2], "alive": alive, "certificate": str(certificate)}
    for name, value in names.items():
        text = text.replace(f"@{{{name}}}", value)
    with contextlib.ExitStack() as stack:
        if recipe.name == "nginx":
            stack.enter_context(run_nginx(text, f"http://{places.front}/oauth2/livez"))
        elif recipe.name == "caddy":
            (folder / "Caddyfile").write_text(text)
            home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
            command = [need("caddy"), "run", "--config", f"{folder}/Caddyfile"]
            stack.enter_context(run_front(command, f"http://{alive}/config/", environ=home))
        else:
            (folder / "rules.yaml").write_text(text)
            command = [need("traefik"), "--ping=true", "--ping.entryPoint=ping", f"--entryPoints.ping.address={alive}"]
            command += [f"--entryPoints.web.address={places.front}", f"--providers.file.filename={folder}/rules.yaml"]
            stack.enter_context(run_front(command, f"http://{alive}/ping"))
        with httpx.Client(transport=ToFront(places.front)) as client:
            wait_for(lambda: client.get(PUBLIC + "/oauth2/livez").status_code == 200, "the front has its rules")
        yield


@pytest.fixture(scope="module", params=RECIPES, ids=NAMES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    found: Recipe = request.param
    return found


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator, recipe: Recipe) -> Generator[Front]:
    with serve_front(lambda places, folder: begin(recipe, places, folder), simulator, **SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def person(front: Front) -> Generator[Visitor]:
    """Somebody who is signed in."""
    with Visitor(front) as visitor:
        visitor.enter("/private/x")
        yield visitor


@pytest.fixture
def _fresh(front: Front) -> None:
    front.app.reset()


@pytest.mark.usefixtures("_fresh")
def test_people_get_in_back_and_out(front: Front, recipe: Recipe) -> None:
    with Visitor(front) as visitor:
        assert visitor.navigate(PLAIN).status_code == recipe.status
        assert front.app.take() == []
        assert visitor.enter(PLAIN) == PUBLIC + PLAIN
        told = headers_of(visitor.navigate(PLAIN))
        (seen,) = front.app.take()
        assert seen.target.decode() == PLAIN
        values = {"user": visitor.fetch("/oauth2/userinfo").json()["open_id"], "token": told.get("x-access-token")}
        for name, what in recipe.told.items():
            assert told[name]
            assert what == "token" or told[name] == values[what]
        assert visitor.fetch("/oauth2/sign_out", method="POST").status_code == 204
        assert visitor.navigate(PLAIN).status_code == recipe.status
        assert front.app.take() == []


@pytest.mark.usefixtures("_fresh")
def test_an_address_with_parameters_comes_back_as_far_as_the_recipe_says_it(front: Front, recipe: Recipe) -> None:
    with Visitor(front) as visitor:
        assert visitor.enter(DEEP) == PUBLIC + (DEEP if recipe.whole else DEEP.partition("&")[0])


@pytest.mark.usefixtures("_fresh")
def test_public_routes_are_open_and_others_are_not(front: Front, person: Visitor) -> None:
    with Visitor(front) as stranger:
        assert stranger.fetch("/public/x").status_code == 200
        front.app.take()
        assert stranger.fetch("/private/x", method="POST", content=b"a=1").status_code in {302, 401, 403}
        assert person.fetch("/staff/x").status_code in {302, 403}
        assert front.app.take() == []
    assert person.fetch("/private/x", method="POST", content=b"a=1").json()["body"] == "a=1"


@pytest.mark.usefixtures("_fresh")
def test_a_client_is_not_who_it_says(front: Front, recipe: Recipe, person: Visitor) -> None:
    for name in recipe.clears:
        for visitor, path in ((person, "/private/x"), (person, "/public/x")):
            told = visitor.fetch(path, headers={name: "SPOOF"}).json()["headers"]
            assert "SPOOF" not in str(told), (name, path)


@pytest.mark.usefixtures("_fresh")
def test_no_script_hears_an_identity(front: Front, person: Visitor) -> None:
    me = person.fetch("/oauth2/userinfo").json()
    for lie in LIES:
        for path in ("/oauth2/auth", "/oauth2/ext_authz", "/oauth2/ext_authz/private/x", "/oauth2/start"):
            answer = person.fetch(path, headers=SAME_ORIGIN | lie)
            said = str(answer.headers.multi_items()) + answer.text
            assert me["open_id"] not in said, (path, lie)
            assert not [name for name in answer.headers if name.startswith(("x-auth-request", "x-forwarded"))]


@pytest.mark.usefixtures("_fresh")
def test_no_client_opens_a_path_by_what_it_says(front: Front) -> None:
    with Visitor(front) as stranger:
        for lie in LIES:
            fields = {name: value.replace("/private/x", "/public/x") for name, value in lie.items()}
            assert stranger.fetch("/private/x", headers=fields).status_code in {302, 400, 401, 403}, lie
            assert front.app.take() == [], lie


def test_what_migrate_writes_serves_such_a_front(simulator: RunningSimulator, tmp_path: Path) -> None:
    """The settings of the tests here are those that come of the flags in the recipes."""
    flags = ["--reverse-proxy=true", "--set-xauthrequest", "--pass-access-token", "--email-domain=*"]
    file = tmp_path / "gateway.yaml"
    file.write_text(convert(flags=[*flags, f"--redirect-url={PUBLIC}/oauth2/callback"]))
    environ = {"GATEWAY_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V", "GATEWAY_REDIS": "memory://"}
    told = load(file, environ | {"TIKTOK_CLIENT_KEY": "k", "TIKTOK_CLIENT_SECRET": "s"})
    assert (told.public_url, told.upstream) == (PUBLIC, None)
    assert told.identity.presets == ("oauth2-proxy",)
    assert told.trusted_proxies == ("127.0.0.1/32",)
    assert told.forward_auth.listen


NARROWED = """[
  {path: /read/**, methods: [GET], access: public},
  {path: /hosted/**, host: pub.example.test, access: public},
  {path: /**}
]"""
TWO_LINES = """
    proxy_set_header X-Forwarded-Method $request_method;
    proxy_set_header X-Forwarded-Host   $http_host;
    proxy_set_header Content-Length   "";
"""


@pytest.mark.parametrize("sound", [False, True])
def test_two_lines_make_nginx_sound(simulator: RunningSimulator, sound: bool) -> None:
    """Without them a method is not told, and a host is whatever a client says."""
    before = '    proxy_set_header Content-Length   "";\n'
    assert oauth2_proxy.NGINX.count(before) == 1
    text = oauth2_proxy.NGINX.replace(before, TWO_LINES) if sound else oauth2_proxy.NGINX
    recipe = Recipe("nginx", text, {}, 302)
    changes = SETTINGS | {"routes": NARROWED}
    with (
        serve_front(lambda places, folder: begin(recipe, places, folder), simulator, **changes) as running,
        Visitor(running) as stranger,
    ):
        assert stranger.fetch("/read/x").status_code == (200 if sound else 302)
        assert stranger.fetch("/read/x", method="POST", content=b"a").status_code == 302
        lie = {"X-Forwarded-Host": "pub.example.test"}
        assert stranger.fetch("/hosted/x", headers=lie).status_code == (302 if sound else 200)
