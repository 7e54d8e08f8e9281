"""The simulator by file, command line, TLS and pytest plugin."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from gateway.simulator import (
    SimulatorFile,
    SimulatorSettings,
    WrongFile,
    build_simulator,
    make_certificate,
    read_file,
    run_in_thread,
)
from tests.simulator.asking import authorization, tokens, user_info

FILE = """
apps:
  - client_key: awabc
    client_secret: shh
    redirect_uris: [http://localhost:3000/callback]
  - {client_key: other, scopes: [user.info.basic]}
people:
  ada: {display_name: Ada Lovelace, follower_count: 1815, is_verified: true, avatar_url: https://a.example/1.png}
  "-dash": {open_id: -000dash, union_id: u-1}
troubles:
  access_lifetime: 60
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "simulator.yaml"
    path.write_text(text)
    return path


def test_a_file_says_apps_people_and_troubles(tmp_path: Path, client: httpx.Client) -> None:
    simulator = build_simulator(read_file(write(tmp_path, FILE)), redirect_uris=None)
    assert simulator.settings.client_key == "awabc"
    assert [app.client_key for app in simulator.settings.more_apps] == ["other"]
    assert set(simulator.people) == {"ada", "-dash"}
    with run_in_thread(simulator=simulator) as tiktok:
        reply = tokens(client, tiktok, person="ada", scope="user.info.basic,user.info.stats")
        assert reply["expires_in"] == 60
        told = user_info(client, tiktok, reply["access_token"], "display_name,follower_count,avatar_url")
        assert told["data"]["user"] == {
            "display_name": "Ada Lovelace",
            "follower_count": 1815,
            "avatar_url": "https://a.example/1.png",
        }
        tiktok.troubles.update({"access_lifetime": 5})
        client.post(tiktok.url + "/simulator/reset")
        assert tiktok.troubles.access_lifetime == 60


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("apps: [{client_kee: x}]", r"apps\[0\]: there is no field `client_kee`; there are client_key"),
        ("people: {ada: {folowers: 1}}", "people.ada: there is no field `folowers`"),
        ("people: {ada: {follower_count: many}}", r"people.ada: Expected `int`, got `str` - at `\$.follower_count`"),
        ("people: {ada: {video_count: 1000000}}", r"people.ada.video_count: from 0 to 1000"),
        ("people: {}", "there must be somebody"),
        ("apps: []", "there must be one"),
        ("troubles: {rotate: sometimes}", "`rotate` must be one of always, never"),
        ("troubles: {nonsense: 1}", "there is no switch `nonsense`; there are"),
        ("a: [", "simulator.yaml"),
        ("- 1", "Expected `object`, got `array`"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(WrongFile, match=told):
        build_simulator(read_file(write(tmp_path, text)))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongFile, match="No such file"):
        read_file(tmp_path / "nothing.yaml")
    assert build_simulator(SimulatorFile()).settings == SimulatorSettings()


@contextlib.contextmanager
def running(*words: str, folder: Path) -> Generator[tuple[str, str]]:
    """Run `gateway simulator`; yields its address, and what it prints until it serves."""
    command = [sys.executable, "-m", "gateway", "simulator", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        try:
            assert process.stdout is not None
            printed = "".join(iter(process.stdout.readline, "Stop with Ctrl-C.\n"))
            found = re.search(r"simulator on (\S+)", printed)
            assert found is not None, printed
            yield found[1], printed
        finally:
            process.send_signal(signal.SIGINT)
            said, wrong = process.communicate(timeout=20)
    assert (process.returncode, wrong) == (0, "")
    (folder / "said").write_text(said)


def test_the_command_line_goes_before_the_file(tmp_path: Path, client: httpx.Client) -> None:
    write(tmp_path, FILE)
    words = ("-c", "simulator.yaml", "--client-key", "mine", "--redirect-uri", "http://localhost:1/cb")
    with running(*words, folder=tmp_path) as (url, printed):
        assert re.search(r"client key +mine\n +client secret +shh\n +and the app +other\n", printed)
        query = {"client_key": "mine", "scope": "user.info.basic", "response_type": "code", "state": "s"}
        good = {**query, "redirect_uri": "http://localhost:1/cb"}
        assert client.get(f"{url}/v2/auth/authorize/", params=good).status_code == 200
        wrong = {**query, "redirect_uri": "http://localhost:1/other"}
        assert client.get(f"{url}/v2/auth/authorize/", params=wrong).status_code == 400
    said = (tmp_path / "said").read_text()
    assert "redirect_uri=http://localhost:1/other -> 400 redirect_uri is not registered, to the letter." in said
    assert "registered: http://localhost:1/cb." in said


def test_over_tls_it_goes_by_tiktoks_names(tmp_path: Path) -> None:
    with running("--tls", "--name", "tiktok.test", folder=tmp_path) as (url, printed):
        assert url.startswith("https://127.0.0.1:")
        assert "simulator-ca.pem: have your app trust it" in printed
        trusting = ssl.create_default_context(cafile=str(tmp_path / "simulator-ca.pem"))
        with httpx.Client(verify=trusting, trust_env=False) as client:
            for name in ("127.0.0.1", "open.tiktokapis.com", "www.tiktok.com", "tiktok.test"):
                answer = client.get(f"{url}/simulator/calls", extensions={"sni_hostname": name})
                assert answer.status_code == 200


def test_the_library_for_certificates_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trustme.py").write_text("raise ImportError")
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "gateway", "simulator", "--port", "0", "--tls"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--tls" in done.stderr
    assert "pip install 'tiktok-gateway[simulator]'" in done.stderr


def test_in_a_thread_over_tls(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    with make_certificate(ca) as certificate, run_in_thread(certificate=certificate) as tiktok:
        trusting = ssl.create_default_context(cafile=str(ca))
        with httpx.Client(verify=trusting, trust_env=False) as client:
            assert client.get(authorization(tiktok)).status_code == 200
            assert tiktok.url.startswith("https://")
    assert not certificate.exists()


def test_the_pytest_plugin_gives_each_test_a_good_day(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        """
import httpx, pytest
from gateway.simulator import SimulatorSettings, consent

@pytest.fixture(scope="session")
def tiktok_simulator_settings():
    return SimulatorSettings(client_key="mine")

@pytest.mark.parametrize("time", [1, 2])
def test_each_begins_anew(tiktok_simulator, time):
    assert not tiktok_simulator.simulator.calls
    assert tiktok_simulator.troubles.rotate == "always"
    tiktok_simulator.troubles.rotate = "never"
    url = (tiktok_simulator.authorize_url + "?client_key=mine&response_type=code&scope=user.info.basic&state=s"
           "&redirect_uri=http://127.0.0.1:1/cb")
    assert "code=" in consent(url, person="emoji")
"""
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_plugin_loads_nothing_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import sys\ndef test_it():\n    assert 'starlette' not in sys.modules and 'httpx' not in sys.modules\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
