"""The gateway as it runs in earnest, beside a textbook proxy without any sign-in.

    python -m benchmarks.signed_in

Starts a real redis-server, the TikTok simulator and `gateway run` (JSON log, metrics, identity headers), signs somebody
in, and hands the cookie to `benchmarks.textbook`. Further options are those of that benchmark.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile

import httpx

from benchmarks import textbook
from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator, consent, run_in_thread

NAVIGATION = {"accept": "text/html"}


def build_environ(simulator: RunningSimulator, redis_port: int, port: int) -> dict[str, str]:
    """Settings of the gateway, but for the two addresses that differ between runs."""
    settings = {
        "public_url": f"http://127.0.0.1:{port}",
        "redis": f"redis://127.0.0.1:{redis_port}/0",
        "secret_keys": json.dumps([new_secret_key()]),
        "tiktok__client_key": simulator.settings.client_key,
        "tiktok__client_secret": simulator.settings.client_secret,
        "tiktok__authorize_url": simulator.authorize_url,
        "tiktok__token_url": simulator.token_url,
        "tiktok__revoke_url": simulator.revoke_url,
        "tiktok__user_info_url": simulator.user_info_url,
        "admin__listen": "off",
    }
    return {f"GATEWAY__{name.upper()}": value for name, value in settings.items()}


def sign_in(url: str) -> str:
    """Sign in through the simulator; returns the session cookie."""
    with httpx.Client(trust_env=False, headers=NAVIGATION) as browser:
        begun = browser.get(url + "/")
        browser.get(consent(begun.headers["location"]))
        return f"gateway={browser.cookies['gateway']}"


def main() -> None:
    """Start what the gateway needs, sign in, measure."""
    if shutil.which("redis-server") is None:
        raise SystemExit("needs redis-server: apt-get install redis-server")
    redis_port, port, gateway = textbook.choose_port(), textbook.choose_port(), [sys.executable, "-m", "gateway", "run"]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        redis = ["redis-server", "--port", str(redis_port), "--save", "", "--dir", folder, "--loglevel", "warning"]
        stack.enter_context(textbook.running(redis, redis_port, textbook.LOAD_CORE, 0))
        simulator = stack.enter_context(run_in_thread())
        os.environ.update(build_environ(simulator, redis_port, port))
        # the upstream is never asked while signing in at /oauth2, only where the cookie was earned
        os.environ["GATEWAY__LISTEN"] = f"127.0.0.1:{port}"
        os.environ["GATEWAY__UPSTREAM"] = "none"
        with textbook.running(gateway, port, textbook.PROXY_CORE, 0):
            cookie = sign_in(f"http://127.0.0.1:{port}")
        log = os.path.join(folder, "log")
        run = (
            f"sh -c 'GATEWAY__LISTEN=127.0.0.1:{{port}} GATEWAY__UPSTREAM=http://127.0.0.1:{{upstream_port}} "
            f"exec {sys.executable} -m gateway run 2>{log}'"
        )
        sys.argv += ["--target", f"gateway={run}", "--header", f"Cookie: {cookie}"]
        textbook.main()


if __name__ == "__main__":
    main()
