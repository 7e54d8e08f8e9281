"""A whole life of a gateway, with everything that it can tell of it turned on, searched for every secret there was."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator, challenge
from gateway.simulator.webhook import send_webhook
from tests import commands
from tests.harness import Browser
from tests.otlp import Receiver, receive_traces
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, run_gateway
from tests.waiting import wait_for

ALICE, BOB, JOB = (f"{name}-key-of-at-least-32-characters" for name in ("alices", "bobs", "nightly"))
KEYS = [new_secret_key(), new_secret_key()]
SETTINGS = {
    "admin__keys": json.dumps([{"name": "alice", "key": ALICE}, BOB]),
    "tokens__clients": json.dumps([{"name": "nightly", "key": JOB, "scopes": ["user.info.basic"]}]),
    "secret_keys": json.dumps(KEYS),
    "tiktok__webhook__enabled": "true",
    "tracing": "join_anyone",
    "routes": "[{path: /videos/**, scopes: [video.list]}, {path: /forms, keep_post: true}, {path: /**}]",
}
TYPED = ("hunter2-in-a-query", "hunter2-in-a-form", "hunter2-in-a-header")


class Secrets:
    """All that must not be told, gathered while it comes to be."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self._simulator = simulator.simulator
        self.found: set[str] = {simulator.settings.client_secret, ALICE, BOB, JOB, *KEYS, *TYPED}
        for person in simulator.people.values():
            self.found |= {person.open_id, person.union_id or "", person.username, person.display_name}
        self.found.discard("")

    def gather(self, answer: httpx.Response | None = None) -> None:
        """Take what TikTok has issued by now, and what an answer brings: cookies, states, codes."""
        issued = self._simulator
        self.found |= {*issued.codes, *issued.access_tokens, *issued.refresh_tokens}
        if answer is None:
            return
        for name, value in answer.headers.multi_items():
            if name == "set-cookie" and (value := value.partition("=")[2].partition(";")[0]):
                self.found.add(value)
            if name == "location":
                query = parse_qs(urlsplit(value).query)
                self.found |= {each for field in ("state", "code", "code_challenge") for each in query.get(field, ())}

    def find_in(self, text: str) -> set[str]:
        """Return those that a text has, as they are or as a query or JSON would have them."""
        forms = {each: {each, quote(each, safe=""), json.dumps(each)[1:-1]} for each in self.found}
        return {each for each in self.found if len(each) > 4 and any(form in text for form in forms[each])}


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Receiver]:
    with receive_traces(tmp_path) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


@pytest.fixture
def secrets(simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    simulator.simulator.reset()
    secrets = Secrets(simulator)
    compute = challenge.hash_verifier

    def noting(verifier: str) -> dict[str, str]:
        secrets.found.add(verifier)
        return compute(verifier)

    monkeypatch.setattr(challenge, "hash_verifier", noting)
    return secrets


class Visitor(Browser):
    """A browser all of whose answers are gathered from, and which says more than it should."""

    def __init__(self, running: RunningProcess, secrets: Secrets) -> None:
        super().__init__(running.url)
        self.client.headers["x-password"] = TYPED[2]
        self.client.event_hooks = {"response": [lambda answer: secrets.gather(answer)]}


def live_a_life(running: RunningProcess, secrets: Secrets) -> None:
    """Have everything happen that has something to do with a secret."""
    simulator = running.simulator
    with Visitor(running, secrets) as one, Visitor(running, secrets) as other:
        one.navigate(f"/private/x?password={TYPED[0]}")
        one.sign_in("/private/x", person="dash")
        one.fetch("/oauth2/refresh", method="POST")
        secrets.gather()
        asked = one.navigate("/oauth2/start?rd=/videos/x&scopes=video.list").headers["location"]
        one.navigate(one.consent(asked, person="dash"))
        callback = other.consent(other.navigate("/private/x").headers["location"], person="emoji")
        secrets.gather()
        one.navigate(callback)  # somebody else's
        simulator.troubles.html = True
        other.navigate(callback)
        simulator.troubles.html = False
        other.navigate(callback)
        other.navigate("/oauth2/callback?state=" + "s" * 43 + f"&code={TYPED[0]}&error_description={TYPED[0]}")
        other.navigate(other.consent(other.navigate("/private/x").headers["location"], allow=False))
        other.navigate("/forms", method="POST", data={"password": TYPED[1]}, headers={"origin": running.url})
        other.navigate("/a%2fb?x=" + TYPED[0])
        other.sign_in("/private/x", person="emoji")
        other.fetch("/private/x", headers={"authorization": f"Bearer {TYPED[2]}"})
        run_the_operators_side(running, simulator)
        secrets.gather()
        running.redis.pause()
        assert one.fetch("/private/other", headers={"cookie": "gateway=" + "c" * 43}).status_code == 503
        running.redis.resume()
        wait_for(lambda: one.fetch("/private/other").status_code == 401, "Redis is asked again")
        one.sign_in("/private/x", person="dash")
        one.fetch("/oauth2/sign_out", method="POST")
        other.fetch("/oauth2/disconnect", method="POST")
        secrets.gather()


def run_the_operators_side(running: RunningProcess, simulator: RunningSimulator) -> None:
    settings, open_id = simulator.settings, simulator.people["dash"].open_id
    for secret in (settings.client_secret, "of-somebody-else"):
        send_webhook(
            running.url + "/oauth2/webhook",
            "authorization.removed",
            open_id,
            client_key=settings.client_key,
            secret=secret,
        )
    for method, path, key in (
        ("GET", "/sessions", ALICE),
        ("GET", "/grants", BOB),
        ("GET", "/sessions", JOB),
        ("POST", "/tokens", JOB),
        ("DELETE", f"/sessions?user={open_id}", ALICE),
        ("DELETE", f"/grants/{open_id}?erase=1", BOB),
    ):
        httpx.request(
            method,
            running.admin + path,
            headers={"authorization": f"Bearer {key}"},
            json={"open_id": open_id} if method == "POST" else None,
            trust_env=False,
            timeout=20,
        )
    for key in (ALICE, JOB):
        httpx.post(
            running.admin + "/admin/sign_in",
            data={"key": key},
            headers={"origin": running.admin, "sec-fetch-site": "same-origin"},
            trust_env=False,
        )


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_is_in_anything_that_a_gateway_tells(
    tmp_path: Path,
    receiver: Receiver,
    secrets: Secrets,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    upstream: str,
    form: str,
) -> None:
    settings = SETTINGS | {"log__format": form, "audit__to": str(tmp_path / "audit") if form == "json" else "log"}
    with run_gateway(tmp_path, simulator, redis_server, upstream, **settings) as running:
        live_a_life(running, secrets)
        metrics = httpx.get(running.admin + "/metrics", trust_env=False).text
        assert running.stop() == 0
    said = {"log": running.log.read_text(), "spans": receiver.file.read_text(), "metrics": metrics}
    said |= {"audit": (tmp_path / "audit").read_text()} if form == "json" else {}
    said |= told_by_commands(running, settings)
    assert len(secrets.found) > 40
    assert "sign_in_completed" in said["audit" if form == "json" else "log"]
    assert "tiktok redeem" in said["spans"]
    assert {name: secrets.find_in(text) for name, text in said.items()} == {name: set() for name in said}


def told_by_commands(running: RunningProcess, settings: dict[str, str]) -> dict[str, str]:
    simulator = running.simulator
    usual = settings | {
        "public_url": running.url,
        "upstream": "none",
        "redis": running.redis.url,
        "tiktok__client_key": simulator.settings.client_key,
        "tiktok__client_secret": simulator.settings.client_secret,
        "tiktok__token_url": simulator.token_url,
    }
    told = {}
    for words in (
        ("check",),
        ("check", "--json"),
        ("explain", "GET", "/videos/x"),
        ("doctor",),
        ("settings",),
        ("schema",),
    ):
        environ = {f"GATEWAY__{name.upper()}": value for name, value in usual.items()}
        done = commands.invoke(*words, environ=environ)
        assert done.stdout
        told[" ".join(words)] = done.stdout + done.stderr
    return told


def test_the_search_would_find_them(secrets: Secrets) -> None:
    secrets.found |= {"a*b!c/d.va", "李小龙 李小龙"}
    for form in (ALICE, quote("a*b!c/d.va", safe=""), json.dumps("李小龙 李小龙")):
        assert len(secrets.find_in(f"a line with {form} in it")) == 1
    assert secrets.find_in("nothing") == set()
