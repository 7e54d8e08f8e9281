"""Assertions are taken by those they are for, in Python, Node and Go; and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import verify
from gateway.core.assertion import AssertionKeys, Assertions
from gateway.core.identity import Identity
from gateway.verify import AssertionRefused, Verifier
from tests.programs import need

ISSUER, AUDIENCE = "https://app.example.com", "backoffice"
KEYS = AssertionKeys([b"n" * 32, b"o" * 32])
NOW = datetime.now(UTC)
WHO = Identity(
    open_id="-000Ada",
    union_id="u",
    username="ada",
    display_name="李 🦊",
    avatar_url=None,
    scopes=("user.info.basic", "video.list"),
    access_token="act.secret",
    token_expires_at=NOW,
    session_id="s1",
    signed_in_at=NOW,
)


def sign(keys: AssertionKeys = KEYS, who: Identity = WHO, *, late: float = 0) -> str:
    """Return an assertion that was signed so many seconds ago."""
    now = datetime.now(UTC) - timedelta(seconds=late)
    audiences = {"office": AUDIENCE}
    made = Assertions(keys, header="X-A", issuer=ISSUER, lifetime=timedelta(minutes=5), audiences=audiences).build(
        who, "office", now
    )
    return made[1].decode()


def take_apart(assertion: str) -> list[Any]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in assertion.split(".")[:2]]


def encode(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forge(**changes: Any) -> str:
    """Return a real assertion with another head."""
    _, body, signature = sign().split(".")
    return f"{encode(take_apart(sign())[0] | changes)}.{body}.{signature}"


def sign_claims(**changes: Any) -> str:
    """Return other claims, signed by the gateway's own key."""
    claims = take_apart(sign())[1] | changes
    return KEYS.sign({name: value for name, value in claims.items() if value is not None})


def symmetric() -> str:
    """Return what is signed with the public key as if it were a secret (algorithm confusion)."""
    public = KEYS.public_set()["keys"][0]
    head = encode({"alg": "HS256", "typ": "JWT", "kid": public["kid"]})
    unsigned = f"{head}.{sign().split('.')[1]}"
    secret = json.dumps(public).encode()
    digest = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def tampered() -> str:
    head, _, signature = sign().split(".")
    return f"{head}.{encode(take_apart(sign())[1] | {'sub': 'evil'})}.{signature}"


Make = Callable[[], str]

GOOD: dict[str, Make] = {
    "fresh": sign,
    "skewed": lambda: sign(late=-20),
    "just over": lambda: sign(late=315),
    "by an older key": lambda: sign(AssertionKeys([b"o" * 32])),
}
BAD: dict[str, Make] = {
    "none": lambda: forge(alg="none"),
    "none without signature": lambda: forge(alg="none").rpartition(".")[0] + ".",
    "symmetric": symmetric,
    "another algorithm": lambda: forge(alg="ES384"),
    "no key": lambda: forge(kid=None),
    "unknown key": lambda: forge(kid="x"),
    "by a stranger": lambda: sign(AssertionKeys([b"x" * 32])),
    "tampered": tampered,
    "no signature": lambda: sign().rpartition(".")[0] + ".",
    "half": lambda: sign()[:-40],
    "expired": lambda: sign(late=360),
    "of the future": lambda: sign(late=-120),
    "another issuer": lambda: sign_claims(iss="https://evil.example"),
    "another audience": lambda: sign_claims(aud="frontoffice"),
    "no audience": lambda: sign_claims(aud=None),
    "no end": lambda: sign_claims(exp=None),
    "empty": lambda: "",
    "words": lambda: "no assertion at all",
    "dots": lambda: "..",
}


def verifier() -> Verifier:
    return Verifier(KEYS.public_set(), issuer=ISSUER, audience=AUDIENCE)


@pytest.mark.parametrize("make", GOOD.values(), ids=list(GOOD))
def test_python_takes(make: Make) -> None:
    claims = verifier().verify(make())
    assert (claims.open_id, claims.session_id) == ("-000Ada", "s1")
    assert claims.scopes == ("user.info.basic", "video.list")
    assert claims.everything["name"] == "李 🦊"


@pytest.mark.parametrize("make", BAD.values(), ids=list(BAD))
def test_python_refuses(make: Make) -> None:
    with pytest.raises(AssertionRefused):
        verifier().verify(make())


@pytest.mark.parametrize("missing", [None, "", b"bytes", ["x"], 5])
def test_python_refuses_a_header_that_is_not_there(missing: Any) -> None:
    with pytest.raises(AssertionRefused, match="has not come through the gateway"):
        verifier().verify(missing)


@given(st.text(max_size=200))
def test_python_raises_nothing_else(text: str) -> None:
    with pytest.raises(AssertionRefused):
        verifier().verify(text)


def test_there_is_no_token_in_it() -> None:
    head, claims = take_apart(sign())
    assert "act.secret" not in json.dumps([head, claims])
    assert set(claims) == {
        *("iss", "aud", "sub", "sid", "scope", "iat", "nbf", "exp", "union_id", "preferred_username", "name")
    }
    nameless = msgspec.structs.replace(WHO, username=None, display_name=None, union_id=None)
    assert "name" not in take_apart(sign(who=nameless))[1]


def test_replicas_sign_alike_and_secrets_stay_secret() -> None:
    assert AssertionKeys([b"n" * 32]).public_set()["keys"] == KEYS.public_set()["keys"][:1]
    public = KEYS.public_set()["keys"]
    assert [set(key) for key in public] == [{"kty", "crv", "x", "y", "kid", "alg", "use"}] * 2
    assert len({key["kid"] for key in public}) == 2


@pytest.fixture
def key_server() -> Generator[Any]:
    """Serves a JWK Set that a test may change, and counts."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.count += 1
            body = json.dumps(served.keys).encode()
            self.send_response(served.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    class Served:
        keys: Any = AssertionKeys([b"o" * 32]).public_set()
        status = 200
        count = 0
        url = ""

    served = Served()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


def test_keys_are_fetched_when_a_new_one_signs_and_not_for_strangers(
    key_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = Verifier(key_server.url, issuer=ISSUER, audience=AUDIENCE)
    checks.verify(sign(AssertionKeys([b"o" * 32])))
    assert key_server.count == 1
    key_server.keys = KEYS.public_set()
    for _ in range(20):
        with pytest.raises(AssertionRefused):
            checks.verify(sign())  # too soon to ask again
    assert key_server.count == 1
    monkeypatch.setattr(verify, "AGAIN", -1.0)
    checks.verify(sign())
    assert key_server.count == 2
    key_server.status = 500
    monkeypatch.setattr(verify, "KEEP", -1.0)
    checks.verify(sign())  # the keys we have stay good
    assert key_server.count == 3
    key_server.status, key_server.keys = 200, []
    checks.verify(sign())
    assert key_server.count == 4


def test_it_imports_nothing_of_the_gateway() -> None:
    words = "import sys, gateway.verify; print([name for name in sys.modules if name.startswith('gateway.')])"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "['gateway.verify']"


VERIFY = Path(__file__).parents[1] / "config" / "verify"


def test_node_takes_and_refuses_the_same(tmp_path: Path) -> None:
    node = need("node")
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps([make() for make in (*GOOD.values(), *BAD.values())]))
    script = tmp_path / "run.mjs"
    script.write_text(
        f"""
        import {{ readFileSync }} from "node:fs";
        import {{ verify }} from {json.dumps(str(VERIFY / "verify.mjs"))};
        const jwks = {json.dumps(KEYS.public_set())};
        const told = JSON.parse(readFileSync({json.dumps(str(cases))})).map((assertion) => {{
          try {{ return verify(assertion, jwks, "{ISSUER}", "{AUDIENCE}").sub; }} catch {{ return null; }}
        }});
        const missing = [undefined, null, ["a"], 5].map((header) => {{
          try {{ return verify(header, jwks, "{ISSUER}", "{AUDIENCE}"); }} catch (error) {{ return error.message; }}
        }});
        console.log(JSON.stringify([told, missing]));
        """
    )
    done = subprocess.run([node, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told, missing = json.loads(done.stdout)
    assert told == ["-000Ada"] * len(GOOD) + [None] * len(BAD)
    assert missing == ["no assertion"] * 4


@pytest.mark.timeout(120)  # it compiles its own library first
def test_go_takes_and_refuses_the_same(tmp_path: Path) -> None:
    go = need("go")
    (tmp_path / "go.mod").write_text("module verify\n\ngo 1.19\n")
    (tmp_path / "verify.go").write_text((VERIFY / "verify.go").read_text())
    (tmp_path / "cases.json").write_text(json.dumps([make() for make in (*GOOD.values(), *BAD.values())]))
    (tmp_path / "keys.json").write_text(json.dumps(KEYS.public_set()))
    (tmp_path / "verify_test.go").write_text(
        f"""package verify

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

func TestAll(t *testing.T) {{
	var keys Keys
	var cases []string
	for name, into := range map[string]any{{"keys.json": &keys, "cases.json": &cases}} {{
		data, err := os.ReadFile(name)
		if err != nil || json.Unmarshal(data, into) != nil {{
			t.Fatal(name)
		}}
	}}
	for i, each := range cases {{
		claims, err := Verify(each, keys, "{ISSUER}", "{AUDIENCE}", time.Unix({int(time.time())}, 0))
		if good := i < {len(GOOD)}; good != (err == nil) || (good && claims.Sub != "-000Ada") {{
			t.Error(i, err)
		}}
	}}
}}
"""
    )
    # Go's library is compiled first, quickly rather than well, unless Go's own cache has it from the last time
    environ = os.environ | {"GOFLAGS": "-mod=mod '-gcflags=all=-N -l'", "GOTOOLCHAIN": "local"}
    began = time.monotonic()
    done = subprocess.run(
        [go, "test", "./..."],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, (done.stdout, done.stderr, time.monotonic() - began)
