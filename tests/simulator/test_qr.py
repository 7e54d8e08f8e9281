"""The simulator's QR codes: what they refuse, and that an authorization code is told once."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from tests.qr import confirm, scan

KEY = {"client_key": "simulated-client-key"}
SECRET = KEY | {"client_secret": "simulated-client-secret"}
ASKED = KEY | {"scope": "user.info.basic", "state": "s"}


@pytest.fixture(scope="module")
def simulator() -> Generator[RunningSimulator]:
    with run_simulator(SimulatorSettings()) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(simulator: RunningSimulator) -> None:
    simulator.simulator.reset()


def give(simulator: RunningSimulator) -> tuple[str, str]:
    """Get a code; returns the address in it, with a ticket, and its token."""
    answer = httpx.post(simulator.get_qrcode_url, data=ASKED, trust_env=False).json()
    assert answer["scan_qrcode_url"].count("tobefilled") == 1
    return answer["scan_qrcode_url"].replace("tobefilled", "T"), answer["token"]


def check(simulator: RunningSimulator, token: str, **changes: str) -> dict[str, str]:
    answer = httpx.post(simulator.check_qrcode_url, data=SECRET | {"token": token} | changes, trust_env=False)
    return dict(answer.json())


def test_a_code_goes_through_its_states_and_is_told_once(simulator: RunningSimulator) -> None:
    address, token = give(simulator)
    assert check(simulator, token) == {"status": "new"}
    scan(address)
    assert check(simulator, token) == {"status": "scanned"}
    confirm(address)
    told = check(simulator, token)
    assert (told["status"], told["client_ticket"], told["state"]) == ("confirmed", "T", "s")
    redeem = SECRET | {"grant_type": "authorization_code", "code": told["code"]}
    assert "access_token" in httpx.post(simulator.token_url, data=redeem, trust_env=False).json()
    assert check(simulator, token) == {"status": "utilised"}
    assert httpx.get(address, trust_env=False).status_code == 410


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_key": "x"}, "invalid_client"),
        ({"scope": "user.info.basic user.info.profile"}, "invalid_scope"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"state": ""}, "invalid_request"),
    ],
)
def test_what_a_request_gets_wrong_is_told(simulator: RunningSimulator, changes: dict[str, str], error: str) -> None:
    answer = httpx.post(simulator.get_qrcode_url, data=ASKED | changes, trust_env=False)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_asking_needs_the_secret_and_a_token(simulator: RunningSimulator) -> None:
    _, token = give(simulator)
    assert check(simulator, token, client_secret="x")["error"] == "invalid_client"
    assert check(simulator, "nonsense")["error"] == "invalid_request"


def test_it_is_a_form_by_post_with_the_slash(simulator: RunningSimulator) -> None:
    assert httpx.get(simulator.get_qrcode_url, trust_env=False).text == "Unsupported path(Janus)"
    assert httpx.post(simulator.get_qrcode_url.rstrip("/"), data=ASKED, trust_env=False).status_code == 404
    json = httpx.post(simulator.get_qrcode_url, json=ASKED, trust_env=False)
    assert (json.status_code, json.json()["error"]) == (200, "invalid_request")


def test_a_code_that_is_too_old_or_refused_is_expired(simulator: RunningSimulator) -> None:
    address, token = give(simulator)
    confirm(address, allow=False)
    assert check(simulator, token) == {"status": "expired"}
    simulator.troubles.qr_refusal = "access_denied"
    assert check(simulator, token)["error"] == "access_denied"
    simulator.troubles.qr_lifetime = 0
    assert check(simulator, give(simulator)[1]) == {"status": "expired"}
