"""Real client libraries, unmodified, sign somebody in through the simulator: docs/simulator.md says what each sends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.simulator import RunningSimulator, consent
from gateway.simulator.seen import SeenRequest
from tests.ports import free_port
from tests.programs import need, need_package
from tests.waiting import wait_for

CLIENTS = Path(__file__).parent / "clients"
PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
JAVASCRIPT = re.findall(r"^```js\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EMOJI = "李小龙 🦊👩‍👩‍👧"


def find_node() -> str:
    """Return the path of node, whose libraries are there; without, the test skips and says how to get them."""
    node = need("node")
    if not (CLIENTS / "node_modules").exists():
        pytest.skip("needs libraries of npm's: npm install --no-package-lock --prefix tests/simulator/clients")
    return node


def run_in_node(tiktok: RunningSimulator, name: str) -> Any:
    return run([find_node(), "--import", "./to-simulator.mjs", f"{name}.mjs"], tiktok)


def run(command: list[str], tiktok: RunningSimulator, **environ: str) -> Any:
    done = subprocess.run(
        command,
        cwd=CLIENTS,
        env=os.environ | {"SIMULATOR": tiktok.url} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def find(tiktok: RunningSimulator, path: str) -> SeenRequest:
    return next(seen for seen in tiktok.simulator.requests if seen.path.startswith(path))


def sent(tiktok: RunningSimulator) -> set[str]:
    """What the library sent to the authorization page and to redeem the code, as far as libraries differ."""
    asked = find(tiktok, "/v2/auth/authorize")
    redeemed = find(tiktok, "/v2/oauth/token/")
    told = {name for name in ("state", "code_challenge") if name in asked.given}
    told |= {"client_id at authorize"} if "client_id" in asked.given else set()
    told |= {"client_id at token"} if "client_id" in redeemed.given else set()
    return told | (set() if asked.path.endswith("/") else {"no slash"})


def test_arctic_signs_in_refreshes_and_revokes(tiktok: RunningSimulator) -> None:
    told = run_in_node(tiktok, "arctic")
    assert told == {"name": EMOJI, "refreshed": True, "afterwards": "invalid_grant"}
    assert sent(tiktok) == {"no slash", "state", "code_challenge"}


def test_authjs_signs_in_and_has_the_profile(tiktok: RunningSimulator) -> None:
    told = run_in_node(tiktok, "authjs")
    assert (told["name"], told["returned"]) == (EMOJI, "http://localhost:3000")
    assert told["image"].startswith("https://")
    assert sent(tiktok) == {"no slash", "code_challenge", "client_id at authorize", "client_id at token"}


def test_better_auth_signs_in_and_refreshes(tiktok: RunningSimulator) -> None:
    told = run_in_node(tiktok, "better-auth")
    assert told == {"name": EMOJI, "returned": "/", "refreshed": True}
    assert sent(tiktok) == {"no slash", "state"}


def test_passport_gets_as_far_as_its_own_fault(tiktok: RunningSimulator) -> None:
    told = run_in_node(tiktok, "passport")
    assert told["status"] == 500
    assert "There is no field 'avatar_url_200'" in told["said"]
    assert sent(tiktok) == {"state", "client_id at authorize"}
    assert find(tiktok, "/v2/oauth/token/").status == 200


@pytest.mark.parametrize("pkce", ["on", "off"])
def test_allauth_signs_in(tiktok: RunningSimulator, pkce: str) -> None:
    need_package("allauth", "clients")
    told = run([sys.executable, "allauth_app.py"], tiktok, PKCE=pkce)
    assert told == {"name": EMOJI, "returned": "/accounts/profile/", "refresh_token": True}
    assert sent(tiktok) == {"state"} | ({"code_challenge"} if pkce == "on" else set())


def test_what_the_page_has_for_node_is_what_is_tried_here() -> None:
    shown = next(text for text in JAVASCRIPT if "globalThis.fetch" in text)
    tried = (CLIENTS / "to-simulator.mjs").read_text().replace("export ", "").replace("\n\n", "\n")
    assert tried.endswith(shown)


def test_the_express_app_of_the_page_signs_in(tiktok: RunningSimulator, client: httpx.Client) -> None:
    port = free_port()
    shown = next(text for text in JAVASCRIPT if "express()" in text).replace("3000", str(port))
    key = {"awabc": tiktok.settings.client_key, "shh": tiktok.settings.client_secret}
    for word, ours in key.items():
        shown = shown.replace(f'"{word}"', f'"{ours}"')
    environ = os.environ | {"TIKTOK_LOGIN": tiktok.url, "TIKTOK_API": tiktok.url}
    command = [find_node(), "--input-type=module", "--eval", shown]
    with subprocess.Popen(command, cwd=CLIENTS, env=environ) as process:
        try:
            own = f"http://localhost:{port}"
            wait_for(lambda: client.get(own).status_code == 302, "the app answers")
            callback = consent(client.get(own).headers["location"], person="dash")
            assert client.get(callback.replace("state=", "state=x")).status_code == 400
            told = client.get(callback).json()
            assert told == {"open_id": tiktok.people["dash"].open_id, "display_name": "Dash O'Hare"}
        finally:
            process.terminate()
