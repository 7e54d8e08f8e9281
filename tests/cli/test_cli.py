"""The command line, as typed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from gateway.core.keyring import new_secret_key, read_secret_key
from gateway.settings import json_schema
from gateway.settings.yaml_file import parse_yaml
from tests.commands import Told, invoke
from tests.examples import read_with_examples, write_with_examples
from tests.harness import Browser

ENVIRON = {
    "GATEWAY_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
    "TIKTOK_CLIENT_KEY": "k",
    "TIKTOK_CLIENT_SECRET": "s3cr3t",
}
EXAMPLE = str(Path(__file__).parents[2] / "gateway.example.yaml")


def gateway(*words: str, cwd: Path | None = None) -> Told:
    done = invoke(*words, environ=ENVIRON, cwd=cwd)
    assert "Traceback" not in done.stderr, done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("words", [["check", "-c", EXAMPLE], ["check", "-c", "not-here.yaml"], ["nonsense"]])
def test_a_process_of_its_own_says_and_ends_the_same(words: list[str], tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    command = [sys.executable, "-m", "gateway", *words]
    done = subprocess.run(
        command, env=inherited | ENVIRON, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    told = gateway(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (told.returncode, told.stdout)
    assert nameless(done.stderr) == nameless(told.stderr)


def nameless(text: str) -> str:
    """Return what a command says without how it was called: pytest's own name is in that here."""
    return re.sub(r"(python -m )?(pytest\.)?gateway (?=\[OPTIONS|--help)", "", text)


@pytest.mark.parametrize(
    "command",
    ["demo", "run", "check", "explain", "migrate", "keys", "keys new", "schema", "simulator", "health", "reload"],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = gateway(*command.split(), "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout or command == "keys"
    assert "\x1b" not in done.stdout


def test_a_fresh_key_can_be_used() -> None:
    done = gateway("keys", "new")
    assert len(read_secret_key(done.stdout.strip())) == 32


def test_the_schema() -> None:
    assert json.loads(gateway("schema").stdout) == json_schema()


def test_the_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", gateway("--version").stdout)


def test_wrong_usage_is_2() -> None:
    assert gateway("nonsense").returncode == 2
    assert gateway("run", "--nonsense").returncode == 2
    assert gateway("explain", "GET").returncode == 2


def test_check_says_yes(tmp_path: Path) -> None:
    done = gateway("check", "-c", EXAMPLE)
    assert done.returncode == 0
    assert "https://app.example.com/oauth2/callback" in done.stdout
    found = json.loads(gateway("check", "-c", EXAMPLE, "--json").stdout)
    redirect_uri = "https://app.example.com/oauth2/callback"
    assert found == {"ok": True, "problems": [], "warnings": [], "redirect_uri": redirect_uri}


def test_check_warns_who_only_answers_checks_that_none_is_proven(tmp_path: Path) -> None:
    text = Path(EXAMPLE).read_text()
    asking = text[: text.index("upstream:\n")] + "upstream: none\n" + text[text.index("# Where sessions live") :]
    (tmp_path / "gateway.yaml").write_text(asking)
    done = gateway("check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"warning: gateway.yaml:\d+:1: forward_auth: is off", done.stderr)
    (tmp_path / "gateway.yaml").write_text(asking.replace("  listen: []", "  listen: 127.0.0.1:8081"))
    assert "forward_auth: is off" not in gateway("check", cwd=tmp_path).stderr


def test_check_knows_settings_of_middleware(tmp_path: Path) -> None:
    text = (
        "public_url: https://app.example.com\nredis: redis://127.0.0.1:6379/0\n"
        "secret_keys: ['${KEY}']\ntiktok: {client_key: k, client_secret: '${SECRET}'}\n"
        "routes: [{path: /**, keep_post: true}]\n"
    )
    secrets = {"KEY": new_secret_key(), "SECRET": "s"}
    (tmp_path / "gateway.yaml").write_text(text)
    refused = invoke("check", cwd=tmp_path, environ=secrets)
    assert (refused.returncode, "gateway check --middleware" in refused.stderr) == (1, True)
    done = invoke("check", "--middleware", cwd=tmp_path, environ=secrets)
    assert (done.returncode, done.stderr) == (0, "")
    assert "https://app.example.com/oauth2/callback" in done.stdout
    (tmp_path / "gateway.yaml").write_text(
        text + "listen: 127.0.0.1:1\nadmin: {listen: off}\nupstream: http://127.0.0.1:3000\n"
    )
    warned = invoke("check", "--middleware", cwd=tmp_path, environ=secrets).stderr.splitlines()
    assert [line.split(": ")[1:3] for line in warned] == [
        ["gateway.yaml:6:1", "listen"],
        ["gateway.yaml:7:1", "admin"],
        ["gateway.yaml:8:1", "upstream"],
    ]


def test_check_says_no_to_everything_at_once(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("public_url: x\nnonsense: 1\n")
    done = gateway("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "gateway.yaml:1:1: public_url: is no address" in done.stderr
    assert "gateway.yaml:2:1: nonsense: is not a key" in done.stderr
    assert "tiktok" in done.stderr
    assert len(json.loads(gateway("check", "--json", cwd=tmp_path).stdout)["problems"]) >= 5


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    done = gateway("check", "-c", "not-here.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "not-here.yaml does not exist" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["GET", "/static/x"], "decision: allow"),
        (["GET", "/internal/../static/./x"], "canonical path: /static/x"),
        (["GET", "/INTERNAL/x"], "decision: deny"),
        (["GET", "/other", "--signed-out"], "how: redirect"),
        (["GET", "/api/x", "--signed-out"], "how: unauthorized"),
        (["POST", "/other"], "X-TikTok-Access-Token".lower()),
        (["GET", "/oauth2/account"], "decision: own"),
        (["GET", "https://app.example.com/other?a=b#c"], "upstream: http://127.0.0.1:3000/other?a=b"),
        (["GET", "/other", "--scopes", "video.list"], "x-tiktok-scopes: video.list"),
        (["GET", "/other"], "route 9 (/**): matches"),
        (["GET", "/other"], "route: 9 (the first is 0)"),
        (["GET", "/other"], "x-tiktok-display-name: <display_name>"),
        (["GET", "/other"], "x-tiktok-token-expires-at: <token_expires_at>"),
        (["GET", "/other"], "person: signed in, with user.info.basic\n"),
        (["GET", "/other", "--scopes", "user.info.basic,user.info.profile"], "x-tiktok-username: <username>"),
        (["GET", "/other", "--username", "ada"], "x-tiktok-username: ada"),
        (["GET", "/other", "--signed-out"], "status: 302"),
        (["GET", "/other", "--signed-out"], "person: signed out"),
        (["GET", "/api/x", "--signed-out"], "status: 401"),
        (["GET", "/videos/x"], "status: 403"),
        (["GET", "/videos/x"], "why: We show your videos"),
        (["GET", "/stars/x"], "why: the route needs scopes that this person has not granted"),
        (["GET", "/internal/x"], "status: 403"),
    ],
)
def test_explain(words: list[str], told: str, tmp_path: Path) -> None:
    done = gateway("explain", *words, "-c", write_with_examples(tmp_path))
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


def test_explain_for_machines(tmp_path: Path) -> None:
    told = json.loads(gateway("explain", "GET", "/other", "-c", write_with_examples(tmp_path), "--json").stdout)
    assert told["decision"] == "allow"
    assert told["route"] == 9
    assert "x-tiktok-open-id" in told["headers_set"]
    assert "x-forwarded-user" in told["headers_removed"]


def test_explain_has_no_username_without_its_scope_and_the_assertion_if_it_is_on(tmp_path: Path) -> None:
    assert "x-tiktok-username: " not in gateway("explain", "GET", "/other", "-c", EXAMPLE).stdout
    path = tmp_path / "gateway.yaml"
    path.write_text(read_with_examples().replace("  # assertion:  ", "  assertion: true"))
    assert "x-gateway-assertion: <assertion>" in gateway("explain", "GET", "/other", "-c", str(path)).stdout
    assert "x-gateway-assertion: <" not in gateway("explain", "GET", "/static/x", "-c", str(path)).stdout


def test_explain_tells_what_is_malformed() -> None:
    done = gateway("explain", "GET", "/a%2fb", "-c", EXAMPLE)
    assert done.returncode == 1
    assert "400 malformed_request" in done.stderr


OPTIONS = """
public_url: https://app.example.com
upstream: http://127.0.0.1:3000
redis: redis://127.0.0.1:6379/0
secret_keys: ["${GATEWAY_SECRET_KEY}"]
tiktok: {client_key: "${TIKTOK_CLIENT_KEY}", client_secret: "${TIKTOK_CLIENT_SECRET}"}
upstreams:
  office: {url: "http://127.0.0.1:3001", strip_prefix: /office, rewrite_addresses: true, header_case: title}
routes:
  - {path: /office/**, upstream: office, encoded_slashes: keep}
  - {path: /images/**, merge_slashes: false, allowed_origins: ["https://www.example.com"]}
  - {path: /**}
"""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["GET", "/office/a%2fb"], ["canonical path: /office/a%2fb", "3001/a%2fb\n", "%2F is handed on", "title case"]),
        (["GET", "/office/a"], ["the app's /x is https://app.example.com/office/x in Location"]),
        (["GET", "/images/https://x//"], ["canonical path: /images/https:/x/", "3000/images/https://x//\n"]),
        (["GET", "/images/x"], ["pages of https://www.example.com may open WebSockets"]),
        (["MOVE", "/x"], ["the same person must be let in there with a PUT"]),
    ],
)
def test_explain_says_what_options_do(tmp_path: Path, words: list[str], told: list[str]) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(OPTIONS)
    done = gateway("explain", *words, "-c", str(config))
    assert done.returncode == 0, done.stderr
    assert [part for part in told if part not in done.stdout] == [], done.stdout
    assert "options" not in gateway("explain", "GET", "/x", "-c", str(config)).stdout
    refused = gateway("explain", "GET", "/x%2fy", "-c", str(config))
    assert refused.returncode == 1
    assert "400 malformed_request" in refused.stderr


def test_explain_asks_no_route_about_a_page_of_the_gateways_own(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(OPTIONS.replace("{path: /**}", "{path: /**, merge_slashes: false, encoded_slashes: keep}"))
    told = json.loads(gateway("explain", "GET", "/oauth2//./account", "-c", str(config), "--json").stdout)
    assert (told["decision"], told["canonical_path"]) == ("own", "/oauth2/account")
    assert "route" not in told
    assert gateway("explain", "GET", "/oauth2/a%2Fb", "-c", str(config)).returncode == 1


def test_health_without_a_gateway_is_1() -> None:
    assert gateway("health", "-c", EXAMPLE).returncode == 1


def read_greeting(process: subprocess.Popen[str]) -> str:
    """Return what a command prints until it serves."""
    assert process.stdout is not None
    printed = ""
    while "Stop with" not in printed:
        line = process.stdout.readline()
        assert line, printed
        printed += line
    return printed


def test_the_demo_from_the_first_click_to_the_greeting() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        printed = read_greeting(process)
        found = re.search(r"Open (http://127\.0\.0\.1:\d+)", printed)
        assert found is not None
        for _ in range(100):
            try:
                httpx.get(found[1] + "/oauth2/livez", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        with Browser(found[1]) as browser:
            page = browser.sign_in("/", person="emoji")
            assert "Hello, <bdi>李小龙 🦊" in page.text
            assert "act." in page.text
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("command", ["demo", "simulator"])
def test_a_port_that_is_taken_is_told_before_anything_else(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = gateway(command, "--port", str(taken.getsockname()[1]))
    assert (done.returncode, done.stdout) == (1, "")
    assert "choose another with `--port`." in done.stderr


def test_the_simulator_alone() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "simulator", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        printed = read_greeting(process)
        found = re.search(r"simulator on (http://127\.0\.0\.1:\d+)", printed)
        assert found is not None
        assert httpx.get(found[1] + "/simulator/troubles", trust_env=False).status_code == 200
        pasted = printed[printed.index("\ntiktok:\n") :].partition("\n\n")[0]  # as it stands, behind other keys
        settings = parse_yaml(f"public_url: https://app.example.com{pasted}")
        assert settings["tiktok"]["token_url"] == f"{found[1]}/v2/oauth/token/"
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        process.communicate(timeout=10)
