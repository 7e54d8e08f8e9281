"""A person disconnects an app, as in TikTok's settings, and the app's webhook is told until it listens."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from gateway.simulator import RunningSimulator, SimulatorSettings, run_in_thread, sign
from gateway.simulator.webhook import deliver
from tests.simulator.asking import tokens, user_info
from tests.waiting import wait_for


class Hook(HTTPServer):
    """An app's webhook, which fails some times first."""

    def __init__(self, failures: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.failures = failures
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Answer(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.server.signatures.append(self.headers["tiktok-signature"])
        self.send_response(200 if len(self.server.bodies) > self.server.failures else 500)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Generator[Hook]:
    with Hook(failures=2) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=10)


def test_a_person_disconnects_and_the_webhook_is_told_until_it_listens(client: httpx.Client, hook: Hook) -> None:
    with run_in_thread(SimulatorSettings(webhook_url=hook.url)) as tiktok:
        tiktok.troubles.webhook_pause = 0.01
        token = tokens(client, tiktok, person="crlf")["access_token"]
        open_id = tiktok.people["crlf"].open_id
        page = client.get(tiktok.url + "/simulator/connections").text
        assert open_id in page
        form = {"open_id": open_id, "client_key": tiktok.settings.client_key}
        assert client.post(tiktok.url + "/simulator/connections", data=form).status_code == 303
        assert "Nobody" in client.get(tiktok.url + "/simulator/connections").text
        assert user_info(client, tiktok, token, "open_id")["error"]["code"] == "access_token_invalid"
        wait_for(lambda: len(hook.bodies) == 3, "the webhook is told three times")
    told = json.loads(hook.bodies[-1])
    assert (told["event"], told["user_openid"]) == ("authorization.removed", open_id)
    at = int(hook.signatures[-1].split(",")[0].removeprefix("t="))
    assert hook.signatures[-1] == sign(tiktok.settings.client_secret, hook.bodies[-1], at)
    assert len({json.loads(body)["create_time"] for body in hook.bodies}) == 1


@pytest.mark.anyio
async def test_it_is_given_up_in_the_end(hook: Hook) -> None:
    hook.failures = 1000
    assert not await deliver(hook.url, "x", None, client_key="k", secret="s", pause=0.001, longest=0.02)
    assert 3 <= len(hook.bodies) <= 6


def test_somebody_who_is_not_there_is_no_fault(tiktok: RunningSimulator, client: httpx.Client) -> None:
    answer = client.post(tiktok.url + "/simulator/connections", data={"open_id": "x", "client_key": "y"})
    assert answer.status_code == 303
