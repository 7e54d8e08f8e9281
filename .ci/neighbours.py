"""Two gateways over one Redis, one of them run by another Python (`python neighbours.py PYTHON`): see `neighbours`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import httpx

from gateway.core.keyring import new_secret_key
from gateway.runtime.sample_app import run_in_thread as run_sample_app
from gateway.simulator import RunningSimulator, SimulatorSettings, consent
from gateway.simulator import run_in_thread as run_simulator
from tests.harness import NAVIGATION, SAME_ORIGIN
from tests.ports import free_port
from tests.redis_server import run_redis
from tests.waiting import wait_for

TOKEN = "x-tiktok-access-token"


@contextlib.contextmanager
def run_gateway(python: str, port: int, environ: dict[str, str], folder: Path) -> Generator[str]:
    """Run `gateway run` by this Python; yields its address."""
    own = environ | {"GATEWAY__LISTEN": f"127.0.0.1:{port}"}
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen([python, "-I", "-m", "gateway", "run"], env=own, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, (folder / f"{port}.log").read_text()
        return httpx.get(url + "/oauth2/readyz", trust_env=False).status_code == 200

    try:
        wait_for(answers, f"{python} serves")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


class Visitor:
    """A browser that a load balancer sends now to the one gateway, now to the other; both have one public address."""

    def __init__(self, public_url: str) -> None:
        self.public_url = public_url
        self.cookies: dict[str, str] = {}

    def ask(self, gateway: str, target: str, *, method: str = "GET", navigation: bool = True) -> httpx.Response:
        """Ask one of them."""
        fields = NAVIGATION if navigation else SAME_ORIGIN | {"origin": self.public_url}
        fields = fields | {
            "host": self.public_url.removeprefix("http://"),
            "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        answer = httpx.request(method, gateway + target, headers=fields, trust_env=False, timeout=30)
        self.cookies |= dict(answer.cookies)
        return answer

    def path_of(self, address: str) -> str:
        """Return the path and query of an address of the public site."""
        return address.removeprefix(self.public_url)


def try_out(first: str, second: str, public_url: str, person: str) -> None:
    """What the first does, the second goes on with."""
    visitor = Visitor(public_url)
    begun = visitor.ask(first, "/headers?a=b")
    assert begun.status_code == 302, begun.text
    callback = consent(begun.headers["location"], person=person)
    returned = visitor.ask(second, visitor.path_of(callback))
    assert returned.status_code == 302, returned.text
    assert visitor.path_of(returned.headers["location"]) == "/headers?a=b"
    told = [visitor.ask(gateway, "/headers").json() for gateway in (first, second)]
    assert told[0][TOKEN] == told[1][TOKEN]

    refreshed = visitor.ask(second, "/oauth2/refresh", method="POST", navigation=False)
    assert refreshed.status_code == 200, refreshed.text
    wait_for(lambda: visitor.ask(first, "/headers").json()[TOKEN] != told[0][TOKEN], "the refreshed token is seen")

    ended = visitor.ask(second, "/oauth2/sign_out", method="POST")
    assert ended.status_code in {200, 302, 303}, ended.text
    visitor.cookies = {name: value for name, value in visitor.cookies.items() if value}
    wait_for(lambda: visitor.ask(first, "/headers").status_code == 302, "the session has ended everywhere")


def build_settings(simulator: RunningSimulator, public_url: str, app: str, redis: str) -> dict[str, str]:
    """Return what both need, and no more: the earlier one refuses to start with a key that it does not know yet."""
    settings = {
        "public_url": public_url,
        "upstream": app,
        "redis": redis,
        "admin__listen": "off",
        "secret_keys": json.dumps([new_secret_key()]),
        "routes": "[{path: /**}]",
        "tiktok__client_key": simulator.settings.client_key,
        "tiktok__client_secret": simulator.settings.client_secret,
        "tiktok__scopes": '["user.info.basic"]',
        "tiktok__authorize_url": simulator.authorize_url,
        "tiktok__token_url": simulator.token_url,
        "tiktok__revoke_url": simulator.revoke_url,
        "tiktok__user_info_url": simulator.user_info_url,
    }
    return {f"GATEWAY__{name.upper()}": value for name, value in settings.items()}


def run_both(other: str, simulator: RunningSimulator, folder: Path) -> None:
    """Run this version and the other, and try both orders."""
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    with run_redis() as redis, run_sample_app() as app:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY", "PYTHON"))}
        environ = kept | build_settings(simulator, public_url, app, redis.url)
        with (
            run_gateway(other, port, environ, folder) as theirs,
            run_gateway(sys.executable, free_port(), environ, folder) as ours,
        ):
            for first, second, order, person in (
                (theirs, ours, "earlier, then this", "plain"),
                (ours, theirs, "this, then earlier", "dash"),
            ):
                try_out(first, second, public_url, person)
                print(f"{order}: a sign-in, a session, a refresh and its end are shared")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, run_simulator(SimulatorSettings()) as tiktok:
        run_both(sys.argv[1], tiktok, Path(scratch))
